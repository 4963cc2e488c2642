package store

import (
	"context"
	"sync"

	"choria.io/choria/go/internal/playbook/props"
)

// A Memory holds items for the duration of one run.
type Memory struct {
	mu    sync.Mutex
	items map[string]any
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
