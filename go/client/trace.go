package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// TraceOptions say which request to trace.
type TraceOptions struct {
	Collective  string        // empty: the main one
	Federations []string      // sites to ask, of those that are configured; empty: all
	Timeout     time.Duration // how long to wait for the reply; zero: the discovery timeout
}

// A Trace is how far a request to one node came, and its reply.
type Trace struct {
	Node      string
	RequestID string
	Subject   string        // where the node listens
	Broker    string        // that the client handed the request to
	Gone      bool          // without a federation: the broker says that nobody listens on Subject
	Took      time.Duration // until the reply came; zero: none did
	Route     []Station     // of the request and its reply, in their order; empty without a reply
	Sites     []SiteTrace   // one for each federated site that was asked
	Heard     []Report      // what was told on the way, in the order in which it came
}

// Answered reports whether the node replied.
func (t *Trace) Answered() bool { return t.Took > 0 }

// A Station is one hop of a message.
type Station struct {
	In, Out   string // URLs of the brokers it came from and went to
	Processor string // who handled it, with details in parentheses
}

// A SiteTrace is what became of the request at a federated site.
type SiteTrace struct {
	Site string

	// State is one of unserved (no federation broker is connected), silent (one may have taken the
	// request and has not told; those of other programs never do), and delivered, absent or dropped
	// as in Report.
	State  string
	Broker string // identity of the federation broker that told
	Reason string // of dropped
}

// States of a SiteTrace beside those of a Report.
const (
	Unserved = "unserved"
	Silent   = "silent"
)

// What a Report says.
const (
	Delivered = protocol.TraceDelivered // published to Subject
	Absent    = protocol.TraceAbsent    // nobody listens on Subject
	Dropped   = protocol.TraceDropped   // Reason says why
	Received  = protocol.TraceReceived  // the node has it and answers
)

// A Report is what a federation broker or the node told about the request.
type Report struct {
	From    string // identity
	Site    string // that a federation broker serves; empty: the report of the node
	Event   string
	Subject string
	Reason  string
	After   time.Duration // when it came, since the request was sent
	Route   []Station     // of the request so far
}

// settle is how long reports may come after the reply, which takes another way.
const settle = 250 * time.Millisecond

// Trace sends a request to one node and follows it and its reply. It ends early when it is clear that
// no reply will come. That none came is no error.
func (c *Client) Trace(ctx context.Context, node string, o TraceOptions) (*Trace, error) {
	if !discovery.ValidName(node) {
		return nil, fmt.Errorf("trace: %q is no host name", node)
	}
	collective, err := c.collective(o.Collective)
	if err != nil {
		return nil, err
	}
	sites, err := c.someSites(o.Federations)
	if err != nil {
		return nil, err
	}
	conn, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	id := protocol.NewID()
	f := &following{
		trace: &Trace{Node: node, RequestID: id, Subject: transport.NodeSubject(collective, node), Broker: conn.Server()},
		sites: sites,
		came:  make(chan transport.Msg, 256),
	}
	for _, site := range sites {
		f.trace.Sites = append(f.trace.Sites, SiteTrace{Site: site, State: Silent})
	}
	reply := protocol.TracedSubject(transport.ReplySubject(collective, c.caller, id))
	for _, subject := range []string{reply, absences(reply) + "*"} {
		sub, err := conn.Subscribe(subject, "", 256, f.take)
		if err != nil {
			return nil, err
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	s, err := c.seal(&protocol.Request{
		ID: id, Collective: collective, Agent: "discovery", TTL: c.cfg.TTL,
		Filter: filter.Filter{Identity: []string{node}},
		Body:   []byte("ping"),
	}, reply)
	if err != nil {
		return nil, err
	}
	d := delivery{
		sites: sites, to: 1,
		target: func(int) string { return f.trace.Subject },
		absent: func(int) string { return absences(reply) + "0" },
	}
	f.start = time.Now()
	for p, err := range c.messages(conn, s, d) {
		if err == nil {
			err = p.publish(conn)
		}
		if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
	}
	return f.trace, f.follow(ctx, c.discoveryTimeout(o.Timeout))
}

// following is a trace under way.
type following struct {
	trace *Trace
	sites []string
	start time.Time
	came  chan transport.Msg
}

// take takes a message from the broker. Those that are too many are of nobody that was asked.
func (f *following) take(m transport.Msg) {
	select {
	case f.came <- m:
	default:
	}
}

// follow listens until all is known that can be, or for timeout.
func (f *following) follow(ctx context.Context, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for answered := false; !f.settled(); {
		select {
		case m := <-f.came:
			f.note(m)
			if f.trace.Answered() && !answered {
				answered = true
				timer.Reset(settle)
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// settled reports whether nothing more is to be expected.
func (f *following) settled() bool {
	if len(f.sites) == 0 {
		return f.trace.Gone || f.trace.Answered()
	}
	for _, s := range f.trace.Sites {
		switch s.State {
		case Silent:
			return false
		case Delivered:
			if !f.trace.Answered() {
				return false
			}
		}
	}
	return true
}

// note adds what a message says.
func (f *following) note(m transport.Msg) {
	if m.NoResponders {
		if i, ok := absentSite(m.Subject, len(f.sites)); ok {
			f.trace.Sites[i].State = Unserved
		} else {
			f.trace.Gone = true
		}
		return
	}
	t, err := protocol.DecodeTransport(m.Data)
	if err != nil {
		return
	}
	if event, err := protocol.DecodeTrace(t.Data); err == nil {
		f.report(event, stations(t.Hops))
		return
	}
	r, err := protocol.OpenReply(t)
	if err != nil || r.RequestID != f.trace.RequestID || r.Sender != f.trace.Node || f.trace.Answered() {
		return
	}
	f.trace.Took = max(time.Since(f.start), 1)
	f.trace.Route = stations(t.Hops)
}

// maxReports bounds what is kept of what anybody may send.
const maxReports = 64

func (f *following) report(e *protocol.Trace, route []Station) {
	if e.RequestID != f.trace.RequestID || len(f.trace.Heard) == maxReports {
		return
	}
	f.trace.Heard = append(f.trace.Heard, Report{
		From: e.Identity, Site: e.Cluster, Event: e.Event, Subject: e.Subject, Reason: e.Reason,
		After: time.Since(f.start), Route: route,
	})
	for i := range f.trace.Sites {
		s := &f.trace.Sites[i]
		if s.Site == e.Cluster && (e.Event == Delivered || e.Event == Absent || e.Event == Dropped) {
			s.State, s.Broker, s.Reason = e.Event, e.Identity, e.Reason
		}
	}
}

// stations returns the hops of a transport. Programs of before write shorter ones.
func stations(hops []protocol.Hop) []Station {
	var all []Station
	for _, h := range hops {
		var s Station
		switch len(h) {
		case 0:
			continue
		case 1:
			s.Processor = h[0]
		case 2:
			s.In, s.Processor = h[0], h[1]
		default:
			s.In, s.Processor, s.Out = h[0], h[1], h[2]
		}
		all = append(all, s)
	}
	return all
}

// Farthest returns the report of who had the request last, as far as that was told: the node; else a
// federation broker behind which somebody listens; else one that dropped it; else one that knows of no
// such node. ok is false when nothing was told.
func (t *Trace) Farthest() (r Report, ok bool) {
	best := 0
	for _, h := range t.Heard {
		rank := 1 // absent
		switch {
		case h.Site == "":
			rank = 4
		case h.Event == Delivered:
			rank = 3
		case h.Event == Dropped:
			rank = 2
		}
		// Of what a node says the last counts: it receives a request, and then finds it too old.
		if rank > best || rank == 4 {
			r, best = h, rank
		}
	}
	return r, best > 0
}

// unheard is what may have happened behind the last one who told.
const unheard = "nothing was heard from there: the node hangs, or dropped the request, which its log says, or is of a release that does not tell"

// LastSeen says, in a sentence without a full stop, where a request that was not answered was seen
// last, and what is known of why it went no further.
func (t *Trace) LastSeen() string {
	r, _ := t.Farthest()
	switch {
	case r.From == "":
	case r.Site == "" && r.Event == Dropped:
		return fmt.Sprintf("%s, which received the request and did not accept it: %s", r.From, r.Reason)
	case r.Site == "":
		return fmt.Sprintf("%s, which received the request and answers it; the reply was lost on its way back", r.From)
	case r.Event == Delivered:
		return fmt.Sprintf("federation broker %s of %s, which delivered the request to %s, where somebody listens; %s", r.From, r.Site, r.Subject, unheard)
	case r.Event == Dropped:
		return fmt.Sprintf("federation broker %s of %s, which dropped the request: %s", r.From, r.Site, r.Reason)
	}
	var absent []string
	for _, r := range t.Heard {
		if r.Event == Absent {
			absent = append(absent, r.From+" of "+r.Site)
		}
	}
	if len(absent) > 0 {
		text := fmt.Sprintf("federation broker %s; no node of that name is connected there: nobody listens on %s", strings.Join(absent, " and "), t.Subject)
		for _, s := range t.Sites {
			switch s.State {
			case Unserved:
				text += fmt.Sprintf("; of %s no federation broker is connected", s.Site)
			case Silent:
				text += fmt.Sprintf("; of %s nothing was heard", s.Site)
			}
		}
		return text
	}
	switch {
	case t.Gone:
		return fmt.Sprintf("broker %s, which says that no node of that name is connected: nobody listens on %s", t.Broker, t.Subject)
	case len(t.Sites) == 0:
		return fmt.Sprintf("broker %s, which delivered the request to %s; %s", t.Broker, t.Subject, unheard)
	}
	var unserved []string
	for _, s := range t.Sites {
		if s.State == Unserved {
			unserved = append(unserved, s.Site)
		}
	}
	if len(unserved) == len(t.Sites) {
		return fmt.Sprintf("broker %s, which says that no federation broker of %s is connected", t.Broker, strings.Join(unserved, ", "))
	}
	return fmt.Sprintf("broker %s, which took the request for a federation broker; that did not tell what became of it, or is of a release that does not", t.Broker)
}
