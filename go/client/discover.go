package client

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// A Discovery says which nodes to look for and how.
type Discovery struct {
	Filter     filter.Filter
	Collective string // empty: the main one

	// Federations are the federated sites to ask, of those that the client is configured for. Empty
	// means all of them. Of the methods other than broadcast only external programs are told.
	Federations []string

	Method string // empty: the configured one; mc and broadcast are the same

	// Timeout is the longest time that the first answer, and each further one, is waited for; with
	// Fixed, and for Ping, all of them. Zero means the configured discovery_timeout, 2 s, and 3 s or more
	// beyond that when the filter asks a data plugin that nodes may have to load first.
	Timeout time.Duration

	// Fixed waits for the whole Timeout and no longer, instead of ending when answers have clearly
	// dried up: when nobody has answered for four times the longest wait so far, for a quarter of the
	// time that it has taken, and for 300 ms, or 3 s with such a data plugin. As long as answers keep coming nothing else ends it
	// before a minute has passed.
	Fixed bool

	// Options are of the method. Nil means default_discovery_options when Method is the configured
	// one.
	Options map[string]string

	// Progress, when set, is called with the number of nodes found so far.
	Progress func(found int)

	// OnSent, when set, is called when a broadcast is about to be handed to the broker.
	OnSent func()
}

// Broadcast is the discovery method that asks the network.
const Broadcast = "mc"

// Methods returns the names of all discovery methods, with their aliases, sorted.
func Methods() []string {
	names := []string{Broadcast, "broadcast"}
	for _, m := range discovery.Methods() {
		names = append(append(names, m.Name), m.Aliases...)
	}
	slices.Sort(names)
	return names
}

// Method returns the name of the discovery method that d uses.
func (c *Client) Method(d Discovery) string {
	method := d.Method
	if method == "" {
		method = c.cfg.DiscoveryMethod
	}
	if method == "" || method == "broadcast" {
		return Broadcast
	}
	// Only nodes can evaluate expressions, apart from inventories that describe nodes completely. A
	// list of names keeps its method, to be refused there instead of being silently replaced.
	if len(d.Filter.Compound) > 0 && !discovery.ListsOnly(method) {
		return Broadcast
	}
	return method
}

// Discover returns the names of the nodes found, sorted.
func (c *Client) Discover(ctx context.Context, d Discovery) ([]string, error) {
	var (
		names []string
		err   error
	)
	method := c.Method(d)
	switch literals, literal := discovery.Literals(d.Filter); {
	case method == Broadcast && literal:
		names = slices.Clone(literals)
	case method == Broadcast:
		names, err = c.broadcast(ctx, d)
	default:
		names, err = c.find(ctx, method, d)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if d.Progress != nil {
		d.Progress(len(names))
	}
	return names, nil
}

// find runs a method other than broadcast.
func (c *Client) find(ctx context.Context, method string, d Discovery) ([]string, error) {
	m, ok := discovery.Lookup(method)
	if !ok {
		return nil, &UnknownMethodError{Method: method, Known: Methods()}
	}
	collective, err := c.collective(d.Collective)
	if err != nil {
		return nil, err
	}
	options := d.Options
	if options == nil && (d.Method == "" || d.Method == c.cfg.DiscoveryMethod) {
		options, err = methodOptions(c.cfg.DiscoveryOptions)
		if err != nil {
			return nil, err
		}
	}
	sites, err := c.someSites(d.Federations)
	if err != nil {
		return nil, err
	}
	env := &discovery.Env{
		Setting: c.Setting, Stdin: c.stdin, PuppetDB: c.puppetDB,
		Warn: func(text string) { c.log.Warn("discovery program", "method", m.Name, "says", text) },
	}
	return m.Run(ctx, env, discovery.Query{
		Filter:      d.Filter,
		Collective:  collective,
		Timeout:     c.discoveryTimeout(d.Timeout),
		Federations: sites,
		Options:     options,
	})
}

// methodOptions reads default_discovery_options.
func methodOptions(pairs []string) (map[string]string, error) {
	options := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("default_discovery_options: %q: want key=value", pair)
		}
		options[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return options, nil
}

// discoveryTimeout returns the time that answers to a discovery are waited for.
func (c *Client) discoveryTimeout(d time.Duration) time.Duration {
	if d == 0 {
		d = c.cfg.DiscoveryTimeout
	}
	return d
}

// fixed reports whether the configuration asks for the whole discovery timeout, by switching the
// sliding window off.
func (c *Client) fixed() bool {
	return !c.cfg.WindowedTimeout
}

// dataLoading is what a node may take to load a data plugin that it is asked for the first time: those in
// Ruby load Puppet, which takes a second, and two on a small machine.
const dataLoading = 2 * time.Second

// slowness returns how long nodes may think about a filter: zero, unless it asks data plugins that nodes
// do not have compiled in.
func (c *Client) slowness(f filter.Filter) time.Duration {
	asked := f.DataPlugins()
	asked = slices.DeleteFunc(asked, func(name string) bool {
		return slices.ContainsFunc(ddl.BuiltinData(), func(d *ddl.Data) bool { return d.Metadata.Name == name })
	})
	if len(asked) == 0 {
		return 0
	}
	known, err := c.finder.Data()
	if err != nil {
		c.log.Debug("descriptions of data plugins", "err", err)
	}
	timeout := time.Second // the least that a plugin has
	for _, d := range known {
		if slices.Contains(asked, d.Metadata.Name) {
			timeout = max(timeout, time.Duration(d.Metadata.Timeout)*time.Second)
		}
	}
	return dataLoading + timeout
}

// broadcast asks the network who matches.
func (c *Client) broadcast(ctx context.Context, d Discovery) ([]string, error) {
	var w *window
	if !d.Fixed && !c.fixed() {
		w = &window{}
	}
	found := map[string]struct{}{}
	err := c.ping(ctx, d, w, 0, func(p Pong) bool {
		found[p.Sender] = struct{}{}
		if d.Progress != nil {
			d.Progress(len(found))
		}
		return true
	})
	return slices.Collect(maps.Keys(found)), err
}

// A Pong is one node's answer to a ping.
type Pong struct {
	Sender string
	Took   time.Duration // since the request was handed to the broker
}

// Ping sends a discovery request and yields each answer as it arrives, until d.Timeout, and on for as long as
// answers still come; or, when expect is not zero, until that many have answered. Each node is yielded once. With
// d.Fixed d.Timeout ends it in any case.
func (c *Client) Ping(ctx context.Context, d Discovery, expect int) iter.Seq2[Pong, error] {
	return func(yield func(Pong, error) bool) {
		going := true
		var w *window
		if !d.Fixed {
			w = &window{least: c.discoveryTimeout(d.Timeout)}
		}
		err := c.ping(ctx, d, w, expect, func(p Pong) bool {
			going = yield(p, nil)
			return going
		})
		if err != nil && going {
			yield(Pong{}, err)
		}
	}
}

// ping sends a discovery request and calls each for each answer until d.Timeout, until w says that
// answers have dried up, until expect nodes answered, or until each returns false.
func (c *Client) ping(ctx context.Context, d Discovery, w *window, expect int, each func(Pong) bool) error {
	collective, err := c.collective(d.Collective)
	if err != nil {
		return err
	}
	sites, err := c.someSites(d.Federations)
	if err != nil {
		return err
	}
	conn, err := c.connection(ctx)
	if err != nil {
		return err
	}
	var (
		reply   = transport.ReplySubject(collective, c.caller, protocol.NewID())
		current atomic.Pointer[string] // request id; a request made again has another one
		answers = make(chan pong, 256)
		absent  = make(chan int, 256) // sites that no federation broker serves
		done    = make(chan struct{})
	)
	defer close(done)
	sub, err := conn.Subscribe(reply, "", replyQueue, func(m transport.Msg) {
		r, err := open(m.Data)
		if err != nil || !discovery.ValidName(r.Sender) {
			c.log.Debug("discovery answer ignored", "err", err)
			return
		}
		if id := current.Load(); id == nil || r.RequestID != *id {
			return
		}
		select {
		case answers <- pong{r.Sender, time.Now()}:
		case <-done:
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()

	timeout, slow := c.discoveryTimeout(d.Timeout), c.slowness(d.Filter)
	if d.Timeout == 0 {
		timeout += slow
	}
	if w != nil {
		w.floor = slow
	}
	l := listening{
		answers:  answers,
		timeout:  timeout,
		window:   w,
		expect:   expect,
		conn:     conn,
		client:   c,
		sub:      sub,
		absent:   absent,
		unserved: unserved{sites: sites},
	}
	if len(sites) > 0 {
		sub, err := conn.Subscribe(absences(reply)+"*", "", 0, func(m transport.Msg) {
			if i, ok := absentSite(m.Subject, len(sites)); ok && m.NoResponders {
				select {
				case absent <- i:
				case <-done:
				}
			}
		})
		if err != nil {
			return err
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	l.send = func() error {
		id := protocol.NewID()
		s, err := c.seal(&protocol.Request{
			ID:         id,
			Collective: collective,
			Agent:      "discovery",
			TTL:        c.cfg.TTL,
			Filter:     d.Filter,
			Body:       []byte("ping"),
		}, reply)
		if err != nil {
			return err
		}
		current.Store(&id)
		if d.OnSent != nil {
			d.OnSent()
		}
		l.start = time.Now()
		everybody := func(int) string { return transport.BroadcastSubject(collective, "discovery") }
		for p, err := range c.messages(conn, s, delivery{sites: sites, to: 1, target: everybody}) {
			if err == nil {
				err = p.publish(conn)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return l.run(ctx, each)
}

// A pong is an answer and when it came.
type pong struct {
	sender string
	at     time.Time
}

// listening is the waiting for the answers to a broadcast.
type listening struct {
	answers <-chan pong
	timeout time.Duration
	window  *window   // nil: the whole timeout
	expect  int       // zero: nobody knows
	start   time.Time // when it was sent
	send    func() error
	sub     *transport.Sub // where answers arrive
	conn    *transport.Conn
	client  *Client

	absent <-chan int // sites that no federation broker serves
	unserved
}

// run sends the request and passes each sender's first answer on. A request that the broker lost is
// made again when the connection is back: it is harmless to answer twice who is there.
func (l *listening) run(ctx context.Context, each func(Pong) bool) error {
	restored, _ := l.client.restoration()
	if err := l.send(); err != nil && l.conn.Server() != "" {
		return err
	}
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	deadline := l.start.Add(l.timeout)
	if l.window != nil {
		l.window.start = l.start
		deadline = l.start.Add(max(l.timeout, windowLongest))
	}
	seen := map[string]struct{}{}
	var received <-chan struct{} // closed when what the broker has for us is here; nil: nobody has asked
	quiet := false               // nothing has come since then
	for {
		select {
		case p := <-l.answers:
			if _, twice := seen[p.sender]; twice {
				continue
			}
			seen[p.sender] = struct{}{}
			if !each(Pong{Sender: p.sender, Took: p.at.Sub(l.start)}) || len(seen) == l.expect {
				return nil
			}
			if l.window != nil {
				quiet = false
				l.window.answer(p.at)
				end, _ := l.window.end()
				end = earliest(end, p.at.Add(l.timeout), deadline)
				timer.Reset(time.Until(end))
			}
		case i := <-l.absent:
			if err := l.add(l.client, i); err != nil && len(seen) == 0 {
				return fmt.Errorf("discovery: %w", err)
			}
		case <-timer.C:
			if l.waiting() && time.Now().Before(deadline.Add(l.timeout)) {
				timer.Reset(time.Millisecond) // what has arrived counts
				continue
			}
			if l.conn.Server() == "" {
				return fmt.Errorf("discovery: %w", ErrConnectionLost)
			}
			if l.window == nil || len(seen) == 0 || time.Now().After(deadline) {
				return nil
			}
			if received == nil {
				quiet = true
				received = l.receive(ctx)
			}
		case <-received:
			received = nil
			switch {
			case !quiet: // the clock runs again
			case l.waiting():
				timer.Reset(time.Millisecond)
			default:
				return nil
			}
		case <-restored:
			// Nodes lost the broker too and come back one after the other, so they get all the time.
			l.client.log.Warn("connection restored during discovery, asking again")
			restored, _ = l.client.restoration()
			if err := l.send(); err != nil && l.conn.Server() != "" {
				return err
			}
			l.window = nil
			timer.Reset(l.timeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waiting reports whether answers have arrived that were not looked at yet.
func (l *listening) waiting() bool { return len(l.answers) > 0 || l.sub.Waiting() > 0 }

// receive returns a channel that is closed when all that the broker has for us so far has arrived: where
// thousands answer, or processors are busy, silence can mean that answers wait in the broker.
func (l *listening) receive(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(ctx, l.timeout)
		defer cancel()
		if err := l.conn.Flush(ctx); err != nil {
			l.client.log.Debug("discovery ends without the word of the broker", "err", err)
		}
	}()
	return done
}

// earliest returns the first of some times.
func earliest(times ...time.Time) time.Time {
	return slices.MinFunc(times, time.Time.Compare)
}
