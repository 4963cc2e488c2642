package playbook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/store"
)

// locks are those that a run holds. Their methods may be called concurrently.
type locks struct {
	mu   sync.Mutex
	last int
	held map[int]heldLock
}

type heldLock struct {
	name string
	*store.Lock
}

func (l *locks) add(name string, lock *store.Lock) (id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[int]heldLock{}
	}
	l.last++
	l.held[l.last] = heldLock{name, lock}
	return l.last
}

func (l *locks) remove(id int) (heldLock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.held[id]
	delete(l.held, id)
	return h, ok
}

// lost returns why the plan cannot go on: it is inside of the block of a lock that it does not hold.
func (l *locks) lost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.held {
		if err := h.Lost(); err != nil {
			return &lostLock{h.name, err}
		}
	}
	return nil
}

// release releases all that is left when a run has ended: a plan that was killed has released nothing.
func (l *locks) release(ctx context.Context, log *Log) {
	l.mu.Lock()
	ids := slices.Sorted(maps.Keys(l.held))
	l.mu.Unlock()
	for _, id := range slices.Backward(ids) { // inner ones first
		if h, ok := l.remove(id); ok {
			if err := h.Release(ctx); err != nil {
				log.Say(Warning, "", fmt.Sprintf("Lock %s was not released: %s", h.name, err))
			}
		}
	}
}

// A lostLock is the error of a call inside of the block of a lock that is not held any more.
type lostLock struct {
	name string
	why  error
}

func (e *lostLock) Error() string { return fmt.Sprintf("lock %q was lost: %s", e.name, e.why) }
func (e *lostLock) Unwrap() error { return e.why }

func takeLock(ctx context.Context, c *call, params map[string]any) (any, error) {
	name, properties := item(params)
	c.env().Log.Debug("Waiting for lock %s", name)
	lock, err := c.data().Lock(ctx, name, properties)
	if err != nil {
		return nil, err
	}
	c.env().Log.Debug("Obtained lock %s", name)
	// A plan that was interrupted meanwhile does not get the answer; the lock is released with the run.
	return c.s.locks.add(name, lock), nil
}

// releaseLock releases a lock. Trouble with that is no error of the plan, but a lock that was lost before the
// block had come to its end is.
func releaseLock(ctx context.Context, c *call, params map[string]any) (any, error) {
	p := props.New("lock.release", params)
	id, failed := p.Int("lock", 0, 1), p.Bool("failed", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	h, ok := c.s.locks.remove(id)
	if !ok {
		return nil, nil
	}
	lost := h.Lost()
	err := h.Release(ctx)
	switch {
	case lost != nil && !failed:
		return nil, &lostLock{h.name, lost}
	case err != nil:
		c.env().Log.Warning("Lock %s was not released: %s", h.name, err)
	default:
		c.env().Log.Debug("Released lock %s", h.name)
	}
	return nil, nil
}
