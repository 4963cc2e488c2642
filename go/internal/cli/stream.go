package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/streams"
)

// A streamCommand is one run of a command below stream.
type streamCommand struct {
	*env
	name    string
	subject string
	last    int
	since   lasting
	follow  bool

	subjects []string
	maxAge   lasting
	maxBytes uint64
	replicas int

	raw    bool
	asJSON bool
}

func addStream(e *env, app *kingpin.Application) {
	cmd := app.Command("stream", "Shows streams of messages, which brokers keep.")
	cmd.HelpLong(fmt.Sprintf(`Brokers keep streams when plugin.choria.network.stream.store is set there; CHORIA_EVENTS and some others
are made by them.

Examples:
  %[1]s stream ls
  %[1]s stream add REPLIES 'mcollective.replies.>' --max-age 1w
  %[1]s stream view CHORIA_EVENTS --since 1h
  %[1]s stream view CHORIA_EVENTS --subject 'choria.lifecycle.event.shutdown.>' --follow

Exit status: 1 for an error, also when a stream is not there.
`, e.name))
	l := &streamCommand{env: e}
	list := cmd.Command("ls", "Lists streams.")
	list.Flag("json", "As JSON").Short('j').BoolVar(&l.asJSON)
	list.Action(func(*kingpin.ParseContext) error { return l.list() })

	i := &streamCommand{env: e}
	info := cmd.Command("info", "Shows all about a stream.")
	info.Arg("stream", "Name of the stream").Required().StringVar(&i.name)
	info.Flag("json", "As JSON").Short('j').BoolVar(&i.asJSON)
	info.Action(func(*kingpin.ParseContext) error { return i.info() })

	v := &streamCommand{env: e}
	view := cmd.Command("view", "Prints messages of a stream.")
	view.Arg("stream", "Name of the stream").Required().StringVar(&v.name)
	view.Flag("last", "How many, counted from the end; 0 for all").Default("10").IntVar(&v.last)
	view.Flag("since", "Those stored within that time").PlaceHolder("DURATION").SetValue(&v.since)
	view.Flag("subject", "Those on matching subjects").PlaceHolder("PATTERN").StringVar(&v.subject)
	view.Flag("follow", "Also those that come, until it is interrupted").Short('f').BoolVar(&v.follow)
	view.Flag("raw", "Nothing but what is in the messages, a line each").BoolVar(&v.raw)
	view.Flag("json", "A JSON object for each, a line each").Short('j').BoolVar(&v.asJSON)
	view.Action(func(*kingpin.ParseContext) error { return v.view() })

	addMakers(e, cmd)
}

// addMakers adds the commands that make and remove streams.
func addMakers(e *env, cmd *kingpin.CmdClause) {
	a := &streamCommand{env: e}
	add := cmd.Command("add", "Makes a stream that keeps what is published on some subjects.")
	add.Arg("stream", "Name of the stream").Required().StringVar(&a.name)
	add.Arg("subject", "Subjects, with the wildcards * for a word and > for all that are left").Required().StringsVar(&a.subjects)
	add.Flag("max-age", "How long messages are kept, otherwise for ever").PlaceHolder("DURATION").SetValue(&a.maxAge)
	add.Flag("max-bytes", "How many bytes are kept, the oldest going first; otherwise what the disk holds").PlaceHolder("N").Uint64Var(&a.maxBytes)
	add.Flag("replicas", "On how many brokers it is kept").Default("1").IntVar(&a.replicas)
	add.Action(func(*kingpin.ParseContext) error { return a.add() })

	r := &streamCommand{env: e}
	rm := cmd.Command("rm", "Removes a stream with all that is in it.")
	rm.Arg("stream", "Name of the stream").Required().StringVar(&r.name)
	rm.Action(func(*kingpin.ParseContext) error { return r.remove() })
}

func (c *streamCommand) add() error {
	s, _, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Create(c.ctx, streams.Definition{
		Name: c.name, Subjects: c.subjects, MaxAge: time.Duration(c.maxAge), MaxBytes: int64(min(c.maxBytes, math.MaxInt64)), Replicas: c.replicas,
	})
}

func (c *streamCommand) remove() error {
	s, _, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Delete(c.ctx, c.name)
}

// A streamLine is a stream in JSON.
type streamLine struct {
	streams.StreamInfo
	MaxAge float64 `json:"max_age_seconds"` // 0: for ever
}

func (c *streamCommand) list() error {
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Streams(c.ctx)
	if err != nil {
		return err
	}
	if c.asJSON {
		lines := []streamLine{} // never null
		for _, i := range all {
			lines = append(lines, streamLine{i, i.MaxAge.Seconds()})
		}
		return c.encode(lines)
	}
	rows := [][]string{}
	for _, i := range all {
		rows = append(rows, []string{
			i.Name, strconv.FormatUint(i.Messages, 10), sizeText(i.Bytes), limitText(i.MaxAge), strconv.Itoa(i.Replicas), ageText(i.LastTime), strings.Join(i.Subjects, " "),
		})
	}
	screenOn(c.stdout, cfg.Color).table([]string{"Stream", " Messages", " Size", " Kept", " Copies", " Last", "Subjects"}, rows)
	return nil
}

func (c *streamCommand) info() error {
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	i, err := s.Stream(c.ctx, c.name)
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.encode(streamLine{i, i.MaxAge.Seconds()})
	}
	ends := func(seq uint64, t time.Time) string {
		if t.IsZero() {
			return strconv.FormatUint(seq, 10)
		}
		return fmt.Sprintf("%d, %s, %s ago", seq, timeText(t), ageText(t))
	}
	limit := func(n int64, unit string) string {
		if n <= 0 {
			return ""
		}
		return strconv.FormatInt(n, 10) + unit
	}
	fields := [][2]string{
		{"Stream", i.Name}, {"Description", i.Description}, {"Subjects", strings.Join(i.Subjects, ", ")},
		{"Kept", limitText(i.MaxAge)}, {"At most", limit(i.MaxMessages, " messages")}, {"At most", limit(i.MaxBytes, " bytes")},
		{"Storage", i.Storage}, {"Created", timeText(i.Created)},
		{"Messages", strconv.FormatUint(i.Messages, 10)}, {"Size", sizeText(i.Bytes)},
		{"First", ends(i.First, i.FirstTime)}, {"Last", ends(i.Last, i.LastTime)},
		{"Consumers", strconv.Itoa(i.Consumers)}, {"Copies", strconv.Itoa(i.Replicas)}, {"Leader", i.Leader},
	}
	for _, p := range i.Copies {
		state := "up to date"
		switch {
		case p.Offline:
			state = "offline"
		case !p.Current:
			state = "behind"
			if p.Lag > 0 {
				state = fmt.Sprintf("behind by %d", p.Lag)
			}
		}
		fields = append(fields, [2]string{"Copy", fmt.Sprintf("%s, %s, heard of %s ago", p.Broker, state, p.Active.Truncate(time.Millisecond))})
	}
	screenOn(c.stdout, cfg.Color).fields(fields)
	return nil
}

// A messageLine is a message in JSON.
type messageLine struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Time     time.Time           `json:"time"`
	Header   map[string][]string `json:"header,omitempty"`
	Message  json.RawMessage     `json:"message,omitempty"` // one that is JSON
	payload
}

func (c *streamCommand) view() error {
	if c.last < 0 {
		return fmt.Errorf("--last %d: want 0 or more", c.last)
	}
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	v := streams.View{Subject: c.subject, Last: c.last, Follow: c.follow}
	if c.since > 0 {
		v.Since = time.Now().Add(-time.Duration(c.since))
	}
	out := screenOn(c.stdout, cfg.Color)
	for m, err := range s.Messages(c.ctx, c.name, v) {
		if err != nil {
			return err
		}
		switch {
		case c.asJSON:
			l := messageLine{Subject: m.Subject, Sequence: m.Sequence, Time: m.Time.UTC(), Header: m.Header}
			if json.Valid(m.Data) {
				l.Message = m.Data
			} else {
				l.payload = payloadOf(m.Data)
			}
			if err := c.encodeLine(l); err != nil {
				return err
			}
		case c.raw && terminal(c.stdout):
			out.printf("%s\n", printable(string(m.Data)))
		case c.raw:
			if _, err := c.stdout.Write(append(m.Data, '\n')); err != nil {
				return err
			}
		default:
			out.printf("%s %s %s\n%s\n", out.paint(bold, "#"+strconv.FormatUint(m.Sequence, 10)), timeText(m.Time), out.paint(green, printable(m.Subject)), printable(string(m.Data)))
		}
	}
	return nil
}
