package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/streams"
)

// An electionCommand is one run of a command below election.
type electionCommand struct {
	*env
	election string
	self     string
	command  []string
	asJSON   bool
}

func addElection(e *env, app *kingpin.Application) {
	cmd := app.Command("election", "Elects one of several processes that does something.")
	cmd.HelpLong(fmt.Sprintf(`Brokers keep who leads in the bucket %[2]s. A leader that dies is followed by
another one when its entry expires there.

Examples:
  %[1]s election run reports -- /usr/local/bin/reports
  %[1]s election ls

Exit status: that of the command that was run; 1 for an error, also when the leadership was lost.
`, e.name, streams.Elections))
	sub := func(name, help string, run func(*electionCommand) error, more func(*electionCommand, *kingpin.CmdClause)) {
		c := &electionCommand{env: e}
		k := cmd.Command(name, help)
		more(c, k)
		k.Action(func(*kingpin.ParseContext) error { return run(c) })
	}
	election := func(c *electionCommand, k *kingpin.CmdClause) {
		k.Arg("election", "Name of the election").Required().StringVar(&c.election)
	}
	sub("run", "Waits until this process leads, then runs a command. It is ended when the leadership is lost.", (*electionCommand).run, func(c *electionCommand, k *kingpin.CmdClause) {
		election(c, k)
		k.Arg("command", "What to run, after --").Required().StringsVar(&c.command)
		k.Flag("as", "Name of this candidate, otherwise the identity").PlaceHolder("NAME").StringVar(&c.self)
	})
	sub("ls", "Lists who leads.", (*electionCommand).list, func(c *electionCommand, k *kingpin.CmdClause) {
		k.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	})
	sub("evict", "Takes the leadership away, for another election.", (*electionCommand).evict, election)
}

// with calls use with the bucket of elections.
func (c *electionCommand) with(use func(*streams.Bucket, *config.Config) error) error {
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := s.Bucket(c.ctx, streams.Elections)
	if errors.Is(err, streams.ErrNotFound) {
		return withHint(err, "brokers make it, unless plugin.choria.network.stream.manage_streams is off there; %s kv add %s --ttl 1m does too", c.name, streams.Elections)
	}
	if err != nil {
		return err
	}
	return use(b, cfg)
}

func (c *electionCommand) run() error {
	return c.with(func(b *streams.Bucket, cfg *config.Config) error {
		e := &streams.Election{Bucket: b, Name: c.election, Self: c.self}
		if e.Self == "" {
			e.Self = cfg.Identity
		}
		var lost error
		err := e.Lead(c.ctx, func(ctx context.Context) error {
			err := c.foreground(ctx, c.command)
			if cause := context.Cause(ctx); errors.Is(cause, streams.ErrLost) {
				lost = cause
			}
			return err
		})
		if lost != nil {
			return lost
		}
		return err
	})
}

// A leaderLine is who leads, in JSON.
type leaderLine struct {
	Election string    `json:"election"`
	Leader   string    `json:"leader"`
	Renewed  time.Time `json:"renewed"`
}

func (c *electionCommand) list() error {
	return c.with(func(b *streams.Bucket, cfg *config.Config) error {
		lines, rows := []leaderLine{}, [][]string{}
		for e, err := range b.Watch(c.ctx, streams.Watch{Once: true}) {
			if err != nil {
				return err
			}
			if e.Deleted {
				continue
			}
			lines = append(lines, leaderLine{e.Key, string(e.Value), e.Created})
			rows = append(rows, []string{e.Key, string(e.Value), ageText(e.Created)})
		}
		if c.asJSON {
			return c.encode(lines)
		}
		screenOn(c.stdout, cfg.Color).table([]string{"Election", "Leader", " Renewed"}, rows)
		return nil
	})
}

func (c *electionCommand) evict() error {
	return c.with(func(b *streams.Bucket, _ *config.Config) error {
		e, err := b.Get(c.ctx, c.election)
		if err != nil {
			return err
		}
		if err := b.Delete(c.ctx, c.election, e.Revision); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.stdout, "%s leads %s no more\n", printable(string(e.Value)), printable(c.election))
		return err
	})
}

// endTimeout is how long a command may take to end when it is told to.
const endTimeout = 10 * time.Second

// foreground runs a command with the streams of this process until it ends, or ctx does, which it is
// told by SIGTERM. An exit status other than 0 is that of this process.
func (e *env) foreground(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endTimeout
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case e.ctx.Err() != nil:
		return e.ctx.Err()
	case errors.As(err, &ended) && ended.ExitCode() > 0:
		return &exit{code: ended.ExitCode()}
	case err != nil && ctx.Err() == nil:
		return &exit{code: exitFailed, err: fmt.Errorf("%s: %w", strings.Join(command, " "), err)}
	}
	return nil
}
