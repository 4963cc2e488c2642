package node

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// A Signer signs what a node publishes in its own name.
type Signer interface {
	protocol.Signer
	Caller() string // caller id of what it signs
}

// A Registration is what a program that embeds a node says about itself from time to time.
type Registration struct {
	Name string // for the log

	// Subject is where it goes. Empty means the agent registration of registration_collective.
	Subject string

	// Interval is the time between publications. Zero means registerinterval.
	Interval time.Duration

	// Collect returns the body to publish, nil for nothing this time. It is called from one goroutine and
	// should be quick.
	Collect func() ([]byte, error)
}

// blackHole is where nobody listens: registration wants no replies. Source: protocol section 14.
const blackHole = "dev.null"

// leastTTL is the least that a request of protocol 1 may have.
const leastTTL = 30 * time.Second

// retry is how long a registration that is due waits for a connection.
const retry = 10 * time.Second

// A registrar publishes one kind of what a node says about itself, on a clock of its own.
// Source: protocol section 14.
type registrar struct {
	n      *Node
	plugin string
	target string // subject; empty: the agent registration

	// collect returns the body to publish, how many bytes of content are in it before compression,
	// and what to call when it was published. A nil body: there is nothing to say.
	collect func() (body []byte, size int, published func(), err error)

	interval time.Duration
	trigger  int // bytes: a change of this size is published before it is due; 0: none

	last time.Time // of publication
	size int       // of what was published last
	said string    // what was last said to be wrong
}

// newRegistrars returns the registration plugins that are configured.
func (n *Node) newRegistrars(own []Registration) ([]*registrar, error) {
	plugins := n.cfg.Registration
	if n.cfg.RegisterInterval <= 0 {
		plugins = nil
	}
	if len(plugins)+len(own) == 0 {
		return nil, nil
	}
	if n.signer == nil {
		return nil, errors.New("node: registration is configured, and there is nothing to sign it with")
	}
	var all []*registrar
	for _, o := range own {
		r := &registrar{n: n, plugin: o.Name, target: o.Subject, interval: o.Interval}
		if r.interval == 0 {
			r.interval = n.cfg.RegisterInterval
		}
		if o.Collect == nil || r.interval <= 0 {
			return nil, fmt.Errorf("node: registration %q: want a function and an interval", o.Name)
		}
		r.collect = func() ([]byte, int, func(), error) {
			body, err := o.Collect()
			return body, len(body), func() {}, err
		}
		all = append(all, r)
	}
	for _, plugin := range plugins {
		r := &registrar{n: n, plugin: plugin, interval: n.cfg.RegisterInterval, trigger: n.cfg.RegistrationTrigger}
		switch plugin {
		case "file_content":
			if n.cfg.RegistrationFile == "" {
				return nil, errors.New("registration = file_content: plugin.choria.registration.file_content.data is not set")
			}
			r.target = n.cfg.RegistrationFileTarget
			r.collect = (&fileContent{path: n.cfg.RegistrationFile, compress: n.cfg.RegistrationFileGzip}).collect
		case "inventory_content":
			r.target = n.cfg.InventoryTarget
			r.collect = n.inventoryContent
		default:
			return nil, fmt.Errorf("registration: there is no plugin %q", plugin)
		}
		all = append(all, r)
	}
	n.trySigning()
	return all, nil
}

// trySigning says when a node starts that nothing will come of its registrations, and not some minutes
// later. It is no error: all else works, and the next certificate may be one that signs.
func (n *Node) trySigning() {
	_, _, err := n.signer.Sign([]byte("registration"))
	if err == nil {
		return
	}
	attributes := []any{"err", err}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		attributes = append(attributes, "hint", h.Hint())
	}
	n.log.Error("registration is configured, and nothing can be published", attributes...)
}

// register starts the registration plugins.
func (n *Node) register(s *scheduler) {
	for _, r := range n.registrars {
		s.next(firstRegistration(r.interval, n.cfg.RegistrationSplay), r.run)
	}
}

// firstRegistration returns how long the first publication waits: some seconds, in which a node that
// starts comes to rest, and with splay a share of the interval, so that a fleet that was restarted
// together does not publish together.
func firstRegistration(interval time.Duration, splay bool) time.Duration {
	wait := time.Second + rand.N(3*time.Second)
	if splay {
		wait += rand.N(interval)
	}
	return wait
}

// slack is how early a publication may be, since clocks are read more than once.
const slack = 50 * time.Millisecond

// run publishes when it is time, and returns how long until it wants to be called again.
func (r *registrar) run() time.Duration {
	now := r.n.now()
	due := r.last.IsZero() || now.Sub(r.last) > r.interval-slack
	if r.n.conn.Server() == "" { // what is old when it arrives is of no use
		return min(retry, r.interval)
	}
	err := r.publish(now, due)
	switch {
	case err == nil:
		r.said = ""
	case err.Error() != r.said: // once, not in each interval
		r.said = err.Error()
		r.n.log.Warn("registration was not published", "plugin", r.plugin, "err", err)
	}
	if due {
		r.last = now // also when it failed: the next attempt is in an interval
	}
	next := r.interval - now.Sub(r.last)
	if r.trigger > 0 {
		next = min(next, r.n.cfg.RegistrationPoll)
	}
	return max(next, slack)
}

// publish publishes what there is, if it is due or its size has changed enough.
func (r *registrar) publish(now time.Time, due bool) error {
	body, size, published, err := r.collect()
	if err != nil || body == nil {
		return err
	}
	change := max(size-r.size, r.size-size)
	if !due && (r.trigger == 0 || change < r.trigger) {
		return nil
	}
	if err := r.n.registration(r.target, body); err != nil {
		return err
	}
	r.n.log.Debug("registration published", "plugin", r.plugin, "bytes", len(body))
	r.size, r.last = size, now
	published()
	return nil
}

// registration publishes body as a request that nobody is to answer.
func (n *Node) registration(target string, body []byte) error {
	collective := n.cfg.RegistrationCollective
	if collective == "" {
		collective = n.cfg.MainCollective
	}
	if target == "" {
		target = transport.BroadcastSubject(collective, "registration")
	}
	data, err := protocol.SealRequest(&protocol.Request{
		Version: protocol.V1, ID: protocol.NewID(), Sender: n.identity, Caller: n.signer.Caller(),
		Collective: collective, Agent: "registration", Time: n.now(), TTL: max(n.cfg.TTL, leastTTL),
		Filter: filter.Filter{}, Body: body,
	}, n.signer)
	if err != nil {
		return err
	}
	server := n.conn.Server()
	t := &protocol.Transport{
		Version: protocol.V1, ReplyTo: blackHole, Sender: n.identity,
		Hops: []protocol.Hop{{server, n.identity, server}}, Data: data,
	}
	payload, err := t.Encode()
	if err != nil {
		return err
	}
	return n.conn.Publish(target, payload)
}

// A content is what a registration carries, plain or compressed.
type content struct {
	Content  any    `json:"content,omitempty"`
	ZContent []byte `json:"zcontent,omitempty"`
}

// squeeze compresses data.
func squeeze(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// inventoryOf is all about a node. Source: protocol section 14, inventory_content.
type inventoryOf struct {
	Agents      []listedAgent   `json:"agents"`
	Classes     []string        `json:"classes"`
	Facts       json.RawMessage `json:"facts"`
	Status      status          `json:"status"`
	Collectives []string        `json:"collectives"`
	Build       buildInfo       `json:"build_info"`
	Machines    []any           `json:"machines"`
}

type listedAgent struct {
	License     string `json:"license"`
	Author      string `json:"author"`
	Timeout     int    `json:"timeout"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Provider    string `json:"provider,omitempty"`
	Service     bool   `json:"service,omitempty"`
}

type buildInfo struct {
	Version string `json:"version"`
	SHA     string `json:"sha"`
}

// inventoryContent returns the body of the plugin inventory_content.
func (n *Node) inventoryContent() (body []byte, size int, published func(), err error) {
	have := n.roster.Load()
	inventory := inventoryOf{
		Agents: make([]listedAgent, 0, len(have.names)), Classes: list(n.classes()), Facts: n.facts(), Status: n.status(),
		Collectives: n.cfg.Collectives, Build: buildInfo{build.Version, build.Commit}, Machines: []any{},
	}
	for _, name := range have.names {
		m := have.services[name].ddl.Metadata
		inventory.Agents = append(inventory.Agents, listedAgent{
			m.License, m.Author, m.Timeout, m.Name, m.Version, m.URL, m.Description, m.Provider, m.Service,
		})
	}
	data, err := json.Marshal(inventory)
	if err != nil {
		return nil, 0, nil, err
	}
	c := content{Content: json.RawMessage(data)}
	if n.cfg.InventoryGzip {
		c.Content = nil
		if c.ZContent, err = squeeze(data); err != nil {
			return nil, 0, nil, err
		}
	}
	body, err = json.Marshal(struct {
		Protocol string `json:"protocol"`
		content
	}{"choria:registration:inventorycontent:1", c})
	return body, len(data), func() {}, err
}
