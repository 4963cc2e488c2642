// Command choria-broker runs the middleware of a Choria network: the broker that nodes and clients
// connect to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"choria.io/choria/go/internal/build"
)

const usage = `usage: choria-broker run [--config FILE] [--pid FILE]
       choria-broker version

Runs a broker until SIGTERM or SIGINT, which move its clients to the other brokers
of the cluster first. SIGHUP reopens the log.

  --config FILE   configuration, default /etc/choria/broker.conf
  --pid FILE      file to write the process id to
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	saveMemory()
	os.Exit(exit(run(ctx, os.Args[1:], os.Stdout), os.Stderr))
}

// gcPercent makes the heap of a broker, which holds little but connections, grow less beyond them
// than Go would let it.
const gcPercent = 50

// saveMemory sets the garbage collector; GOGC wins.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// errUsage says that the command line is not understood.
var errUsage = errors.New("usage")

// exit reports err and returns the exit status: 0, 1 for a failure, 2 for a wrong command line.
func exit(err error, stderr io.Writer) int {
	var hinted interface{ Hint() string }
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "error: %v\n\n%s", err, usage)
		return 2
	}
	fmt.Fprintln(stderr, "error:", err)
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		fmt.Fprintln(stderr, "hint:", hinted.Hint())
	}
	return 1
}

// run runs the command line args until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("choria-broker", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	config := flags.String("config", "/etc/choria/broker.conf", "")
	pid := flags.String("pid", "", "")
	version := flags.Bool("version", false, "")
	command, rest := "", args
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		command, rest = args[0], args[1:]
	}
	err := flags.Parse(rest)
	switch {
	case errors.Is(err, flag.ErrHelp) || command == "help":
		fmt.Fprint(stdout, usage)
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case flags.NArg() > 0:
		return fmt.Errorf("%w: unexpected argument %q", errUsage, flags.Arg(0))
	case command == "version" || command == "" && *version:
		fmt.Fprintln(stdout, build.Version)
		return nil
	case command == "":
		return fmt.Errorf("%w: want a command", errUsage)
	case command != "run":
		return fmt.Errorf("%w: unknown command %q", errUsage, command)
	}
	return serve(ctx, *config, *pid)
}
