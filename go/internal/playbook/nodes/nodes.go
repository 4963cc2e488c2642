// Package nodes finds the nodes that playbooks work on.
//
// A source of nodes is one file and one line in sources.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/playbook/extension"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
)

// sources are the sources of nodes by name.
func sources() map[string]func(*props.Props) source {
	return map[string]func(*props.Props) source{
		"broadcast":   newMethod("mc"),
		"choria":      newMethod("choria"),
		"external":    newMethod("external", "command"),
		"flatfile":    newMethod("flatfile", "file", "format", "filter"),
		"inventory":   newMethod("inventory", "file", "novalidate"),
		"mcollective": newNetwork,
		"pql":         newPQL,
		"shell":       newShell,
		"terraform":   newTerraform,
		"yaml":        newYAML,
	}
}

// A source finds nodes. Its order is kept.
type source func(context.Context, *task.Env) ([]string, error)

// common are the properties that all sources have.
type common struct {
	atLeast   int
	limit     props.Share
	limited   bool
	method    string
	seed      int
	whenEmpty string
	emptyOK   bool
	test      bool
	uses      map[string]string
	sort      bool
	tries     int
	trySleep  time.Duration
}

func newCommon(p *props.Props) *common {
	c := &common{
		atLeast:   p.Int("at_least", 1, 0),
		limited:   p.Has("limit"),
		limit:     p.Share("limit", props.Share{}),
		method:    p.Choice("limit_method", "first", "first", "random"),
		seed:      p.Int("limit_seed", 0, 0),
		whenEmpty: p.Text("when_empty", ""),
		emptyOK:   p.Bool("empty_ok", false),
		test:      p.Bool("test", false),
		uses:      p.StringMap("uses"),
		sort:      p.Bool("sort", false),
		tries:     p.Int("tries", 1, 1),
		trySleep:  p.Seconds("try_sleep", 10*time.Second),
	}
	for agent, versions := range c.uses {
		if _, err := parseRange(versions); err != nil {
			p.Refuse("uses", "agent %s: %s", agent, err)
		}
	}
	return c
}

// Discover finds the nodes of a source.
func Discover(ctx context.Context, env *task.Env, name string, properties map[string]any) ([]string, error) {
	create, ok := sources()[name]
	if !ok && extension.Qualified(name) {
		create, ok = newExtension(env.Modulepath, name), true
	}
	if !ok {
		names := slices.Sorted(maps.Keys(sources()))
		return nil, fmt.Errorf("unknown source of nodes %q: want %s, or one of a module such as acme::hosts", name, strings.Join(names, ", "))
	}
	p := props.New("the "+name+" source of nodes", properties)
	c := newCommon(p)
	find := create(p)
	for _, name := range []string{"command", "script"} {
		if value, ok := properties[name].(string); ok {
			env.RefuseExposed(p, name, value)
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	for _, unknown := range p.Unknown() {
		env.Log.Warning("The %s source of nodes has no property %q: it is ignored", name, unknown)
	}
	for try := 1; ; try++ {
		found, err := c.discover(ctx, env, name, find)
		if err == nil || try == c.tries || ctx.Err() != nil {
			return found, err
		}
		env.Log.Warning("Try %d of %d to find nodes failed, trying again: %s", try, c.tries, err)
		if err := task.Sleep(ctx, c.trySleep); err != nil {
			return nil, err
		}
	}
}

func (c *common) discover(ctx context.Context, env *task.Env, name string, find source) ([]string, error) {
	found, err := find(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("find nodes with source %s: %w", name, err)
	}
	found = unique(found)
	if c.sort {
		slices.Sort(found)
	}
	env.Log.Notice("Found %s with source %s", count(len(found)), name)
	if len(found) == 0 {
		return c.empty(name)
	}
	if found, err = c.some(found); err != nil {
		return nil, err
	}
	if len(found) < c.atLeast && !c.emptyOK {
		return nil, fmt.Errorf("found %s, want at least %d", count(len(found)), c.atLeast)
	}
	if c.test {
		if err := reach(ctx, env, found); err != nil {
			return nil, err
		}
	}
	if len(c.uses) > 0 {
		if err := checkAgents(ctx, env, found, c.uses); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (c *common) empty(name string) ([]string, error) {
	switch {
	case c.emptyOK:
		return []string{}, nil
	case c.whenEmpty != "":
		return nil, errors.New(c.whenEmpty)
	}
	return nil, fmt.Errorf("no nodes found with source %s", name)
}

// some keeps what the limit leaves.
func (c *common) some(found []string) ([]string, error) {
	if !c.limited {
		return found, nil
	}
	n := min(c.limit.Of(len(found)), len(found))
	if c.method == "random" {
		limit := client.Limit{Count: fmt.Sprint(n), Method: c.method, Seed: int64(c.seed)}
		return limit.Of(found)
	}
	if n == 0 && !c.emptyOK {
		return nil, fmt.Errorf("the limit leaves none of %s", count(len(found)))
	}
	return found[:n], nil
}

func unique(names []string) []string {
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		known := seen[name]
		seen[name] = true
		return known
	})
}

func count(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// hosts makes sure that names are such of nodes.
func hosts(names []string) ([]string, error) {
	for _, name := range names {
		if !discovery.ValidName(name) {
			return nil, fmt.Errorf("%q is no host name", name)
		}
	}
	return names, nil
}
