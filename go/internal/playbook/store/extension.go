package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/uuid/v5"

	"choria.io/choria/go/internal/playbook/extension"
	"choria.io/choria/go/internal/playbook/props"
)

// program is a store that a user has added: a program reads, writes, deletes and locks its items.
type program struct {
	*extension.Program
	ttl time.Duration
}

// A programAnswer is what the program answers.
type programAnswer struct {
	Value       any  `json:"value"`       // that was read
	Missing     bool `json:"missing"`     // there is no such item to read
	Held        bool `json:"held"`        // whoever asked has the lock
	Unsupported bool `json:"unsupported"` // the store does not have this action
}

// newProgram returns what makes stores of a type that is in a module, or external.
func newProgram(typ string) func(*Env, *props.Props) Store {
	return func(env *Env, p *props.Props) Store {
		// Those are for the host: what a missing item is, whether it is secret, and for locks.
		ttl := ttl(p, 2)
		for _, name := range []string{"default", "sensitive", "timeout"} {
			p.Get(name)
		}
		s := &program{extension.New(p, env.Modulepath, extension.Store, typ), ttl}
		s.Environ, s.Warn = env.Environ.List, env.Warn
		return s
	}
}

// do has the program do one action.
func (s *program) do(ctx context.Context, action, item string, more map[string]any) (*programAnswer, error) {
	request := map[string]any{"action": action, "item": item}
	for name, value := range more {
		request[name] = value
	}
	answer := &programAnswer{}
	if err := s.Run(ctx, request, answer); err != nil {
		return nil, err
	}
	if answer.Unsupported {
		return nil, fmt.Errorf("the %s store cannot %s", s.Type, action)
	}
	return answer, nil
}

func (s *program) Read(ctx context.Context, item string) (any, error) {
	answer, err := s.do(ctx, "read", item, nil)
	if err != nil {
		return nil, err
	}
	if answer.Missing {
		return nil, fmt.Errorf("%s: %w", s.Type, ErrMissing)
	}
	return answer.Value, nil
}

func (s *program) Write(ctx context.Context, item string, value any) error {
	_, err := s.do(ctx, "write", item, map[string]any{"value": value})
	return err
}

func (s *program) Delete(ctx context.Context, item string) error {
	_, err := s.do(ctx, "delete", item, nil)
	return err
}

// lock has the program take a lock for a holder of a name that nobody else has.
func (s *program) lock(ctx context.Context, item string) (*Lock, error) {
	id, err := uuid.NewV4()
	if err != nil {
		return nil, fmt.Errorf("holder: %w", err)
	}
	holder := map[string]any{"holder": id.String(), "ttl": int(s.ttl / time.Second)}
	release := func(ctx context.Context) error {
		_, err := s.do(ctx, "unlock", item, holder)
		return err
	}
	lock, err := poll(ctx, time.Second, func(ctx context.Context) (*Lock, error) {
		since := time.Now()
		answer, err := s.do(ctx, "lock", item, holder)
		if err != nil || !answer.Held {
			return nil, err
		}
		return lease{since: since, ttl: s.ttl, release: release, renew: func(ctx context.Context) error {
			answer, err := s.do(ctx, "renew", item, holder)
			if err == nil && !answer.Held {
				err = fmt.Errorf("the %s store has given it to others: %w", s.Type, errGone)
			}
			return err
		}}.hold(), nil
	})
	if ctx.Err() != nil && lock == nil { // the program may have taken it before it was stopped
		background, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		if undone := release(background); undone != nil {
			err = errors.Join(err, undone)
		}
	}
	return lock, err
}
