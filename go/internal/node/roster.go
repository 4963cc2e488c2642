package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/transport"
)

// A roster is the agents that a node has at one time. It is never changed; another takes its place.
type roster struct {
	services map[string]*service
	names    []string // of services, sorted
}

// fixed are the agents that every node has and nothing takes the place of.
var fixed = []string{"choria_util", "discovery", "rpcutil"}

// names returns the names of the agents that the node has, sorted. It must not be changed.
func (n *Node) names() []string { return n.roster.Load().names }

// service returns the agent of that name, nil when the node has none.
func (n *Node) service(name string) *service { return n.roster.Load().services[name] }

// Builtin reports whether the node was made with an agent of that name.
func (n *Node) Builtin(name string) bool { return n.own[name] != nil }

// Facts returns the facts of the node, one JSON object.
func (n *Node) Facts() json.RawMessage { return n.facts() }

// setRoster makes these the agents of the node.
func (n *Node) setRoster(services map[string]*service) {
	n.roster.Store(&roster{services, slices.Sorted(maps.Keys(services))})
}

// Install adds an agent while the node runs, or before. It takes the place of one of the same name
// until it is uninstalled; requests that are in progress are not disturbed. An agent with
// plugin.NAME.activate_agent = false in the configuration is refused, and so is one that becomes a
// service, or no longer is one, by taking the place of another.
func (n *Node) Install(a *agent.Agent) error {
	if a == nil || a.DDL == nil || a.DDL.Metadata.Name == "" {
		return errors.New("node: an agent without a description")
	}
	name := a.DDL.Metadata.Name
	if slices.Contains(fixed, name) {
		return fmt.Errorf("agent %s: every node has its own, which nothing may take the place of", name)
	}
	active, err := n.activated(name)
	switch {
	case err != nil:
		return err
	case !active:
		return fmt.Errorf("agent %s: %w", name, ErrInactive)
	}

	n.changing.Lock()
	defer n.changing.Unlock()
	services := maps.Clone(n.roster.Load().services)
	s := newService(a)
	if old := services[name]; old != nil {
		if old.ddl.Metadata.Service != a.DDL.Metadata.Service {
			return fmt.Errorf("agent %s: whether it is a service may not change while the node runs", name)
		}
	} else if err := n.listen(s); err != nil {
		return err
	}
	services[name] = s
	n.setRoster(services)
	return nil
}

// ErrInactive says that the configuration switches an agent off.
var ErrInactive = errors.New("switched off by the configuration")

// Uninstall removes an agent that Install has added. One that it took the place of is back.
func (n *Node) Uninstall(name string) {
	n.changing.Lock()
	defer n.changing.Unlock()
	services := maps.Clone(n.roster.Load().services)
	if own := n.own[name]; own != nil {
		services[name] = own
	} else {
		delete(services, name)
		n.deafen(name)
	}
	n.setRoster(services)
}

// listen subscribes to the requests for an agent when the node has been started.
func (n *Node) listen(s *service) error {
	if n.handle == nil {
		return nil
	}
	for _, collective := range n.cfg.Collectives {
		subject, queue := transport.BroadcastSubject(collective, s.name), ""
		if s.ddl.Metadata.Service {
			subject, queue = transport.ServiceSubject(collective, s.name), s.name
		}
		if err := n.subscribe(s.name, subject, queue); err != nil {
			n.deafen(s.name)
			return err
		}
	}
	return nil
}

// subscribe adds a subscription to those kept under key.
func (n *Node) subscribe(key, subject, queue string) error {
	sub, err := n.conn.Subscribe(subject, queue, pending, n.handle)
	if err != nil {
		return err
	}
	n.subs[key] = append(n.subs[key], sub)
	return nil
}

// deafen ends the subscriptions that are kept under key.
func (n *Node) deafen(key string) {
	for _, sub := range n.subs[key] {
		if err := sub.Unsubscribe(); err != nil {
			n.log.Debug("unsubscribe", "err", err)
		}
	}
	delete(n.subs, key)
}
