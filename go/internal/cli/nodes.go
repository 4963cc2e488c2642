package cli

import (
	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
)

// findNodes discovers the nodes that flags describe and that have an agent. The filter is what the
// request to them should repeat, so that nodes that have changed in the meantime stay out.
func (e *env) findNodes(cl *client.Client, flags *discoveryFlags, agent string) ([]string, filter.Filter, error) {
	d, err := flags.discovery(agent)
	if err != nil {
		return nil, filter.Filter{}, err
	}
	if err := e.chain(&d, flags.given()); err != nil {
		return nil, filter.Filter{}, err
	}
	nodes, err := cl.Discover(e.ctx, d)
	if err != nil {
		return nil, filter.Filter{}, err
	}
	if len(nodes) == 0 {
		return nil, filter.Filter{}, noNodes(d)
	}
	if cl.Method(d) != client.Broadcast {
		return nodes, filter.Filter{}, nil
	}
	return nodes, d.Filter, nil
}
