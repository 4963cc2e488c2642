package store

import (
	"context"
	"sync"

	"choria.io/choria/go/internal/playbook/props"
)

// A Memory holds items and locks for the duration of one run.
type Memory struct {
	mu    sync.Mutex
	items map[string]any
	locks map[string]chan struct{} // holds something while the lock is held
}

func newMemory(env *Env, _ *props.Props) Store { return env.Memory }

func (m *Memory) Read(_ context.Context, item string) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.items[item]
	if !ok {
		return nil, ErrMissing
	}
	return value, nil
}

func (m *Memory) Write(_ context.Context, item string, value any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.items == nil {
		m.items = map[string]any{}
	}
	m.items[item] = value
	return nil
}

func (m *Memory) Delete(_ context.Context, item string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, item)
	return nil
}

// lock serves the branches of one plan: nobody else sees its memory.
func (m *Memory) lock(ctx context.Context, item string) (*Lock, error) {
	m.mu.Lock()
	if m.locks == nil {
		m.locks = map[string]chan struct{}{}
	}
	taken := m.locks[item]
	if taken == nil {
		taken = make(chan struct{}, 1)
		m.locks[item] = taken
	}
	m.mu.Unlock()
	select {
	case taken <- struct{}{}:
	default:
		select {
		case taken <- struct{}{}:
		case <-ctx.Done():
			return nil, errHeld
		}
	}
	return held(func() error {
		<-taken
		return nil
	}), nil
}
