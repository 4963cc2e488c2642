package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/federation"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// federated opens a client whose federation is at site.
func federated(t testing.TB, site *labtest.Site, names string, lines ...string) *client.Client {
	t.Helper()
	return open(t, site, append([]string{
		"plugin.choria.federation.collectives = " + names,
		"plugin.choria.federation_middleware_hosts = " + strings.TrimPrefix(site.URL, "nats://"),
		"plugin.choria.middleware_hosts = 127.0.0.1:1", // never asked
	}, lines...)...)
}

// join runs a federation broker of a site until the test ends.
func join(t testing.TB, name string, clients, nodes *labtest.Site) {
	t.Helper()
	side := func(s *labtest.Site) federation.Side {
		id := s.Identity(t, "fed-"+name+".example.net", security.ForServer)
		return federation.Side{Options: transport.Options{Servers: []string{s.URL}, TLS: id.ClientTLS(), ConnectTimeout: 30 * time.Second}}
	}
	ready := make(chan struct{})
	b := &federation.Broker{Site: name, Identity: "fed-" + name + ".example.net", Workers: 2,
		Federation: side(clients), Collective: side(nodes), Ready: func() { close(ready) }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(limit):
		t.Fatal("the federation broker is not ready")
	}
}

// Two sites with brokers of their own are one network for the client.
func TestFederation(t *testing.T) {
	clients, london, paris := labtest.TLSBroker(t), labtest.TLSBroker(t), labtest.TLSBroker(t)
	join(t, "london", clients, london)
	join(t, "paris", clients, paris)
	all := names(5)
	inLondon := newNodes(t, london, ok, all[:3]...)
	inParis := newNodes(t, paris, ok, all[3:]...)
	c := federated(t, clients, "london, paris, london")
	if got := c.Federations(); !slices.Equal(got, []string{"london", "paris"}) {
		t.Errorf("federations %v", got)
	}

	got, err := c.Discover(t.Context(), client.Discovery{})
	if err != nil || !slices.Equal(got, all) {
		t.Errorf("discovered %v, %v; want %v", got, err, all)
	}
	got, err = c.Discover(t.Context(), client.Discovery{Federations: []string{"paris"}})
	if err != nil || !slices.Equal(got, all[3:]) {
		t.Errorf("discovered %v, %v in paris; want %v", got, err, all[3:])
	}
	replies, run := start(t, c, client.Request{Nodes: all, BatchSize: 2, BatchSleep: time.Millisecond})
	if s := run.Stats(); len(replies) != 5 || run.Err() != nil || s.OK != 5 || len(s.NoResponse) != 0 || s.Duplicates != 0 {
		t.Errorf("%d replies, %v, %+v", len(replies), run.Err(), s)
	}
	if r := inLondon.requests(); r[len(r)-1].ID != run.ID() {
		t.Errorf("last request %s; want %s", r[len(r)-1].ID, run.ID())
	}
	patiently(t, func(timeout time.Duration) error {
		_, run := start(t, c, client.Request{Nodes: all, Federations: []string{"paris"}, Timeout: timeout})
		if s := run.Stats(); s.OK != 2 || !slices.Equal(s.NoResponse, all[:3]) {
			return fmt.Errorf("in paris alone: %+v", s)
		}
		return nil
	})

	// Replies that others wait for.
	conn := inParis.conn
	sink := make(chan transport.Msg, 10)
	north := newNodes(t, clients, ok) // a connection where the clients are
	if _, err := north.conn.Subscribe("my.sink", "", 0, func(m transport.Msg) { sink <- m }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*transport.Conn{conn, north.conn} {
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Start(t.Context(), client.Request{Agent: "rpcutil", Action: "ping", Nodes: all[4:], ReplyTo: "my.sink"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-sink:
	case <-time.After(limit):
		t.Error("no reply to another subject")
	}
}

// A node that is at none of the sites is waited for until the federation brokers of all of them have said so, and no
// longer.
func TestFederatedAbsence(t *testing.T) {
	clients, london, paris := labtest.TLSBroker(t), labtest.TLSBroker(t), labtest.TLSBroker(t)
	join(t, "london", clients, london)
	join(t, "paris", clients, paris)
	all := names(3)
	newNodes(t, london, ok, all[0])
	newNodes(t, paris, ok, all[1])
	c := federated(t, clients, "london, paris")
	replies, run := start(t, c, client.Request{Nodes: all, Timeout: time.Hour})
	s := run.Stats()
	if run.Err() != nil || len(replies) != 2 || !slices.Equal(s.NoResponse, all[2:]) || !slices.Equal(s.Absent, all[2:]) {
		t.Errorf("%d replies, %v, %+v; want %s to be named as absent", len(replies), run.Err(), s, all[2])
	}
}

// TestFederatedMessages holds what a client sends against section 12.1 of the protocol.
func TestFederatedMessages(t *testing.T) {
	site := labtest.TLSBroker(t)
	fake := newNodes(t, site, ok)
	type message struct {
		site string
		tr   *protocol.Transport
	}
	got := make(chan message, 100)
	for _, name := range []string{"london", "paris"} {
		subject, queue := transport.FederationRequests(name)
		if _, err := fake.conn.Subscribe(subject, queue, 100, func(m transport.Msg) {
			tr, err := protocol.DecodeTransport(m.Data)
			if err != nil {
				t.Error(err)
				return
			}
			got <- message{name, tr}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := fake.conn.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := federated(t, site, "london, paris")
	collect := func(n int) map[string][]*protocol.Transport {
		t.Helper()
		all := map[string][]*protocol.Transport{}
		for range n {
			select {
			case m := <-got:
				all[m.site] = append(all[m.site], m.tr)
			case <-time.After(limit):
				t.Fatal("too few messages")
			}
		}
		return all
	}

	nodes := names(450)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run, err := c.Start(ctx, client.Request{Agent: "rpcutil", Action: "ping", Nodes: nodes, Timeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	for name, messages := range collect(6) {
		var targets []string
		sizes := ""
		for _, tr := range messages {
			targets = append(targets, tr.Federation.Targets...)
			sizes += fmt.Sprint(len(tr.Federation.Targets), " ")
			if tr.Federation.RequestID != run.ID() || tr.Federation.ReplyTo != "" || string(tr.Data) != string(messages[0].Data) {
				t.Errorf("%s: header %+v", name, tr.Federation)
			}
			if want := transport.ReplySubject("mcollective", c.Caller(), run.ID()); tr.ReplyTo != want || len(tr.Hops) != 1 {
				t.Errorf("%s: reply to %s, hops %v; want %s and one hop", name, tr.ReplyTo, tr.Hops, want)
			}
		}
		if sizes != "200 200 50 " {
			t.Errorf("%s: messages with %stargets; want 200, 200 and 50", name, sizes)
		}
		for i, node := range nodes {
			if want := "mcollective.node." + node; targets[i] != want {
				t.Fatalf("%s: target %d is %s; want %s", name, i, targets[i], want)
			}
		}
	}
	cancel()

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	if _, err := c.Start(ctx, client.Request{Agent: "rpcutil", Action: "ping", Timeout: limit}); err != nil {
		t.Fatal(err)
	}
	for name, messages := range collect(2) {
		if want := []string{"mcollective.broadcast.agent.rpcutil"}; !slices.Equal(messages[0].Federation.Targets, want) {
			t.Errorf("%s: targets %v; want %v", name, messages[0].Federation.Targets, want)
		}
	}
	go func() { _, _ = c.Discover(ctx, client.Discovery{}) }()
	for name, messages := range collect(2) {
		if want := []string{"mcollective.broadcast.agent.discovery"}; !slices.Equal(messages[0].Federation.Targets, want) {
			t.Errorf("%s: targets %v; want %v", name, messages[0].Federation.Targets, want)
		}
	}
}

// A request that no federation broker takes fails at once; one that some take does not.
func TestFederationWithoutBrokers(t *testing.T) {
	clients, nodes := labtest.TLSBroker(t), labtest.TLSBroker(t)
	c := federated(t, clients, "nowhere, neither")
	var none *client.UnservedError
	if _, err := c.Discover(t.Context(), client.Discovery{}); !errors.As(err, &none) || !strings.Contains(err.Error(), "no federation broker of nowhere, neither is connected") || none.Hint() == "" {
		t.Errorf("Discover: %v", err)
	}
	for _, list := range [][]string{names(2), nil} {
		run, err := c.Start(t.Context(), client.Request{Agent: "rpcutil", Action: "ping", Nodes: list, Timeout: limit})
		if err != nil {
			t.Fatal(err)
		}
		for range run.Replies() {
			t.Error("a reply")
		}
		if !errors.As(run.Err(), &none) {
			t.Errorf("request to %v: %v; want an UnservedError", list, run.Err())
		}
	}

	join(t, "london", clients, nodes)
	newNodes(t, nodes, ok, names(2)...)
	c = federated(t, clients, "nowhere, london")
	replies, run := start(t, c, client.Request{Nodes: names(2)})
	if len(replies) != 2 || run.Err() != nil {
		t.Errorf("%d replies, %v; want 2", len(replies), run.Err())
	}
}

func TestFederationSettings(t *testing.T) {
	site := labtest.TLSBroker(t)
	for value, want := range map[string]string{
		"a.b": `plugin.choria.federation.collectives: "a.b": want names without dots, spaces, * and >`,
		">":   `plugin.choria.federation.collectives: ">": want names without dots, spaces, * and >`,
	} {
		_, err := client.Open(t.Context(), client.Options{Config: configFile(t, site, "plugin.choria.federation.collectives = "+value)})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", value, err, want)
		}
	}
	c := federated(t, site, "london")
	_, err := c.Discover(t.Context(), client.Discovery{Federations: []string{"paris"}})
	if want := `federation "paris": not one of plugin.choria.federation.collectives: london`; err == nil || err.Error() != want {
		t.Errorf("a site that is not configured: %v; want %s", err, want)
	}
	c = open(t, site)
	_, err = c.Start(t.Context(), client.Request{Agent: "rpcutil", Action: "ping", Federations: []string{"paris"}, Filter: filter.Filter{}})
	if err == nil || !strings.Contains(err.Error(), "this client is not federated") {
		t.Errorf("without a federation: %v", err)
	}
}
