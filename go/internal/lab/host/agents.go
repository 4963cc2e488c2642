package host

import (
	"context"
	"fmt"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// agents returns n agents that have one action each, so that a node has the subscriptions of one that
// has many agents.
func agents(n int) []*agent.Agent {
	var all []*agent.Agent
	for i := range n {
		all = append(all, &agent.Agent{
			DDL: &ddl.Agent{
				Metadata: ddl.Metadata{Name: fmt.Sprintf("lab%d", i+1), Description: "An agent of a lab", Version: "1.0.0", Timeout: 5},
				Actions:  []*ddl.Action{{Name: "nothing", Description: "Does nothing"}},
			},
			Actions: map[string]agent.Action{
				"nothing": func(context.Context, *agent.Request, *agent.Reply) error { return nil },
			},
		})
	}
	return all
}
