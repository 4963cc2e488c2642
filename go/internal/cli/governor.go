package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/lifecycle"
)

// A governorCommand is one run of a command below governor.
type governorCommand struct {
	*env
	governor   string
	collective string
	slots      int
	expire     lasting
	replicas   int
	slot       uint64
	maxWait    lasting
	interval   lasting
	command    []string
	asJSON     bool
}

func addGovernor(e *env, app *kingpin.Application) {
	cmd := app.Command("governor", "Limits how many do something at the same time, in the whole network.")
	cmd.HelpLong(fmt.Sprintf(`A governor has so many slots. Who runs a command under it waits for one, and gives it back when the
command has ended. Slots that are held for too long are given to others. Brokers keep governors when
plugin.choria.network.stream.store is set there.

Examples:
  %[1]s governor add backup 3 1h
  %[1]s governor run backup --max-wait 30m -- /usr/local/bin/backup
  %[1]s governor view backup

Exit status: that of the command that was run; 1 for an error, also when there was no slot in time.
`, e.name))
	sub := func(name, help string, run func(*governorCommand) error, more func(*governorCommand, *kingpin.CmdClause)) {
		c := &governorCommand{env: e}
		k := cmd.Command(name, help)
		if name != "ls" {
			k.Arg("governor", "Name of the governor").Required().StringVar(&c.governor)
		}
		more(c, k)
		k.Action(func(*kingpin.ParseContext) error { return run(c) })
	}
	asJSON := func(c *governorCommand, k *kingpin.CmdClause) {
		k.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	}

	sub("add", "Makes a governor, or changes one.", (*governorCommand).add, func(c *governorCommand, k *kingpin.CmdClause) {
		k.Arg("slots", "How many at the same time").Required().IntVar(&c.slots)
		k.Arg("expire", "How long a slot may be held").Required().SetValue(&c.expire)
		k.Flag("replicas", "On how many brokers it is kept").Default("1").IntVar(&c.replicas)
		k.Flag("collective", "Collective that it is for, otherwise the main one").PlaceHolder("NAME").StringVar(&c.collective)
	})
	sub("ls", "Lists governors.", (*governorCommand).list, asJSON)
	sub("view", "Shows who has a slot.", (*governorCommand).view, asJSON)
	sub("run", "Runs a command when there is a slot.", (*governorCommand).run, func(c *governorCommand, k *kingpin.CmdClause) {
		k.Arg("command", "What to run, after --").Required().StringsVar(&c.command)
		k.Flag("max-wait", "How long to wait for a slot, otherwise for ever").PlaceHolder("DURATION").SetValue(&c.maxWait)
		k.Flag("interval", "How often to ask, otherwise every five seconds").PlaceHolder("DURATION").SetValue(&c.interval)
	})
	sub("evict", "Takes a slot away from who has it. What runs there is not stopped.", (*governorCommand).evict, func(c *governorCommand, k *kingpin.CmdClause) {
		k.Arg("slot", "Number of the slot, as view shows it").Required().Uint64Var(&c.slot)
	})
	sub("rm", "Removes a governor.", (*governorCommand).remove, func(*governorCommand, *kingpin.CmdClause) {})
}

// withConn calls use with a connection.
func (c *governorCommand) withConn(use func(*streams.Conn, *config.Config) error) error {
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	return use(s, cfg)
}

// with calls use with the governor.
func (c *governorCommand) with(use func(*streams.Conn, *streams.Governor, *config.Config) error) error {
	return c.withConn(func(s *streams.Conn, cfg *config.Config) error {
		g, err := s.Governor(c.ctx, c.governor)
		if errors.Is(err, streams.ErrNotFound) {
			return withHint(err, "%s governor add %s makes one", c.name, c.governor)
		}
		if err != nil {
			return err
		}
		return use(s, g, cfg)
	})
}

func (c *governorCommand) add() error {
	return c.withConn(func(s *streams.Conn, cfg *config.Config) error {
		collective := c.collective
		if collective == "" {
			collective = cfg.MainCollective
		}
		return s.SetGovernor(c.ctx, streams.GovernorConfig{
			Name: c.governor, Collective: collective, Slots: c.slots, Expire: time.Duration(c.expire), Replicas: c.replicas,
		})
	})
}

// A governorLine is a governor in JSON.
type governorLine struct {
	streams.GovernorInfo
	Expire  float64          `json:"expire_seconds"`
	Holders []streams.Holder `json:"holders,omitempty"`
}

func (c *governorCommand) list() error {
	return c.withConn(func(s *streams.Conn, cfg *config.Config) error {
		all, err := s.Governors(c.ctx)
		if err != nil {
			return err
		}
		if c.asJSON {
			lines := []governorLine{} // never null
			for _, g := range all {
				lines = append(lines, governorLine{GovernorInfo: g, Expire: g.Expire.Seconds()})
			}
			return c.encode(lines)
		}
		rows := [][]string{}
		for _, g := range all {
			rows = append(rows, []string{g.Name, strconv.FormatInt(g.Slots, 10), strconv.FormatUint(g.Taken, 10), limitText(g.Expire), strconv.Itoa(g.Replicas)})
		}
		screenOn(c.stdout, cfg.Color).table([]string{"Governor", " Slots", " Taken", " Held at most", " Copies"}, rows)
		return nil
	})
}

func (c *governorCommand) view() error {
	return c.with(func(_ *streams.Conn, g *streams.Governor, cfg *config.Config) error {
		info, err := g.Info(c.ctx)
		if err != nil {
			return err
		}
		holders, err := g.Holders(c.ctx)
		if err != nil {
			return err
		}
		if c.asJSON {
			return c.encode(governorLine{info, info.Expire.Seconds(), holders})
		}
		out := screenOn(c.stdout, cfg.Color)
		out.fields([][2]string{
			{"Governor", info.Name}, {"Slots", fmt.Sprintf("%d, %d taken", info.Slots, len(holders))},
			{"Held at most", limitText(info.Expire)}, {"Subject", info.Subject}, {"Copies", strconv.Itoa(info.Replicas)},
		})
		if len(holders) == 0 {
			return nil
		}
		out.printf("\n")
		rows := [][]string{}
		for _, h := range holders {
			rows = append(rows, []string{strconv.FormatUint(h.Sequence, 10), h.Name, ageText(h.Since)})
		}
		out.table([]string{" Slot", "Name", " Held for"}, rows)
		return nil
	})
}

func (c *governorCommand) run() error {
	return c.with(func(s *streams.Conn, g *streams.Governor, cfg *config.Config) error {
		waiting, cancel := c.ctx, context.CancelFunc(func() {})
		if c.maxWait > 0 {
			waiting, cancel = context.WithTimeout(c.ctx, time.Duration(c.maxWait))
		}
		defer cancel()
		slot, err := g.Enter(waiting, cfg.Identity, time.Duration(c.interval))
		switch {
		case err != nil && c.ctx.Err() == nil && waiting.Err() != nil:
			c.event(s, cfg, lifecycle.Timeout, 0)
			return withHint(fmt.Errorf("governor %q: no slot within %s", c.governor, config.FormatDuration(time.Duration(c.maxWait))),
				"%s governor view %s shows who has them", c.name, c.governor)
		case err != nil:
			return err
		}
		c.event(s, cfg, lifecycle.Enter, slot)
		err = c.foreground(c.ctx, c.command)
		// An interrupted command gives its slot back too.
		leaving, done := context.WithTimeout(context.WithoutCancel(c.ctx), leaveTimeout)
		defer done()
		if left := g.Leave(leaving, slot); left != nil {
			return errors.Join(err, left)
		}
		c.event(s, cfg, lifecycle.Exit, slot)
		return err
	})
}

// leaveTimeout is how long giving a slot back may take; it expires anyway.
const leaveTimeout = 10 * time.Second

// event tells the network what happens at the governor. Nothing depends on it.
func (c *governorCommand) event(s *streams.Conn, cfg *config.Config, what lifecycle.GovernorEvent, slot uint64) {
	e := lifecycle.New(lifecycle.Governor, cfg.Identity, "cli")
	e.Governor, e.Sequence, e.GovernorEvent = c.governor, slot, what
	data, err := lifecycle.Encode(e)
	if err == nil {
		err = s.Transport().Publish(lifecycle.Subject(e), data)
	}
	if err != nil {
		c.log().Warn("lifecycle event not published", "err", err)
	}
}

func (c *governorCommand) evict() error {
	return c.with(func(s *streams.Conn, g *streams.Governor, cfg *config.Config) error {
		who, err := g.Evict(c.ctx, c.slot)
		if err != nil {
			return err
		}
		c.event(s, cfg, lifecycle.Eviction, c.slot)
		_, err = fmt.Fprintf(c.stdout, "slot %d of %s is free\n", c.slot, printable(who))
		return err
	})
}

func (c *governorCommand) remove() error {
	return c.withConn(func(s *streams.Conn, _ *config.Config) error { return s.DeleteGovernor(c.ctx, c.governor) })
}
