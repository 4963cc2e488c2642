package nodes

import (
	"fmt"
	"maps"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook/props"
)

// newMethod returns the source that is a discovery method of the client: short for the source mcollective with
// that method. The properties in options are options of the method.
func newMethod(method string, options ...string) func(*props.Props) source {
	return func(p *props.Props) source {
		d := newDiscovery(p, method)
		d.Options = maps.Clone(d.Options)
		for _, name := range options {
			if value, ok := p.Get(name); ok {
				d.Options[name] = fmt.Sprint(value)
			}
		}
		return search(d)
	}
}

// newPQL is the source that asks PuppetDB with a query of the user's own.
func newPQL(p *props.Props) source {
	return search(client.Discovery{
		Method:  "choria",
		Timeout: p.Seconds("discovery_timeout", 0*time.Second),
		Options: map[string]string{"query": p.Required("query")},
	})
}
