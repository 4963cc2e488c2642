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
			return answer(ctx, x)
		}
	}
}

// Module asks a source of a module, such as acme::hosts, outside of playbooks. warn gets what its program has to say.
func Module(ctx context.Context, modulepath []string, name string, properties map[string]any, warn func(string)) ([]string, error) {
	p := props.New("the "+name+" source of nodes", properties)
	timeout := p.Seconds("timeout", extension.Timeout)
	x := extension.New(p, modulepath, extension.Source, name)
	x.Timeout, x.Warn = timeout, warn
	if err := p.Err(); err != nil {
		return nil, err
	}
	return answer(ctx, x)
}

// answer has a program say which nodes there are.
func answer(ctx context.Context, x *extension.Program) ([]string, error) {
	var said struct {
		Nodes []string `json:"nodes"`
	}
	if err := x.Run(ctx, map[string]any{}, &said); err != nil {
		return nil, err
	}
	return hosts(said.Nodes)
}
