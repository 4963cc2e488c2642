package task

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/playbook/assert"
	"choria.io/choria/go/internal/playbook/props"
)

// A request task asks an action of an agent on nodes.
type request struct {
	description   string
	agent, action string
	nodes         []string
	inputs        map[string]any

	facts      []filter.Fact
	collective string
	discovery  time.Duration
	timeout    time.Duration
	ttl        time.Duration
	batch      props.Share
	batchSleep time.Duration

	silent      bool
	summarize   bool
	assert      *assert.Expr
	replies     *client.ReplyFilter
	retryFailed bool
	threshold   props.Share

	good   []Result // of earlier tries, with retryFailed
	warned bool     // of secrets that nodes write down
}

func newRequest(env *Env, p *props.Props) attempter {
	r := &request{
		description: p.Text("description", "mcollective task"),
		nodes:       p.Strings("nodes"),
		inputs:      p.Map("properties"),
		collective:  p.Text("collective", ""),
		discovery:   p.Seconds("discovery_timeout", 0),
		timeout:     p.Seconds("timeout", 0),
		ttl:         p.Seconds("ttl", 0),
		silent:      p.Bool("silent", false),
		retryFailed: p.Bool("retry_failed", false),
		threshold:   p.Share("fail_threshold", props.Share{}),
	}
	r.batch = p.Share("batch_size", configured(env, "default_batch_size"))
	sleep := configured(env, "default_batch_sleep_time")
	if sleep.N == 0 {
		sleep.N = 1
	}
	r.batchSleep = p.Seconds("batch_sleep_time", time.Duration(sleep.N)*time.Second)
	if len(r.nodes) == 0 {
		p.Refuse("nodes", "no nodes were given")
	}
	action := p.Required("action")
	var ok bool
	if r.agent, r.action, ok = strings.Cut(action, "."); action != "" && (!ok || r.agent == "" || r.action == "") {
		p.Refuse("action", "want agent.action, got %q", action)
	}
	for _, post := range p.Strings("post") {
		if post != "summarize" {
			p.Refuse("post", "only summarize is known, got %q", post)
		}
		r.summarize = true
	}
	for _, text := range p.List("fact_filter") {
		fact, err := filter.ParseFact(text)
		if err != nil {
			p.Refuse("fact_filter", "%s", err)
		}
		r.facts = append(r.facts, fact)
	}
	if text := p.Text("assert", ""); text != "" {
		var err error
		if r.assert, err = assert.Parse(text); err != nil {
			p.Refuse("assert", "%s", err)
		}
	}
	if text := p.Text("reply_filter", ""); text != "" {
		var err error
		if r.replies, err = client.ParseReplyFilter(text); err != nil {
			p.Refuse("reply_filter", "%s", err)
		}
	}
	return r
}

// configured returns a number of the client configuration, zero when it is not set.
func configured(env *Env, key string) props.Share {
	if env.Network == nil {
		return props.Share{}
	}
	text, _ := env.Network.Setting(key)
	text, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return props.Share{}
	}
	return props.Share{N: n, Percent: percent}
}

// name is agent#action, as logs and messages have it.
func (r *request) name() string { return r.agent + "#" + r.action }

func (r *request) details() map[string]any {
	return map[string]any{"agent": r.agent, "action": r.action}
}

// attempt sends the request once and waits for all replies.
func (r *request) attempt(ctx context.Context, env *Env) attempt {
	inputs, action, err := r.prepare(env)
	if err != nil {
		return r.impossible(err)
	}
	r.warn(env, action)
	nodes, err := r.matching(ctx, env)
	if err != nil {
		return r.impossible(err)
	}
	if len(nodes) == 0 {
		return r.impossible(fmt.Errorf("none of the nodes match the fact filter"))
	}
	env.Log.Notice("Starting request for %s against %s", r.name(), plural(len(nodes), "node"))
	gauge := env.watch(Progress{Name: r.name(), Nodes: len(nodes)})
	defer gauge.stop()
	run, err := env.Network.Start(ctx, client.Request{
		Agent: r.agent, Action: r.action, Data: inputs,
		Nodes: nodes, Filter: filter.Filter{Fact: r.facts}, Collective: r.collective,
		Timeout: r.timeout, TTL: r.ttl,
		BatchSize: r.batch.Up(len(nodes)), BatchSleep: r.batchSleep,
		OnBatch: func(batch, batches, nodes int) {
			gauge.batch(batch, batches)
			if batches > 1 {
				env.Log.Notice("Batch %d of %d: %s", batch, batches, plural(nodes, "node"))
			}
		},
	})
	if err != nil {
		return r.impossible(err)
	}
	t := tally{request: r, id: run.ID(), nodes: nodes}
	if r.summarize {
		t.aggregate = action.Aggregator()
	}
	for reply := range run.Replies() {
		t.add(env.Log, reply)
		gauge.reply(reply.Status != agent.OK)
	}
	gauge.stop() // before anything is said about the outcome
	if err := run.Err(); err != nil {
		a := r.impossible(err)
		a.request, a.results = t.id, t.results
		return a
	}
	return t.judge(env.Log, run.Stats())
}

// impossible is the attempt of a request that could not be made.
func (r *request) impossible(err error) attempt {
	message := fmt.Sprintf("%s: %s", r.name(), err)
	return attempt{message: message, failure: &Failure{Msg: message, Kind: KindRequest, Details: r.details()}}
}

// prepare makes typed and complete inputs of those the plan gave.
func (r *request) prepare(env *Env) (map[string]any, *ddl.Action, error) {
	if env.Network == nil {
		return nil, nil, fmt.Errorf("there is no network")
	}
	agent, err := env.Network.DDL(r.agent)
	if err != nil {
		return nil, nil, err
	}
	action := agent.Action(r.action)
	if action == nil {
		return nil, nil, fmt.Errorf("agent %s has no action %q", r.agent, r.action)
	}
	inputs := make(map[string]any, len(r.inputs))
	for name, value := range r.inputs {
		if value != nil { // undef is the same as not given
			inputs[name] = typed(action.Input[name], value)
		}
	}
	complete, err := agent.Complete(r.action, inputs)
	return complete, action, err
}

// warn says which secrets nodes write down: their audit leaves out only what the description of the agent calls sensitive.
func (r *request) warn(env *Env, action *ddl.Action) {
	if r.warned {
		return
	}
	r.warned = true
	for _, name := range slices.Sorted(maps.Keys(r.inputs)) {
		input := action.Input[name]
		text, err := json.Marshal(r.inputs[name])
		if err == nil && env.secret(string(text)) && (input == nil || !input.Sensitive) {
			env.Log.Warning("Input %q of %s has a secret in it, and nodes write it into their audit: the description of the agent does not call it sensitive", name, r.name())
		}
	}
}

// typed turns text into what the input wants, when it can be: plans read much of what they pass on from
// stores that hold text alone.
func typed(input *ddl.Input, value any) any {
	text, ok := value.(string)
	if !ok || input == nil {
		return value
	}
	switch input.Type {
	case "integer", "number", "float":
		if json.Valid([]byte(text)) && strings.Trim(text, "+-.eE0123456789") == "" {
			return json.Number(text)
		}
	case "boolean":
		if b, err := strconv.ParseBool(strings.ToLower(text)); err == nil && len(text) > 1 {
			return b
		}
	}
	return value
}

// matching returns the nodes to ask: with a fact filter those that match it, and with retry_failed
// those that are still to be asked.
func (r *request) matching(ctx context.Context, env *Env) ([]string, error) {
	var nodes []string
	asked := map[string]bool{}
	for _, done := range r.good {
		asked[done.Host] = true
	}
	for _, node := range r.nodes {
		if !asked[node] {
			asked[node] = true
			nodes = append(nodes, node)
		}
	}
	if len(r.facts) == 0 {
		return nodes, nil
	}
	found, err := env.Network.Discover(ctx, client.Discovery{
		Filter: filter.Filter{Fact: r.facts}, Collective: r.collective, Timeout: r.discovery, Method: "mc",
	})
	if err != nil {
		return nil, fmt.Errorf("fact filter: %w", err)
	}
	slices.Sort(found)
	match := slices.DeleteFunc(slices.Clone(nodes), func(node string) bool {
		_, ok := slices.BinarySearch(found, node)
		return !ok
	})
	env.Log.Notice("%d of %s match the fact filter", len(match), plural(len(nodes), "node"))
	return match, nil
}
