package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/client"
)

// A traceCommand is one run of federation trace.
type traceCommand struct {
	*env
	node       string
	collective string
	timeout    seconds
	json       bool
}

func addFederation(e *env, app *kingpin.Application) {
	c := &traceCommand{env: e}
	group := app.Command("federation", "Looks into networks that consist of several sites.")
	cmd := group.Command("trace", "Follows a request to one node, and its reply, through the network.")
	cmd.HelpLong(fmt.Sprintf(`The request is one that every node answers, and runs nothing. Federation brokers and nodes of this release tell what becomes of it on the way, so that a request without a reply is known to have been somewhere. Others carry and answer it as any request.

Examples:
  %[1]s federation trace web1.example.net
  %[1]s --federations london federation trace web1.example.net --json

Exit status:
  0  the node answered
  1  it did not, or an error
`, e.name))
	cmd.Arg("node", "Identity of the node").Required().StringVar(&c.node)
	cmd.Flag("target", "Collective to use in place of the main one").Short('T').PlaceHolder("COLLECTIVE").StringVar(&c.collective)
	cmd.Flag("timeout", "How long to wait for the reply, otherwise discovery_timeout").PlaceHolder("SECONDS").SetValue(&c.timeout)
	cmd.Flag("json", "Print JSON").Short('j').BoolVar(&c.json)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *traceCommand) run() error {
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	t, err := cl.Trace(c.ctx, c.node, client.TraceOptions{Collective: c.collective, Timeout: time.Duration(c.timeout)})
	if err != nil {
		return err
	}
	hops := traceHops(t, cl.Identity())
	if c.json {
		err = c.printJSON(t, hops)
	} else {
		c.print(screenOn(c.stdout, colored(cl)), t, hops)
	}
	if err != nil {
		return err
	}
	if !t.Answered() {
		return &exit{code: exitFailed}
	}
	return nil
}

// A traceHop is one station on the way to the node and back.
type traceHop struct {
	Way       string `json:"way"` // request, node or reply
	Processor string `json:"processor"`
	In        string `json:"in,omitempty"`  // broker it came from
	Out       string `json:"out,omitempty"` // broker it went to
}

// traceHops returns the way of an answered request, from the client self and back to it, and that of
// one without an answer as far as it is known.
func traceHops(t *client.Trace, self string) []traceHop {
	route := t.Route
	if !t.Answered() {
		if r, ok := t.Farthest(); ok {
			route = r.Route
		}
	}
	hops := []traceHop{{Way: "request", Processor: self, Out: t.Broker}}
	if len(route) > 0 && route[0].Processor == self {
		route = route[1:] // the request brought it along
	}
	way := "request"
	for _, s := range route {
		h := traceHop{Way: way, Processor: s.Processor, In: s.In, Out: s.Out}
		if s.Processor == t.Node {
			h.Way, way = "node", "reply"
		}
		hops = append(hops, h)
	}
	if t.Answered() {
		hops = append(hops, traceHop{Way: "reply", Processor: self, In: t.Broker})
	}
	return hops
}

func (c *traceCommand) print(out *screen, t *client.Trace, hops []traceHop) {
	if t.Answered() {
		out.printf("%s answered after %s\n", out.paint(bold, t.Node), t.Took.Round(time.Millisecond/10))
	} else {
		out.printf("%s did not answer\n", out.paint(red, t.Node))
	}
	out.printf("Request: %s\n\n", t.RequestID)
	arrows := map[string]string{"request": "->", "node": "**", "reply": "<-"}
	for i, h := range hops {
		text := fmt.Sprintf("  %d %s %s", i+1, arrows[h.Way], h.Processor)
		switch {
		case h.In == h.Out || h.In == "":
			text += "\n       at " + h.Out
		case h.Out == "":
			text += "\n       at " + h.In
		default:
			text += "\n       from " + h.In + " to " + h.Out
		}
		out.printf("%s\n", printable(text))
	}
	if len(t.Sites) == 0 {
		out.printf("\nUnfederated\n")
	} else {
		out.printf("\nFederated sites:\n")
		for _, s := range t.Sites {
			out.printf("  %s: %s\n", s.Site, printable(siteText(s)))
		}
	}
	if !t.Answered() {
		out.printf("\nLast seen at %s.\n", printable(t.LastSeen()))
	}
}

// siteText says what became of a request at a site.
func siteText(s client.SiteTrace) string {
	switch s.State {
	case client.Delivered:
		return "delivered by " + s.Broker
	case client.Absent:
		return "no such node is connected, says " + s.Broker
	case client.Dropped:
		return "dropped by " + s.Broker + ": " + s.Reason
	case client.Unserved:
		return "no federation broker is connected"
	}
	return "nothing was heard"
}

func (c *traceCommand) printJSON(t *client.Trace, hops []traceHop) error {
	type site struct {
		Site   string `json:"site"`
		State  string `json:"state"`
		Broker string `json:"broker,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	type report struct {
		From    string        `json:"from"`
		Site    string        `json:"site,omitempty"`
		Event   string        `json:"event"`
		Subject string        `json:"subject,omitempty"`
		Reason  string        `json:"reason,omitempty"`
		After   time.Duration `json:"after"` // nanoseconds, as all times in JSON results
	}
	result := struct {
		Node      string        `json:"node"`
		RequestID string        `json:"requestid"`
		Answered  bool          `json:"answered"`
		Took      time.Duration `json:"took"`
		LastSeen  string        `json:"last_seen,omitempty"`
		Hops      []traceHop    `json:"hops"`
		Sites     []site        `json:"sites"`
		Reports   []report      `json:"reports"`
	}{t.Node, t.RequestID, t.Answered(), t.Took, "", hops, []site{}, []report{}}
	if !t.Answered() {
		result.LastSeen = t.LastSeen()
	}
	for _, s := range t.Sites {
		result.Sites = append(result.Sites, site{s.Site, s.State, s.Broker, s.Reason})
	}
	for _, r := range t.Heard {
		result.Reports = append(result.Reports, report{r.From, r.Site, r.Event, r.Subject, r.Reason, r.After})
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", jsonIndent)
	if err := enc.Encode(result); err != nil {
		return err
	}
	_, err := fmt.Fprint(c.stdout, text.String())
	return err
}
