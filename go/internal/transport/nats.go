package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// lookupTimeout is how long looking the servers up again may delay the next attempt.
const lookupTimeout = 10 * time.Second

// natsOptions translates the options. d is told about the sockets of the first connection.
func (c *Conn) natsOptions(d *firstDial) nats.Options {
	o := &c.options
	n := nats.Options{
		Name:             o.Name,
		NoRandomize:      true, // DNS and administrators say which broker is preferred
		AllowReconnect:   true,
		MaxReconnect:     -1,
		ReconnectBufSize: reconnectBuffer,
		Timeout:          o.ConnectTimeout,
		PingInterval:     nats.DefaultPingInterval,
		User:             o.User,
		Password:         o.Password,
		InboxPrefix:      o.InboxPrefix,

		// A broker that was restarted with other permissions must not lose its nodes for ever.
		IgnoreAuthErrorAbort: true,

		// The list of servers is what was configured or found in DNS, and nothing else.
		IgnoreDiscoveredServers: true,

		// Names are resolved by the dialler, within the connect timeout.
		SkipHostLookup: true,

		CustomReconnectDelayCB: c.beforeRetry,
		DisconnectedErrCB:      c.disconnected,
		ReconnectedCB:          c.reconnected,
		ClosedCB:               func(nc *nats.Conn) { go c.revive(nc) },
		AsyncErrorCB:           c.asyncError,
		ReconnectErrCB: func(_ *nats.Conn, err error) {
			c.log.Debug("reconnection attempt did not succeed", "err", err)
		},
	}
	if o.PingInterval > 0 {
		n.PingInterval = o.PingInterval
	}
	if o.CredentialsFile != "" {
		// Fails only when a token handler is set as well.
		_ = nats.UserCredentials(o.CredentialsFile)(&n)
	}
	if o.InProcess != nil {
		n.InProcessServer = inProcess(o.InProcess)
		return n
	}
	if o.TLS != nil {
		n.Secure = true
		n.TLSConfig = o.TLS // cloned for each server by the library
	}
	n.CustomDialer = dialFunc(func(network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(c.life, o.ConnectTimeout)
		defer cancel()
		dial := o.Dial
		if dial == nil {
			dial = new(net.Dialer).DialContext
		}
		c.last.hangUp()
		conn, err := dial(ctx, network, address)
		d.dialed(conn, err)
		c.last.dialed(conn, err)
		return conn, err
	})
	return n
}

type inProcess func() (net.Conn, error)

func (f inProcess) InProcessConn() (net.Conn, error) { return f() }

type dialFunc func(network, address string) (net.Conn, error)

func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// A firstDial keeps what is dialled while a first connection is being made, so that it can be
// aborted, and why dialling was in vain.
type firstDial struct {
	mu            sync.Mutex
	conn          net.Conn
	err           error
	done, aborted bool
}

func (d *firstDial) dialed(conn net.Conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return
	}
	d.conn, d.err = conn, err
	if d.aborted && conn != nil {
		conn.Close()
	}
}

func (d *firstDial) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return
	}
	d.aborted = true
	if d.conn != nil {
		d.conn.Close()
	}
}

func (d *firstDial) finish() (aborted bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	d.conn = nil
	return d.aborted, d.err
}

// A lastDial is the socket that was dialled last. When a broker takes a connection and then does not welcome us
// in time the library begins anew and leaves the socket as it is: the broker would have it for as long as the
// garbage collector sees no reason to look.
type lastDial struct {
	mu   sync.Mutex
	conn net.Conn
	err  error // why there is no socket
}

func (l *lastDial) dialed(conn net.Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.err = conn, err
}

// hangUp closes the socket, and returns why there was none. It is called when there is no connection.
func (l *lastDial) hangUp() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.Close() // also when it was closed before
		l.conn = nil
	}
	return l.err
}

// connected remembers the broker in use.
func (c *Conn) connected(nc *nats.Conn) {
	s := redact(nc.ConnectedUrl())
	c.server.Store(&s)
}

func (c *Conn) reconnected(nc *nats.Conn) {
	c.connected(nc)
	c.tally.reconnections.Inc()
	server := c.Server()
	c.log.Info("reconnected to broker", "server", server)
	if c.options.OnReconnect != nil {
		c.options.OnReconnect(server)
	}
}

func (c *Conn) disconnected(_ *nats.Conn, err error) {
	server := c.server.Swap(nil)
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed || server == nil {
		return
	}
	c.log.Warn("connection to broker lost", "server", *server, "err", err)
	if c.options.OnDisconnect != nil {
		c.options.OnDisconnect()
	}
}

// beforeRetry is called when a lost broker, and after it all servers of the list, were tried n times
// counting from 1. It returns how long to wait before they are tried again.
func (c *Conn) beforeRetry(n int) time.Duration {
	delay := reconnectBackoff.delay(n)
	reason := c.last.hangUp()
	nc := c.nc.Load()
	if n == 1 || nc == nil || c.life.Err() != nil {
		return delay
	}
	if err := nc.LastError(); err != nil {
		reason = err // what happened after the dialling
	}
	c.unreachable(c.life, n-1, delay, reason)
	if c.options.Lookup != nil {
		ctx, cancel := context.WithTimeout(c.life, lookupTimeout)
		defer cancel()
		c.renew(ctx, nc)
	}
	return delay
}

// unreachable tells that none of the servers was reached in an attempt, which counts from 1. That is news
// once: attempts go on for as long as the broker is away, for days maybe, and what ends that is told as well.
func (c *Conn) unreachable(ctx context.Context, attempt int, delay time.Duration, reason any) {
	level := slog.LevelWarn
	if attempt > 1 {
		level = slog.LevelDebug
	}
	c.log.Log(ctx, level, "no broker is reachable", "attempt", attempt, "retry_in", delay.Round(time.Millisecond), "err", reason)
}

// renew looks the servers up again.
func (c *Conn) renew(ctx context.Context, nc *nats.Conn) {
	servers, err := c.options.Lookup(ctx)
	if err == nil {
		err = checkServers(servers)
	}
	if err == nil {
		before, after := nc.Servers(), slices.Clone(servers)
		slices.Sort(before)
		slices.Sort(after)
		if slices.Equal(before, after) {
			return // the order in the library says which was tried last, and is kept
		}
		err = nc.SetServerPool(servers)
	}
	if err != nil {
		c.log.Warn("brokers were not found again, the old list is kept", "err", err)
		return
	}
	c.log.Info("the list of brokers changed", "servers", redactAll(servers))
}

// asyncError is told what happens outside of any call.
func (c *Conn) asyncError(_ *nats.Conn, sub *nats.Subscription, err error) {
	c.tally.errors.Inc()
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	switch {
	case errors.Is(err, nats.ErrSlowConsumer):
		c.log.Warn("messages are dropped: they arrive faster than they are handled", "subject", subject)
	case errors.Is(err, nats.ErrPermissionViolation):
		c.log.Error("the broker does not permit this", "subject", subject, "err", err)
	default:
		c.log.Warn("the broker reports a problem", "subject", subject, "err", err)
	}
}
