package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/lab"
)

// A labCommand is lab run.
type labCommand struct {
	env     *env
	network lab.Network
	quiet   bool
	tls     bool
	command []string
}

func addLab(e *env, app *kingpin.Application) {
	c := &labCommand{env: e}
	group := app.Command("lab", "Runs whole networks on this machine, for demonstration, tests and measurement.")

	run := group.Command("run", `Starts a network of real brokers and nodes, runs COMMAND in it, stops everything.

COMMAND finds the network by itself: CHORIA_CONFIG names a ready client configuration, CHORIA_LAB the directory with keys, configuration files and logs. Without COMMAND the network stays until it is interrupted. The exit status is that of COMMAND.

  choria lab run -- mco ping
  choria lab run --nodes 10 --dir /tmp/lab -- mco rpc rpcutil ping
  choria lab run --nodes 5000 --brokers 3 -- mco ping --silent
  choria lab run --federation 2 -- mco federation trace node4.lab`)
	run.Flag("nodes", "How many nodes; beyond 24 they share processes").Default("5").IntVar(&c.network.Nodes)
	run.Flag("brokers", "How many brokers, in one cluster; with --federation at each site").Default("1").IntVar(&c.network.Brokers)
	run.Flag("federation", "Spread the nodes over N sites with brokers of their own, joined to a federation").PlaceHolder("N").Default("0").IntVar(&c.network.Federation)
	run.Flag("federation-brokers", "How many federation brokers join each site").Default("1").IntVar(&c.network.FederationBrokers)
	c.addFlags(run)
	run.Arg("command", "What to run in the network, after --").StringsVar(&c.command)
	run.Action(c.run)
	addBench(e, group)
}

// addFlags adds the flags of all that starts a network.
func (c *labCommand) addFlags(cmd *kingpin.CmdClause) {
	cmd.Flag("tls", "Use TLS, as networks outside of a lab always do").Default("true").BoolVar(&c.tls)
	cmd.Flag("agents", "How many agents nodes have besides the usual ones").Default("0").IntVar(&c.network.Agents)
	cmd.Flag("collectives", "How many collectives nodes are in besides the usual ones").Default("0").IntVar(&c.network.Collectives)
	cmd.Flag("dir", "Where keys, configuration files and logs go; they stay there").PlaceHolder("DIR").StringVar(&c.network.Dir)
	cmd.Flag("timeout", "How long the network may take to come up; otherwise a minute, and 10 ms more for each node").PlaceHolder("DURATION").DurationVar(&c.network.Timeout)
	cmd.Flag("quiet", "Say nothing while starting").BoolVar(&c.quiet)
}

// prepare checks the flags and completes the network.
func (c *labCommand) prepare() error {
	n := &c.network
	if n.Nodes < 1 || n.Brokers < 1 {
		return errors.New("lab: at least one node and one broker are needed")
	}
	if n.Brokers > lab.MaxBrokers || n.Agents < 0 || n.Agents > 1000 || n.Collectives < 0 || n.Collectives > 1000 {
		return fmt.Errorf("lab: want at most %d brokers, 1000 agents and 1000 collectives", lab.MaxBrokers)
	}
	if n.Federation < 0 || n.Federation > 0 && n.FederationBrokers < 1 {
		return errors.New("lab: --federation: want a number of sites, and a federation broker or more for each")
	}
	n.NoTLS = !c.tls
	if !c.quiet {
		n.Progress = c.env.stderr
		n.Connected = connecting(screenOn(c.env.stderr, false), n.Nodes)
	}
	return nil
}

// connecting returns what shows how many nodes are connected: a bar on a terminal, elsewhere a line
// for each tenth.
func connecting(out *screen, total int) func(connected int) {
	if b := newBar(out, total); b != nil {
		return func(n int) {
			b.add(n - b.done)
			if n == total {
				b.finish()
			}
		}
	}
	said, start := 0, time.Now()
	return func(n int) {
		if tenth := n * 10 / total; tenth > said {
			said = tenth
			out.printf("lab: %d of %d nodes are connected after %.1f s\n", n, total, time.Since(start).Seconds())
		}
	}
}

func (c *labCommand) run(*kingpin.ParseContext) error {
	if err := c.prepare(); err != nil {
		return err
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
	program := c.command[0]
	if own := filepath.Join(site.Bin, program); !strings.Contains(program, "/") {
		if _, err := exec.LookPath(own); err == nil {
			program = own // as the command itself finds them
		}
	}
	cmd := exec.CommandContext(ctx, program, c.command[1:]...)
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
