package federation_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/federation"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// echo answers what arrives for node n1, as nodes do.
func echo(t testing.TB, c *transport.Conn) {
	t.Helper()
	if _, err := c.Subscribe("mcollective.node.n1", "", 100_000, func(m transport.Msg) {
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		out := protocol.Transport{Version: tr.Version, Sender: "n1", Hops: tr.Hops, Federation: tr.Federation, Data: tr.Data}
		payload, err := out.Encode()
		if err == nil {
			err = c.Publish(tr.ReplyTo, payload)
		}
		if err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	flush(t, c)
}

// ask publishes request number i; the answer arrives on a subject with the same number.
func ask(t testing.TB, c *transport.Conn, i int) {
	t.Helper()
	headers := fmt.Sprintf(`{"reply-to":"mcollective.reply.me.%d","federation":{"req":"id%d","target":["mcollective.node.n1"]}}`, i, i)
	if err := c.Publish(requests, message(headers)); err != nil {
		t.Fatal(err)
	}
}

// TestSharing has two federation brokers share the requests to one site, and one of them go away in
// the middle: in good order it takes nothing with it.
func TestSharing(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	regs := []*metrics.Registry{metrics.New(), metrics.New()}
	var stops []func()
	for i, reg := range regs {
		stops = append(stops, run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Workers: 4,
			Identity: fmt.Sprintf("fed%d", i), Metrics: reg}))
	}
	echo(t, connect(t, nodes))
	north := connect(t, clients)
	got := listen(t, north, "mcollective.reply.>")

	const n = 2000
	var stopped sync.WaitGroup
	for i := range n {
		ask(t, north, i)
		if i == n/2 {
			flush(t, north)
			stopped.Go(stops[0])
		}
	}
	seen := map[string]int{}
	for range n {
		seen[receive(t, got).Subject]++
	}
	stopped.Wait()
	if len(seen) != n {
		t.Errorf("answers to %d of %d requests", len(seen), n)
	}
	for i, reg := range regs {
		if total(reg, "published_msgs") == 0 {
			t.Errorf("federation broker %d carried nothing", i)
		}
	}
}

// TestLostSide stops the broker of the site under one of two federation brokers. It leaves the
// requests to the other one, shows that it is cut off, and takes part again when the broker is back.
func TestLostSide(t *testing.T) {
	clients, healthy := labtest.Broker(t), labtest.Broker(t)
	port := labtest.Port(t)
	stop := brokerAt(t, port)
	regs := []*metrics.Registry{metrics.New(), metrics.New()}
	run(t, &federation.Broker{Federation: side(clients), Collective: side(healthy), Workers: 3, Identity: "fed0", Metrics: regs[0]})
	cut := "nats://" + net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	run(t, &federation.Broker{Federation: side(clients), Collective: side(cut), Workers: 3, Identity: "fed1", Metrics: regs[1]})
	up := func(want string) func() bool {
		return func() bool {
			return strings.Contains(shown(regs[1]), `choria_federation_connections{cluster="london",connected_to="collective",identity="fed1"} `+want+"\n")
		}
	}
	until(t, "connected", up("6"))

	echo(t, connect(t, healthy))
	north := connect(t, clients)
	got := listen(t, north, "mcollective.reply.>")
	stop()
	until(t, "the loss is shown", up("0"))
	// It leaves the queue group when it has heard of it; then every request gets its answer.
	next := 0
	until(t, "the other carries everything", func() bool {
		first := next
		for range 50 {
			ask(t, north, next)
			next++
		}
		timeout := time.After(100 * time.Millisecond)
		for answers := 0; answers < 50; {
			select {
			case m := <-got:
				var i int
				if _, err := fmt.Sscanf(m.Subject, "mcollective.reply.me.%d", &i); err == nil && i >= first {
					answers++
				}
			case <-timeout:
				return false
			}
		}
		return true
	})

	before := total(regs[1], "published_msgs")
	brokerAt(t, port)
	until(t, "the return is shown", up("6"))
	until(t, "it takes part again", func() bool {
		ask(t, north, next)
		next++
		flush(t, north)
		return total(regs[1], "published_msgs") > before
	})
}

// TestDrain stops a federation broker right behind many requests: what it has got it passes on, and
// the replies that come at once as well.
func TestDrain(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	reg := metrics.New()
	// On a machine that is busy replies come with gaps.
	stop := run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Metrics: reg, Quiet: 3 * time.Second, Linger: patience})
	echo(t, connect(t, nodes))
	north := connect(t, clients)
	got := listen(t, north, "mcollective.reply.>")
	const n = 3000
	for i := range n {
		ask(t, north, i)
	}
	flush(t, north)
	stop()
	for range n {
		receive(t, got)
	}
	if left := len(got); left != 0 {
		t.Errorf("%d answers too many", left)
	}
	if dropped := total(reg, "dropped_msgs"); dropped != 0 {
		t.Errorf("%d messages dropped", dropped)
	}
}

// trace publishes a traced request and returns what stations say about it.
func trace(t testing.TB, c *transport.Conn, got <-chan transport.Msg, target string) *protocol.Trace {
	t.Helper()
	reply := protocol.TracedSubject("mcollective.reply.me.1")
	headers := fmt.Sprintf(`{"reply-to":%q,"federation":{"req":"id","target":[%q]}}`, reply, target)
	if err := c.Publish(requests, message(headers)); err != nil {
		t.Fatal(err)
	}
	for {
		m := receive(t, got)
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if event, err := protocol.DecodeTrace(tr.Data); err == nil {
			return event
		}
	}
}

// TestTrace has a federation broker say what became of traced requests.
func TestTrace(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Workers: 2})
	echo(t, connect(t, nodes))
	north := connect(t, clients)
	got := listen(t, north, "mcollective.reply.>")
	for target, want := range map[string]protocol.Trace{
		"mcollective.node.n1":      {Event: protocol.TraceDelivered, Subject: "mcollective.node.n1"},
		"mcollective.node.nobody":  {Event: protocol.TraceAbsent, Subject: "mcollective.node.nobody"},
		"choria.lifecycle.event.x": {Event: protocol.TraceDropped, Reason: "bad_target"},
	} {
		event := trace(t, north, got, target)
		if event.Time.IsZero() || time.Since(event.Time) > patience {
			t.Errorf("%s: time %v", target, event.Time)
		}
		event.Time = time.Time{}
		want.RequestID, want.Component, want.Identity, want.Cluster = "id", "federation", "fed.example.net", "london"
		if *event != want {
			t.Errorf("%s: %+v; want %+v", target, *event, want)
		}
	}
	// Others are not told: the answer alone comes back.
	ask(t, north, 7)
	for {
		m := receive(t, got)
		if m.Subject != "mcollective.reply.me.7" {
			continue // the answer to a traced request
		}
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := protocol.DecodeTrace(tr.Data); err == nil {
			t.Errorf("a request that is not traced was reported: %s", tr.Data)
		}
		break
	}
}

// TestAbsence holds that a client hears which of the targets of its message nobody listens on, when it asks for that and
// only then.
func TestAbsence(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Workers: 2})
	echo(t, connect(t, nodes))
	north := connect(t, clients)
	got := listen(t, north, "mcollective.reply.>")
	request := message(`{"reply-to":"mcollective.reply.me.1","federation":{"req":"id","target":["mcollective.node.n1","mcollective.node.dead.example.net"]}}`)

	asked := transport.FederatedAbsences("mcollective.reply.me.1", 3, 1)
	for _, inbox := range []string{"mcollective.reply.me.1.nr.f1", "mcollective.reply.me.1", "choria.lifecycle.x.nr.r3-f1"} {
		if err := north.PublishRequest(requests, inbox, request); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, got); m.Subject != "mcollective.reply.me.1" {
			t.Fatalf("asked on %s: %s is told %s", inbox, m.Subject, m.Data)
		}
	}
	if err := north.PublishRequest(requests, asked, request); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for range 2 { // in any order: one has come from the node, the other from the broker
		m := receive(t, got)
		seen[m.Subject] = string(m.Data)
	}
	absent, ok := transport.ParseAbsence([]byte(seen[asked]))
	if !ok || absent != "mcollective.node.dead.example.net" || seen["mcollective.reply.me.1"] == "" {
		t.Errorf("told %q, %v; all: %v", absent, ok, seen)
	}
	ask(t, north, 8)
	if m := receive(t, got); m.Subject != "mcollective.reply.me.8" { // nothing else has been said before
		t.Errorf("%s is told %s", m.Subject, m.Data)
	}
}

// BenchmarkCarry measures how many messages a second one federation broker carries there and back,
// through two brokers, all in this process.
func BenchmarkCarry(b *testing.B) {
	clients, nodes := labtest.Broker(b), labtest.Broker(b)
	run(b, &federation.Broker{Federation: side(clients), Collective: side(nodes)})
	echo(b, connect(b, nodes))
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	north, err := transport.Connect(ctx, transport.Options{Servers: []string{clients}})
	if err != nil {
		b.Fatal(err)
	}
	defer north.Close(context.Background())
	answers := make(chan struct{}, 100_000)
	if _, err := north.Subscribe("mcollective.reply.>", "", 100_000, func(transport.Msg) { answers <- struct{}{} }); err != nil {
		b.Fatal(err)
	}
	payload := message(`{"reply-to":"mcollective.reply.me.1","federation":{"req":"id","target":["mcollective.node.n1"]}}`)
	payload = []byte(strings.Replace(string(payload), "e30=", strings.Repeat("e30g", 500), 1))
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	const window = 5000
	waiting := 0
	for b.Loop() {
		if err := north.Publish(requests, payload); err != nil {
			b.Fatal(err)
		}
		for waiting++; waiting >= window; waiting-- {
			<-answers
		}
	}
	for ; waiting > 0; waiting-- {
		<-answers
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trips/s")
}
