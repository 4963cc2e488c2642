// Package transport connects a process to brokers.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/metrics"
)

// Sizes and times of a connection. Source: protocol section 9.3.
const (
	defaultConnectTimeout = 2 * time.Second
	maxConnectTimeout     = 120 * time.Second

	// reconnectBuffer is how many bytes of publications wait while there is no connection. What
	// does not fit is refused, since replies that arrive minutes late are of no use to anybody.
	reconnectBuffer = 10 * 1024
)

// ErrBufferFull is returned by Publish when there is no connection to a broker, and the 10 KiB that
// may wait for one are used up.
var ErrBufferFull = errors.New("not connected to a broker, and the publish buffer is full")

// ErrTooLarge is returned by Publish for messages that the broker does not accept for their size.
var ErrTooLarge = errors.New("message too large")

// Options say how to connect. Servers, Lookup or InProcess is required.
type Options struct {
	// Servers are broker addresses as URLs, nats://host:port, in the order in which they are tried.
	// See Servers for finding them.
	Servers []string

	// Lookup, when set, is asked for the servers instead: before each round of first attempts, and
	// again when a lost broker and all others of the list could not be reached. Brokers that moved
	// in DNS are found that way, and so are those of a machine that boots before its network is up.
	Lookup func(context.Context) ([]string, error)

	// InProcess, when set, makes connections to a broker in the same process: no port, no TLS.
	// Servers may then be empty.
	InProcess func() (net.Conn, error)

	// Dial, when set, makes the connections in place of net.Dialer. It must end when its context does,
	// which is after ConnectTimeout.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Name string      // connection name shown by the broker
	TLS  *tls.Config // nil: no TLS, only for the lab and tests. It is cloned for each server.

	User, Password  string
	CredentialsFile string

	// InboxPrefix is the subject prefix for request-reply inboxes, <main collective>.reply.
	InboxPrefix string

	// ConnectTimeout is for one attempt, from name resolution to the broker's welcome. Zero means
	// 2 s; more than 120 s is 120 s.
	ConnectTimeout time.Duration

	// MaxWait is how long Connect keeps trying before it gives up with an error that lists what was
	// tried. Zero means until its context ends, as daemons want.
	MaxWait time.Duration

	// PingInterval is the time between pings to the broker. Zero means the library's default, 2 min.
	PingInterval time.Duration

	Log     *slog.Logger      // nil discards
	Metrics *metrics.Registry // nil: not shown

	// OnReconnect, when set, is called after each reconnection.
	OnReconnect func(server string)

	// OnDisconnect, when set, is called when a connection was lost, before it is made again. Server
	// returns nothing by then.
	OnDisconnect func()
}

// A Conn is one connection to a broker; it reconnects for ever. Its methods may be called
// concurrently.
type Conn struct {
	options Options
	log     *slog.Logger
	tally   tally
	shared  shared // delivers to the subscriptions with a short queue

	life    context.Context           // ends with Close; what is dialled belongs to it
	cancel  context.CancelFunc        // ends life
	nc      atomic.Pointer[nats.Conn] // nil only until the first connection is made
	dialing atomic.Pointer[firstDial] // of the attempt under way, or the last
	server  atomic.Pointer[string]    // see Server
	last    lastDial

	mu     sync.Mutex
	subs   map[*Sub]struct{}
	closed bool
}

// tally is what a connection counts.
type tally struct {
	attempts, reconnections, closed, errors *metrics.Counter
	connectTime                             *metrics.Summary
}

func newTally(r *metrics.Registry) tally {
	return tally{
		attempts:      r.Counter("choria_connector_initial_connection_attempts", "Attempts at a first connection to a broker that failed"),
		reconnections: r.Counter("choria_connector_reconnections", "Connections to a broker made after one was lost"),
		closed:        r.Counter("choria_connector_connection_closed", "Connections closed for good"),
		errors:        r.Counter("choria_connector_errors", "Errors that brokers reported, and messages lost to full queues"),
		connectTime:   r.Summary("choria_connector_initial_connect_time", "Seconds until the first connection was made"),
	}
}

// Publish sends data to subject. Without a connection up to 10 KiB are kept for the next one, and
// ErrBufferFull is returned beyond that.
func (c *Conn) Publish(subject string, data []byte) error {
	nc := c.nc.Load()
	return c.publishError(nc, subject, data, nc.Publish(subject, data))
}

// PublishRequest sends data to subject with the NATS reply subject set, so that the broker tells
// reply when nobody listens on subject.
func (c *Conn) PublishRequest(subject, reply string, data []byte) error {
	nc := c.nc.Load()
	return c.publishError(nc, subject, data, nc.PublishRequest(subject, reply, data))
}

func (c *Conn) publishError(nc *nats.Conn, subject string, data []byte, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		err = ErrBufferFull
	case errors.Is(err, nats.ErrMaxPayload):
		err = fmt.Errorf("%w: %d bytes are more than the %d that the broker accepts", ErrTooLarge, len(data), nc.MaxPayload())
	}
	return fmt.Errorf("publish to %s: %w", subject, err)
}

// Server returns the URL of the broker in use, without a user or password, empty when disconnected.
func (c *Conn) Server() string {
	nc := c.nc.Load()
	if nc == nil || !nc.IsConnected() {
		return ""
	}
	// Every reply carries this, hence it is kept. A stale one is replaced as soon as the library
	// has called back, see connected.
	if s := c.server.Load(); s != nil {
		return *s
	}
	return redact(nc.ConnectedUrl())
}

// Flush returns when the broker has everything published before it.
func (c *Conn) Flush(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		// The library insists on a deadline. A caller without one waits until the connection is lost.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 24*time.Hour)
		defer cancel()
	}
	if err := c.nc.Load().FlushWithContext(ctx); err != nil {
		return fmt.Errorf("flush to the broker: %w", err)
	}
	return nil
}

// Stats count messages and bytes of a connection.
type Stats struct {
	InMsgs, OutMsgs, InBytes, OutBytes, Reconnects uint64
}

// Stats returns what went over the connection so far.
func (c *Conn) Stats() Stats {
	s := c.nc.Load().Stats()
	return Stats{InMsgs: s.InMsgs, OutMsgs: s.OutMsgs, InBytes: s.InBytes, OutBytes: s.OutBytes, Reconnects: s.Reconnects}
}

// errLost is why draining was given up.
var errLost = errors.New("it was lost before all was sent")

// Close drains the subscriptions, sends what is buffered and closes. When ctx ends or the connection
// is lost first it closes without, and returns an error; messages still waiting are then not handled.
// A connection that is lost already is closed at once. Close must not be called from the function of
// a subscription.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	subs := make([]*Sub, 0, len(c.subs))
	for s := range c.subs {
		subs = append(subs, s)
	}
	c.mu.Unlock()

	nc := c.nc.Load()
	var err error
	lost := nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED) // before it is asked
	if nc.IsConnected() {
		draining, stop := context.WithCancelCause(ctx)
		go func() {
			select {
			case <-lost:
				stop(errLost)
			case <-draining.Done():
			}
		}()
		if err = c.drain(draining, subs); err != nil && ctx.Err() == nil && !nc.IsConnected() {
			err = errLost // however it was noticed
		}
		stop(nil)
	}
	nc.RemoveStatusListener(lost)
	c.cancel()
	nc.Close()
	c.shared.close()
	if err != nil {
		return fmt.Errorf("close the connection to the broker: %w", err)
	}
	return nil
}

// drain ends all subscriptions, waits until what they received is handled, and until the broker has
// what the handlers published.
func (c *Conn) drain(ctx context.Context, subs []*Sub) error {
	for _, s := range subs {
		if err := s.result("drain", s.nsub.Load().Drain()); err != nil {
			return err
		}
	}
	if err := c.Flush(ctx); err != nil { // all that the broker sent before it took notice is here
		return err
	}
	if err := c.shared.sync(ctx); err != nil {
		return err
	}
	for _, s := range subs {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return c.Flush(ctx)
}
