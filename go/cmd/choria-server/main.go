// Command choria-server is the daemon that every node of a Choria network runs. What it does is in
// package choria; here are the command line, the signals and the care for little memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"choria.io/choria/go/choria"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/daemon"
)

const usage = `usage: choria-server run [--config FILE] [--pid FILE]
       choria-server version

Answers the requests of a Choria network until SIGTERM or SIGINT. SIGHUP reopens
the log and the audit file.

  --config FILE   configuration, default /etc/choria/server.conf
  --pid FILE      file to write the process id to
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(exit(run(ctx, os.Args[1:], os.Stdout), os.Stderr))
}

// A usageError is what is wrong with a command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// exit reports err and returns the exit status: 0, 1 for a failure, 2 for a wrong command line.
func exit(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "error:", err)
	var wrong usageError
	if errors.As(err, &wrong) {
		fmt.Fprintf(stderr, "\n%s", usage)
		return 2
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		fmt.Fprintln(stderr, "hint:", hinted.Hint())
	}
	return 1
}

// run does what the command line says until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("choria-server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	config := flags.String("config", "/etc/choria/server.conf", "")
	pid := flags.String("pid", "", "")
	version := flags.Bool("version", false, "")
	command := ""
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp) || command == "help":
		fmt.Fprint(stdout, usage)
	case err != nil:
		return usageError(err.Error())
	case flags.NArg() > 0:
		return usageError(fmt.Sprintf("unexpected argument %q", flags.Arg(0)))
	case command == "version" || (command == "" && *version):
		fmt.Fprintln(stdout, build.Version)
	case command == "":
		return usageError("want a command")
	case command == labCommand:
		return serveLab(ctx, *config, *pid)
	case command != "run":
		return usageError(fmt.Sprintf("unknown command %q", command))
	default:
		return serve(ctx, *config, *pid)
	}
	return nil
}

// serve runs the server.
func serve(ctx context.Context, config, pid string) error {
	limitMemory()
	remove, err := daemon.WritePIDFile(pid)
	if err != nil {
		return err
	}
	defer remove()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &choria.Server{
		ConfigFile: config,
		Standard:   true,
		// A node whose broker cannot be reached is in order: it tries for as long as that takes, and what
		// waits for the service to be started, such as the boot or a run of Puppet, goes on.
		Connecting: func() { complain(daemon.Notify(daemon.Ready)) },
		Ready:      func() { go keepSmall(ctx) },
	}
	hup := make(chan os.Signal, 1) // holds 1: one reopening is enough for all signals before it
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go reopen(ctx, hup, s)
	return s.Run(ctx)
}

// reopen reopens the files of the server at each signal.
func reopen(ctx context.Context, hup <-chan os.Signal, s *choria.Server) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			complain(s.Reopen())
		}
	}
}

// complain says what nobody is there to return an error to.
func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "choria-server:", err)
	}
}
