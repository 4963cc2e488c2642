// Package host runs many nodes of a lab in one process.
package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/choria"
	"choria.io/choria/go/internal/lab/fleet"
)

// connecting is how many nodes of a process connect at once. Each gets its turn within a fraction of
// the time that a connection may take, also where a TLS handshake takes milliseconds.
const connecting = 32

// reportInterval is how often the number of connected nodes is told.
const reportInterval = 200 * time.Millisecond

// The garbage collector leaves holes between what stays of the nodes, and fills them with the next ones: the more
// often it runs while they connect, the fewer remain. Measured with 750 nodes: 38 kB of holes for each with 100 %.
// Later it only takes time: a fifth of the processor time of a ping with 50 %.
const (
	gcConnecting = 10
	gcConnected  = 100
)

// Run runs what the file spec describes until ctx ends, and writes to out how many nodes are connected, a
// number on each line.
func Run(ctx context.Context, spec string, out io.Writer, log *slog.Logger) error {
	s, err := fleet.Load(spec)
	if err != nil {
		return err
	}
	h := &host{spec: s, log: log, slots: make(chan struct{}, connecting), pace: pacer{make(chan struct{}, dialing)}}
	start := h.server
	if s.Bare != nil {
		b, err := newBare(s, log)
		if err != nil {
			return err
		}
		start = b.connect
	}
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(gcConnecting))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.report(ctx, out) })
	g.Go(func() error { return h.run(ctx, start) })
	return g.Wait()
}

// A host is one process with many nodes.
type host struct {
	spec  *fleet.Spec
	log   *slog.Logger
	slots chan struct{} // holds a token for each node that connects
	pace  pacer
	ready atomic.Int64

	shared choria.Shared
}

// run starts all nodes, a few at a time, and returns when all have ended.
func (h *host) run(ctx context.Context, start func(ctx context.Context, i int, ready func()) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := h.spec.First; i < h.spec.First+h.spec.Count; i++ {
		select {
		case h.slots <- struct{}{}:
		case <-ctx.Done():
			return g.Wait()
		}
		p := &place{host: h, number: i}
		g.Go(func() error { return p.end(start(ctx, i, p.ready)) })
	}
	return g.Wait()
}

// A place is that of a node among those that connect.
type place struct {
	host   *host
	number int // of the node
	once   sync.Once
}

// ready says that the node is connected.
func (p *place) ready() {
	p.host.ready.Add(1)
	p.free()
}

// end says that the node has ended.
func (p *place) end(err error) error {
	p.free()
	if err != nil {
		return fmt.Errorf("%s: %w", fleet.Name(p.number), err)
	}
	return nil
}

func (p *place) free() { p.once.Do(func() { <-p.host.slots }) }

// server runs node i as any program that embeds one does.
func (h *host) server(ctx context.Context, i int, ready func()) error {
	n, err := h.spec.Node(i)
	if err != nil {
		return err
	}
	s := &choria.Server{
		ConfigFile:  h.spec.Config,
		Identity:    n.Name,
		Collectives: n.Collectives,
		Brokers:     n.Brokers,
		TLS:         &choria.TLS{CA: h.spec.Keys + "/ca.pem", Certificate: n.Certificate, Key: n.Key},
		Dial:        h.pace.dialFrom(n.Source),
		Agents:      agents(h.spec.Agents),
		Standard:    true,
		Facts:       func() json.RawMessage { return n.Facts },
		Classes:     func() []string { return n.Classes },
		Ready:       ready,
		Shared:      &h.shared,
		Log:         h.log,
	}
	return s.Run(ctx)
}

// report tells how many nodes are connected until all are.
func (h *host) report(ctx context.Context, out io.Writer) error {
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	said := int64(0)
	for said < int64(h.spec.Count) {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		n := h.ready.Load()
		if n == said {
			continue
		}
		said = n
		if _, err := fmt.Fprintln(out, n); err != nil {
			return fmt.Errorf("tell how many nodes are connected: %w", err)
		}
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcConnected)
	}
	return nil
}
