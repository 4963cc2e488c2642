package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/rubyagent"
)

// A pluginFiles is one run of plugin generate ddl or plugin validate.
type pluginFiles struct {
	*env
	files  []string
	target string
	kind   string
	force  bool
}

func addPluginFiles(e *env, cmd *kingpin.CmdClause) {
	g := &pluginFiles{env: e, files: []string{""}} // one, for SOURCE
	generate := cmd.Command("generate", "Writes files of plugins.")
	gddl := generate.Command("ddl", "Turns a description in Ruby into one in JSON, and the other way round.")
	gddl.HelpLong(fmt.Sprintf(`Descriptions NAME.ddl are programs in Ruby, which is needed to read them. What is read is validated.

Examples:
  %[1]s plugin generate ddl puppet.ddl               shows the JSON
  %[1]s plugin generate ddl puppet.ddl puppet.json   writes it
  %[1]s plugin generate ddl puppet.json puppet.ddl   writes Ruby
`, e.name))
	gddl.Arg("source", "The description there is, NAME.ddl or NAME.json").Required().PlaceHolder("SOURCE").StringVar(&g.files[0])
	gddl.Arg("target", "The file to write; standard output when missing").PlaceHolder("TARGET").StringVar(&g.target)
	g.kindFlag(gddl)
	gddl.Flag("force", "Overwrite TARGET").Short('f').BoolVar(&g.force)
	gddl.Action(func(*kingpin.ParseContext) error { return g.generate(e.ctx) })

	v := &pluginFiles{env: e}
	validate := cmd.Command("validate", "Checks descriptions of plugins, in JSON or in Ruby.")
	validate.HelpLong("Exit status: 1 when one of them is wrong.\n")
	validate.Arg("file", "NAME.json or NAME.ddl").Required().PlaceHolder("FILE").StringsVar(&v.files)
	v.kindFlag(validate)
	validate.Action(func(*kingpin.ParseContext) error { return v.validate(e.ctx) })
}

func (p *pluginFiles) kindFlag(cmd *kingpin.CmdClause) {
	cmd.Flag("kind", "What the file describes: agent or data; else its name and directory tell").PlaceHolder("KIND").EnumVar(&p.kind, "agent", "data")
}

// kindOf returns what a file describes.
func (p *pluginFiles) kindOf(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	switch {
	case p.kind != "":
		return p.kind
	case strings.HasSuffix(name, "_data"):
		return "data"
	}
	if abs, err := filepath.Abs(path); err == nil && filepath.Base(filepath.Dir(abs)) == "data" {
		return "data"
	}
	return "agent"
}

// A describing is a description of either kind.
type describing interface{ Ruby() string }

// read returns the description in a file.
func (p *pluginFiles) read(ctx context.Context, path string) (describing, error) {
	kind := p.kindOf(path)
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	var text []byte
	var err error
	switch filepath.Ext(path) {
	case ".ddl":
		text, err = p.convert(ctx, path, kind)
		if kind == "data" {
			name = strings.TrimSuffix(name, "_data")
		}
	case ".json":
		text, err = os.ReadFile(path)
	default:
		err = withHint(fmt.Errorf("%s: no description of a plugin", path), "name a file NAME.json or NAME.ddl")
	}
	if err != nil {
		return nil, err
	}
	if kind == "data" {
		d, err := ddl.ParseData(text)
		if err == nil && d.Metadata.Name != name {
			err = fmt.Errorf("describes %q, want %q as the file is named", d.Metadata.Name, name)
		}
		return d, in(path, err)
	}
	a, err := ddl.Parse(text)
	if err == nil && a.Metadata.Name != name {
		err = fmt.Errorf("describes %q, want %q as the file is named", a.Metadata.Name, name)
	}
	return a, in(path, err)
}

// in names the file that an error is about.
func in(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// convert returns the JSON of a description in Ruby.
func (p *pluginFiles) convert(ctx context.Context, path, kind string) ([]byte, error) {
	cfg, err := config.LoadClient(p.config)
	if err != nil {
		if p.config != "" || !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		cfg = config.New() // nobody has configured anything yet
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	return (&rubyagent.Converter{Config: cfg}).Convert(ctx, path, kind)
}

func (p *pluginFiles) generate(ctx context.Context) error {
	source := p.files[0]
	d, err := p.read(ctx, source)
	if err != nil {
		return err
	}
	text := d.Ruby()
	if filepath.Ext(source) == ".ddl" {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(d); err != nil {
			return err
		}
		text = b.String()
	}
	if p.target == "" {
		_, err := fmt.Fprint(p.stdout, text)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !p.force {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(p.target, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return withHint(fmt.Errorf("%s: is there already", p.target), "--force overwrites it")
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (p *pluginFiles) validate(ctx context.Context) error {
	wrong := 0
	for _, path := range p.files {
		_, err := p.read(ctx, path)
		if err == nil {
			fmt.Fprintf(p.stdout, "%s: valid\n", printable(path))
			continue
		}
		if len(p.files) == 1 {
			return err
		}
		wrong++
		fmt.Fprintln(p.stderr, "error:", printable(err.Error()))
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d descriptions are wrong", wrong, len(p.files))
	}
	return nil
}
