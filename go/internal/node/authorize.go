package node

import (
	"context"
	"path/filepath"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/policy"
)

// newAuthorizer returns what decides about requests.
func (n *Node) newAuthorizer(o Options) authorizer {
	if o.Authorize != nil {
		return func(_ *service, r *agent.Request, _ string) policy.Decision {
			return policy.Decision{Allow: o.Authorize(r), Rule: "decided by the program"}
		}
	}
	if !n.cfg.Authorize {
		n.log.Warn("requests are not authorized: rpcauthorization is off", "identity", n.identity)
		return func(*service, *agent.Request, string) policy.Decision {
			return policy.Decision{Allow: true, Rule: "rpcauthorization is off"}
		}
	}
	if provider := n.cfg.AuthorizationProvider; provider != policy.Provider {
		d := policy.Foreign(provider)
		n.log.Error("every request will be denied", "identity", n.identity, "rule", d.Rule,
			"hint", "set rpcauthprovider = "+policy.Provider+" and write action policies")
		return func(*service, *agent.Request, string) policy.Decision { return d }
	}
	p := &policy.Policies{
		Dir:               o.PolicyDir,
		AllowUnconfigured: n.cfg.ActionPolicyAllowsUnconfigured,
		Log:               n.log,
	}
	if file := n.cfg.File(); p.Dir == "" && file != "" {
		p.Dir = filepath.Join(filepath.Dir(file), "policies")
	}
	if n.cfg.ActionPolicyDefault {
		p.Default = n.cfg.ActionPolicyDefaultName
	}
	p.Check(n.names())
	data := func(source, query string, given bool) (map[string]any, error) {
		return n.callData(context.Background(), source, query, given)
	}
	return func(s *service, r *agent.Request, through string) policy.Decision {
		q := &policy.Request{
			Agent: r.Agent, Action: r.Action, Caller: r.Caller, Facts: n.facts, Classes: n.classes, Data: data,
		}
		if through != "" {
			q.Through, q.Known = through, s.ddl.ActionNames()
		}
		return p.Decide(q)
	}
}

// authorize reports whether r may run, and leaves a trace of it in log and audit. named is the agent
// that the body names: a policy for one agent must not decide about another one. through is the action
// that asks when r is about what an input of it names.
func (n *Node) authorize(s *service, r *agent.Request, named, through string) bool {
	d := policy.Decision{Rule: "the body names another agent"}
	if named == r.Agent {
		d = n.allow(s, r, through)
	}
	if !d.Allow {
		n.log.Warn("request denied", "request", r.ID, "caller", r.Caller, "agent", r.Agent, "action", r.Action, "rule", d.Rule)
	}
	if n.audit != nil {
		denied := ""
		if !d.Allow {
			denied = d.Rule
		}
		if err := n.audit.Record(r, s.masked(r), denied); err != nil {
			n.log.Error("audit record not written", "request", r.ID, "caller", r.Caller, "agent", r.Agent, "action", r.Action, "err", err)
		}
	}
	return d.Allow
}
