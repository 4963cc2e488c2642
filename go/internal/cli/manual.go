package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/config"
)

// addManual is for those who make packages: all manual pages, from what the parsers of the command line
// and of the configuration know.
func addManual(e *env, app *kingpin.Application) {
	cmd := app.Command("manual", "Writes the manual pages into a directory.").Hidden()
	dir := cmd.Arg("directory", "The directory").Required().String()
	cmd.Action(func(*kingpin.ParseContext) error { return e.manual(app.Model(), *dir) })
}

// manual writes choria(1), a page a command, the pages of the daemons and choria.conf(5).
func (e *env) manual(app *kingpin.ApplicationModel, dir string) error {
	pages := map[string]*roff{
		"choria.1":      mainPage(app),
		"choria.conf.5": configPage(),
	}
	for _, cmd := range app.Commands {
		if _, daemon := daemons[cmd.Name]; !cmd.Hidden && !daemon && cmd.Name != "help" {
			pages["choria-"+cmd.Name+".1"] = commandPage(cmd)
		}
	}
	for name, program := range daemons {
		path, err := findProgram(program)
		if err != nil {
			return err
		}
		usage, err := exec.CommandContext(e.ctx, path, "--help").Output()
		if err != nil {
			return fmt.Errorf("%s --help: %w", program, err)
		}
		pages[program+".8"] = daemonPage(program, name, string(usage))
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mainPage is choria(1).
func mainPage(app *kingpin.ApplicationModel) *roff {
	r := newRoff("choria", 1, app.Help)
	r.section("Synopsis")
	r.line(".B choria\n[flags] command [arguments]")
	r.section("Description")
	r.text("Also installed as mco. Each command has its own page, and help with choria help COMMAND.")
	r.section("Commands")
	for _, cmd := range app.Commands {
		section := 1
		if daemons[cmd.Name] != "" {
			section = 8
		}
		if cmd.Hidden || cmd.Name == "help" {
			continue
		}
		r.item(fmt.Sprintf("choria-%s(%d)", cmd.Name, section), cmd.Help)
	}
	r.flags("Flags", app.FlagGroupModel)
	r.section("Files")
	for _, file := range config.ClientFiles() {
		if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(file, home+"/") {
			file = "~" + strings.TrimPrefix(file, home)
		}
		r.item(file, "")
	}
	r.text("The first that can be read is the configuration of clients, see choria.conf(5).")
	return r
}

// commandPage is the page of one command with those below it.
func commandPage(cmd *kingpin.CmdModel) *roff {
	r := newRoff("choria-"+cmd.Name, 1, cmd.Help)
	r.section("Synopsis")
	r.synopsis(cmd)
	if len(cmd.Aliases) > 0 {
		r.text("Also called: " + strings.Join(cmd.Aliases, ", "))
	}
	r.commandBody(cmd, "Arguments", "Flags")
	for _, sub := range cmd.Commands {
		if !sub.Hidden {
			r.subcommand("choria "+cmd.Name, sub)
		}
	}
	r.section("See also")
	r.text("choria(1), choria.conf(5)")
	return r
}

// subcommand writes a command below another, and those below it.
func (r *roff) subcommand(parent string, cmd *kingpin.CmdModel) {
	r.section(parent + " " + cmd.Name)
	r.text(cmd.Help)
	r.synopsis(cmd)
	r.commandBody(cmd, "", "")
	for _, sub := range cmd.Commands {
		if !sub.Hidden {
			r.subcommand(parent+" "+cmd.Name, sub)
		}
	}
}

func (r *roff) synopsis(cmd *kingpin.CmdModel) {
	line := ".B choria " + escape(cmd.FullCommand) + "\n[flags]"
	for _, arg := range cmd.Args {
		name := arg.PlaceHolder
		if name == "" {
			name = strings.ToUpper(arg.Name)
		}
		if !arg.Required {
			name = "[" + name + "]"
		}
		line += "\n" + escape(name)
	}
	if len(cmd.Commands) > 0 {
		line += "\ncommand"
	}
	r.line(line)
}

func (r *roff) commandBody(cmd *kingpin.CmdModel, arguments, flags string) {
	if len(cmd.Args) > 0 {
		r.section(arguments)
		for _, arg := range cmd.Args {
			r.item(arg.Name, arg.Help)
		}
	}
	r.flags(flags, cmd.FlagGroupModel)
	if cmd.HelpLong != "" {
		if flags != "" {
			r.section("Details")
		}
		r.verbatim(cmd.HelpLong)
	}
}

// flags writes flags as the help shows them. An empty title starts no section.
func (r *roff) flags(title string, flags *kingpin.FlagGroupModel) {
	rows := flagRows(flags.Flags)
	if len(rows) == 0 {
		return
	}
	r.section(title)
	for _, row := range rows {
		r.item(strings.TrimSpace(row[0]), row[1])
	}
}

// daemonPage is the page of a program that tells its usage itself.
func daemonPage(program, name, usage string) *roff {
	r := newRoff(program, 8, "the "+name+" of a Choria network")
	r.section("Usage")
	r.verbatim(usage)
	r.section("See also")
	r.text("choria(1), choria.conf(5)")
	return r
}

// configPage is choria.conf(5), made of what docs/configuration.md is made of.
func configPage() *roff {
	r := newRoff("choria.conf", 5, "configuration of Choria's servers, brokers and clients")
	r.section("Description")
	r.text("server.conf, broker.conf and client.conf in /etc/choria, and the files *.cfg in plugin.d beside them, hold lines of the form")
	r.verbatim("key = value\n# a comment\n")
	r.text("S, B and C behind a key say who reads it: servers, brokers, clients. choria config shows what is in force and where it comes from.")
	section := ""
	for _, k := range config.Known() {
		if k.Section != section && k.Section != "" {
			section = k.Section
			r.section(section)
		}
		text := k.Doc + "."
		switch {
		case len(k.Enum) > 0:
			text += " One of " + strings.Join(k.Enum, ", ") + "."
		}
		switch {
		case k.Default != "":
			text += " Default: " + k.Default + "."
		case k.Derived != "":
			text += " Default: " + k.Derived + "."
		}
		if k.Env != "" {
			text += " Environment: " + k.Env + "."
		}
		r.item(fmt.Sprintf("%s (%s, %s)", k.Name, k.Type, k.Scope), text)
	}
	r.section("See also")
	r.text("choria(1), choria-config(1)")
	return r
}

// A roff is a manual page in the making, in the macros of man(7).
type roff struct{ bytes.Buffer }

func newRoff(name string, section int, help string) *roff {
	r := &roff{}
	r.line(fmt.Sprintf(".TH %s %d \"\" %q Choria", strings.ToUpper(name), section, "Choria "+build.Version))
	r.section("Name")
	help = strings.TrimSuffix(help, ".")
	r.line(escape(name) + ` \- ` + escape(help))
	return r
}

func (r *roff) line(text string) { _, _ = io.WriteString(r, text+"\n") }

// section starts a section; an empty title starts a paragraph.
func (r *roff) section(title string) {
	if title == "" {
		r.line(".PP")
		return
	}
	r.line(".SH " + escape(strings.ToUpper(title)))
}

func (r *roff) text(text string) { r.line(".PP\n" + escape(text)) }

// item writes a name and what it is.
func (r *roff) item(name, text string) {
	r.line(".TP\n.B " + escape(name))
	if text == "" {
		text = " "
	}
	r.line(escape(text))
}

func (r *roff) verbatim(text string) {
	r.line(".PP\n.nf")
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		r.line(escape(strings.TrimRight(line, "\n")))
	}
	r.line(".fi")
}

// escape returns text as it is to be read: no line is a request to roff, and a dash is one that can be
// copied.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" && slices.Contains([]byte(".'"), line[0]) {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
