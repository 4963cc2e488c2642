package discovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
)

// groups reads a file of groups of nodes: a YAML mapping from the names of groups to lists of names. Options: source, the
// file; group.
var groups = Method{
	Name:    "yaml",
	Options: []string{"source", "group"},
	Find:    findInGroups,
}

func findInGroups(_ context.Context, env *Env, q Query) ([]string, error) {
	path, group := q.Options["source"], q.Options["group"]
	if path == "" || group == "" {
		return nil, errors.New("want the options source=PATH and group=NAME")
	}
	data, err := readList(env, path)
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := yaml.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("file %s: want groups of nodes: %s", path, yaml.FormatError(err, false, false))
	}
	value, ok := all[group]
	if !ok {
		return nil, fmt.Errorf("file %s has no group %q", path, group)
	}
	items, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("file %s: group %q is no list", path, group)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("file %s: group %q is empty", path, group)
	}
	names := make([]string, len(items))
	for i, item := range items {
		if names[i], ok = item.(string); !ok || names[i] == "" {
			return nil, fmt.Errorf("file %s: group %q: %v is no name of a node", path, group, item)
		}
	}
	return identities(names, q.Filter)
}
