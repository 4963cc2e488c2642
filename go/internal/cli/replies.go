package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/streams"
)

// defaultPast is how far back replies are looked for.
const defaultPast = 24 * time.Hour

// A repliesCommand is one run of the command replies.
type repliesCommand struct {
	*env
	request string
	streams []string
	since   lasting
	expect  int
	timeout seconds
	asJSON  bool
}

func addReplies(e *env, app *kingpin.Application) {
	c := &repliesCommand{env: e, since: lasting(defaultPast)}
	cmd := app.Command("replies", "Reads the replies to a request back from a stream.")
	cmd.HelpLong(fmt.Sprintf(`A request with --reply-to is not waited for. Its replies are in a stream when that has the subject itself,
or a data adapter that publishes to it.

Examples:
  %[1]s stream add REPLIES 'mcollective.replies.>' --max-age 1w
  %[1]s rpc rpcutil ping --reply-to mcollective.replies.ping
  %[1]s replies 280577c0e2df4dfe975cbe2a563bae58 --expect 20

Exit status:
  0  there are replies, and all are good
  1  an error, or there are no replies
  2  some say that the action failed
  3  fewer than --expect
`, e.name))
	cmd.Arg("request", "Id of the request").Required().StringVar(&c.request)
	cmd.Flag("stream", "Stream that has them, otherwise all but those the brokers make (repeatable)").PlaceHolder("NAME").StringsVar(&c.streams)
	cmd.Flag("since", "How far back to look, otherwise a day").PlaceHolder("DURATION").SetValue(&c.since)
	cmd.Flag("expect", "Wait until so many nodes have replied").PlaceHolder("N").IntVar(&c.expect)
	cmd.Flag("timeout", "How long to wait for them, otherwise a minute").PlaceHolder("SECONDS").SetValue(&c.timeout)
	cmd.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

// A storedReply is a reply as it was found.
type storedReply struct {
	Request string          `json:"requestid"`
	Sender  string          `json:"sender"`
	Time    time.Time       `json:"time"`
	Status  agent.Status    `json:"statuscode"`
	Message string          `json:"statusmsg"`
	Action  string          `json:"action,omitempty"`
	Data    json.RawMessage `json:"data"`
}

// parseReply returns the reply that a message of a stream is: as a node has sent it, or as a data
// adapter has published it. ok is false for anything else.
func parseReply(data []byte) (r storedReply, ok bool) {
	var head struct {
		Protocol string    `json:"protocol"`
		Data     string    `json:"data"`
		Sender   string    `json:"sender"`
		Time     time.Time `json:"time"`
		Request  string    `json:"requestid"`
	}
	if json.Unmarshal(data, &head) == nil && strings.HasPrefix(head.Protocol, "choria:adapters:") {
		r.Request, r.Sender, r.Time = head.Request, head.Sender, head.Time
		return r, r.body([]byte(head.Data))
	}
	t, err := protocol.DecodeTransport(data)
	if err != nil {
		return r, false
	}
	reply, err := protocol.OpenReply(t)
	if err != nil {
		return r, false
	}
	r.Request, r.Sender, r.Time = reply.RequestID, reply.Sender, reply.Time
	return r, r.body(reply.Body)
}

// body sets what the body of a reply says. Source: protocol section 7.3.
func (r *storedReply) body(data []byte) bool {
	var b struct {
		Action  string          `json:"action"`
		Status  *agent.Status   `json:"statuscode"`
		Message string          `json:"statusmsg"`
		Data    json.RawMessage `json:"data"`
	}
	if r.Request == "" || r.Sender == "" || json.Unmarshal(data, &b) != nil || b.Status == nil {
		return false
	}
	r.Action, r.Status, r.Message, r.Data = b.Action, *b.Status, b.Message, b.Data
	if r.Data == nil {
		r.Data = json.RawMessage("null")
	}
	return true
}

func (c *repliesCommand) run() error {
	if c.expect < 0 {
		return fmt.Errorf("--expect %d: want 0 or more", c.expect)
	}
	s, cfg, err := c.openStreams()
	if err != nil {
		return err
	}
	defer s.Close()
	names, err := c.names(s)
	if err != nil {
		return err
	}
	out := screenOn(c.stdout, cfg.Color)
	found := []storedReply{} // never null in JSON
	failed := 0
	err = c.collect(s, names, func(r storedReply) {
		if r.Status != agent.OK {
			failed++
		}
		if c.asJSON {
			found = append(found, r)
			return
		}
		out.stored(r)
	})
	var n int
	var missing *missingError
	switch {
	case err == nil:
	case errors.As(err, &missing):
		n = missing.got
	default:
		return err
	}
	if c.asJSON {
		if err := c.encode(found); err != nil {
			return err
		}
	}
	switch {
	case missing != nil && (n > 0 || c.expect > 0):
		return &exit{exitSilent, missing}
	case missing != nil:
		return withHint(fmt.Errorf("request %s: no replies in %s", c.request, strings.Join(names, ", ")),
			"did the request have --reply-to with a subject that a stream or an adapter has? --since looks further back")
	case failed > 0:
		return &exit{code: exitSomeFailed}
	}
	return nil
}

// names returns the streams to look into.
func (c *repliesCommand) names(s *streams.Conn) ([]string, error) {
	if len(c.streams) > 0 {
		return c.streams, nil
	}
	all, err := s.Streams(c.ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range all {
		if !strings.HasPrefix(i.Name, "KV_") && !strings.HasPrefix(i.Name, "CHORIA_") {
			names = append(names, i.Name)
		}
	}
	if len(names) == 0 {
		return nil, withHint(errors.New("there is no stream that could have replies"), "%s stream add makes one", c.name)
	}
	return names, nil
}

// A missingError says that there are fewer replies than were wanted.
type missingError struct{ got, want int }

func (e *missingError) Error() string { return fmt.Sprintf("%d of %d replies", e.got, e.want) }

// collect calls use for the reply of each node, once, until there are as many as expected.
func (c *repliesCommand) collect(s *streams.Conn, names []string, use func(storedReply)) error {
	ctx := c.ctx
	want := max(c.expect, 1)
	if c.expect > 0 {
		patience := time.Duration(c.timeout)
		if patience == 0 {
			patience = time.Minute
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	ctx, enough := context.WithCancel(ctx)
	defer enough()

	found := make(chan storedReply)
	g, gctx := errgroup.WithContext(ctx)
	for _, name := range names {
		g.Go(func() error {
			v := streams.View{Since: time.Now().Add(-time.Duration(c.since)), Follow: c.expect > 0}
			for m, err := range s.Messages(gctx, name, v) {
				if err != nil {
					return err
				}
				r, ok := parseReply(m.Data)
				if !ok || r.Request != c.request {
					continue
				}
				select {
				case found <- r:
				case <-gctx.Done():
					return nil
				}
			}
			return nil
		})
	}
	var err error
	go func() {
		err = g.Wait()
		close(found)
	}()
	seen := map[string]bool{}
	for r := range found {
		// What is kept at least once may be there twice.
		if seen[r.Sender] || c.expect > 0 && len(seen) == c.expect {
			continue
		}
		seen[r.Sender] = true
		use(r)
		if len(seen) == c.expect {
			enough()
		}
	}
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case err != nil && ctx.Err() == nil:
		return err
	case len(seen) < want:
		return &missingError{len(seen), want}
	}
	return nil
}

// stored shows a reply.
func (s *screen) stored(r storedReply) {
	s.printf("%s %s\n\n", s.paint(white, pad(printable(r.Sender), 40)), s.paint(red, statusLabel(r.Status)))
	if r.Status != agent.OK {
		s.printf("    %s\n\n", s.paint(yellow, printable(r.Message)))
		return
	}
	s.printf("    %s\n\n", printable(valueText(r.Data, 4)))
}
