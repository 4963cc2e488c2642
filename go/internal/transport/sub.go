package transport

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// defaultPending is the queue of a subscription of a node. Source: protocol section 9.3.
	defaultPending = 10

	// sharedPending is the longest queue that is filled by way of the channel that the
	// subscriptions of a connection share. Longer ones have a goroutine of the library each.
	sharedPending = 256

	// maxPendingBytes bounds what waits in a long queue, whatever the number of messages.
	maxPendingBytes = 256 << 20

	// drainTimeout is how long a drained subscription waits for the broker to take notice.
	drainTimeout = 30 * time.Second
)

// A Msg is one message received.
type Msg struct {
	Subject      string
	Reply        string
	Data         []byte
	NoResponders bool // the broker says that nobody listens on the subject the request went to
}

// message translates what the library delivers.
func message(m *nats.Msg) Msg {
	return Msg{
		Subject: m.Subject,
		Reply:   m.Reply,
		Data:    m.Data,
		// Source: NATS ADR-4, a status line without a body.
		NoResponders: len(m.Data) == 0 && len(m.Header) > 0 && m.Header.Get("Status") == "503",
	}
}

// A Sub is one subscription.
type Sub struct {
	conn           *Conn
	subject, group string
	pending        int
	maxBytes       int // of what waits in a long queue; zero means maxPendingBytes; guarded by conn.mu
	f              func(Msg)

	nsub  atomic.Pointer[nats.Subscription] // nil until it is made; its methods allow that
	short *queue                            // nil for one that has a goroutine of the library
	ended chan struct{}                     // of one without a short queue: closed when f is called no more; guarded by conn.mu
}

// Subscribe calls f for each message on subject, one at a time and in order; the functions of
// different subscriptions run concurrently. A queue other than "" shares the messages with the
// others of that queue. pending is how many messages may wait before the newest are dropped; zero
// means 10, what a node uses. A subscription of up to 256 pending costs no goroutine while it is
// idle; one of more has its own, and is what a receiver of many messages a second wants.
func (c *Conn) Subscribe(subject, queue string, pending int, f func(Msg)) (*Sub, error) {
	if pending <= 0 {
		pending = defaultPending
	}
	s := &Sub{conn: c, subject: subject, group: queue, pending: pending, f: f}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, nats.ErrConnectionClosed)
	}
	nc := c.nc.Load()
	// When the library has given nc up, the subscription is made on the connection that follows.
	if err := s.bind(nc); err != nil && !nc.IsClosed() {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	c.subs[s] = struct{}{}
	return s, nil
}

// bind subscribes on nc. The caller holds conn.mu.
func (s *Sub) bind(nc *nats.Conn) error {
	if s.pending <= sharedPending {
		return s.bindShort(nc)
	}
	handle := func(m *nats.Msg) { s.f(message(m)) }
	var (
		nsub *nats.Subscription
		err  error
	)
	if s.group == "" {
		nsub, err = nc.Subscribe(s.subject, handle)
	} else {
		nsub, err = nc.QueueSubscribe(s.subject, s.group, handle)
	}
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	nsub.SetClosedHandler(func(string) { close(ended) })
	s.ended = ended
	s.nsub.Store(nsub)
	return s.limit(nsub)
}

func (s *Sub) limit(nsub *nats.Subscription) error {
	bytes := s.maxBytes
	if bytes <= 0 {
		bytes = maxPendingBytes
	}
	return nsub.SetPendingLimits(s.pending, bytes)
}

// LimitBytes makes messages be dropped also when n bytes are waiting, in place of 256 MiB. It is for
// subscriptions of more than 256 pending; what waits on others is bounded by the size of messages.
func (s *Sub) LimitBytes(n int) error {
	if s.short != nil {
		return nil
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.maxBytes = n
	return s.result("limit", s.limit(s.nsub.Load()))
}

func (s *Sub) bindShort(nc *nats.Conn) error {
	d := &s.conn.shared
	d.start()
	if s.short == nil {
		s.short = &queue{limit: s.pending, f: s.f, log: d.log, errors: d.errors}
	}
	nsub, err := d.subscribe(nc, s.subject, s.group, s.short)
	if err != nil {
		return err
	}
	if old := s.nsub.Swap(nsub); old != nil {
		d.remove(old)
	}
	return nil
}

// Unsubscribe ends s at once: what waits is not handled.
func (s *Sub) Unsubscribe() error {
	nsub := s.forget()
	err := nsub.Unsubscribe()
	if s.short != nil {
		s.conn.shared.remove(nsub)
		s.short.discard()
	}
	return s.result("unsubscribe from", err)
}

// Drain ends s, but lets what has arrived be handled first. It does not wait for that.
func (s *Sub) Drain() error {
	nsub := s.forget()
	err := nsub.Drain()
	if s.short != nil {
		go s.removeDrained(nsub)
	}
	return s.result("drain", err)
}

// removeDrained forgets nsub when nothing more can come: the broker has taken notice, and what it
// sent before has passed the channel.
func (s *Sub) removeDrained(nsub *nats.Subscription) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	// Without an answer the connection is lost or closed; nothing comes from it either.
	_ = s.conn.Flush(ctx)
	_ = s.conn.shared.sync(ctx)
	s.conn.shared.remove(nsub)
}

// result describes err; to end what has ended is none.
func (s *Sub) result(what string, err error) error {
	if err == nil || errors.Is(err, nats.ErrBadSubscription) || errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, s.subject, err)
}

// forget takes s out of the subscriptions that Close drains.
func (s *Sub) forget() *nats.Subscription {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	delete(s.conn.subs, s)
	return s.nsub.Load()
}

// wait returns when a drained subscription has handled what it received.
func (s *Sub) wait(ctx context.Context) error {
	var idle <-chan struct{}
	if s.short != nil {
		idle = s.short.idle()
	} else {
		s.conn.mu.Lock()
		idle = s.ended
		s.conn.mu.Unlock()
		if idle == nil {
			return nil // it was never made
		}
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waiting returns how many messages have arrived that f was not called for yet.
func (s *Sub) Waiting() int {
	if s.short != nil {
		return s.short.waitingCount()
	}
	n, _, _ := s.nsub.Load().Pending() // fails when s has ended
	return max(n, 0)
}

// Dropped returns how many messages were dropped because f was too slow.
func (s *Sub) Dropped() int {
	n, _ := s.nsub.Load().Dropped() // fails when s has ended
	n = max(n, 0)
	if s.short != nil {
		n += s.short.droppedCount()
	}
	return n
}
