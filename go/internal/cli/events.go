package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// eventStream is where brokers keep events. Source: protocol section 10.4.
const eventStream = "CHORIA_EVENTS"

// eventQueue is how many events may wait while they are printed: what a fleet of 50 000 that is
// restarted says. What is more is dropped, and that is logged.
const eventQueue = 100_000

// An eventsCommand is one run of the command events.
type eventsCommand struct {
	*env
	component string
	kind      string
	identity  string
	since     lasting
	asJSON    bool

	out     *screen
	unknown atomic.Int64 // messages that are no events
}

func addEvents(e *env, app *kingpin.Application) {
	c := &eventsCommand{env: e}
	cmd := app.Command("events", "Prints what nodes say of their life, as they say it.")
	cmd.HelpLong(fmt.Sprintf(`Nodes and other programs publish events when they start and end, and each half an hour that they are alive.
Events are printed until it is interrupted.

Examples:
  %[1]s events
  %[1]s events --type shutdown --since 1d     also those of the last day, which brokers with streams keep
  %[1]s events --component server --json

Exit status: 1 for an error.
`, e.name))
	cmd.Flag("component", "Only of that kind of program, server say").PlaceHolder("NAME").StringVar(&c.component)
	types := []string{string(lifecycle.Startup), string(lifecycle.Shutdown), string(lifecycle.Alive), string(lifecycle.Provisioned), string(lifecycle.Upgraded), string(lifecycle.Governor)}
	cmd.Flag("type", "Only of that type: "+strings.Join(types, ", ")).PlaceHolder("TYPE").EnumVar(&c.kind, types...)
	cmd.Flag("identity", "Only of that node").PlaceHolder("NAME").StringVar(&c.identity)
	cmd.Flag("since", "First those of the past, as far as brokers keep them").PlaceHolder("DURATION").SetValue(&c.since)
	cmd.Flag("json", "The events as they are, a line each").Short('j').BoolVar(&c.asJSON)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

// subject returns what is subscribed to.
func (c *eventsCommand) subject() (string, error) {
	word := func(text string) string {
		if text == "" {
			return "*"
		}
		return text
	}
	if strings.ContainsAny(c.component, ".*> \t\r\n\x00") {
		return "", fmt.Errorf("--component %q: want a word without dots and spaces", c.component)
	}
	return "choria.lifecycle.event." + word(c.kind) + "." + word(c.component), nil
}

func (c *eventsCommand) run() error {
	subject, err := c.subject()
	if err != nil {
		return err
	}
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	c.out = screenOn(c.stdout, cfg.Color)
	if c.since > 0 {
		err = c.kept(s, subject)
	} else {
		err = c.live(s.Transport(), subject)
	}
	if n := c.unknown.Load(); n > 0 {
		fmt.Fprintf(c.stderr, "warning: %d messages were no events\n", n)
	}
	return err
}

// live prints events as they come. An interrupt is how it ends.
func (c *eventsCommand) live(conn *transport.Conn, subject string) error {
	failed := make(chan error, 1)
	_, err := conn.Subscribe(subject, "", eventQueue, func(m transport.Msg) {
		if err := c.print(m.Data); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	})
	if err != nil {
		return err
	}
	if err := conn.Flush(c.ctx); err != nil {
		if c.ctx.Err() != nil {
			return nil
		}
		return err
	}
	c.log().Debug("listening", "subject", subject)
	select {
	case <-c.ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// kept prints events of the past, then those that come.
func (c *eventsCommand) kept(s *streams.Conn, subject string) error {
	v := streams.View{Subject: subject, Since: time.Now().Add(-time.Duration(c.since)), Follow: true}
	for m, err := range s.Messages(c.ctx, eventStream, v) {
		if err == nil {
			err = c.print(m.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// print prints one event.
func (c *eventsCommand) print(data []byte) error {
	e, err := lifecycle.Decode(data)
	switch {
	case err != nil:
		c.unknown.Add(1)
		c.log().Debug("not an event", "err", err)
		return nil
	case c.identity != "" && c.identity != e.Identity:
		return nil
	case c.asJSON:
		return c.encodeLine(json.RawMessage(data))
	}
	about := e.Version
	switch e.Type {
	case lifecycle.Upgraded:
		about = e.Version + " to " + e.NewVersion
	case lifecycle.Governor:
		about = fmt.Sprintf("%s %s, slot %d", e.GovernorEvent, e.Governor, e.Sequence)
	}
	color := plain
	switch e.Type {
	case lifecycle.Startup:
		color = green
	case lifecycle.Shutdown:
		color = yellow
	}
	line := fmt.Sprintf("%s %s %s %s %s", timeText(e.Time), c.out.paint(color, pad(string(e.Type), 11)), pad(printable(e.Component), 10), printable(e.Identity), printable(about))
	_, err = fmt.Fprintln(c.out, strings.TrimRight(line, " "))
	return err
}
