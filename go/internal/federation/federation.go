// Package federation carries requests from clients of a federation to the nodes of one site, and
// their replies back.
//
// A federation broker has a connection to the brokers where the clients are, and one to those of the
// site; in truth ten of each to receive from and ten to publish to. It keeps nothing about a request:
// what it needs to bring a reply home travels in the headers of the message. Any number of them
// serve one site, in queue groups.
package federation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/transport"
)

// defaultWorkers is how many workers there are in each direction. Source: protocol section 12.2.
const defaultWorkers = 10

// Times of stopping.
const (
	// drainTimeout is how long what has arrived may take to be passed on.
	drainTimeout = 5 * time.Second

	defaultQuiet  = 200 * time.Millisecond
	defaultLinger = 2 * time.Second

	// recent is the age of a request that replies are still expected to.
	recent = 10 * time.Second
)

// A Side is how to reach the brokers of one side.
type Side struct {
	// Options say how to connect. The name, the log, the metrics and what is called when a connection
	// comes and goes are set by the Broker.
	Options transport.Options

	// URL is what hops call the broker. Empty: the address of the one that is connected to.
	URL string
}

// A Broker joins one site to a federation. Set its fields, then call Run.
type Broker struct {
	Site     string // what clients call the site, plugin.choria.federation.cluster; required
	Identity string // of this process; required

	Federation Side // where the clients are
	Collective Side // where the nodes are

	// Workers is how many connections receive, and how many publish, in each direction. Zero means 10.
	Workers int

	// Run, when it stops, carries replies to the last requests until none has come for Quiet, but no longer
	// than Linger, in case no other federation broker serves the site. Zero means 200 ms and 2 s.
	Quiet, Linger time.Duration

	Ready   func()            // called once when requests are carried; may be nil
	Log     *slog.Logger      // nil discards
	Metrics *metrics.Registry // nil: not shown

	requests, replies *direction
	changed           chan struct{} // has room for one: connections came or went
	traces            traces
}

// Run carries messages until ctx ends, then what has arrived, and the replies to it that come soon.
// While a side cannot be reached it tries to, and leaves the messages of the other to the other
// federation brokers of the site.
func (b *Broker) Run(ctx context.Context) error {
	if !transport.ValidSite(b.Site) {
		return fmt.Errorf("plugin.choria.federation.cluster: %q: want a name without dots, spaces, * and >", b.Site)
	}
	if b.Identity == "" {
		return errors.New("federation: the identity is empty")
	}
	if b.Workers <= 0 {
		b.Workers = defaultWorkers
	}
	if b.Log == nil {
		b.Log = slog.New(slog.DiscardHandler)
	}
	b.changed = make(chan struct{}, 1)
	federation := newEnd(b, "federation", &b.Federation)
	collective := newEnd(b, "collective", &b.Collective)
	subject, queue := transport.FederationRequests(b.Site)
	b.requests = newDirection(b, "request", federation, collective, subject, queue)
	subject, queue = transport.FederationReplies(b.Site)
	b.replies = newDirection(b, "reply", collective, federation, subject, queue)

	defer b.close()
	g, gctx := errgroup.WithContext(ctx)
	for _, e := range []*end{federation, collective} {
		g.Go(func() error { return e.connect(gctx) })
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before there were connections
		}
		return err
	}
	if err := b.hearAbsences(); err != nil {
		return err
	}
	b.Log.Info("federation broker is ready", "site", b.Site, "federation", federation.server(), "collective", collective.server())
	err := b.carry(ctx)
	b.stop()
	return err
}

// carry keeps the workers in the queue groups that they can serve.
func (b *Broker) carry(ctx context.Context) error {
	ready := b.Ready
	for {
		for _, d := range []*direction{b.replies, b.requests} { // replies first: requests bring them
			if err := d.adjust(); err != nil {
				return fmt.Errorf("federation: %w", err)
			}
		}
		if ready != nil {
			ready()
			ready = nil
		}
		select {
		case <-b.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// change makes carry look at the connections.
func (b *Broker) change() {
	select {
	case b.changed <- struct{}{}:
	default: // it is going to
	}
}

// stop passes on what has arrived.
func (b *Broker) stop() {
	b.Log.Info("federation broker stops", "site", b.Site)
	b.requests.drain()
	if time.Since(b.requests.lastMessage()) < recent {
		start := time.Now()
		for time.Since(start) < cmp.Or(b.Linger, defaultLinger) {
			last := b.replies.lastMessage()
			if last.Before(start) {
				last = start
			}
			wait := cmp.Or(b.Quiet, defaultQuiet) - time.Since(last)
			if wait <= 0 {
				break
			}
			time.Sleep(wait)
		}
	}
	b.replies.drain()
}

// close ends all connections, those that publish last.
func (b *Broker) close() {
	b.traces.wait()
	var g sync.WaitGroup
	for _, e := range []*end{b.requests.from, b.requests.to} {
		g.Go(e.close)
	}
	g.Wait()
}

// An end is the connections to one side.
type end struct {
	broker *Broker
	name   string // federation or collective
	side   *Side

	in, out []*link
}

// A link is one connection of a worker. conn is nil until it is made.
type link struct {
	conn atomic.Pointer[transport.Conn]
	tally
	absences string // what the subjects begin with on which it hears that nobody listens; see inbox
}

// connected reports whether l is connected now.
func (l *link) connected() bool {
	c := l.conn.Load()
	return c != nil && c.Server() != ""
}

func newEnd(b *Broker, name string, side *Side) *end {
	e := &end{broker: b, name: name, side: side}
	for w := range b.Workers {
		e.in = append(e.in, &link{tally: b.tally("nats_ingest", name, w)})
		e.out = append(e.out, &link{tally: b.tally("nats_egest", name, w)})
	}
	labels := []string{"cluster", b.Site, "identity", b.Identity, "connected_to", name}
	b.Metrics.GaugeFunc("choria_federation_connections", "Connections of a Federation Broker that are up, of twice as many as it has workers", func() float64 {
		up := 0
		for _, l := range append(e.in[:len(e.in):len(e.in)], e.out...) {
			if l.connected() {
				up++
			}
		}
		return float64(up)
	}, labels...)
	return e
}

// connect makes all connections, however long that may take. Only the first of them says what goes
// wrong: the others have the same troubles.
func (e *end) connect(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for w, links := range [][]*link{e.in, e.out} {
		name := []string{"choria_nats_ingest", "choria_nats_egest"}[w]
		for i, l := range links {
			o := e.side.Options
			o.Name = name
			o.Metrics = e.broker.Metrics
			o.Log = slog.New(slog.DiscardHandler)
			if i == 0 && w == 0 {
				o.Log = e.broker.Log.With("side", e.name)
			}
			o.OnReconnect = func(string) { e.broker.change() }
			o.OnDisconnect = e.broker.change
			g.Go(func() error {
				conn, err := transport.Connect(ctx, o)
				if err != nil {
					return fmt.Errorf("federation: %s side: %w", e.name, err)
				}
				l.conn.Store(conn)
				return nil
			})
		}
	}
	return g.Wait()
}

// server returns the broker in use by the first connection that has one.
func (e *end) server() string {
	for _, l := range e.in {
		if c := l.conn.Load(); c != nil && c.Server() != "" {
			return e.url(c)
		}
	}
	return ""
}

// url returns what hops call the broker that c is connected to.
func (e *end) url(c *transport.Conn) string {
	if e.side.URL != "" {
		return e.side.URL
	}
	return c.Server()
}

// sendable reports whether anything can be published to e.
func (e *end) sendable() bool {
	for _, l := range e.out {
		if l.connected() {
			return true
		}
	}
	return false
}

func (e *end) close() { e.closeLinks(append(e.in[:len(e.in):len(e.in)], e.out...)) }

// closeLinks closes connections. What they have received is handled first, what was published to them
// is sent.
func (e *end) closeLinks(links []*link) {
	ctx, cancel := context.WithTimeout(context.Background(), max(drainTimeout, e.broker.Linger))
	defer cancel()
	var g sync.WaitGroup
	for _, l := range links {
		c := l.conn.Load()
		if c == nil {
			continue
		}
		g.Go(func() {
			if err := c.Close(ctx); err != nil {
				e.broker.Log.Debug("connection not closed in order", "side", e.name, "err", err)
			}
		})
	}
	g.Wait()
}
