package rubyagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// A pool holds the warm processes, one an agent, and says who may start another process.
type pool struct {
	runner *Runner

	mu      sync.Mutex
	parents map[string]*parent       // those that take requests, by agent
	live    int                      // processes, those included that are only finishing
	turns   map[string]chan struct{} // by agent; each holds as many as may run at once
	changed chan struct{}            // closed, and another made, when somebody may have got room
	closed  bool
	noFork  bool // this Ruby cannot fork
	ending  sync.WaitGroup
}

var (
	errNoFork = errors.New("this Ruby cannot fork")
	errClosed = errors.New("the node is stopping")
)

func (p *pool) init(r *Runner) {
	p.runner = r
	p.parents = make(map[string]*parent)
	p.turns = make(map[string]chan struct{})
	p.changed = make(chan struct{})
}

// enter waits for the turn of one request of an agent. The returned function ends it.
func (p *pool) enter(ctx context.Context, name string) (leave func(), err error) {
	p.mu.Lock()
	turns := p.turns[name]
	if turns == nil {
		// Full when as many run as may; others wait.
		turns = make(chan struct{}, p.runner.cfg.RubyForks)
		p.turns[name] = turns
	}
	p.mu.Unlock()
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%d requests for agent %s are running: %w", cap(turns), name, ctx.Err())
	}
}

// run runs one request in a fork of the process of its agent.
func (p *pool) run(ctx context.Context, name string, doc []byte, log *slog.Logger) (*outcome, error) {
	leave, err := p.enter(ctx, name)
	if err != nil {
		return nil, err
	}
	defer leave()
	for tries := 0; ; tries++ {
		pa, err := p.acquire(ctx, name)
		if err != nil {
			return nil, err
		}
		out, err := pa.run(ctx, doc, log)
		p.release(pa)
		// It may have ended just before it was asked.
		if !errors.Is(err, errUnsent) || tries > 0 {
			return out, err
		}
	}
}

// acquire returns the process of an agent, started if need be, when it is ready. release must follow.
func (p *pool) acquire(ctx context.Context, name string) (*parent, error) {
	fingerprint := p.runner.fingerprint()
	for {
		pa, wait, err := p.reserve(name, fingerprint)
		if err != nil {
			return nil, err
		}
		if pa != nil {
			if err := pa.await(ctx); err != nil {
				p.release(pa)
				return nil, err
			}
			return pa, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("all %d processes for Ruby agents are busy: %w", p.runner.cfg.RubyParents, ctx.Err())
		}
	}
}

// reserve returns a process with one more request counted, or a channel to wait on for room.
func (p *pool) reserve(name, fingerprint string) (*parent, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, nil, errClosed
	case p.noFork:
		return nil, nil, errNoFork
	}
	pa := p.parents[name]
	if pa != nil && pa.fingerprint != fingerprint {
		p.retire(pa, "files have changed")
		pa = nil
	}
	if pa == nil {
		if p.live >= p.runner.cfg.RubyParents {
			p.evict()
			return nil, p.changed, nil
		}
		var err error
		if pa, err = p.start(name, fingerprint); err != nil {
			return nil, nil, err
		}
	}
	pa.active++
	if pa.idle != nil {
		pa.idle.Stop()
	}
	return pa, nil, nil
}

// start starts the process of an agent. mu is held.
func (p *pool) start(name, fingerprint string) (*parent, error) {
	ruby, args, err := p.runner.command()
	if err != nil {
		return nil, err
	}
	pa, err := startParent(name, ruby, append(args, "--warm", name), p.runner.log.With("agent", name))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", ruby, err)
	}
	pa.fingerprint = fingerprint
	p.parents[name] = pa
	p.live++
	p.ending.Add(1)
	go func() {
		defer p.ending.Done()
		pa.serve()
		p.ended(pa)
	}()
	return pa, nil
}

// evict makes room: of the processes with nothing to do that which was used longest ago ends. mu is held.
func (p *pool) evict() {
	if p.live > len(p.parents) {
		return // one is going already
	}
	var oldest *parent
	for _, pa := range p.parents {
		if pa.active == 0 && (oldest == nil || pa.used.Before(oldest.used)) {
			oldest = pa
		}
	}
	if oldest != nil {
		p.retire(oldest, "room is needed for another agent")
	}
}

// retire has a process take no more requests, and end when it has none. mu is held.
func (p *pool) retire(pa *parent, reason string) {
	if pa.retired {
		return
	}
	pa.retired = true
	if p.parents[pa.name] == pa {
		delete(p.parents, pa.name)
	}
	pa.log.Debug("process of the agent ends", "reason", reason, "pid", pa.pid())
	if pa.active == 0 {
		pa.stop()
	}
}

// release ends one request.
func (p *pool) release(pa *parent) {
	size := pa.size() // outside of the lock, it reads a file
	p.mu.Lock()
	defer p.mu.Unlock()
	pa.active--
	pa.used = time.Now()
	limit := int64(p.runner.cfg.RubyMemory) << 20
	switch {
	case pa.unable.Load():
		p.noFork = true
		p.retire(pa, errNoFork.Error())
	case size > limit:
		p.retire(pa, fmt.Sprintf("it has grown to %d MiB, its limit is %d", size>>20, limit>>20))
	}
	if pa.active > 0 {
		return
	}
	if pa.retired {
		pa.stop()
		return
	}
	pa.idle = time.AfterFunc(p.runner.cfg.RubyIdle, func() { p.expire(pa) })
	p.wake()
}

// expire ends a process that had nothing to do for long.
func (p *pool) expire(pa *parent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pa.active == 0 {
		p.retire(pa, "it was idle")
	}
}

// ended notes that a process is gone, however that came.
func (p *pool) ended(pa *parent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
	pa.retired = true
	if p.parents[pa.name] == pa {
		delete(p.parents, pa.name)
	}
	if pa.idle != nil {
		pa.idle.Stop()
	}
	p.wake()
}

// wake lets those who wait for room look again. mu is held.
func (p *pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// close ends all processes and returns when they are gone.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.wake()
	for _, pa := range slices.Collect(maps.Values(p.parents)) {
		p.retire(pa, errClosed.Error())
		pa.stop()
	}
	p.mu.Unlock()
	p.ending.Wait()
}
