package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// Times of the tally.
const (
	// vanishedAfter is how long a node says nothing until it is taken for gone. Source: protocol
	// section 15.1.
	vanishedAfter = 80 * time.Minute

	sweepInterval = time.Minute
)

// Bounds of the tally, which takes some 150 bytes a node. Events are not signed and may say anything, so that what they name must neither
// fill the memory of a broker nor that of who reads its metrics.
const (
	maxSighted    = 4 * MaxConnections // nodes and other programs that are kept in mind
	maxIdentity   = 255                // bytes
	maxWord       = 64                 // bytes of a component or a version
	maxComponents = 16
	maxVersions   = 64 // of all components together

	// What waits while it is counted: a fleet that starts says some 400 bytes a node.
	tallyPending      = 65_536
	tallyPendingBytes = 16 << 20

	// maxNamed is how many nodes are named in the log that vanish together.
	maxNamed = 20
)

// other stands for components and versions beyond those bounds.
const other = "other"

// A tally counts the events of nodes and other programs, and notices who says nothing any more. Each
// broker of a cluster hears all of them, and comes to the same figures.
type tally struct {
	identity string // of the broker
	metrics  *metrics.Registry
	log      *slog.Logger
	invalid  *metrics.Counter
	lost     *metrics.Counter
	unknown  *metrics.Counter

	mu         sync.Mutex
	seen       map[program]sighting
	components map[string]*component
	versions   int // of all components together
}

// A program is one of a kind on one node.
type program struct{ identity, component string }

// A sighting is the last sign of life of a program.
type sighting struct {
	at      time.Time
	version *version // that counts it
}

// A version is how many programs of a component have it.
type version struct {
	component *component
	name      string
	nodes     *metrics.Gauge
}

// A component is what is counted of one kind of program.
type component struct {
	name     string
	vanished *metrics.Counter
	events   map[lifecycle.Type]*metrics.Counter
	versions map[string]*version // those that somebody has
}

func newTally(identity string, r *metrics.Registry, log *slog.Logger) *tally {
	t := &tally{identity: identity, metrics: r, log: log, seen: map[program]sighting{}, components: map[string]*component{}}
	failed := func(reason string) *metrics.Counter {
		return r.Counter("choria_lifecycle_errors", "Lifecycle events that were not counted", "identity", identity, "reason", reason)
	}
	t.invalid, t.lost, t.unknown = failed("invalid"), failed("overflow"), failed("limit")
	t.component(lifecycle.Server)
	return t
}

// component returns what is counted of that kind. All of it is shown from the start: of what appears
// with a value nobody can tell that it grew. t.mu is held, or nobody else knows t.
func (t *tally) component(name string) *component {
	if c, ok := t.components[name]; ok {
		return c
	}
	if len(name) > maxWord || len(t.components) >= maxComponents && name != other {
		return t.component(other)
	}
	c := &component{name: name, events: map[lifecycle.Type]*metrics.Counter{}, versions: map[string]*version{}}
	c.vanished = t.metrics.Counter("choria_lifecycle_nodes_vanished", "Nodes that said nothing for 80 minutes and did not say that they stop",
		"identity", t.identity, "component", name)
	for _, kind := range []lifecycle.Type{lifecycle.Startup, lifecycle.Shutdown, lifecycle.Alive, lifecycle.Provisioned, lifecycle.Upgraded, lifecycle.Governor} {
		c.events[kind] = t.metrics.Counter("choria_lifecycle_events", "Lifecycle events received",
			"identity", t.identity, "component", name, "type", string(kind))
	}
	t.components[name] = c
	return c
}

// enter counts a program with a version. t.mu is held.
func (t *tally) enter(c *component, name string) *version {
	v := c.versions[name]
	if v == nil && name != other && (len(name) > maxWord || t.versions >= maxVersions) {
		return t.enter(c, other)
	}
	if v == nil {
		v = &version{c, name, t.metrics.Gauge("choria_lifecycle_nodes", "Nodes that said within 80 minutes that they run", t.labels(c, name)...)}
		c.versions[name] = v
		t.versions++
	}
	v.nodes.Add(1)
	return v
}

// leave counts it no longer. t.mu is held.
func (t *tally) leave(v *version) {
	v.nodes.Add(-1)
	if v.nodes.Value() > 0 {
		return
	}
	delete(v.component.versions, v.name)
	t.versions--
	t.metrics.Remove("choria_lifecycle_nodes", t.labels(v.component, v.name)...)
}

func (t *tally) labels(c *component, version string) []string {
	return []string{"identity", t.identity, "component", c.name, "version", version}
}

// event counts one message.
func (t *tally) event(data []byte, now time.Time) {
	e, err := lifecycle.Decode(data)
	if err != nil || len(e.Identity) > maxIdentity {
		t.invalid.Inc()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.component(e.Component)
	c.events[e.Type].Inc()

	if e.Type == lifecycle.Governor {
		return
	}
	p := program{e.Identity, c.name}
	if last, ok := t.seen[p]; ok {
		t.leave(last.version)
		delete(t.seen, p)
	}
	name := e.Version
	switch e.Type {
	case lifecycle.Shutdown, lifecycle.Provisioned: // who is provisioned goes on as another component
		return
	case lifecycle.Upgraded:
		name = e.NewVersion
	}
	if len(t.seen) >= maxSighted {
		t.unknown.Inc()
		return
	}
	t.seen[p] = sighting{now, t.enter(c, name)}
}

// sweep forgets who has said nothing for long.
func (t *tally) sweep(now time.Time) {
	t.mu.Lock()
	var gone []program
	for p, s := range t.seen {
		if now.Sub(s.at) < vanishedAfter {
			continue
		}
		t.leave(s.version)
		delete(t.seen, p)
		s.version.component.vanished.Inc()
		gone = append(gone, p)
	}
	t.mu.Unlock()
	for i, p := range gone {
		if i == maxNamed {
			t.log.Warn("more nodes vanished", "nodes", len(gone)-i)
			return
		}
		t.log.Warn("node vanished", "identity", p.identity, "component", p.component)
	}
}

// countEvents keeps the tally until ctx ends, when its figures are shown.
func (b *Broker) countEvents(ctx context.Context) error {
	if b.o.Metrics == nil {
		<-ctx.Done()
		return nil
	}
	conn, err := transport.Connect(ctx, transport.Options{InProcess: b.InProcess, Name: b.cfg.Identity + " events", Log: b.log})
	if err != nil {
		return nil // ctx has ended, nothing else keeps it from connecting
	}
	defer conn.Close(context.WithoutCancel(ctx))
	t := newTally(b.cfg.Identity, b.o.Metrics, b.log)
	sub, err := conn.Subscribe(lifecycle.Subjects, "", tallyPending, func(m transport.Msg) { t.event(m.Data, time.Now()) })
	if err != nil {
		return err
	}
	if err := sub.LimitBytes(tallyPendingBytes); err != nil {
		return err
	}
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for lost := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			t.sweep(now)
			if n := sub.Dropped(); n > lost {
				t.lost.Add(uint64(n - lost))
				lost = n
			}
		}
	}
}
