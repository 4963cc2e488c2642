package transport

import (
	"context"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/metrics"
)

// sharedChannel is how many messages wait for the goroutine that distributes them. It is never held
// up by a handler, so this only has to hold what the library reads in one go: 32 KiB, and a request
// that is signed has more than 1 KiB. When it is full messages are dropped and counted, as with a full
// queue.
const sharedChannel = 256

// shared distributes the messages of all subscriptions with a short queue. The library starts a
// goroutine for every subscription with a callback; this needs one for the connection.
type shared struct {
	log    *slog.Logger
	errors *metrics.Counter

	// Made with the first subscription.
	in    chan *nats.Msg
	ended chan struct{}

	mu     sync.RWMutex
	queues map[*nats.Subscription]*queue
	marks  map[*nats.Msg]chan struct{} // see sync; nil until it is called
}

// over is put into the channel by close.
var over = &nats.Msg{}

// start starts distributing, once. The caller serializes calls.
func (d *shared) start() {
	if d.ended != nil {
		return
	}
	d.in = make(chan *nats.Msg, sharedChannel)
	d.ended = make(chan struct{})
	d.queues = make(map[*nats.Subscription]*queue)
	go d.run()
}

// subscribe subscribes on behalf of q. The library must not be called with mu held by a function
// that the library calls with its own lock held, hence there are none of these.
func (d *shared) subscribe(nc *nats.Conn, subject, group string, q *queue) (*nats.Subscription, error) {
	// A message may arrive before the library has returned the subscription that it is for. With
	// the lock held it waits.
	d.mu.Lock()
	defer d.mu.Unlock()
	var (
		nsub *nats.Subscription
		err  error
	)
	if group == "" {
		nsub, err = nc.ChanSubscribe(subject, d.in)
	} else {
		nsub, err = nc.ChanQueueSubscribe(subject, group, d.in)
	}
	if err == nil {
		d.queues[nsub] = q
	}
	return nsub, err
}

func (d *shared) remove(nsub *nats.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.queues, nsub)
}

func (d *shared) run() {
	defer close(d.ended)
	// Not a select, which would double the stack of a goroutine that every connection has.
	for m := range d.in {
		if m == over {
			return
		}
		d.put(m)
	}
}

func (d *shared) put(m *nats.Msg) {
	if m.Sub == nil {
		d.mu.Lock()
		close(d.marks[m])
		delete(d.marks, m)
		d.mu.Unlock()
		return
	}
	d.mu.RLock()
	q := d.queues[m.Sub]
	d.mu.RUnlock()
	if q != nil {
		q.put(m)
	}
}

// sync returns when all that the library has delivered so far is in the queues.
func (d *shared) sync(ctx context.Context) error {
	if d.ended == nil {
		return nil
	}
	mark, passed := &nats.Msg{}, make(chan struct{})
	d.mu.Lock()
	if d.marks == nil {
		d.marks = make(map[*nats.Msg]chan struct{})
	}
	d.marks[mark] = passed
	d.mu.Unlock()
	select {
	case d.in <- mark:
	case <-d.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-passed:
		return nil
	case <-d.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the distribution; what still waits is not handled.
func (d *shared) close() {
	if d.ended == nil {
		return
	}
	d.in <- over
	<-d.ended
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.queues {
		q.discard()
	}
}

// A queue holds what waits for the function of one subscription. A goroutine runs only while there
// is something in it, so that thousands of idle nodes with some ten subscriptions each cost none.
type queue struct {
	limit  int
	f      func(Msg)
	log    *slog.Logger
	errors *metrics.Counter

	mu      sync.Mutex
	waiting []*nats.Msg
	running bool
	closed  bool // nothing is accepted any more
	slow    bool // the last message was dropped, and that was logged
	dropped int
	done    chan struct{} // non-nil when somebody waits for running to become false
}

// put adds m, or drops it.
func (q *queue) put(m *nats.Msg) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	if len(q.waiting) >= q.limit {
		q.dropped++
		first := !q.slow
		q.slow = true
		q.mu.Unlock()
		q.errors.Inc()
		if first {
			q.log.Warn("messages are dropped: they arrive faster than they are handled", "subject", m.Subject)
		}
		return
	}
	q.slow = false
	q.waiting = append(q.waiting, m)
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start {
		go q.run()
	}
}

// room is how much stack handling a request takes: mostly verifying its signature.
const room = 6 << 10

// makeRoom makes the stack of its goroutine grow by room at once. By itself it would do so in several
// steps, copying all frames in use each time, which took 7 % of what a node needs for a request.
//
//go:noinline
func makeRoom(i int) byte {
	var unused [room]byte
	return unused[i]
}

// run handles what waits.
func (q *queue) run() {
	makeRoom(0)
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			if q.done != nil {
				close(q.done)
				q.done = nil
			}
			q.mu.Unlock()
			return
		}
		m := q.waiting[0]
		n := copy(q.waiting, q.waiting[1:]) // at most 256 pointers
		q.waiting[n] = nil
		q.waiting = q.waiting[:n]
		q.mu.Unlock()
		q.f(message(m))
	}
}

// discard empties the queue for good.
func (q *queue) discard() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.waiting = nil
}

// idle returns a channel that is closed when nothing waits and f is not running.
func (q *queue) idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.running {
		now := make(chan struct{})
		close(now)
		return now
	}
	if q.done == nil {
		q.done = make(chan struct{})
	}
	return q.done
}

func (q *queue) waitingCount() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (q *queue) droppedCount() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
