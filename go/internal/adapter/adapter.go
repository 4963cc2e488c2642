// Package adapter carries what nodes send into streams and other stores.
//
// An adapter receives requests or replies in a queue group, unwraps them, finds out who made them and
// hands a document about each to a sink. It keeps nothing about a message but the message itself, in
// memory and, while the sink is away, on disk; any number of them share the work.
package adapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// Defaults of settings. Source: protocol section 13.
const (
	defaultWorkers = 10
	defaultQueue   = 1000
)

// Bounds of what is in memory.
const (
	// pending is how many messages wait in one ingest worker. Source: protocol section 9.3.
	pending = 1000

	// pendingBytes bounds what those have together.
	pendingBytes = 8 << 20

	// held is how many bytes of documents one adapter has in memory: in the queue and on their way to
	// the sink. Documents are at most some larger than protocol.MaxTransport.
	held = 64 << 20
)

// drainTimeout is how long what has arrived may take to be handled when an adapter stops.
const drainTimeout = 5 * time.Second

// A Kind says what an adapter receives.
type Kind string

// The kinds. Requests are registration data above all.
const (
	Requests Kind = "request"
	Replies  Kind = "reply"
)

// An Adapter carries messages from a subject to a sink. Set its fields, then call Run.
type Adapter struct {
	Name     string // required
	Identity string // of this process; required

	Kind    Kind              // required
	Subject string            // to receive on, may have wildcards; required
	Ingest  transport.Options // how to connect to receive; name, log and metrics are set by the Adapter

	// Protocol is what the documents say they are. Empty means choria:adapters:choria_streams:output:1.
	Protocol string

	// Open makes the sink of output worker n. It does not wait for the sink to be reachable. Required.
	Open func(n int) (Sink, error)

	// Proof verifies requests. Nil accepts them from anybody.
	Proof *Proof

	// DeadLetters is the subject that gets what is not carried, and why. Required.
	DeadLetters string

	// SpillDir is the directory that messages wait in while the sink does not take them. Empty means
	// that only those wait that fit into the queue.
	SpillDir string

	// SpillSetting names the setting that SpillDir comes from, and where it stands, for errors. Empty
	// means the key alone.
	SpillSetting string

	// SpillOptional says that the adapter runs without SpillDir, with a warning, when that cannot be used.
	SpillOptional bool

	// SpillBytes is how much may wait there. Zero means 256 MiB.
	SpillBytes int64

	Workers       int // connections that receive; zero means 10
	OutputWorkers int // connections that publish; zero means 10
	QueueLength   int // messages between the two; zero means 1000

	Ready   func()            // called once when messages are received; may be nil
	Log     *slog.Logger      // nil discards
	Metrics *metrics.Registry // nil: not shown

	tally  tally
	inputs []*input
	spill  *spill // nil: none
	sinks  []Sink

	queue chan Message
	room  *semaphore.Weighted // for bytes of messages until they are in the sink or the spill
	life  context.Context     // of what waits for room or for the sink; ends when Run gives up on both
	away  awayLog

	mu     sync.RWMutex // read-locked by who is about to put into queue
	closed bool         // queue is closed
}

// check refuses what cannot work, and fills in defaults.
func (a *Adapter) check() error {
	switch {
	case a.Name == "" || a.Identity == "":
		return errors.New("adapter: the name or the identity is empty")
	case a.Kind != Requests && a.Kind != Replies:
		return fmt.Errorf("adapter %q: %q is neither request nor reply", a.Name, a.Kind)
	case a.Subject == "" || a.DeadLetters == "" || a.Open == nil:
		return fmt.Errorf("adapter %q: has no subject, no subject for dead letters or no sink", a.Name)
	}
	for _, n := range []struct {
		v   *int
		def int
	}{{&a.Workers, defaultWorkers}, {&a.OutputWorkers, defaultWorkers}, {&a.QueueLength, defaultQueue}} {
		if *n.v <= 0 {
			*n.v = n.def
		}
	}
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	a.Log = a.Log.With("adapter", a.Name)
	return nil
}

// Run carries messages until ctx ends, then what has arrived. What the sink does not take by then
// stays in the spill for the next run.
func (a *Adapter) Run(ctx context.Context) error {
	if err := a.check(); err != nil {
		return err
	}
	a.queue = make(chan Message, a.QueueLength)
	a.room = semaphore.NewWeighted(held)
	a.tally = newTally(a)
	a.away.log = a.Log
	life, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	a.life = life
	if err := a.openSpill(); err != nil {
		return err
	}
	if a.spill != nil {
		defer a.spill.close()
	}
	a.tally.lag(a)
	defer a.closeSinks()
	for n := range a.OutputWorkers {
		s, err := a.Open(n)
		if err != nil {
			return fmt.Errorf("adapter %q: %w", a.Name, err)
		}
		a.sinks = append(a.sinks, s)
	}

	for n := range a.Workers {
		a.inputs = append(a.inputs, &input{adapter: a, side: a.tally.side("input", n)})
	}

	var outputs, drainer sync.WaitGroup
	for n, s := range a.sinks {
		o := &output{a, s, a.tally.side("output", n)}
		outputs.Go(o.run)
		if n == 0 && a.spill != nil {
			drainer.Go(func() { o.drainSpill(ctx) })
		}
	}
	err := a.receive(ctx)

	// What is in the queue goes to the sink or the spill; what can go to neither is given up.
	timer := time.AfterFunc(drainTimeout, giveUp)
	defer timer.Stop()
	a.closeQueue()
	outputs.Wait()
	giveUp()
	drainer.Wait()
	if n := a.tally.dropped(stopped).Value(); n > 0 {
		a.Log.Error("messages were lost on stopping: the sink did not take them, and there was no room on disk", "messages", n)
	}
	a.Log.Info("adapter stopped", "spilled", a.spill.waiting())
	return err
}

// openSpill opens the spill, if there is to be one.
func (a *Adapter) openSpill() error {
	err := errors.New("no directory is known for them")
	if a.SpillDir != "" {
		a.spill, err = openSpill(a.SpillDir, a.SpillBytes)
	}
	switch {
	case err != nil && a.SpillDir != "" && !a.SpillOptional:
		setting := cmp.Or(a.SpillSetting, "plugin.choria.adapter."+a.Name+".spill.directory")
		return fmt.Errorf("adapter %q: %s: %w", a.Name, setting, err)
	case err != nil:
		a.spill = nil
		a.Log.Warn("messages cannot wait on disk while the sink is away: those that do not fit into the queue are dropped", "err", err,
			"cure", "name a directory of this adapter alone with plugin.choria.adapter."+a.Name+".spill.directory")
		return nil
	}
	a.spill.observe(a)
	if a.spill.killed {
		a.Log.Warn("the process before this one did not end in order: what it had received, and neither published nor written to disk, is lost",
			"spilled", a.spill.waiting())
	}
	return nil
}

// receive makes the connections, subscribes, and when ctx ends handles what has arrived.
func (a *Adapter) receive(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for n, in := range a.inputs {
		g.Go(func() error { return in.connect(gctx, n) })
	}
	err := g.Wait()
	defer a.closeInputs()
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before there were connections
		}
		return err
	}
	for _, in := range a.inputs {
		if err := in.subscribe(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("adapter %q: %w", a.Name, err)
		}
	}
	a.Log.Info("adapter is ready", "subject", a.Subject, "receives", a.Kind, "spilled", a.spill.waiting())
	if a.Ready != nil {
		a.Ready()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			a.countOverflow()
		}
	}
}

// countOverflow counts what the connections have dropped since it was last called.
func (a *Adapter) countOverflow() {
	for _, in := range a.inputs {
		if in.sub == nil {
			continue
		}
		if n := in.sub.Dropped(); n > in.overflowed {
			a.tally.dropped(overflow).Add(uint64(n - in.overflowed))
			in.overflowed = n
		}
	}
}

func (a *Adapter) closeInputs() {
	a.countOverflow()
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var g sync.WaitGroup
	for _, in := range a.inputs {
		conn := in.conn.Load()
		if conn == nil {
			continue
		}
		g.Go(func() {
			if err := conn.Close(ctx); err != nil {
				a.Log.Warn("messages that had arrived were not all handled", "err", err)
			}
		})
	}
	g.Wait()
}

// put hands m to the output side, waiting for room. That holds the connection up on which it came,
// which keeps 1000 messages and 8 MiB, and drops and counts what is more. It reports whether m was
// taken: not after the adapter has stopped.
func (a *Adapter) put(m Message) bool {
	if a.room.Acquire(a.life, m.size()) != nil {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !a.closed {
		select {
		case a.queue <- m:
			return true
		case <-a.life.Done():
		}
	}
	a.room.Release(m.size())
	return false
}

// closeQueue ends the output workers, when they have seen all that is in the queue.
func (a *Adapter) closeQueue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	close(a.queue)
}

func (a *Adapter) closeSinks() {
	var g sync.WaitGroup
	for _, s := range a.sinks {
		g.Go(func() {
			if err := s.Close(); err != nil {
				a.Log.Debug("sink not closed in order", "err", err)
			}
		})
	}
	g.Wait()
}

// A Proof says whose requests are carried.
type Proof struct {
	// Any verifies who made a request, whoever that is. Nodes sign what they say about themselves
	// with certificates that are not good for requests to others.
	Any protocol.Verifier

	// Callers verifies requests that are made by somebody else than the machine they come from: it
	// accepts only those who may make requests.
	Callers protocol.Verifier

	// Now is the clock; nil is that of the machine.
	Now func() time.Time
}

func (p *Proof) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}
