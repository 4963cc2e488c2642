package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/term"

	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/streams"
)

// Exit statuses of playbook run, besides those of all commands.
const (
	exitPlaybookUsage    = 2 // the command line or an input is no good; nothing was run
	exitPlaybookUnusable = 3 // there is no Puppet to evaluate playbooks with
)

// A playbookCommand is one run of a command below playbook.
type playbookCommand struct {
	*env

	modulepath string
	filter     string
	playbook   string
	targets    []string
	asJSON     bool

	abort <-chan struct{} // of guarded
}

func addPlaybook(e *env, app *kingpin.Application) {
	c := &playbookCommand{env: e}
	cmd := app.Command("playbook", "Runs and describes playbooks: plans in the language of Puppet.")

	run := cmd.Command("run", "Runs a playbook.")
	run.HelpLong(fmt.Sprintf(`Everything behind run is for the playbook: %s playbook run NAME --help shows its options.
`, e.name))
	run.Action(c.action(func() error { return c.run(e.rest) }))

	list := cmd.Command("list", "Lists playbooks.")
	list.Arg("filter", "Only those whose names contain this").StringVar(&c.filter)
	list.Action(c.action(c.list))

	show := cmd.Command("show", "Describes a playbook and its parameters.")
	show.Arg("name", "The name of the playbook").Required().StringVar(&c.playbook)
	show.Action(c.action(c.show))

	validate := cmd.Command("validate", "Checks that playbooks parse.")
	validate.Arg("target", "Names of playbooks, or files").Required().StringsVar(&c.targets)
	validate.Action(c.action(c.validate))

	for _, sub := range []*kingpin.CmdClause{list, show, validate} {
		sub.Flag("modulepath", "Directories of modules, separated by colons").PlaceHolder("PATH").StringVar(&c.modulepath)
		sub.Flag("json", "Print JSON").Short('j').BoolVar(&c.asJSON)
	}
}

// cutPlaybook cuts what is behind "playbook run" off the command line: what it means depends on the playbook.
func cutPlaybook(args []string) (command, rest []string) {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-c" || arg == "--config":
			i++
		case strings.HasPrefix(arg, "-"):
		case arg == "playbook" && i+1 < len(args) && args[i+1] == "run":
			return args[:i+2], args[i+2:]
		default:
			return args, nil
		}
	}
	return args, nil
}

// action returns what runs a command: its locks, its cleanup and its directory outlast signals.
func (c *playbookCommand) action(run func() error) kingpin.Action {
	return func(*kingpin.ParseContext) error {
		return c.guarded(func(abort <-chan struct{}) error {
			c.abort = abort
			return c.exit(run())
		})
	}
}

// exit gives err the exit status that playbooks have for it.
func (c *playbookCommand) exit(err error) error {
	var usage *playbook.UsageError
	var unusable *playbook.Unusable
	switch {
	case errors.As(err, &usage):
		return &exit{exitPlaybookUsage, err}
	case errors.As(err, &unusable):
		return &exit{exitPlaybookUnusable, err}
	}
	return err
}

// session starts a session that logs to the terminal. Its log goes to standard error alone when standard
// output is for a document.
func (c *playbookCommand) session(name string, modulepath []string, level playbook.Level, document bool) *playbook.Session {
	secrets := &playbook.Secrets{}
	out := c.stdout
	if document {
		out = c.stderr
	}
	log := &playbook.Log{
		Out: out, Err: c.stderr, Level: level, Secrets: secrets,
		Colour: screenOn(out, true).color && screenOn(c.stderr, true).color,
	}
	if f, ok := c.stderr.(*os.File); ok && terminal(f) && os.Getenv("TERM") != "dumb" {
		log.Screen = &playbook.Screen{Writer: f, Columns: func() int {
			columns, _, err := term.GetSize(int(f.Fd()))
			if err != nil || columns == 0 {
				return 80 // a terminal that does not know
			}
			return columns
		}}
	}
	cache, err := playbook.CacheDir(os.Getenv)
	if err != nil {
		log.Say(playbook.Warning, "", err.Error()+"; playbooks start more slowly without")
	}
	return &playbook.Session{
		Playbook:   name,
		Modulepath: modulepath,
		Secrets:    secrets,
		Environ:    os.Environ(),
		Cache:      cache,
		Log:        log,
		Abort:      c.abort,
	}
}

// start starts a session and waits until the playbook is known.
func (c *playbookCommand) start(s *playbook.Session) (*playbook.Ready, error) {
	if err := s.Start(); err != nil {
		return nil, err
	}
	return c.known(s)
}

func (c *playbookCommand) known(s *playbook.Session) (*playbook.Ready, error) {
	ready, err := s.Ready(c.ctx)
	switch {
	case err != nil:
		return nil, err
	case ready.Error != nil:
		return nil, fmt.Errorf("playbook %s: %s", s.Playbook, ready.Error.Text())
	case s.Playbook != "" && ready.Plan == nil:
		return nil, &playbook.UnknownPlaybook{Name: s.Playbook, Modulepath: ready.Modulepath}
	}
	return ready, nil
}

func (c *playbookCommand) run(args []string) error {
	// Those of the process may be overwritten: see hideArguments.
	own := make([]string, len(args))
	for i, arg := range args {
		own[i] = strings.Clone(arg)
	}
	o, err := playbook.ParseOptions(own)
	if err != nil {
		return withHint(err, "%s playbook run NAME --help shows what a playbook takes", c.name)
	}
	if o.Name == "" {
		c.help(nil, "")
		return nil
	}
	s := c.session(o.Name, o.Modulepath, o.Level, o.JSON)
	defer s.Close()
	if err := s.Start(); err != nil {
		return err
	}
	// Puppet loads while all else is prepared.
	if o.Config != "" {
		c.config = o.Config
	}
	network, closeNetwork := playbook.Client(c.open)
	defer closeNetwork()
	s.Network = network
	connect, closeStreams := playbook.Streams(func() (*streams.Conn, error) {
		conn, _, err := c.openStreams()
		return conn, err
	})
	defer closeStreams()
	s.Streams = connect
	ready, err := c.known(s)
	if err != nil {
		return err
	}
	if o.Help {
		c.help(ready.Plan, o.Name)
		return nil
	}
	parameters, err := c.parameters(o, ready.Plan)
	if err != nil {
		return err
	}
	s.Log.Level = o.Level
	if o.JSON {
		s.Log.Out = c.stderr
	}
	if len(o.Exposed) > 0 {
		hideArguments(o.Exposed)
		s.Log.Say(playbook.Warning, "", "A secret on the command line can be read by all who list processes: give it as @FILE, or as - to be asked for it")
	}
	return c.execute(s, o, parameters)
}

// parameters reads the parameters of the playbook from the command line and what it refers to.
func (c *playbookCommand) parameters(o *playbook.Options, sig *playbook.Signature) (map[string]any, error) {
	var stdin []byte
	if o.WantsStdin() {
		var err error
		if stdin, err = io.ReadAll(io.LimitReader(c.stdin, 64<<20)); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	}
	return o.Parameters(sig, stdin, c.ask)
}

// ask asks for a secret on the terminal.
func (c *playbookCommand) ask(name string) (string, error) {
	f, ok := c.stdin.(*os.File)
	if !ok || !terminal(f) {
		return "", errors.New("standard input is no terminal to ask on")
	}
	fmt.Fprintf(c.stderr, "%s: ", name)
	value, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(c.stderr)
	return string(value), err
}

// execute runs the playbook, writes the report of the run and shows the result.
func (c *playbookCommand) execute(s *playbook.Session, o *playbook.Options, parameters map[string]any) error {
	var report *playbook.RunReport
	if o.RunReport != "" {
		var err error
		if report, err = playbook.OpenRunReport(o.RunReport); err != nil {
			return err
		}
		defer report.Close()
		s.Log.Keep = true
	}
	outcome, err := s.Run(c.ctx, parameters)
	if err != nil {
		return err
	}
	if outcome.Refused() {
		return &playbook.UsageError{
			Err:  fmt.Errorf("playbook %s: %s", o.Name, outcome.Failure.Msg),
			Cure: fmt.Sprintf("%s playbook run %s --help shows its parameters", c.name, o.Name),
		}
	}
	if outcome.Failure != nil && !outcome.Interrupted() {
		s.Log.Say(playbook.Err, "", outcome.Failure.Text())
		for _, line := range outcome.Failure.Trace {
			s.Log.Say(playbook.Debug, "", line)
		}
	}
	if outcome.Failed != "" {
		s.Log.Say(playbook.Err, "", outcome.Failed)
	}
	if o.JSON {
		err = outcome.RenderJSON(c.stdout, s)
	} else {
		err = outcome.Render(c.stdout, s, screenOn(c.stdout, true).color)
	}
	if report != nil {
		err = errors.Join(err, report.Write(s, parameters, outcome))
	}
	switch {
	case err != nil:
		return err
	case outcome.Interrupted():
		return &exit{exitInterrupted, context.Canceled}
	case outcome.Useless():
		return &exit{code: exitPlaybookUsage}
	case !outcome.Success():
		return &exit{code: exitFailed}
	}
	return nil
}

// help shows how to run a playbook; sig is nil when none was named.
func (c *playbookCommand) help(sig *playbook.Signature, name string) {
	if name == "" {
		fmt.Fprintf(c.stdout, "usage: %s playbook run NAME [<options>]\n\nRuns a playbook.\n", c.name)
	} else {
		fmt.Fprintf(c.stdout, "usage: %s playbook run %s [<options>]\n\n", c.name, name)
		sig.Render(c.stdout, name)
	}
	playbook.RenderCommandOptions(c.stdout)
}

func (c *playbookCommand) list() error {
	s := c.session("", c.path(), playbook.Warning, true)
	defer s.Close()
	ready, err := c.start(s)
	if err != nil {
		return err
	}
	names, files := playbook.List(ready.Modulepath, c.filter)
	if c.asJSON {
		list := []map[string]string{}
		for _, name := range names {
			list = append(list, map[string]string{"name": name, "file": s.Shown(files[name])})
		}
		return c.document(list)
	}
	for _, name := range names {
		fmt.Fprintln(c.stdout, name)
	}
	return nil
}

func (c *playbookCommand) show() error {
	s := c.session(c.playbook, c.path(), playbook.Warning, true)
	defer s.Close()
	ready, err := c.start(s)
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.document(map[string]any{"name": c.playbook, "plan": ready.Plan})
	}
	ready.Plan.Render(c.stdout, c.playbook)
	return nil
}

func (c *playbookCommand) validate() error {
	s := c.session("", c.path(), playbook.Warning, true)
	defer s.Close()
	for _, name := range c.targets {
		target := playbook.Target{Name: name}
		if strings.ContainsRune(name, '/') || strings.HasSuffix(name, ".pp") {
			target.File = name
		}
		s.Validate = append(s.Validate, target)
	}
	ready, err := c.start(s)
	if err != nil {
		return err
	}
	bad := map[string]bool{}
	for _, p := range ready.Problems {
		bad[p.Target] = true
		if !c.asJSON {
			fmt.Fprintf(c.stderr, "%s: %s\n", p.Target, printable(p.Text()))
		}
	}
	if c.asJSON {
		if err := c.document(append([]playbook.Problem{}, ready.Problems...)); err != nil {
			return err
		}
	} else {
		for _, name := range c.targets {
			if !bad[name] {
				fmt.Fprintf(c.stdout, "%s: OK\n", name)
			}
		}
	}
	if len(bad) > 0 {
		return &exit{code: exitFailed}
	}
	return nil
}

// path is the module path that was given, nil when none was.
func (c *playbookCommand) path() []string {
	if c.modulepath == "" {
		return nil
	}
	return playbook.SplitModulepath(c.modulepath)
}

// document prints v as JSON.
func (c *playbookCommand) document(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, string(data))
	return err
}
