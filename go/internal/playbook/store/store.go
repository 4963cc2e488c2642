// Package store is the data stores of playbooks.
//
// A type of store is one file and one line in types. Users add types of their own with programs, see package extension.
package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"choria.io/choria/go/internal/playbook/extension"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/streams"
)

// types are the types of stores by name. It is made once: every call of a plan looks into it.
var types = sync.OnceValue(func() map[string]func(*Env, *props.Props) Store {
	return map[string]func(*Env, *props.Props) Store{
		"consul":      newConsul,
		"environment": newEnvironment,
		"etcd":        newEtcd,
		"external":    newProgram("external"),
		"file":        newFile,
		"kv":          newBucket,
		"memory":      newMemory,
		"shell":       newShell,
	}
})

// ErrMissing is the error of reading an item that does not exist.
var ErrMissing = errors.New("no such item")

// A Store holds items by name. Values are decoded JSON whose numbers are json.Number, or whatever marshals
// to JSON. A store lives for one operation.
type Store interface {
	Read(ctx context.Context, item string) (any, error)
	Write(ctx context.Context, item string, value any) error

	// Delete deletes an item; one that does not exist is deleted already.
	Delete(ctx context.Context, item string) error
}

// An Env is what stores of one run share.
type Env struct {
	Memory  *Memory
	Environ *Environ

	// Streams connects to the streams of the network, for the kv store; nil: there is no network. The
	// connection stays that of whoever gave it.
	Streams func(context.Context) (*streams.Conn, error)

	// Modulepath is the directories of modules, for the types that they add.
	Modulepath []string

	// Hide gets what is known to be secret, any value with texts in it, before it is used; nil drops it.
	Hide func(secret any)

	// Warn gets what a person should see although it is no error; nil drops it.
	Warn func(text string)
}

// NewEnv returns the stores' part of a new run. environ are environment variables as NAME=value.
func NewEnv(environ []string) *Env {
	return &Env{Memory: &Memory{}, Environ: &Environ{list: environ}}
}

// Read reads an item of the store that properties describe. The property default is the value of an
// item that does not exist; with sensitive the value is a secret.
func (e *Env) Read(ctx context.Context, item string, properties map[string]any) (any, error) {
	s, p, err := e.open(properties)
	if err != nil {
		return nil, failed("read", item, err)
	}
	sensitive := p.Bool("sensitive", false)
	if err := p.Err(); err != nil {
		return nil, failed("read", item, err)
	}
	value, err := s.Read(ctx, item)
	if def, ok := p.Get("default"); errors.Is(err, ErrMissing) && ok {
		value, err = def, nil
	}
	if err == nil && sensitive {
		e.hide(value)
	}
	return value, failed("read", item, err)
}

// Write stores an item.
func (e *Env) Write(ctx context.Context, item string, value any, properties map[string]any) error {
	s, _, err := e.open(properties)
	if err == nil {
		err = s.Write(ctx, item, value)
	}
	return failed("write", item, err)
}

// Delete deletes an item.
func (e *Env) Delete(ctx context.Context, item string, properties map[string]any) error {
	s, _, err := e.open(properties)
	if err == nil {
		err = s.Delete(ctx, item)
	}
	return failed("delete", item, err)
}

// failed names the item in err, as part of the one store that plans have.
func failed(verb, item string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s data item %q: %w", verb, "plan_store/"+item, err)
}

func (e *Env) open(properties map[string]any) (Store, *props.Props, error) {
	typ, _ := properties["type"].(string)
	create, ok := types()[typ]
	if !ok && extension.Qualified(typ) {
		create, ok = newProgram(typ), true
	}
	if !ok {
		names := slices.Sorted(maps.Keys(types()))
		return nil, nil, fmt.Errorf("unknown type of store %q: want %s, or one of a module such as acme::vault", typ, strings.Join(names, ", "))
	}
	p := props.New("the "+typ+" store", properties)
	s := create(e, p)
	for _, name := range common {
		p.Get(name)
	}
	for _, secret := range p.Secrets() {
		e.hide(secret)
	}
	if err := p.Err(); err != nil {
		return nil, nil, err
	}
	for _, name := range p.Unknown() {
		if e.Warn != nil {
			e.Warn(fmt.Sprintf("The %s store has no property %q: it is ignored", typ, name))
		}
	}
	return s, p, nil
}

// common are the properties that stores of all types may have: those of locks also where they change nothing, so that a
// plan can be given one store as well as another.
var common = []string{"type", "default", "sensitive", "timeout", "ttl"}

func (e *Env) hide(secret any) {
	if e.Hide != nil {
		e.Hide(secret)
	}
}

// text returns value as text, for stores that hold nothing else.
func text(store string, value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("the %s store holds text alone, not %s", store, props.Show(value))
	}
	return s, nil
}
