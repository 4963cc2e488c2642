package nodes

import (
	"context"
	"errors"
	"slices"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
)

// newNetwork is the source that asks the network, or whatever the discovery method asks.
func newNetwork(p *props.Props) source {
	return search(newDiscovery(p, p.Text("discovery_method", "mc")))
}

// listed are the discovery methods that read what somebody has written, where no agents need to be listed.
var listed = []string{"inventory", "flatfile", "file", "external"}

// newDiscovery reads what to look for.
func newDiscovery(p *props.Props, method string) client.Discovery {
	d := client.Discovery{
		Method:      method,
		Collective:  p.Text("collective", ""),
		Federations: p.List("federations"),
		Timeout:     p.Seconds("discovery_timeout", 0*time.Second),
		Options:     p.StringMap("discovery_options"),
		Filter: filter.Filter{
			Agent:    p.List("agents"),
			Class:    p.List("classes"),
			Identity: p.List("identities"),
		},
	}
	if !p.Has("agents") && !slices.Contains(listed, method) {
		d.Filter.Agent = []string{"rpcutil"}
	}
	for _, text := range p.List("facts") {
		fact, err := filter.ParseFact(text)
		if err != nil {
			p.Refuse("facts", "%s", err)
		}
		d.Filter.Fact = append(d.Filter.Fact, fact)
	}
	if compound := p.Text("compound", ""); compound != "" {
		d.Filter.Compound = []filter.Compound{{Expr: compound}}
		if !slices.Contains(listed, method) {
			d.Method = "mc" // only nodes can evaluate it
		}
	}
	return d
}

// search is the source that asks the client.
func search(d client.Discovery) source {
	return func(ctx context.Context, env *task.Env) ([]string, error) {
		if env.Network == nil {
			return nil, errors.New("there is no network")
		}
		return env.Network.Discover(ctx, d)
	}
}
