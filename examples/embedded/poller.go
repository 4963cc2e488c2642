package main

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"
)

// A poller looks from time to time whether something answers. Its circuit breaker stops that.
type poller struct {
	target   string        // host:port
	interval time.Duration // between two looks
	look     func(ctx context.Context, target string) error

	mu    sync.Mutex
	stats statistics
}

// statistics are what a poller tells about itself.
type statistics struct {
	Mode      string `json:"mode"` // running or paused
	Polls     int    `json:"polls"`
	Failures  int    `json:"failures"`
	Skipped   int    `json:"skipped"`
	Target    string `json:"target"`
	LastError string `json:"last_error"`
	Since     int64  `json:"since"` // when the mode was last changed, in Unix seconds
}

const (
	running = "running"
	paused  = "paused"
)

func newPoller(target string, interval time.Duration) *poller {
	return &poller{
		target: target, interval: interval, look: connect,
		stats: statistics{Mode: running, Target: target, Since: time.Now().Unix()},
	}
}

// connect reports whether something accepts connections.
func connect(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return err
	}
	return conn.Close()
}

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) {
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	for {
		p.poll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// poll looks once, unless the circuit breaker is open.
func (p *poller) poll(ctx context.Context) {
	p.mu.Lock()
	if p.stats.Mode == paused {
		p.stats.Skipped++
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()

	err := p.look(ctx, p.target)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Polls++
	p.stats.LastError = ""
	if err != nil {
		p.stats.Failures++
		p.stats.LastError = err.Error()
	}
}

// set changes the mode to what change makes of it, and returns it.
func (p *poller) set(change func(mode string) string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mode := change(p.stats.Mode); mode != p.stats.Mode {
		p.stats.Mode, p.stats.Since = mode, time.Now().Unix()
	}
	return p.stats.Mode
}

// info returns what there is to tell.
func (p *poller) info() statistics {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// facts are what requests can be filtered by, as in -F poller.mode=paused.
func (p *poller) facts() json.RawMessage {
	facts, err := json.Marshal(map[string]any{"poller": p.info()})
	if err != nil {
		return json.RawMessage("{}") // strings and numbers always encode
	}
	return facts
}
