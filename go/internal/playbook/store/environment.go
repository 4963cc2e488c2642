package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"choria.io/choria/go/internal/playbook/props"
)

// An Environ is the environment variables of the run. Plans change it through the environment store; the
// commands that the run starts later see the changes. That of the process stays as it is.
type Environ struct {
	mu   sync.Mutex
	list []string // NAME=value; of several the last counts
}

// List returns the variables as NAME=value.
func (e *Environ) List() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

func (e *Environ) lookup(name string) (string, bool) {
	for _, variable := range slices.Backward(e.List()) {
		if n, value, _ := strings.Cut(variable, "="); n == name {
			return value, true
		}
	}
	return "", false
}

// set replaces a variable; without a value it is gone.
func (e *Environ) set(name string, value *string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = slices.DeleteFunc(slices.Clone(e.list), func(variable string) bool {
		return strings.HasPrefix(variable, name+"=")
	})
	if value != nil {
		e.list = append(e.list, name+"="+*value)
	}
}

// environment is the store whose items are environment variables.
type environment struct {
	environ *Environ
	prefix  string
}

func newEnvironment(env *Env, p *props.Props) Store {
	return environment{env.Environ, p.Text("prefix", "")}
}

func (e environment) name(item string) (string, error) {
	name := e.prefix + item
	if strings.ContainsAny(name, "=\x00") {
		return "", fmt.Errorf("%q cannot be the name of an environment variable", name)
	}
	return name, nil
}

func (e environment) Read(_ context.Context, item string) (any, error) {
	name, err := e.name(item)
	if err != nil {
		return nil, err
	}
	value, ok := e.environ.lookup(name)
	if !ok {
		return nil, fmt.Errorf("environment variable %s: %w", name, ErrMissing)
	}
	return value, nil
}

func (e environment) Write(_ context.Context, item string, value any) error {
	name, err := e.name(item)
	if err != nil {
		return err
	}
	s, err := text("environment", value)
	if err == nil && strings.Contains(s, "\x00") {
		err = fmt.Errorf("the value of an environment variable cannot hold a zero byte")
	}
	if err == nil {
		e.environ.set(name, &s)
	}
	return err
}

func (e environment) Delete(_ context.Context, item string) error {
	name, err := e.name(item)
	if err == nil {
		e.environ.set(name, nil)
	}
	return err
}
