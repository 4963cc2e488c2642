// Package cli is the command line of choria, also known as mco: one file a command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/term"

	"choria.io/choria/go/internal/build"
)

// An env is what every command gets: the streams, the context and the flags that all commands have.
type env struct {
	ctx    context.Context
	name   string // choria or mco, as the program was called
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	result io.Reader // standard input from its start, once chain has looked into it

	args []string // the command line, without what is in rest
	rest []string // what is behind playbook run

	config      string // --config
	federations string // --federations
	debug       bool   // --debug

	connectTimeout seconds // --connection-timeout; zero: as configured
}

// Exit statuses that scripts may rely on. Those of playbook run and lab run are their own.
const (
	exitFailed      = 1   // an error, or no nodes were found
	exitValue       = 2   // an option has a value that is no good; nothing was sent
	exitSomeFailed  = 2   // some replies say that the action failed
	exitSilent      = 3   // nodes were asked, and none of them answered
	exitInterrupted = 130 // by the user
)

// An exit is an error that sets the exit status. A nil err prints nothing.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// A hinter is an error that knows what to do about it.
type hinter interface{ Hint() string }

// A hint is an error with its cure.
type hint struct {
	err  error
	cure string
}

func (h *hint) Error() string { return h.err.Error() }
func (h *hint) Unwrap() error { return h.err }
func (h *hint) Hint() string  { return h.cure }

// withHint returns err with its cure.
func withHint(err error, format string, args ...any) error {
	return &hint{err, fmt.Sprintf(format, args...)}
}

// commands registers every command. One line a command, in the order of the help.
func commands() []func(*env, *kingpin.Application) {
	return []func(*env, *kingpin.Application){
		addPing,
		addRPC,
		addFind,
		addDescribeFilter,
		addFacts,
		addInventory,
		addPlugin,
		addPolicy,
		addPlaybook,
		addCspec,
		addKV,
		addStream,
		addGovernor,
		addElection,
		addEvents,
		addReplies,
		addEnroll,
		addFederation,
		addConfig,
		addLab,
		addServer,
		addBroker,
		addCompletion,
		addVersion,
		addChoria,
		addManual,
	}
}

// ended is what kingpin's wish to end the process becomes, so that nothing else runs after the help.
type ended int

// Main runs the command line args, without the program name, and returns the exit status. program
// is what the program was called as.
func Main(ctx context.Context, program string, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	e := &env{ctx: ctx, name: filepath.Base(program), stdin: stdin, stdout: stdout, stderr: stderr}
	if handsOver(args) {
		return e.report(e.handOver(daemons[args[0]], args[1:]))
	}
	args, err := extraOptions(args, os.Getenv("MCOLLECTIVE_EXTRA_OPTS"))
	if err != nil {
		return e.report(err)
	}

	acting := false // the command line was understood, and the command runs
	app := e.application()
	app.Action(func(*kingpin.ParseContext) error { acting = true; return nil })
	app.Terminate(func(code int) { panic(ended(code)) })
	defer func() {
		switch r := recover().(type) {
		case nil:
		case ended:
			status = int(r)
		default:
			panic(r)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	args, e.rest = cutPlaybook(args)
	e.args = args
	_, err = app.Parse(args)
	if err != nil && !acting {
		err = e.usageError(app, args, err)
	}
	return e.report(err)
}

// application returns the parser of the command line.
func (e *env) application() *kingpin.Application {
	app := kingpin.New(e.name, "Runs actions on whole fleets at once.")
	app.UsageWriter(e.stdout).ErrorWriter(e.stderr)
	app.UsageTemplate(usageTemplate)
	app.UsageFuncs(usageFuncs)
	app.HelpFlag.Short('h')
	app.Flag("config", "Client configuration file").Short('c').PlaceHolder("FILE").Envar("CHORIA_CONFIG").StringVar(&e.config)
	app.Flag("federations", "Federated sites to use in place of the configured ones, separated by commas").PlaceHolder("SITES").StringVar(&e.federations)
	app.Flag("debug", "Log what happens to standard error").BoolVar(&e.debug)
	app.Flag("version", "Print the version").Hidden().PreAction(func(*kingpin.ParseContext) error {
		fmt.Fprintln(e.stdout, build.Version)
		panic(ended(0))
	}).Bool()
	for _, add := range commands() {
		add(e, app)
	}
	return app
}

// usageError returns err, which is about a command line that was not understood, with a hint.
func (e *env) usageError(app *kingpin.Application, args []string, err error) error {
	if flag, value, ok := dashed(args, err); ok {
		return &exit{exitValue, withHint(fmt.Errorf("option %s: no value; %s is an option itself", flag, value), "a value that begins with a dash is written %s=%s", flag, value)}
	}
	var names []string
	for _, c := range app.Model().Commands {
		names = append(append(names, c.Name), c.Aliases...)
	}
	switch {
	case slices.Contains(names, args[0]):
		if verbs := verbs(app, args); verbs != nil {
			err = fmt.Errorf("%s: want one of its commands: %s", strings.Join(args[:1], " "), strings.Join(verbs, ", "))
		}
		return withHint(err, "run %s %s --help", e.name, args[0])
	case strings.HasPrefix(args[0], "-"):
		return withHint(err, "run %s --help", e.name)
	}
	err = fmt.Errorf("command %q: no such command", args[0])
	if near := nearest(args[0], names); near != "" {
		return withHint(err, "did you mean %s? %s --help lists all commands", near, e.name)
	}
	return withHint(err, "%s --help lists all commands", e.name)
}

// dashed reports whether the value of a flag was taken for an option, since it begins with a dash.
func dashed(args []string, err error) (flag, value string, ok bool) {
	flag, found := strings.CutPrefix(err.Error(), "expected argument for flag '")
	if flag = strings.TrimSuffix(flag, "'"); !found {
		return "", "", false
	}
	i := slices.Index(args, flag)
	if i < 0 || i+1 == len(args) || !strings.HasPrefix(args[i+1], "-") {
		return "", "", false
	}
	return flag, args[i+1], true
}

// verbs returns the commands below the one that the first of args names, when args name none of them.
func verbs(app *kingpin.Application, args []string) (names []string) {
	cmd := app.GetCommand(args[0])
	if cmd == nil {
		return nil
	}
	for _, sub := range cmd.Model().Commands {
		if slices.Contains(args[1:], sub.Name) || slices.ContainsFunc(sub.Aliases, func(a string) bool { return slices.Contains(args[1:], a) }) {
			return nil
		}
		if !sub.Hidden {
			names = append(names, sub.Name)
		}
	}
	return names
}

// report prints err and returns the exit status it stands for.
func (e *env) report(err error) int {
	if err == nil {
		return 0
	}
	code := exitFailed
	var ex *exit
	if errors.As(err, &ex) {
		code = ex.code
		if ex.err == nil {
			return code
		}
	}
	if e.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(e.stderr, "error: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(e.stderr, "error:", printable(err.Error()))
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintln(e.stderr, "hint:", printable(h.Hint()))
	}
	return code
}

// log returns the logger for library code: warnings, or everything with --debug.
func (e *env) log() *slog.Logger {
	level := slog.LevelWarn
	if e.debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// terminal reports whether w is a terminal, which is when colours and progress make sense.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
