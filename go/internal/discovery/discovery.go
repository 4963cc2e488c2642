// Package discovery finds the names of nodes where they are written down: in files, inventories,
// PuppetDB and what other programs say. Asking the network itself is in package client.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/filter"
)

// A Query says which nodes to look for.
type Query struct {
	Filter     filter.Filter
	Collective string
	Timeout    time.Duration

	// Federations are the federated sites that the nodes are asked at; none without a federation.
	Federations []string

	// Options are the settings of the method, --do KEY=VALUE on the command line.
	Options map[string]string
}

// An Env is what methods may need of the program they run in.
type Env struct {
	// Setting returns the value of a configuration key.
	Setting func(key string) (value string, ok bool)

	// Stdin is what the file name - stands for; nil when there is nothing to read.
	Stdin io.Reader

	// PuppetDB tells where PuppetDB is; nil when nothing is known of one.
	PuppetDB func(context.Context) PuppetDB

	// Environ returns the environment variables of programs, as NAME=value; nil: those of this process.
	Environ func() []string

	// Warn gets what programs complain about, line by line; nil drops it.
	Warn func(text string)
}

// setting returns the value of a key, empty when there is none.
func (e *Env) setting(key string) string {
	if e.Setting == nil {
		return ""
	}
	value, _ := e.Setting(key)
	return value
}

// A Method is one way to find nodes.
type Method struct {
	Name    string
	Aliases []string
	Options []string // names of the options it takes; nil: any

	// Find returns the names found, in the order of the source.
	Find func(ctx context.Context, env *Env, q Query) ([]string, error)
}

// Methods returns all methods. Adding one is a file and a line here.
func Methods() []Method {
	return []Method{
		flatfile,
		inventory,
		external,
		puppetDB,
		pqlQuery,
		shell,
		terraform,
		groups,
	}
}

// Lookup returns the method that is called name.
func Lookup(name string) (Method, bool) {
	for _, m := range Methods() {
		if m.Name == name || slices.Contains(m.Aliases, name) {
			return m, true
		}
	}
	return Method{}, false
}

// Run runs m and checks its options and the names it found; no name is returned twice.
func (m Method) Run(ctx context.Context, env *Env, q Query) ([]string, error) {
	for name := range q.Options {
		if m.Options != nil && !slices.Contains(m.Options, name) {
			return nil, fmt.Errorf("discovery method %s: unknown option %q, want one of %s", m.Name, name, strings.Join(m.Options, ", "))
		}
	}
	names, err := m.Find(ctx, env, q)
	if err != nil {
		return nil, fmt.Errorf("discovery method %s: %w", m.Name, err)
	}
	seen := make(map[string]bool, len(names))
	out := make([]string, 0, len(names))
	for _, name := range names {
		if !ValidName(name) {
			return nil, fmt.Errorf("discovery method %s: %q is no host name", m.Name, name)
		}
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out, nil
}

// ValidName reports whether name can be the identity of a node: letters, digits, dots, dashes and
// underscores, without an empty part, since requests to it go to a subject that ends in it.
func ValidName(name string) bool {
	if name == "" || len(name) > 255 {
		return false
	}
	last := byte('.')
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && last != '.':
		default:
			return false
		}
		last = c
	}
	return last != '.'
}

// ListsOnly reports whether a method reads what somebody has written and cannot be replaced by asking the network, even
// for filters that it has to refuse.
func ListsOnly(method string) bool {
	return slices.Contains([]string{"flatfile", "file", "inventory", "pql", "shell", "terraform", "yaml"}, method)
}

// Literals returns the identities of f when it holds nothing else that decides who matches: then the
// names are known without looking. The agent is not looked at, since every request adds it.
func Literals(f filter.Filter) (names []string, ok bool) {
	if len(f.Identity) == 0 || len(f.Class)+len(f.Fact)+len(f.Compound) > 0 {
		return nil, false
	}
	for _, id := range f.Identity {
		if !ValidName(id) {
			return nil, false
		}
	}
	return f.Identity, true
}

// errIdentityOnly is why a list of names refuses other filters.
var errIdentityOnly = errors.New("a list of names knows nothing but names: only identity filters can be applied")

// identities keeps the names that the identity filters of f match.
func identities(names []string, f filter.Filter) ([]string, error) {
	if len(f.Class)+len(f.Fact)+len(f.Compound) > 0 {
		return nil, errIdentityOnly
	}
	if len(f.Identity) == 0 {
		return names, nil
	}
	only := filter.Filter{Identity: f.Identity}
	var kept []string
	for _, name := range names {
		ok, err := only.Match(&filter.Node{Identity: name})
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, name)
		}
	}
	return kept, nil
}
