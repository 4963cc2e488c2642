package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/lab"
)

// A labCommand is lab run.
type labCommand struct {
	env     *env
	network lab.Network
	quiet   bool
	command []string
}

func addLab(e *env, app *kingpin.Application) {
	c := &labCommand{env: e}
	group := app.Command("lab", "Runs whole networks on this machine, for demonstration, tests and measurement.")

	run := group.Command("run", `Starts a network of real brokers and nodes, runs COMMAND in it, stops everything.

COMMAND finds the network by itself: CHORIA_CONFIG names a ready client configuration, CHORIA_LAB the directory with keys, configuration files and logs. Without COMMAND the network stays until it is interrupted. The exit status is that of COMMAND.

  choria lab run -- mco ping
  choria lab run --nodes 10 --dir /tmp/lab -- mco rpc rpcutil ping`)
	run.Flag("nodes", "How many nodes").Default("5").IntVar(&c.network.Nodes)
	run.Flag("brokers", "How many brokers, in one cluster").Default("1").IntVar(&c.network.Brokers)
	run.Flag("dir", "Where keys, configuration files and logs go; they stay there").PlaceHolder("DIR").StringVar(&c.network.Dir)
	run.Flag("timeout", "How long the network may take to come up").Default("60s").DurationVar(&c.network.Timeout)
	run.Flag("quiet", "Say nothing while starting").BoolVar(&c.quiet)
	run.Arg("command", "What to run in the network, after --").StringsVar(&c.command)
	run.Action(c.run)
}

func (c *labCommand) run(*kingpin.ParseContext) error {
	if c.network.Nodes < 1 || c.network.Brokers < 1 {
		return errors.New("lab run: at least one node and one broker are needed")
	}
	if !c.quiet {
		c.network.Progress = c.env.stderr
	}
	return c.network.Run(c.env.ctx, func(ctx context.Context, site *lab.Site) error {
		if len(c.command) == 0 {
			fmt.Fprintf(c.env.stdout, "The network runs until you interrupt it. In another terminal:\n\n  export %s\n  choria ping\n\nKeys, configuration files and logs are in %s\n", site.Environ()[0], site.Dir)
			<-ctx.Done()
			return nil
		}
		return c.exec(ctx, site)
	})
}

// exec runs the command in the foreground. It gets the interrupts of the terminal itself, as the
// foreground process group does; an end of ctx for another reason ends it.
func (c *labCommand) exec(ctx context.Context, site *lab.Site) error {
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env.stdin, c.env.stdout, c.env.stderr
	cmd.Env = append(os.Environ(), site.Environ()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // goes when the lab is killed
	runtime.LockOSThread()                                             // Pdeathsig watches the thread, not the process
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if code := ended.ExitCode(); code > 0 {
			return &exit{code: code}
		}
		return &exit{code: 1, err: fmt.Errorf("lab: %s: %w", strings.Join(c.command, " "), err)}
	}
	return err
}
