package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

func TestDiscover(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, ok, names(5)...)
	c := open(t, site)

	progress := 0
	start := time.Now()
	got, err := c.Discover(t.Context(), client.Discovery{Progress: func(n int) { progress = n }})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, names(5)) {
		t.Errorf("discovered %v; want %v", got, names(5))
	}
	if progress != 5 {
		t.Errorf("progress ended at %d; want 5", progress)
	}
	if took := time.Since(start); took >= limit {
		t.Errorf("took %v, the whole discovery timeout, though all had answered", took)
	}

	const fixed = 600 * time.Millisecond
	start = time.Now()
	got, err = c.Discover(t.Context(), client.Discovery{Timeout: fixed, Fixed: true})
	if err != nil || len(got) != 5 {
		t.Errorf("fixed: discovered %v, %v; want five", got, err)
	}
	if took := time.Since(start); took < fixed {
		t.Errorf("fixed: took %v; want all of %v", took, fixed)
	}
}

func TestDiscoverFixedByConfiguration(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, ok, names(1)...)
	c := open(t, site, "discovery_timeout = 1", "plugin.choria.discovery.broadcast.windowed_timeout = 0")
	start := time.Now()
	if got, err := c.Discover(t.Context(), client.Discovery{}); err != nil || len(got) != 1 {
		t.Errorf("discovered %v, %v; want one", got, err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("took %v; want the whole second", took)
	}
}

func TestDiscoverWithoutNetwork(t *testing.T) {
	site := labtest.NewSite(t)
	site.URL = "nats://" + closedPort(t)
	c := open(t, site)
	d := client.Discovery{Filter: filter.Filter{Identity: []string{"b", "a", "b"}, Agent: []string{"rpcutil"}}}
	got, err := c.Discover(t.Context(), d)
	if err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("identities alone: %v, %v; want [a b]", got, err)
	}

	list := filepath.Join(t.TempDir(), "nodes.txt")
	if err := os.WriteFile(list, []byte("b\na\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = c.Discover(t.Context(), client.Discovery{Method: "flatfile", Options: map[string]string{"file": list}})
	if err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("flatfile: %v, %v; want [a b]", got, err)
	}

	var unknown *client.UnknownMethodError
	if _, err := c.Discover(t.Context(), client.Discovery{Method: "magic"}); !errors.As(err, &unknown) {
		t.Errorf("method magic: %v; want an UnknownMethodError", err)
	}
	var collective *client.UnknownCollectiveError
	_, err = c.Discover(t.Context(), client.Discovery{Method: "flatfile", Collective: "theirs", Options: map[string]string{"file": list}})
	if !errors.As(err, &collective) {
		t.Errorf("collective theirs: %v; want an UnknownCollectiveError", err)
	}
}

func TestPing(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, ok, names(3)...)
	c := open(t, site)
	var got []string
	for p, err := range c.Ping(t.Context(), client.Discovery{}, 3) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Took <= 0 {
			t.Errorf("%s answered after %v", p.Sender, p.Took)
		}
		got = append(got, p.Sender)
	}
	slices.Sort(got)
	if !slices.Equal(got, names(3)) {
		t.Errorf("pongs of %v; want %v", got, names(3))
	}
	for _, err := range c.Ping(t.Context(), client.Discovery{}, 0) { // leaving early must not hang
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}

// start sends a request of rpcutil#ping and returns all replies.
func start(t *testing.T, c *client.Client, r client.Request) ([]client.Reply, *client.Run) {
	t.Helper()
	r.Agent, r.Action = "rpcutil", "ping"
	run, err := c.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(run.Replies()), run
}

func TestRequest(t *testing.T) {
	site := labtest.TLSBroker(t)
	nodes := newNodes(t, site, func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
		switch node {
		case "n1.example.net": // a reply to something else, then twice the same
			f.reply(node, tr, &protocol.Request{ID: protocol.NewID(), Agent: r.Agent}, rpcBody(0, "OK", nil))
			_ = f.conn.Publish(tr.ReplyTo, []byte("no transport"))
			ok(f, node, tr, r)
			ok(f, node, tr, r)
		case "n2.example.net":
			f.reply(node, tr, r, rpcBody(1, "not today", map[string]any{}))
		case "n3.example.net":
			f.reply("stranger.example.net", tr, r, rpcBody(0, "OK", nil))
			f.reply(node, tr, r, "[]")
		}
	}, names(3)...)
	c := open(t, site)
	replies, run := start(t, c, client.Request{Nodes: append(names(3), "n1.example.net")})
	if err := run.Err(); err != nil {
		t.Error(err)
	}
	s := run.Stats()
	if s.Discovered != 3 || s.Responses != 3 || s.OK != 1 || s.Failed != 2 || len(s.NoResponse) != 0 {
		t.Errorf("statistics %+v; want 3 asked, 3 answered, 1 ok, 2 failed", s)
	}
	if !slices.Equal(s.Unexpected, []string{"stranger.example.net"}) {
		t.Errorf("unexpected %v; want the stranger", s.Unexpected)
	}
	if s.RequestID != run.ID() || len(s.RequestID) != 32 {
		t.Errorf("request id %q and %q", s.RequestID, run.ID())
	}
	got := map[string]string{}
	for _, r := range replies {
		got[r.Sender] += fmt.Sprintf("%d %s %s", r.Status, r.Message, r.Data)
	}
	want := map[string]string{
		"n1.example.net": `0 OK {"node":"n1.example.net"}`,
		"n2.example.net": `1 not today {}`,
	}
	for node, text := range want {
		if got[node] != text {
			t.Errorf("%s replied %q; want %q", node, got[node], text)
		}
	}
	if !strings.HasPrefix(got["n3.example.net"], "5 the node's reply is no RPC reply") {
		t.Errorf("n3 replied %q; want unknown error", got["n3.example.net"])
	}
	if len(nodes.payloads) != 3 || string(nodes.payloads[0]) != string(nodes.payloads[1]) || string(nodes.payloads[1]) != string(nodes.payloads[2]) {
		t.Errorf("%d payloads, not three times the same bytes", len(nodes.payloads))
	}
	r := nodes.requests()[0]
	if r.Caller != c.Caller() || r.Sender != "workstation.example.net" || r.Agent != "rpcutil" || r.Collective != "mcollective" {
		t.Errorf("request %+v", r)
	}
	if !slices.Equal(r.Filter.Agent, []string{"rpcutil"}) {
		t.Errorf("filter %+v; want the agent", r.Filter)
	}
}

func TestRequestCountsWhatIsNotForIt(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
		if node == "n1.example.net" { // all of it before the answer that ends the request
			_ = f.conn.Publish(tr.ReplyTo, []byte("no transport"))
			f.reply(node, tr, &protocol.Request{ID: protocol.NewID(), Agent: r.Agent}, rpcBody(0, "OK", nil))
			f.reply("bad name*", tr, r, rpcBody(0, "OK", nil))
			ok(f, node, tr, r)
			ok(f, node, tr, r)
			ok(f, "n2.example.net", tr, r)
		}
	}, names(2)...)
	_, run := start(t, open(t, site), client.Request{Nodes: names(2)})
	if s := run.Stats(); s.Ignored != 3 || s.Duplicates != 1 || s.Responses != 2 {
		t.Errorf("statistics %+v; want 3 ignored, 1 duplicate, 2 responses", s)
	}
}

func TestAbsentNodesAreReportedAtOnce(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, ok, names(2)...)
	c := open(t, site)
	begin := time.Now()
	_, run := start(t, c, client.Request{Nodes: []string{"gone2", "n1.example.net", "gone1", "n2.example.net"}, Timeout: limit})
	if took := time.Since(begin); took >= limit {
		t.Errorf("took %v, the whole timeout", took)
	}
	s := run.Stats()
	want := []string{"gone1", "gone2"}
	if s.Responses != 2 || !slices.Equal(s.NoResponse, want) || !slices.Equal(s.Absent, want) || run.Err() != nil {
		t.Errorf("statistics %+v, %v; want two responses and %v absent", s, run.Err(), want)
	}
}

// A node that dies when it has the request is not waited for, nor are those that lived longer missed.
func TestNodeThatDies(t *testing.T) {
	site := labtest.TLSBroker(t)
	died := make(chan struct{})
	newNodes(t, site, func(f *fakeNodes, _ string, _ *protocol.Transport, _ *protocol.Request) {
		go func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // at once
			_ = f.conn.Close(ctx)
			close(died)
		}()
	}, "doomed.example.net")
	newNodes(t, site, func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
		go func() {
			<-died
			ok(f, node, tr, r)
		}()
	}, names(2)...)
	_, run := start(t, open(t, site), client.Request{Nodes: append(names(2), "doomed.example.net"), Timeout: 10 * limit})
	s := run.Stats()
	want := []string{"doomed.example.net"}
	if s.Responses != 2 || !slices.Equal(s.NoResponse, want) || !slices.Equal(s.Absent, want) || run.Err() != nil {
		t.Errorf("statistics %+v, %v; want two responses and %v absent", s, run.Err(), want)
	}
}

func TestSilentNodes(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
		if node != "n2.example.net" {
			ok(f, node, tr, r)
		}
	}, names(3)...)
	const timeout = 500 * time.Millisecond
	begin := time.Now()
	_, run := start(t, open(t, site), client.Request{Nodes: names(3), Timeout: timeout})
	if took := time.Since(begin); took < timeout {
		t.Errorf("gave up after %v; want %v", took, timeout)
	}
	if s := run.Stats(); s.Responses != 2 || !slices.Equal(s.NoResponse, []string{"n2.example.net"}) || s.Absent != nil {
		t.Errorf("statistics %+v; want n2 silent", s)
	}
}

func TestBroadcast(t *testing.T) {
	site := labtest.TLSBroker(t)
	nodes := newNodes(t, site, ok, names(2)...)
	nodes.subscribe("mcollective.broadcast.agent.rpcutil", func(tr *protocol.Transport, r *protocol.Request) {
		for _, name := range names(2) {
			ok(nodes, name, tr, r)
			ok(nodes, name, tr, r)
		}
	})
	f := filter.Filter{Class: []string{"web"}}
	c := open(t, site)
	patiently(t, func(timeout time.Duration) error {
		replies, run := start(t, c, client.Request{Filter: f, Timeout: timeout})
		if s := run.Stats(); len(replies) != 2 || s.Responses != 2 || s.Duplicates != 2 || s.Discovered != 0 {
			return fmt.Errorf("%d replies, statistics %+v; want 2 replies and 2 duplicates", len(replies), s)
		}
		return nil
	})
	if r := nodes.requests()[0]; !slices.Equal(r.Filter.Class, []string{"web"}) || !slices.Equal(r.Filter.Agent, []string{"rpcutil"}) {
		t.Errorf("filter %+v; want class web and agent rpcutil", r.Filter)
	}
}

func TestBatches(t *testing.T) {
	site := labtest.TLSBroker(t)
	release := make(chan struct{})
	nodes := newNodes(t, site, func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
		if node == "n2.example.net" { // holds up its batch
			go func() { <-release; ok(f, node, tr, r) }()
			return
		}
		ok(f, node, tr, r)
	}, names(5)...)
	var announced []string
	run, err := open(t, site).Start(t.Context(), client.Request{
		Agent: "rpcutil", Action: "ping", Nodes: names(5), BatchSize: 2, BatchSleep: time.Millisecond, TTL: time.Minute, Timeout: limit,
		OnBatch: func(batch, batches, nodes int) {
			announced = append(announced, fmt.Sprintf("%d/%d:%d", batch, batches, nodes))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for reply := range run.Replies() {
		n++
		if n == 1 {
			if reply.Sender != "n1.example.net" {
				t.Errorf("first reply from %s; want n1", reply.Sender)
			}
			if asked := len(nodes.requests()); asked > 2 {
				t.Errorf("%d nodes asked while the first batch is unfinished", asked)
			}
			close(release)
		}
	}
	if want := []string{"1/3:2", "2/3:2", "3/3:1"}; !slices.Equal(announced, want) {
		t.Errorf("batches %v; want %v", announced, want)
	}
	if n != 5 {
		t.Errorf("%d replies; want 5", n)
	}
	ids := map[string]bool{}
	for _, r := range nodes.requests() {
		ids[r.ID] = true
		if r.TTL < 3*time.Minute {
			t.Errorf("ttl %v is too short for three batches", r.TTL)
		}
	}
	if len(ids) != 1 {
		t.Errorf("%d request ids; want one for all batches", len(ids))
	}
}

func TestReplyTo(t *testing.T) {
	site := labtest.TLSBroker(t)
	nodes := newNodes(t, site, ok, names(2)...)
	got := make(chan string, 2)
	if _, err := nodes.conn.Subscribe("custom.place", "", 0, func(m transport.Msg) {
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		got <- tr.Sender
	}); err != nil {
		t.Fatal(err)
	}
	if err := nodes.conn.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	replies, run := start(t, open(t, site), client.Request{Nodes: names(2), ReplyTo: "custom.place"})
	if len(replies) != 0 || run.Err() != nil {
		t.Errorf("%d replies, %v; want none", len(replies), run.Err())
	}
	var senders []string
	for range 2 {
		select {
		case name := <-got:
			senders = append(senders, name)
		case <-time.After(limit):
			t.Fatalf("replies at the custom subject from %v only", senders)
		}
	}
	slices.Sort(senders)
	if !slices.Equal(senders, names(2)) {
		t.Errorf("replies at the custom subject from %v", senders)
	}
}

func TestRequestRefuses(t *testing.T) {
	site := labtest.NewSite(t)
	site.URL = "nats://" + closedPort(t)
	c := open(t, site)
	tests := []struct {
		r   client.Request
		err string
	}{
		{client.Request{}, "request: want an agent and an action"},
		{client.Request{Agent: "rpcutil", Action: "ping", Nodes: []string{}}, `request to agent "rpcutil": no nodes discovered`},
		{client.Request{Agent: "rpcutil", Action: "ping", Nodes: []string{"n1", "*"}}, `request to agent "rpcutil": "*" is no host name`},
		{client.Request{Agent: "rpcutil", Action: "ping", Nodes: []string{"a.>"}}, `request to agent "rpcutil": "a.>" is no host name`},
		{client.Request{Agent: "rpcutil", Action: "ping", Nodes: []string{"n1"}, Collective: "theirs"}, `collective "theirs": not one of the collectives of this client`},
	}
	for _, tt := range tests {
		_, err := c.Start(t.Context(), tt.r)
		if err == nil || err.Error() != tt.err {
			t.Errorf("%+v: %v; want %s", tt.r, err, tt.err)
		}
	}
	if _, err := c.Start(t.Context(), client.Request{Agent: "no_such", Action: "ping", Nodes: []string{"n1"}}); err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("unknown agent: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	site := labtest.NewSite(t)
	address := closedPort(t)
	site.URL = "nats://" + address
	c, err := client.Open(t.Context(), client.Options{Config: configFile(t, site), ConnectTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Discover(t.Context(), client.Discovery{})
	var unreachable *client.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v; want an UnreachableError that names %s", err, address)
	}
}

const serviceDDL = `{"metadata":{"name":"registry","description":"d","author":"a","license":"l","version":"1.0.0","url":"u","timeout":2,"service":true},
"actions":[{"action":"ping","description":"d","display":"always","input":{},"output":{}}]}`

func TestService(t *testing.T) {
	site := labtest.TLSBroker(t)
	agents := filepath.Join(site.Dir, "lib", "choria", "agent")
	if err := os.MkdirAll(agents, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(agents, "registry.json"), []byte(serviceDDL), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, site, "libdir = "+filepath.Join(site.Dir, "lib"))
	ask := func(r client.Request) ([]client.Reply, error) {
		r.Agent, r.Action, r.Timeout = "registry", "ping", limit
		run, err := c.Start(t.Context(), r)
		if err != nil {
			return nil, err
		}
		return slices.Collect(run.Replies()), run.Err()
	}
	begin := time.Now()
	if replies, err := ask(client.Request{}); len(replies) != 0 || err != nil {
		t.Errorf("nobody serves: %v, %v; want nothing", replies, err)
	}
	nodes := newNodes(t, site, ok)
	nodes.subscribe("mcollective.broadcast.service.registry", func(tr *protocol.Transport, r *protocol.Request) {
		if !r.Filter.Empty() {
			t.Errorf("filter %+v; a service matches none", r.Filter)
		}
		ok(nodes, "n1.example.net", tr, r)
	})
	if err := nodes.conn.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if replies, err := ask(client.Request{}); len(replies) != 1 || err != nil {
		t.Errorf("one serves: %v, %v; want one reply", replies, err)
	}
	if took := time.Since(begin); took >= limit {
		t.Errorf("took %v, a whole timeout", took)
	}
	if _, err := ask(client.Request{Filter: filter.Filter{Class: []string{"x"}}}); err == nil {
		t.Error("a filter for a service: no error")
	}
}

func TestCancel(t *testing.T) {
	site := labtest.TLSBroker(t)
	newNodes(t, site, func(*fakeNodes, string, *protocol.Transport, *protocol.Request) {}, names(1)...)
	ctx, cancel := context.WithCancel(t.Context())
	run, err := open(t, site).Start(ctx, client.Request{Agent: "rpcutil", Action: "ping", Nodes: names(1), Timeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for r := range run.Replies() {
		t.Errorf("reply from %s", r.Sender)
	}
	if !errors.Is(run.Err(), context.Canceled) {
		t.Errorf("error %v; want that of the context", run.Err())
	}
}

// TestBrokerDies holds that a request goes on when the broker comes back, and ends when it does not.
func TestBrokerDies(t *testing.T) {
	for _, comesBack := range []bool{true, false} {
		t.Run(fmt.Sprintf("comes back %v", comesBack), func(t *testing.T) {
			site := labtest.NewSite(t)
			id := site.Identity(t, "broker.example.net", security.ForBroker)
			cfg := labtest.BrokerConfig(t, "identity", "broker.example.net")
			b, stop := labtest.StartBroker(t, cfg, broker.Options{Security: id})
			site.URL = b.URL()

			asked := make(chan func(), 1)
			nodes := newNodes(t, site, func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
				if node == "n1.example.net" {
					ok(f, node, tr, r)
					return
				}
				asked <- func() { ok(f, node, tr, r) }
			}, names(2)...)
			timeout := limit
			if !comesBack {
				timeout = 3 * time.Second
			}
			run, err := open(t, site).Start(t.Context(), client.Request{Agent: "rpcutil", Action: "ping", Nodes: names(2), Timeout: timeout})
			if err != nil {
				stop()
				t.Fatal(err)
			}
			replies := 0
			for range run.Replies() {
				replies++
				if replies > 1 {
					continue
				}
				answer := <-asked
				stop()
				if comesBack {
					_, port, err := net.SplitHostPort(strings.TrimPrefix(site.URL, "nats://"))
					if err != nil {
						t.Fatal(err)
					}
					again := labtest.BrokerConfig(t, "identity", "broker.example.net", "plugin.choria.network.client_port", port)
					labtest.RunBroker(t, again, broker.Options{Security: id})
					go answerWhenConnected(t, nodes, answer)
				}
			}
			err = run.Err()
			if comesBack {
				if err != nil || replies != 2 {
					t.Errorf("%d replies, %v; want both", replies, err)
				}
				return
			}
			want := "connection to the broker lost during the request: no answer from n2.example.net"
			if !errors.Is(err, client.ErrConnectionLost) || err.Error() != want {
				t.Errorf("%d replies, %v; want %s", replies, err, want)
			}
		})
	}
}

// answerWhenConnected answers again and again while both sides find the broker again: a reply that
// comes while the client is not connected is lost.
func answerWhenConnected(t *testing.T, nodes *fakeNodes, answer func()) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if nodes.conn.Server() != "" {
				answer()
			}
		case <-t.Context().Done():
			return
		}
	}
}

// closedPort returns an address that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Answers that keep coming for longer than the discovery timeout are all heard: it is the silence that
// ends a discovery.
func TestDiscoverWhileAnswersCome(t *testing.T) {
	site := labtest.TLSBroker(t)
	f := newNodes(t, site, ok)
	const nodes = 20
	var every atomic.Int64 // between two answers, in ns
	f.subscribe("mcollective.broadcast.agent.discovery", func(tr *protocol.Transport, r *protocol.Request) {
		tick := time.NewTicker(time.Duration(every.Load()))
		defer tick.Stop()
		for _, name := range names(nodes) {
			<-tick.C
			f.reply(name, tr, r, "pong")
		}
	})
	if err := f.conn.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := open(t, site)
	patiently(t, func(timeout time.Duration) error {
		every.Store(int64(timeout / 10))
		got, err := c.Discover(t.Context(), client.Discovery{Timeout: timeout})
		if err != nil || len(got) != nodes {
			return fmt.Errorf("discovered %v, %v; want %d nodes", got, err, nodes)
		}
		return nil
	})
}
