package transport

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// inProcessURL stands for the broker in the same process, where the library wants a URL.
const inProcessURL = "nats://in-process"

// Connect connects to one of the servers. It keeps trying until it succeeds, ctx ends or MaxWait is
// over; what it tried is in the *ConnectError it returns then.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.InProcess != nil && len(o.Servers) == 0 {
		o.Servers = []string{inProcessURL}
	}
	if o.Lookup == nil {
		if err := checkServers(o.Servers); err != nil {
			return nil, fmt.Errorf("connect to a broker: %w", err)
		}
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	o.ConnectTimeout = min(o.ConnectTimeout, maxConnectTimeout)

	c := &Conn{options: o, log: o.Log, tally: newTally(o.Metrics), subs: make(map[*Sub]struct{})}
	c.shared.log = o.Log
	c.shared.errors = c.tally.errors
	// What is dialled outlives ctx, which is for the first connection alone.
	c.life, c.cancel = context.WithCancel(context.WithoutCancel(ctx))

	limited := ctx
	if o.MaxWait > 0 {
		var stop context.CancelFunc
		limited, stop = context.WithTimeout(ctx, o.MaxWait)
		defer stop()
	}
	start := time.Now()
	tried, ok := c.establish(limited, o.MaxWait > 0)
	if !ok {
		c.cancel()
		tried.Waited = time.Since(start)
		tried.cause = context.Cause(ctx)
		return nil, tried
	}
	c.tally.connectTime.Observe(time.Since(start).Seconds())
	return c, nil
}

// establish makes a connection. On success its result is empty and true, otherwise it says what was
// tried until ctx ended. A client does not wait for what only a person can repair.
func (c *Conn) establish(ctx context.Context, client bool) (tried *ConnectError, ok bool) {
	// The library knows no context: an attempt under way is ended by taking its socket away.
	release := context.AfterFunc(ctx, func() {
		if d := c.dialing.Load(); d != nil {
			d.abort()
		}
	})
	defer release()

	tried = &ConnectError{}
	for round := 1; ; round++ {
		servers := c.servers(ctx, tried)
		for _, s := range servers {
			err := c.attempt(ctx, s, servers)
			if err == nil {
				return nil, true
			}
			c.tally.attempts.Inc()
			if ctx.Err() != nil && tried.has(s) {
				break // the reason of before tells more than that time is over
			}
			tried.add(s, err)
			if ctx.Err() != nil {
				break
			}
		}
		if ctx.Err() != nil || client && tried.final() {
			return tried, false
		}
		delay := connectBackoff.delay(round)
		c.unreachable(ctx, round, delay, tried.reasons())
		select {
		case <-ctx.Done():
			return tried, false
		case <-time.After(delay):
		}
	}
}

// servers returns where to try. Why there are none is left in tried.
func (c *Conn) servers(ctx context.Context, tried *ConnectError) []string {
	if c.options.Lookup == nil {
		return c.options.Servers
	}
	servers, err := c.options.Lookup(ctx)
	if err == nil {
		err = checkServers(servers)
	}
	tried.lookup = err
	if err != nil {
		return nil
	}
	return servers
}

// attempt tries one server, and on success makes it the current one of all servers.
func (c *Conn) attempt(ctx context.Context, server string, servers []string) error {
	d := &firstDial{}
	c.dialing.Store(d)
	if ctx.Err() != nil {
		return ctx.Err() // after Store: from here on the function of establish finds d
	}
	opts := c.natsOptions(d)
	opts.Servers = []string{server}
	nc, err := opts.Connect()
	aborted, dialErr := d.finish()
	if err != nil {
		if dialErr != nil { // the library turns "connection refused" into "no servers"
			err = dialErr
		}
		if aborted {
			err = ctx.Err()
		} else if hungUp(err) {
			if found := c.diagnose(ctx, server); found != nil {
				err = found
			}
		}
		return explain(err, server)
	}
	if aborted {
		nc.Close()
		return explain(ctx.Err(), server)
	}
	if err := nc.SetServerPool(servers); err != nil {
		nc.Close()
		return explain(err, server)
	}
	c.adopt(nc)
	c.log.Info("connected to broker", "server", c.Server(), "name", c.options.Name)
	return nil
}

// adopt makes nc the connection in use, and moves the subscriptions of the one before to it.
func (c *Conn) adopt(nc *nats.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc.Store(nc)
	c.connected(nc)
	for s := range c.subs {
		if err := s.bind(nc); err != nil {
			c.log.Error("subscription was not renewed", "subject", s.subject, "err", err)
		}
	}
}

// revive connects anew after the library has given a connection up for good, which it does when a
// broker reports an error that it does not know.
func (c *Conn) revive(nc *nats.Conn) {
	c.tally.closed.Inc()
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed || c.nc.Load() != nc {
		return
	}
	c.server.Store(nil)
	c.log.Error("the broker ended the connection, making a new one", "err", nc.LastError())
	select {
	case <-c.life.Done():
		return
	case <-time.After(reconnectBackoff.delay(1)):
	}
	if _, ok := c.establish(c.life, false); !ok {
		return
	}
	c.mu.Lock()
	closed = c.closed
	c.mu.Unlock()
	if closed { // Close has closed the one before
		c.nc.Load().Close()
		return
	}
	c.reconnected(c.nc.Load())
}
