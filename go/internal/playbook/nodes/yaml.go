package nodes

import (
	"context"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
)

// newYAML is the source that reads a file of groups of nodes.
func newYAML(p *props.Props) source {
	path, group := p.Path("source"), p.Required("group")
	return func(context.Context, *task.Env) ([]string, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var groups map[string]any
		if err := yaml.Unmarshal(data, &groups); err != nil {
			return nil, fmt.Errorf("file %s: want groups of nodes: %s", path, yaml.FormatError(err, false, false))
		}
		value, ok := groups[group]
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
				return nil, fmt.Errorf("file %s: group %q: %s is no name of a node", path, group, props.Show(item))
			}
		}
		return names, nil
	}
}
