package nodes

import (
	"context"
	"fmt"
	"strings"

	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
)

// newShell is the source that runs a program, which prints the name of one node a line.
func newShell(p *props.Props) source {
	script := p.Required("script")
	if words, err := discovery.SplitWords(script); err != nil {
		p.Refuse("script", "%s", err)
	} else if len(words) == 0 {
		p.Refuse("script", "is required")
	}
	return read("shell", limited(p, map[string]string{"script": script}))
}

// newTerraform is the source that is an output of a Terraform state, a list of names.
func newTerraform(p *props.Props) source {
	options := map[string]string{"statefile": p.Path("statefile"), "output": p.Required("output"), "terraform": p.Text("terraform", "")}
	if strings.HasPrefix(options["output"], "-") {
		p.Refuse("output", "%q is no name of an output", options["output"])
	}
	return read("terraform", limited(p, options))
}

// newYAML is the source that reads a file of groups of nodes.
func newYAML(p *props.Props) source {
	return read("yaml", map[string]string{"source": p.Path("source"), "group": p.Required("group")})
}

// limited adds how long a program may take.
func limited(p *props.Props, options map[string]string) map[string]string {
	if p.Has("timeout") {
		p.Seconds("timeout", 0)
		value, _ := p.Get("timeout")
		options["timeout"] = fmt.Sprint(value)
	}
	return options
}

// read is the source that is a discovery method which needs no network: it runs here, so that the order of its names is
// kept, and with the environment of the playbook.
func read(method string, options map[string]string) source {
	return func(ctx context.Context, env *task.Env) ([]string, error) {
		m, ok := discovery.Lookup(method)
		if !ok {
			return nil, fmt.Errorf("there is no discovery method %q", method)
		}
		return m.Run(ctx, &discovery.Env{
			Environ: env.Environ,
			Warn:    func(text string) { env.Log.Warning("%s", text) },
		}, discovery.Query{Options: options})
	}
}
