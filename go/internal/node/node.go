// Package node answers requests: it verifies, filters, authorizes, audits and runs them.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/policy"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// A Conn is the part of a *transport.Conn that a node needs.
type Conn interface {
	Publish(subject string, data []byte) error
	Subscribe(subject, queue string, pending int, f func(transport.Msg)) (*transport.Sub, error)
	Server() string
	Stats() transport.Stats
}

// Options say what a node is. Config, Conn and Verifier are required.
type Options struct {
	// Config is not changed while the node runs. Nodes may share one that differs in nothing.
	Config *config.Config

	// Conn is connected before Run and closed by the caller after it.
	Conn Conn

	// Verifier decides which requests are genuine, usually a *security.Identity.
	Verifier protocol.Verifier

	// Signer signs registration. It is required where that is configured.
	Signer Signer

	// Agents are those beside discovery, rpcutil and choria_util, which every node has. One with
	// plugin.NAME.activate_agent = false in the configuration is left out.
	Agents []*agent.Agent

	// Registrations are published beside those that are configured. They need a Signer.
	Registrations []Registration

	// Data are data plugins beside agent, choria and config_item, which every node has.
	Data []*agent.DataPlugin

	// Facts and Classes, when set, replace the files of plugin.yaml and classesfile. They may be
	// called concurrently and should be quick.
	Facts   func() json.RawMessage // one JSON object
	Classes func() []string

	// Authorize, when set, decides about requests in place of the configured provider.
	Authorize func(*agent.Request) bool

	// PolicyDir is the directory of action policies. Empty means policies beside the configuration
	// file, and none when there is no such file.
	PolicyDir string

	// Ready, when set, is called once by Run when the node answers.
	Ready func()

	// Stopping, when set, is called once by Run when it takes no more requests, before those in progress
	// have ended.
	Stopping func()

	// Component is the name of this program in lifecycle events. Empty means server.
	Component string

	// Expires is when the certificate of this node expires, for the status file. Zero: unknown.
	Expires time.Time

	// Server describes the connection to the broker, for choria_util.
	Server transport.Options

	// Now is the clock that requests are held against. Nil means time.Now.
	Now func() time.Time

	Log     *slog.Logger      // nil discards
	Metrics *metrics.Registry // nil: not shown
}

// A Node is one node of a network. Make it with New, then call Run.
type Node struct {
	cfg       *config.Config
	conn      Conn
	server    transport.Options
	verifier  protocol.Verifier
	signer    Signer
	component string
	ready     func()
	stopping  func() // may be nil
	expires   time.Time
	now       func() time.Time
	log       *slog.Logger

	identity string
	started  time.Time
	roster   atomic.Pointer[roster]
	own      map[string]*service // the agents that the node was made with; not changed after New
	facts    func() json.RawMessage
	classes  func() []string
	filter   atomic.Pointer[filter.Node]
	data     atomic.Pointer[dataRoster]
	replays  *protocol.Replay
	stats    counters
	audit    *Audit // nil: off
	allow    authorizer

	registrars  []*registrar
	lastMessage atomic.Int64 // Unix seconds of the last request dispatched
	lastTrace   atomic.Int64 // Unix seconds of the last traced request that was told to be dropped
	filtering   queue        // requests whose filters may take long to match
	work        work

	// changing is held while agents come and go, and while the node starts and stops. It is held
	// over calls to the connection, which do not wait for anything.
	changing sync.Mutex
	handle   func(transport.Msg)         // what a subscription calls; nil before start and after stop
	subs     map[string][]*transport.Sub // by agent; those of the node itself are under ""

	foreignData map[string]bool // data plugins that InstallData has added; under changing
}

// New makes a node. Nothing is sent or received before Run.
func New(o Options) (*Node, error) {
	switch {
	case o.Config == nil || o.Conn == nil || o.Verifier == nil:
		return nil, errors.New("node: configuration, connection and verifier are required")
	case o.Config.Identity == "":
		return nil, errors.New("node: the identity is empty")
	case len(o.Config.Collectives) == 0:
		return nil, errors.New("node: no collectives are configured")
	}
	n := &Node{
		cfg:       o.Config,
		conn:      o.Conn,
		server:    o.Server,
		verifier:  o.Verifier,
		signer:    o.Signer,
		component: o.Component,
		ready:     o.Ready,
		stopping:  o.Stopping,
		expires:   o.Expires,
		now:       o.Now,
		log:       o.Log,
		identity:  o.Config.Identity,
		facts:     o.Facts,
		classes:   o.Classes,
		stats:     newCounters(o.Metrics, o.Config.Identity),
		replays:   &protocol.Replay{},
	}
	if n.component == "" {
		n.component = lifecycle.Server
	}
	if _, err := lifecycle.Encode(lifecycle.New(lifecycle.Startup, n.identity, n.component)); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if n.now == nil {
		n.now = time.Now
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.facts == nil {
		n.facts = (&factFiles{paths: o.Config.FactFiles, log: n.log}).read
	}
	if n.classes == nil {
		n.classes = (&classFile{path: o.Config.ClassesFile, log: n.log}).read
	}
	n.started = time.Now()
	if err := n.load(o); err != nil {
		return nil, err
	}
	if err := n.loadData(o.Data); err != nil {
		return nil, err
	}
	n.allow = n.newAuthorizer(o)
	var err error
	if n.registrars, err = n.newRegistrars(o.Registrations); err != nil {
		return nil, err
	}
	if o.Config.Audit {
		audit, err := openAudit(o.Config, n.log)
		if err != nil {
			return nil, err
		}
		n.audit = audit
	}
	return n, nil
}

// load makes the services: the agents of every node, and those in o that are not switched off.
func (n *Node) load(o Options) error {
	n.own = make(map[string]*service, len(o.Agents)+3)
	discovery := ddl.BuiltinAgent("discovery")
	n.own["discovery"] = &service{name: "discovery", ddl: discovery, timeout: discovery.Timeout(), raw: discover}
	for _, a := range []*agent.Agent{
		{DDL: ddl.BuiltinAgent("rpcutil"), Actions: n.rpcutil()},
		{DDL: ddl.BuiltinAgent("choria_util"), Actions: n.choriaUtil()},
	} {
		if err := n.add(a); err != nil {
			return err
		}
	}
	for _, a := range o.Agents {
		if err := n.add(a); err != nil {
			return err
		}
	}
	n.setRoster(n.own)
	return nil
}

// add makes the service of an agent unless the configuration switches it off.
func (n *Node) add(a *agent.Agent) error {
	if a == nil || a.DDL == nil || a.DDL.Metadata.Name == "" {
		return errors.New("node: an agent without a description")
	}
	name := a.DDL.Metadata.Name
	if n.own[name] != nil {
		return fmt.Errorf("node: two agents are called %s", name)
	}
	active, err := n.activated(name)
	if err != nil {
		return err
	}
	if !active {
		n.log.Info("agent is switched off", "agent", name)
		return nil
	}
	n.own[name] = newService(a)
	return nil
}

// activated reports whether the configuration lets an agent be.
func (n *Node) activated(name string) (bool, error) {
	key := "plugin." + name + ".activate_agent"
	text, _, ok := n.cfg.Raw(key)
	if !ok {
		return true, nil
	}
	active, err := config.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("node: %s: %w", key, err)
	}
	return active, nil
}

// Identity returns the name of the node on the network.
func (n *Node) Identity() string { return n.identity }

// Reopen opens the audit file anew, after it was renamed by a log rotation.
func (n *Node) Reopen() error {
	if n.audit == nil {
		return nil
	}
	return n.audit.Reopen()
}

// An authorizer decides whether a request may run. through is empty, or the action that runs what the
// request names in place of an action.
type authorizer func(s *service, r *agent.Request, through string) policy.Decision

// Run answers requests until ctx ends. Then it takes no more, lets those in progress finish for as
// long as soft_shutdown_timeout says, and announces that it goes.
func (n *Node) Run(ctx context.Context) error { return Run(ctx, n) }
