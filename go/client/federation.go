package client

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// chunk is how many nodes one message to a federation broker names. Source: protocol section 12.1.
const chunk = 200

// keyFederations is the configuration key of the sites of a federation.
const keyFederations = "plugin.choria.federation.collectives"

// Federations returns the federated sites that requests go to, none when the network is not
// federated.
func (c *Client) Federations() []string { return slices.Clone(c.sites) }

// federatedSites returns the sites of a list of names.
func federatedSites(names []string) ([]string, error) {
	var sites []string
	for _, name := range names {
		if !transport.ValidSite(name) {
			return nil, fmt.Errorf("%s: %q: want names without dots, spaces, * and >", keyFederations, name)
		}
		if !slices.Contains(sites, name) {
			sites = append(sites, name)
		}
	}
	return sites, nil
}

// someSites returns which of the sites of the client a request goes to: all of them when only is
// empty.
func (c *Client) someSites(only []string) ([]string, error) {
	if len(only) == 0 {
		return c.sites, nil
	}
	if len(c.sites) == 0 {
		return nil, fmt.Errorf("federations %s: this client is not federated: %s is not set", strings.Join(only, ", "), keyFederations)
	}
	for _, name := range only {
		if !slices.Contains(c.sites, name) {
			return nil, fmt.Errorf("federation %q: not one of %s: %s", name, keyFederations, strings.Join(c.sites, ", "))
		}
	}
	return federatedSites(only)
}

// A sealed is a signed request. It may be sent in any number of messages.
type sealed struct {
	version protocol.Version
	id      string
	reply   string // subject
	data    []byte
}

// A publication is one message for the broker.
type publication struct {
	subject string
	absent  string // where the broker says that nobody listens on subject; empty: it need not
	payload []byte
}

func (p publication) publish(conn *transport.Conn) error {
	if p.absent == "" {
		return conn.Publish(p.subject, p.payload)
	}
	return conn.PublishRequest(p.subject, p.absent, p.payload)
}

// wrap puts s into a message. targets are the subjects that a federation broker is to deliver it to,
// nil without a federation.
func (c *Client) wrap(conn *transport.Conn, s *sealed, targets []string) ([]byte, error) {
	server := conn.Server()
	t := &protocol.Transport{
		Version: s.version,
		ReplyTo: s.reply,
		Sender:  c.cfg.Identity,
		Hops:    []protocol.Hop{{server, c.cfg.Identity, server}},
		Data:    s.data,
	}
	if targets != nil {
		t.Federation = &protocol.Federation{RequestID: s.id, Targets: targets}
	}
	return t.Encode()
}

// A delivery is what messages are to bring a request to.
type delivery struct {
	sites    []string         // of the federation; empty: there is none
	from, to int              // numbers of the targets
	target   func(int) string // subject of a target

	// absent returns where the broker says that nobody listens on target(i), which it can do without
	// a federation. Nil: it need not.
	absent func(i int) string

	// siteAbsent returns where federation brokers of site i say which targets nobody listens on there, and the
	// broker that nobody serves it. Nil: the broker says so below the reply subject.
	siteAbsent func(i int) string
}

// messages yields the messages that deliver s. In a federation each goes to each of the sites, since
// nobody here knows where a node is.
func (c *Client) messages(conn *transport.Conn, s *sealed, d delivery) iter.Seq2[publication, error] {
	if len(d.sites) > 0 {
		return c.federated(conn, s, d)
	}
	return func(yield func(publication, error) bool) {
		payload, err := c.wrap(conn, s, nil)
		if err != nil {
			yield(publication{}, err)
			return
		}
		for i := d.from; i < d.to; i++ {
			p := publication{subject: d.target(i), payload: payload}
			if d.absent != nil {
				p.absent = d.absent(i)
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// federated is messages in a federation.
func (c *Client) federated(conn *transport.Conn, s *sealed, d delivery) iter.Seq2[publication, error] {
	absent := d.siteAbsent
	if absent == nil {
		absent = func(i int) string { return siteAbsence(s.reply, i) }
	}
	return func(yield func(publication, error) bool) {
		for from := d.from; from < d.to; from += chunk {
			var targets []string
			for i := from; i < min(from+chunk, d.to); i++ {
				targets = append(targets, d.target(i))
			}
			payload, err := c.wrap(conn, s, targets)
			if err != nil {
				yield(publication{}, err)
				return
			}
			for i, site := range d.sites {
				subject, _ := transport.FederationRequests(site)
				if !yield(publication{subject, absent(i), payload}, nil) {
					return
				}
			}
		}
	}
}

// siteAbsence is where the broker says that no federation broker serves site i.
func siteAbsence(reply string, i int) string { return absences(reply) + "f" + strconv.Itoa(i) }

// absences is what the subjects begin with on which the broker says that somebody is not connected.
func absences(reply string) string { return transport.AbsenceSubjects(reply) }

// absentSite returns which site subject, which is one of siteAbsence, is about.
func absentSite(subject string, sites int) (i int, ok bool) {
	text, ok := strings.CutPrefix(subject[strings.LastIndexByte(subject, '.')+1:], "f")
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(text)
	return i, err == nil && 0 <= i && i < sites
}

// unserved are the sites that no federation broker serves.
type unserved struct {
	sites   []string
	missing map[int]bool
}

// add notes site i, and returns an error when none is left.
func (u *unserved) add(c *Client, i int) error {
	if u.missing == nil {
		u.missing = map[int]bool{}
	}
	if !u.missing[i] {
		u.missing[i] = true
		if len(u.missing) < len(u.sites) {
			c.log.Warn("no federation broker of a site is connected", "federation", u.sites[i])
		}
	}
	if len(u.missing) < len(u.sites) {
		return nil
	}
	return &UnservedError{u.sites}
}

// An UnservedError means that no federation broker took a request.
type UnservedError struct{ Federations []string }

func (e *UnservedError) Error() string {
	return "no federation broker of " + strings.Join(e.Federations, ", ") + " is connected"
}

// Hint says what a person can do about it.
func (e *UnservedError) Hint() string {
	return "check the names in " + keyFederations + ", and that the federation brokers of these sites run"
}
