package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// A Request is one request to some nodes.
type Request struct {
	Agent  string
	Action string
	Data   any // inputs, marshalled to a JSON object; nil is {}. They are sent as they are: see ddl.Agent.Complete

	// Nodes are addressed directly, with one signature for all. Nil broadcasts to whoever matches
	// Filter and waits the whole time, since nobody knows who will answer; when the description of
	// the agent says that it is a service, one of its nodes is asked.
	Nodes []string

	// Filter is evaluated by the nodes. Those that it does not match stay silent, also when they are
	// in Nodes.
	Filter     filter.Filter
	Collective string // empty: the main one

	// Federations are the federated sites to send to, of those that the client is configured for.
	// Empty means all of them.
	Federations []string

	// Timeout is how long to wait for replies after each batch was sent. Zero means the discovery
	// timeout and the timeout of the agent's description together.
	Timeout time.Duration
	TTL     time.Duration // zero: the configured ttl

	// BatchSize is how many nodes are asked at once. Zero means all. The next batch is sent
	// BatchSleep after the nodes of the one before have answered or their Timeout is over; zero
	// means 1 s. All batches share one request id.
	BatchSize  int
	BatchSleep time.Duration

	// ReplyTo makes the nodes reply to that subject; there are no replies to iterate then. It has no
	// wildcards, and in a federation is one that federation brokers carry replies to.
	ReplyTo string

	// NoReplies sends the request and listens for no replies; there are none to iterate then.
	NoReplies bool

	// OnBatch, when set, is called before each batch is sent, counted from 1.
	OnBatch func(batch, batches, nodes int)
}

const (
	// replyQueue is how many messages may wait for a slow reader. Source: protocol section 9.3.
	replyQueue = 100_000

	// maxTTL is the longest life of a request in batches. Source: protocol section 7.8.
	maxTTL = 5 * time.Hour

	defaultBatchSleep = time.Second
)

// Start sends the request. Replies must be iterated to its end, or ctx cancelled.
func (c *Client) Start(ctx context.Context, r Request) (*Run, error) {
	run, err := c.prepare(r)
	if err != nil {
		return nil, err
	}
	run.conn, err = c.connection(ctx)
	if err != nil {
		return nil, err
	}
	_, run.losses = c.restoration()
	if err := run.encode(); err != nil {
		return nil, err
	}
	run.stats.Start = time.Now()
	if r.ReplyTo != "" || r.NoReplies {
		if err := run.sendAll(ctx); err != nil {
			return nil, err
		}
		return run, nil
	}
	if err := run.listen(ctx); err != nil {
		return nil, err
	}
	run.startBatch(ctx)
	return run, nil
}

// prepare checks r and fills in what it leaves out.
func (c *Client) prepare(r Request) (*Run, error) {
	if r.Agent == "" || r.Action == "" {
		return nil, errors.New("request: want an agent and an action")
	}
	var err error
	if r.Collective, err = c.collective(r.Collective); err != nil {
		return nil, err
	}
	service := false
	if d, err := c.DDL(r.Agent); err == nil {
		service = d.Metadata.Service && r.Nodes == nil
		if r.Timeout == 0 {
			r.Timeout = c.cfg.DiscoveryTimeout + d.Timeout()
		}
	} else if r.Timeout == 0 {
		return nil, err
	}
	if service && !r.Filter.Empty() {
		return nil, fmt.Errorf("request to service agent %q: a service takes no filter, since any of its nodes answers", r.Agent)
	}
	if r.TTL == 0 {
		r.TTL = c.cfg.TTL
	}
	if r.BatchSleep == 0 {
		r.BatchSleep = defaultBatchSleep
	}
	sites, err := c.someSites(r.Federations)
	if err != nil {
		return nil, err
	}
	if err := checkReplyTo(r.ReplyTo, len(sites) > 0); err != nil {
		return nil, err
	}
	run := &Run{client: c, req: r, id: protocol.NewID(), service: service, unserved: unserved{sites: sites}}
	if r.Nodes != nil {
		if err := run.address(r.Nodes); err != nil {
			return nil, err
		}
	}
	if !service && !slices.Contains(r.Filter.Agent, r.Agent) {
		run.req.Filter.Agent = append(slices.Clone(r.Filter.Agent), r.Agent)
	}
	return run, nil
}

// checkReplyTo refuses a subject to which no reply would ever come: nodes and federation brokers publish
// to none of those, and nobody would be told.
func checkReplyTo(subject string, federated bool) error {
	switch {
	case subject == "":
		return nil
	case !transport.ValidSubject(subject):
		return fmt.Errorf("reply subject %.100q: want words between dots, without spaces and wildcards", subject)
	case federated && !transport.CarriesReplies(subject):
		return fmt.Errorf("reply subject %.100q: federation brokers carry no replies to requests, events and subjects of brokers", subject)
	}
	return nil
}

// address sets whom the request goes to.
func (r *Run) address(nodes []string) error {
	if len(nodes) == 0 {
		return fmt.Errorf("request to agent %q: %w", r.req.Agent, ErrNoNodes)
	}
	r.directed = true
	r.index = make(map[string]int32, len(nodes))
	r.nodes = make([]string, 0, len(nodes))
	for _, name := range nodes {
		// A name becomes part of a subject: one with a wildcard would reach every node.
		if !discovery.ValidName(name) {
			return fmt.Errorf("request to agent %q: %q is no host name", r.req.Agent, name)
		}
		if _, twice := r.index[name]; twice {
			continue
		}
		r.index[name] = int32(len(r.nodes))
		r.nodes = append(r.nodes, name)
	}
	r.state = make([]nodeState, len(r.nodes))
	r.stats.Discovered = len(r.nodes)
	if size := r.req.BatchSize; size > 0 && size < len(r.nodes) {
		r.size = size
	} else {
		r.size = len(r.nodes)
	}
	batches := time.Duration(r.batches())
	if batches > 1 {
		// The one signature has to be good for the last batch too.
		discovery := r.client.cfg.DiscoveryTimeout
		r.req.TTL = min(maxTTL, batches*(r.req.TTL+r.req.Timeout+r.req.BatchSleep+discovery))
	}
	return nil
}

// batches returns how many batches there are; a broadcast is one.
func (r *Run) batches() int {
	if !r.directed {
		return 1
	}
	return (len(r.nodes) + r.size - 1) / r.size
}

// encode signs the request, once for all nodes.
func (r *Run) encode() error {
	data := r.req.Data
	if data == nil {
		data = struct{}{}
	}
	inputs, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("request to agent %q: inputs: %w", r.req.Agent, err)
	}
	if inputs[0] != '{' {
		return fmt.Errorf("request to agent %q: inputs: want an object, not %T", r.req.Agent, r.req.Data)
	}
	body, err := json.Marshal(struct {
		Agent  string          `json:"agent"`
		Action string          `json:"action"`
		Data   json.RawMessage `json:"data"`
	}{r.req.Agent, r.req.Action, inputs})
	if err != nil {
		return err
	}
	r.reply = r.req.ReplyTo
	if r.reply == "" {
		r.reply = transport.ReplySubject(r.req.Collective, r.client.caller, r.id)
	}
	r.sealed, err = r.client.seal(&protocol.Request{
		ID:         r.id,
		Collective: r.req.Collective,
		Agent:      r.req.Agent,
		TTL:        r.req.TTL,
		Filter:     r.req.Filter,
		Body:       body,
	}, r.reply)
	return err
}

// sendAll sends all batches without waiting for replies, which go elsewhere.
func (r *Run) sendAll(ctx context.Context) error {
	for batch := range r.batches() {
		if batch > 0 {
			select {
			case <-time.After(r.req.BatchSleep):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		from, to := r.announce(batch)
		if err := r.send(ctx, from, to); err != nil {
			return err
		}
	}
	r.stats.PublishTime = time.Since(r.stats.Start)
	r.stats.RequestTime = r.stats.PublishTime
	return nil
}

// announce tells OnBatch about a batch and returns which nodes are in it.
func (r *Run) announce(batch int) (from, to int) {
	from, to = 0, 1 // a broadcast
	nodes := 0
	if r.directed {
		from = batch * r.size
		to = min(from+r.size, len(r.nodes))
		nodes = to - from
	}
	if r.req.OnBatch != nil {
		r.req.OnBatch(batch+1, r.batches(), nodes)
	}
	return from, to
}

// send publishes the request to the nodes from up to to, or broadcasts it. It returns when the broker
// has all of it. While there is no broker it waits for one, for the request's timeout at most; what
// was handed to a broker before is never sent again.
func (r *Run) send(ctx context.Context, from, to int) error {
	ctx, cancel := context.WithTimeout(ctx, r.req.Timeout)
	defer cancel()
	d := delivery{sites: r.unserved.sites, from: from, to: to, target: r.subject}
	if r.directed || r.service {
		d.absent = r.absence
	}
	for p, err := range r.client.messages(r.conn, r.sealed, d) {
		if err != nil {
			return err
		}
		if r.req.ReplyTo != "" {
			p.absent = "" // nobody listens there
		}
		if err := r.publish(ctx, p); err != nil {
			return err
		}
	}
	err := r.conn.Flush(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrConnectionLost, err) // there may be another one by now
	}
	return err
}

// publish hands one message to the broker.
func (r *Run) publish(ctx context.Context, p publication) error {
	for {
		restored, _ := r.client.restoration()
		err := p.publish(r.conn)
		switch {
		case err == nil, errors.Is(err, transport.ErrTooLarge):
			return err
		case r.conn.Server() != "": // there is another one by now, or nobody has noticed
			return fmt.Errorf("%w: %w", ErrConnectionLost, err)
		}
		select {
		case <-restored:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrConnectionLost, err)
		}
	}
}

// subject is where node i listens, or whoever the request is for.
func (r *Run) subject(i int) string {
	switch {
	case r.service:
		return transport.ServiceSubject(r.req.Collective, r.req.Agent)
	case r.directed:
		return transport.NodeSubject(r.req.Collective, r.nodes[i])
	}
	return transport.BroadcastSubject(r.req.Collective, r.req.Agent)
}

// absence is where the broker says that node i is not connected. The message does not name the node,
// so each has its own subject, below the reply subject since that is what a client may listen to.
// Nodes never use it: they reply to the subject in the transport header.
func (r *Run) absence(i int) string { return absences(r.reply) + strconv.Itoa(i) }
