package nodes

import (
	"context"

	"choria.io/choria/go/internal/playbook/extension"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
)

// newExtension returns the source of a module: a program of it says which nodes there are.
func newExtension(modulepath []string, name string) func(*props.Props) source {
	return func(p *props.Props) source {
		timeout := p.Seconds("timeout", extension.Timeout)
		x := extension.New(p, modulepath, extension.Source, name)
		x.Timeout = timeout
		return func(ctx context.Context, env *task.Env) ([]string, error) {
			x.Environ, x.Warn = env.Environ, func(text string) { env.Log.Warning("%s", text) }
			var answer struct {
				Nodes []string `json:"nodes"`
			}
			if err := x.Run(ctx, map[string]any{}, &answer); err != nil {
				return nil, err
			}
			return hosts(answer.Nodes)
		}
	}
}
