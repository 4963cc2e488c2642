package rubyagent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/hotload"
	"choria.io/choria/go/internal/subprocess"
)

const (
	maxDDL = 1 << 20 // bytes of a description, in Ruby or in JSON

	// convertPatience is how long the conversion of some descriptions may take; one has 10 s of it.
	convertPatience = 60 * time.Second
)

// A Converter turns descriptions written in Ruby into JSON. They are programs, which have to be run.
// What comes of one is kept on disk by its content, so that Ruby is started once for each of them.
type Converter struct {
	Config *config.Config
	Log    *slog.Logger // nil discards
}

// Convert returns the JSON of one description. Its kind is agent or data.
func (c *Converter) Convert(ctx context.Context, path, kind string) ([]byte, error) {
	done := c.convert(ctx, []string{path}, kind)[path]
	if done.Err == nil && done.JSON == nil {
		return nil, fmt.Errorf("%s: not converted", path)
	}
	return done.JSON, done.Err
}

// Converted returns the JSON of descriptions of a kind. See hotload.Watcher.
func (r *Runner) Converted(ctx context.Context, kind string, paths []string) map[string]hotload.Converted {
	c := &Converter{Config: r.cfg, Log: r.log}
	return c.convert(ctx, paths, kind)
}

// A conversion is one line of what the shim is told, and one of what it answers.
type conversion struct {
	Path  string          `json:"path"`
	Kind  string          `json:"kind,omitempty"`
	DDL   json.RawMessage `json:"ddl,omitempty"`
	Error string          `json:"error,omitempty"`
}

func (c *Converter) convert(ctx context.Context, paths []string, kind string) map[string]hotload.Converted {
	done := make(map[string]hotload.Converted)
	r, err := New(c.Config, c.Log)
	if err == nil {
		err = errors.Join(private(r.dir), private(filepath.Join(r.dir, "ddl")))
	}
	cached := make(map[string]string) // file of the cache by path
	var left []string
	for _, path := range paths {
		if err != nil {
			done[path] = hotload.Converted{Err: err}
			continue
		}
		file, text, err := r.cached(path, kind)
		if err != nil || text != nil {
			done[path] = hotload.Converted{JSON: text, Err: err}
			continue
		}
		cached[path] = file
		left = append(left, path)
	}
	for len(left) > 0 {
		err := r.convertAll(ctx, kind, left, cached, done)
		left = slices.DeleteFunc(left, func(path string) bool { _, told := done[path]; return told })
		if err == nil {
			err = errors.New("ruby: no answer")
		}
		// One that ends Ruby is the fault of none that come after it.
		if broken := errors.As(err, new(*rubyError)); broken && len(left) > 0 && ctx.Err() == nil {
			done[left[0]] = hotload.Converted{Err: fmt.Errorf("%s: %w", left[0], err)}
			left = left[1:]
			continue
		}
		for _, path := range left {
			done[path] = hotload.Converted{Err: err}
		}
		break
	}
	return done
}

// A rubyError is how Ruby has ended.
type rubyError struct{ status, stderr string }

func (e *rubyError) Error() string {
	if e.stderr == "" {
		return "ruby: " + e.status
	}
	return "ruby: " + e.status + ": " + e.stderr
}

// cached returns the name of the file that keeps the JSON of a description, and its text if it is there.
func (r *Runner) cached(path, kind string) (file string, text []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxDDL {
		return "", nil, fmt.Errorf("%s: want a file of at most %d bytes", path, maxDDL)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	sum := sha256.New()
	// The name of the file becomes that of the plugin.
	fmt.Fprintf(sum, "%s %s %s\n", libraryHash(), kind, filepath.Base(path))
	sum.Write(source)
	file = filepath.Join(r.dir, "ddl", hex.EncodeToString(sum.Sum(nil))+".json")
	text, err = os.ReadFile(file)
	if err != nil || !json.Valid(text) {
		return file, nil, nil
	}
	return file, text, nil
}

// convertAll has Ruby convert what is not in the cache, in order.
func (r *Runner) convertAll(ctx context.Context, kind string, paths []string, cached map[string]string, done map[string]hotload.Converted) error {
	var jobs bytes.Buffer
	for _, path := range paths {
		line, err := json.Marshal(conversion{Path: path, Kind: kind})
		if err != nil {
			return err
		}
		jobs.Write(append(line, '\n'))
	}
	ctx, cancel := context.WithTimeout(ctx, convertPatience)
	defer cancel()
	ruby, args, err := r.command()
	if err != nil {
		return err
	}
	stderr := &stderrLog{log: r.log}
	cmd := &subprocess.Command{
		Path: ruby, Args: append(args, "--convert"), Stdin: jobs.Bytes(),
		Stdout: subprocess.Buffer{Limit: len(paths) * maxDDL},
		Stderr: stderr.buffer(),
	}
	res, err := cmd.Run(ctx)
	if err != nil {
		return err
	}
	cmd.Stderr.Finish()
	for line := range bytes.Lines(cmd.Stdout.Bytes()) {
		var m conversion
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("ruby: answer not understood: %w", err)
		}
		file, asked := cached[m.Path]
		switch {
		case !asked:
			return fmt.Errorf("ruby: answer about %q, which was not asked", m.Path)
		case m.Error != "":
			done[m.Path] = hotload.Converted{Err: fmt.Errorf("%s: %s", m.Path, firstLine(m.Error))}
		default:
			done[m.Path] = hotload.Converted{JSON: m.DDL}
			if err := writeFile(file, m.DDL); err != nil {
				r.log.Warn("converted description not kept", "file", file, "err", err)
			}
		}
	}
	if res.Status != "" {
		return &rubyError{res.Status, subprocess.Quote(stderr.raw)}
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
