// Package tasktest is a network without nodes for the tests of playbooks.
package tasktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/playbook/task"
)

// A Network answers requests with what the test says. Its zero value has no nodes, and all that are
// asked answer well, with no data.
type Network struct {
	// Nodes are what discovery finds.
	Nodes []string

	// Match says whether discovery with a filter finds a node; nil finds all.
	Match func(node string, d client.Discovery) bool

	// Answer is what a node answers; false is silence. Nil answers OK with no data.
	Answer func(node string, r client.Request) (client.Reply, bool)

	// Err is the error of starting a request, Lost the one that ends it.
	Err, Lost error

	// Settings are those of the configuration.
	Settings map[string]string

	mu          sync.Mutex
	requests    []client.Request
	discoveries []client.Discovery
}

// OK is a good reply with data.
func OK(data string) (client.Reply, bool) {
	return client.Reply{Message: "OK", Data: json.RawMessage(data)}, true
}

// Failed is a reply that says that the action failed.
func Failed(message string) (client.Reply, bool) {
	return client.Reply{Status: agent.Aborted, Message: message, Data: json.RawMessage("{}")}, true
}

// Requests returns the requests so far.
func (n *Network) Requests() []client.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.requests)
}

// Discoveries returns the discoveries so far.
func (n *Network) Discoveries() []client.Discovery {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.discoveries)
}

// Discover implements task.Network.
func (n *Network) Discover(_ context.Context, d client.Discovery) ([]string, error) {
	n.mu.Lock()
	n.discoveries = append(n.discoveries, d)
	n.mu.Unlock()
	found := []string{}
	for _, node := range n.Nodes {
		if n.Match == nil || n.Match(node, d) {
			found = append(found, node)
		}
	}
	return found, n.Err
}

// DDL implements task.Network with the built-in agents and a puppet agent.
func (n *Network) DDL(name string) (*ddl.Agent, error) {
	if name == "puppet" {
		return ddl.Parse([]byte(puppet))
	}
	if a := ddl.BuiltinAgent(name); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("agent %q: no description", name)
}

const puppet = `{
  "$schema": "https://choria.io/schemas/mcorpc/ddl/v1/agent.json",
  "metadata": {"name": "puppet", "description": "Puppet", "author": "x", "license": "Apache-2.0", "version": "2.5.0", "url": "https://choria.io", "timeout": 20},
  "actions": [
    {"action": "enable", "description": "x", "display": "failed", "input": {}, "output": {"enabled": {"description": "x", "display_as": "Enabled"}}},
    {"action": "disable", "description": "x", "display": "failed",
     "input": {"message": {"prompt": "x", "description": "x", "type": "string", "optional": true, "validation": "shellsafe", "maxlength": 120}},
     "output": {"enabled": {"description": "x", "display_as": "Enabled"}}},
    {"action": "status", "description": "x", "display": "always", "input": {},
     "output": {"idling": {"description": "x", "display_as": "Idling"}},
     "aggregate": [{"function": "boolean_summary", "args": ["idling", {"true": "idle", "false": "busy"}]}]},
    {"action": "runonce", "description": "x", "display": "failed",
     "input": {"force": {"prompt": "x", "description": "x", "type": "boolean", "optional": true}},
     "output": {"summary": {"description": "x", "display_as": "Summary"}}}
  ]}`

// Setting implements task.Network.
func (n *Network) Setting(key string) (string, bool) {
	value, ok := n.Settings[key]
	return value, ok
}

// Caller implements task.Network.
func (n *Network) Caller() string { return "up=tester" }

// Start implements task.Network.
func (n *Network) Start(ctx context.Context, r client.Request) (task.Request, error) {
	if n.Err != nil {
		return nil, n.Err
	}
	if r.Nodes == nil {
		return nil, errors.New("tasktest: a request without nodes")
	}
	n.mu.Lock()
	n.requests = append(n.requests, r)
	id := strings.Repeat("0", 31) + fmt.Sprint(len(n.requests))
	n.mu.Unlock()
	size := r.BatchSize
	if size <= 0 || size > len(r.Nodes) {
		size = len(r.Nodes)
	}
	batches := (len(r.Nodes) + size - 1) / size
	number := 0
	for batch := range slices.Chunk(r.Nodes, size) {
		number++
		if r.OnBatch != nil {
			r.OnBatch(number, batches, len(batch))
		}
	}
	return &run{n: n, ctx: ctx, r: r, stats: client.Stats{RequestID: id, Discovered: len(r.Nodes), RequestTime: time.Second}}, nil
}

type run struct {
	n     *Network
	ctx   context.Context // of one request, as that of a client
	r     client.Request
	stats client.Stats
}

func (r *run) ID() string { return r.stats.RequestID }

func (r *run) Err() error {
	if r.n.Lost != nil {
		return r.n.Lost
	}
	return r.ctx.Err()
}

func (r *run) Stats() client.Stats { return r.stats }

func (r *run) Replies() iter.Seq[client.Reply] {
	return func(yield func(client.Reply) bool) {
		for _, node := range r.r.Nodes {
			reply, ok := OK("{}")
			if r.n.Answer != nil {
				reply, ok = r.n.Answer(node, r.r)
			}
			if !ok {
				r.stats.NoResponse = append(r.stats.NoResponse, node)
				continue
			}
			reply.Sender, reply.Action, reply.Time = node, r.r.Action, time.Now()
			r.stats.Responses++
			if reply.Status == agent.OK {
				r.stats.OK++
			} else {
				r.stats.Failed++
			}
			if !yield(reply) {
				return
			}
		}
	}
}

// A Log keeps what a task says, as LEVEL: TEXT.
type Log struct {
	mu    sync.Mutex
	lines []string
}

// Lines returns what was said so far.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *Log) say(level, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, level+": "+fmt.Sprintf(format, args...))
}

// Debug implements task.Logger.
func (l *Log) Debug(format string, args ...any) { l.say("debug", format, args...) }

// Notice implements task.Logger.
func (l *Log) Notice(format string, args ...any) { l.say("notice", format, args...) }

// Warning implements task.Logger.
func (l *Log) Warning(format string, args ...any) { l.say("warning", format, args...) }

// Error implements task.Logger.
func (l *Log) Error(format string, args ...any) { l.say("error", format, args...) }
