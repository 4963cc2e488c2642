package client

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// A rollCall finds out which of the nodes that stay silent are gone: those that died while they ran the
// action, or before. Nobody tells a client, but a broker says at once when nobody listens on the subject of
// a node. So these are sent, once no more replies come, a discovery request with a filter that no node
// matches. Nodes that are still there drop it without a word, as every implementation does; the request
// itself must not be sent twice, since old nodes would run it twice.
//
// A node that has lost its broker is not connected either until it has found another, and may then answer.
// It is taken for gone when it is missed in two rounds that follow each other.
//
// In a federation nobody here knows at which site a node is. The federation brokers of all sites are asked, and it is
// missed when each of them has heard from its brokers that nobody listens. Those that do not tell, older ones, leave
// their nodes to be waited for.
type rollCall struct {
	round   int           // counts from 1
	next    int           // node to go on with
	pause   time.Duration // until all are asked again
	missed  map[int]int   // round in which a node was missed last
	hurried bool          // the next round comes early

	told map[int]map[int]bool // of this round: the sites that a node is not at
}

const (
	// rollQuiet is for how long no reply has come when the first round begins.
	rollQuiet = time.Second

	// rollConfirm is the time between two rounds of which the first has missed somebody. Nodes that lost their
	// broker are usually back within it: they try all others at once, and again after half a second to one and
	// a half. Measured on a starved machine: 1000 nodes within 2.5 s.
	rollConfirm = 5 * time.Second

	// rollLongest is the longest time between two rounds: each doubles it, since a node that has not died for
	// long will probably not die now.
	rollLongest = 15 * time.Second

	// rollMost is how many nodes are asked in a round, so that thousands that take their time are no load.
	rollMost = 2000

	// nobody is the name of no node. Source: RFC 2606 reserves the top level domain.
	nobody = "nobody.choria.invalid"

	// nowhere is where a node would reply to. Source: protocol section 14, as registration has it.
	nowhere = "dev.null"
)

// An absence is the word of the broker that nobody listens on a subject.
type absence struct {
	node  int // number; -1: it is about a federated site that nobody serves
	site  int // number of the federated site that the node is not at, or that nobody serves; -1: there is no federation
	round int // of the roll call; 0: it is about the request
}

// rollAbsence is where the broker says that node i was missed in a round.
func rollAbsence(reply string, round, i int) string {
	return absences(reply) + "r" + strconv.Itoa(round) + "-" + strconv.Itoa(i)
}

// siteRollAbsence is where a federation broker of site i says whom it missed in a round.
func siteRollAbsence(reply string, round, i int) string {
	return transport.FederatedAbsences(reply, round, i)
}

// parseFederatedAbsence reads what a federation broker says about a node.
func (r *Run) parseFederatedAbsence(m transport.Msg) (a absence, ok bool) {
	if a.round, a.site, ok = transport.ParseFederatedAbsences(m.Subject); !ok || a.site >= len(r.unserved.sites) {
		return a, false
	}
	target, ok := transport.ParseAbsence(m.Data)
	if !ok {
		return a, false
	}
	name, ok := strings.CutPrefix(target, transport.NodeSubject(r.req.Collective, ""))
	if !ok {
		return a, false
	}
	node, ok := r.index[name]
	a.node = int(node)
	return a, ok
}

// parseAbsence reads the last part of a subject on which the broker has said that somebody is not connected.
func parseAbsence(subject string, nodes, sites int) (a absence, ok bool) {
	if i, ok := absentSite(subject, sites); ok {
		return absence{site: i, node: -1}, true
	}
	text := subject[strings.LastIndexByte(subject, '.')+1:]
	a.site = -1
	if called, found := strings.CutPrefix(text, "r"); found {
		round, node, _ := strings.Cut(called, "-")
		var err error
		if a.round, err = strconv.Atoi(round); err != nil || a.round < 1 {
			return a, false
		}
		text = node
	}
	var err error
	a.node, err = strconv.Atoi(text)
	return a, err == nil && a.node >= 0 && a.node < nodes
}

// call begins a round and returns how long until the next one.
func (r *Run) call() time.Duration {
	c := &r.roll
	if r.conn.Server() == "" {
		if !r.forlorn {
			r.forlorn = true // told once: the connection itself tells when it is back
			r.client.log.Warn("the broker is gone, waiting for replies as long as the request may take", "request", r.id, "left", time.Until(r.until).Round(time.Second))
		}
		return rollConfirm // who is not connected himself knows nothing about others
	}
	c.round++
	c.hurried = false
	clear(c.told)
	pause := rollConfirm
	var asked []int
	for i := range c.missed {
		if r.state[i] == waiting {
			asked = append(asked, i)
		} else {
			delete(c.missed, i)
		}
	}
	for ; c.next < r.to && len(asked) < rollMost; c.next++ {
		if _, twice := c.missed[c.next]; !twice && r.state[c.next] == waiting {
			asked = append(asked, c.next)
		}
	}
	if c.next == r.to {
		c.next = r.from
		c.pause = min(max(rollConfirm, 2*c.pause), rollLongest)
		pause = c.pause
	}
	if err := r.publishCall(asked); err != nil {
		r.client.log.Debug("roll call not made", "request", r.id, "err", err)
	}
	return pause
}

// publishCall sends nodes what they drop.
func (r *Run) publishCall(nodes []int) error {
	s, err := r.client.seal(&protocol.Request{
		ID:         protocol.NewID(),
		Collective: r.req.Collective,
		Agent:      "discovery",
		TTL:        r.client.cfg.TTL,
		Filter:     filter.Filter{Agent: []string{"discovery"}, Identity: []string{nobody}},
		Body:       []byte("ping"),
	}, nowhere)
	if err != nil {
		return err
	}
	for p, err := range r.client.messages(r.conn, s, delivery{
		sites:      r.unserved.sites,
		to:         len(nodes),
		target:     func(i int) string { return r.subject(nodes[i]) },
		absent:     func(i int) string { return rollAbsence(r.reply, r.roll.round, nodes[i]) },
		siteAbsent: func(i int) string { return siteRollAbsence(r.reply, r.roll.round, i) },
	}) {
		if err == nil {
			err = p.publish(r.conn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// missing notes what the broker says about a node. It returns when the next round should come, zero when
// that stays as it is.
func (r *Run) missing(a absence) (next time.Duration) {
	if a.site >= 0 && !r.roll.nowhere(a, len(r.unserved.sites)) {
		return 0
	}
	switch last := r.roll.missed[a.node]; {
	case a.round > r.roll.round:
		return 0 // nobody has asked
	case a.round == 0 || last != 0 && last == a.round-1:
		r.miss(a.node)
		return 0
	case r.state[a.node] != waiting:
		return 0
	}
	r.roll.missed[a.node] = a.round
	if r.roll.hurried {
		return 0
	}
	r.roll.hurried = true
	return rollConfirm
}

// nowhere notes that a node is not at a site, and reports whether that makes all sites of this round.
func (c *rollCall) nowhere(a absence, sites int) bool {
	if a.round != c.round {
		return false // too late: who has been missed there may be elsewhere by now
	}
	if c.told[a.node] == nil {
		c.told[a.node] = make(map[int]bool, sites)
	}
	c.told[a.node][a.site] = true
	return len(c.told[a.node]) == sites
}

// quiet returns for how long nothing has been heard.
func (r *Run) quiet() time.Duration {
	if len(r.replies) > 0 || r.arrived() {
		return 0
	}
	return time.Since(r.heard)
}

// begin makes the roll call that of a batch.
func (c *rollCall) begin(from int) {
	*c = rollCall{round: c.round, next: from, missed: make(map[int]int), told: make(map[int]map[int]bool)}
}

// arrived reports whether messages have arrived that nobody has looked at.
func (r *Run) arrived() bool {
	return slices.ContainsFunc(r.subs, func(s *transport.Sub) bool { return s.Waiting() > 0 })
}
