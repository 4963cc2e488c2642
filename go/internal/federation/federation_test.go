package federation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/federation"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/internal/vectors"
)

const patience = time.Minute

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing received within %v", patience)
		panic("unreachable")
	}
}

// connect connects until the test ends.
func connect(t testing.TB, url string) *transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := transport.Connect(ctx, transport.Options{Servers: []string{url}, ConnectTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// listen returns what arrives on a subject.
func listen(t testing.TB, c *transport.Conn, subject string) <-chan transport.Msg {
	t.Helper()
	ch := make(chan transport.Msg, 100_000)
	if _, err := c.Subscribe(subject, "", 100_000, func(m transport.Msg) { ch <- m }); err != nil {
		t.Fatal(err)
	}
	flush(t, c)
	return ch
}

func flush(t testing.TB, c *transport.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// run runs a federation broker until the test ends, and returns when it carries messages.
func run(t testing.TB, b *federation.Broker) (stop func()) {
	t.Helper()
	ready := make(chan struct{})
	b.Ready = func() { close(ready) }
	if b.Site == "" {
		b.Site = "london"
	}
	if b.Identity == "" {
		b.Identity = "fed.example.net"
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		cancel()
		if stopped.Swap(true) {
			return
		}
		if err := receive(t, ended); err != nil {
			t.Errorf("federation broker: %v", err)
		}
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("federation broker: %v", err)
	case <-time.After(patience):
		t.Fatal("the federation broker is not ready after a minute")
	}
	return stop
}

func side(url string) federation.Side {
	return federation.Side{Options: transport.Options{Servers: []string{url}, ConnectTimeout: 30 * time.Second}}
}

// message returns a message whose headers are given as JSON.
func message(headers string) []byte {
	return []byte(`{"protocol":"choria:transport:1","data":"e30=","headers":` + headers + `}`)
}

const (
	requests = "choria.federation.london.federation"
	replies  = "choria.federation.london.collective"
	home     = "mcollective.reply.37bdf08389145a56c13096c178802d3b.0123456789abcdef0123456789abcdef"
)

func headers(t testing.TB, payload []byte) *protocol.Relay {
	t.Helper()
	r, err := protocol.DecodeRelay(payload)
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return r
}

// A record is a message that real programs exchanged.
type record struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Payload []byte `json:"payload_base64"`
}

func load(t testing.TB, name string) []record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []record
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestVectors has the requests and replies that a peer carried carried again: the same must come out
// on the other side, but for the numbers of the workers.
func TestVectors(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	f, c := side(clients), side(nodes)
	f.URL, c.URL = "nats://127.0.0.1:36222", "nats://127.0.0.1:34222"
	run(t, &federation.Broker{Federation: f, Collective: c})
	north, south := connect(t, clients), connect(t, nodes)
	atNodes, atClients := listen(t, south, "mcollective.>"), listen(t, north, "mcollective.reply.>")

	workers := regexp.MustCompile(`(ingest|transformer|egest):\d`)
	same := func(r record) string {
		return r.Subject + " " + workers.ReplaceAllString(string(r.Payload), "$1:N")
	}
	expect := func(what string, got <-chan transport.Msg, want map[string]bool, n int) {
		t.Helper()
		for range n {
			m := receive(t, got)
			if key := same(record{Subject: m.Subject, Payload: m.Data}); !want[key] {
				t.Errorf("%s: unexpected message on %s: %s", what, m.Subject, headerText(m.Data))
			} else {
				delete(want, key)
			}
		}
	}
	captured := func(name, prefix string) (all []record) {
		for _, r := range load(t, "captured/"+name) {
			if strings.HasPrefix(r.Subject, prefix) {
				all = append(all, r)
			}
		}
		return all
	}
	keys := func(records []record) map[string]bool {
		m := map[string]bool{}
		for _, r := range records {
			m[same(r)] = true
		}
		return m
	}

	sent := captured("federation_federation_side.json", requests)
	want := captured("federation_collective_side.json", "mcollective.")
	for _, r := range sent {
		if err := north.Publish(r.Subject, r.Payload); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != 2 || len(want) != 3 {
		t.Fatalf("%d requests that became %d in the vectors; want 2 and 3", len(sent), len(want))
	}
	expect("request", atNodes, keys(want), len(want))

	sent = captured("federation_collective_side.json", replies)
	want = captured("federation_federation_side.json", "mcollective.reply.")
	for _, r := range sent {
		if err := south.Publish(r.Subject, r.Payload); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != 6 || len(want) != 6 {
		t.Fatalf("%d replies that became %d in the vectors; want 6", len(sent), len(want))
	}
	expect("reply", atClients, keys(want), len(want))

	// Requests of the Ruby client, whose data has line breaks.
	ruby := 0
	for _, r := range load(t, "ruby.json") {
		if r.Subject != requests {
			continue
		}
		ruby++
		if err := north.Publish(r.Subject, r.Payload); err != nil {
			t.Fatal(err)
		}
		in := headers(t, r.Payload)
		for range in.Federation.Targets {
			m := receive(t, atNodes)
			out := headers(t, m.Data)
			if out.ReplyTo != replies || out.Federation.ReplyTo != in.ReplyTo || out.Federation.RequestID != in.Federation.RequestID || out.Federation.Targets != nil {
				t.Errorf("%s: headers %+v, %+v", r.Name, out.Transport, out.Federation)
			}
			if !bytes.Equal(data(t, m.Data), data(t, r.Payload)) {
				t.Errorf("%s: the data was changed", r.Name)
			}
		}
	}
	if ruby != 2 {
		t.Errorf("%d federated requests of the Ruby client in the vectors; want 2", ruby)
	}
}

// data returns the member data as it stands in a payload.
func data(t testing.TB, payload []byte) []byte {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatal(err)
	}
	return m["data"]
}

func headerText(payload []byte) string {
	var m struct {
		Headers json.RawMessage `json:"headers"`
	}
	_ = json.Unmarshal(payload, &m)
	return string(m.Headers)
}

// Both versions are carried, and what is inside them is nobody's business here.
func TestVersionTwo(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Workers: 1})
	north, south := connect(t, clients), connect(t, nodes)
	atNodes, atClients := listen(t, south, "choria.node.n1"), listen(t, north, "choria.reply.>")
	const v2 = `{"protocol":"io.choria.protocol.v2.transport","data":"secret","headers":{%s}}`
	if err := north.Publish(requests, fmt.Appendf(nil, v2, `"reply":"choria.reply.a.b","federation":{"request":"id","targets":["choria.node.n1"]}`)); err != nil {
		t.Fatal(err)
	}
	m := receive(t, atNodes)
	hop := fmt.Sprintf(`["%s","fed.example.net (choria_nats_ingest:0, choria_request_transformer:0, choria_nats_egest:0)","%s"]`, clients, nodes)
	want := fmt.Sprintf(v2, `"reply":"choria.federation.london.collective","trace":[`+hop+`],"federation":{"request":"id","reply":"choria.reply.a.b"}`)
	if string(m.Data) != want {
		t.Errorf("request is\n%s; want\n%s", m.Data, want)
	}
	if err := south.Publish(replies, fmt.Appendf(nil, v2, `"sender":"n1","federation":{"request":"id","reply":"choria.reply.a.b"}`)); err != nil {
		t.Fatal(err)
	}
	m = receive(t, atClients)
	hop = fmt.Sprintf(`["%s","fed.example.net (choria_nats_ingest:0, choria_reply_transformer:0, choria_nats_egest:0)","%s"]`, nodes, clients)
	if want := fmt.Sprintf(v2, `"sender":"n1","trace":[`+hop+`]`); m.Subject != "choria.reply.a.b" || string(m.Data) != want {
		t.Errorf("reply on %s is\n%s; want\n%s", m.Subject, m.Data, want)
	}
}

// TestDrops sends what must not be carried. What is carried after it shows that nothing came before.
func TestDrops(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	reg := metrics.New()
	run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Workers: 1, Metrics: reg})
	north, south := connect(t, clients), connect(t, nodes)
	atNodes, atClients := listen(t, south, ">"), listen(t, north, ">")

	federated := func(reply string, targets ...string) string {
		list, err := json.Marshal(targets)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"reply-to":%q,"federation":{"req":"id","target":%s}}`, reply, list)
	}
	answered := func(reply string) string {
		return fmt.Sprintf(`{"federation":{"req":"id","reply-to":%q}}`, reply)
	}
	hops := strings.TrimSuffix(strings.Repeat(`["a"],`, 33), ",")
	const n1 = "mcollective.node.n1"
	type drop struct{ payload, reason string }
	badRequests := []drop{
		{"", "not_understood"},
		{"null", "not_understood"},
		{`{"protocol":"choria:transport:9","data":"e30="}`, "not_understood"},
		{string(message(`{"federation":7}`)), "not_understood"},
		{string(message(federated(home, strings.Split(strings.Repeat("a.node.b,", 1001), ",")...))), "not_understood"},
		{string(message(`{"reply-to":"a.reply.b"}`)), "not_federated"},
		{string(message(`null`)), "not_federated"},
		{string(message(federated(home))), "no_targets"},
		{string(message(federated("", n1))), "no_reply"},
		{string(message(`{"seen-by":[` + hops + `],"reply-to":"a.reply.b","federation":{"req":"id","target":["a.node.b"]}}`)), "too_many_hops"},
	}
	for _, reply := range []string{"$SYS.REQ.SERVER.PING", "$JS.API.STREAM.DELETE.x", "_INBOX.a", "a.reply.*", "a.reply.>", "a.reply. b", "a.reply.\r\nPUB x 0", "a..b", ".a", "a.",
		"mcollective.node.n1", "mcollective.broadcast.agent.rpcutil", "choria.federation.london.federation", "choria.federation.paris.federation", "choria.federation.london.collective",
		"choria.lifecycle.event.startup.server", "choria.submission.in.x", "mcollective.governor.x", "a.reply." + strings.Repeat("x", 600)} {
		badRequests = append(badRequests, drop{string(message(federated(reply, n1))), "bad_reply"})
	}
	for _, target := range []string{"", "x", "$SYS.REQ.SERVER.PING", "$SYS.node.x", "_a.node.x", "choria.federation.london.federation", "choria.federation.paris.federation", "a.choria.federation.x.federation",
		"mcollective.node.*", "mcollective.node.>", "mcollective.broadcast.agent.*", "*.node.n1", "mcollective.node.", "mcollective.node", ".node.n1", "mcollective.node..n1", "mcollective.node.n 1",
		"mcollective.node.n1\r\nPUB x 0\r\n", "mcollective.broadcast.agent", "mcollective.broadcast.agent.a.b", "mcollective.broadcast.other.a", "mcollective.reply.a.b", "choria.lifecycle.event.shutdown.server",
		"mcollective.submission.in.x", "mcollective.registration.x", "a.b.node.n1", "mcollective.node." + strings.Repeat("x", 600)} {
		badRequests = append(badRequests, drop{string(message(federated(home, n1, target))), "bad_target"})
	}
	badReplies := []drop{
		{"{}", "not_understood"},
		{string(message(`{}`)), "not_federated"},
		{string(message(`{"federation":{"req":"id"}}`)), "no_reply"},
		{string(message(answered("$SYS.REQ.SERVER.PING"))), "bad_reply"},
		{string(message(answered("mcollective.broadcast.agent.rpcutil"))), "bad_reply"},
		{string(message(answered("choria.federation.london.collective"))), "bad_reply"},
		{string(message(answered("mcollective.node.n1"))), "bad_reply"},
		{string(message(answered("a.>"))), "bad_reply"},
	}
	for _, tt := range []struct {
		direction, subject string
		from               *transport.Conn
		bad                []drop
		other              <-chan transport.Msg
		good, arrives      string
	}{
		{"request", requests, north, badRequests, atNodes, federated(home, n1), n1},
		{"reply", replies, south, badReplies, atClients, answered("my.sink"), "my.sink"},
	} {
		want := map[string]uint64{}
		for _, d := range tt.bad {
			want[d.reason]++
			if err := tt.from.Publish(tt.subject, []byte(d.payload)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tt.from.Publish(tt.subject, message(tt.good)); err != nil {
			t.Fatal(err)
		}
		for {
			m := receive(t, tt.other)
			if m.Subject == requests { // what this test sends
				continue
			}
			if m.Subject != tt.arrives {
				t.Errorf("%s: arrived on %s: %s", tt.direction, m.Subject, m.Data)
				continue
			}
			break
		}
		for reason, n := range want {
			got := reg.Counter("choria_federation_dropped_msgs", "", "cluster", "london", "identity", "fed.example.net", "direction", tt.direction, "reason", reason).Value()
			if got != n {
				t.Errorf("%s: %d dropped with the reason %s; want %d", tt.direction, got, reason, n)
			}
		}
	}
	text := shown(reg)
	var errors int
	for _, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "choria_federation_errors{"); ok {
			n, err := strconv.Atoi(rest[strings.LastIndexByte(rest, ' ')+1:])
			if err != nil {
				t.Fatal(err)
			}
			errors += n
		}
	}
	if want := len(badRequests) + len(badReplies); errors != want {
		t.Errorf("%d errors are counted; want %d", errors, want)
	}
}

// What is too large with another hop is dropped and counted, and the next message is carried.
func TestTooLarge(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	reg := metrics.New()
	run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Workers: 1, Metrics: reg})
	north, south := connect(t, clients), connect(t, nodes)
	got := listen(t, south, "a.node.b")
	head := fmt.Sprintf(`{"headers":{"reply-to":%q,"federation":{"req":"i","target":["a.node.b"]}},"protocol":"choria:transport:1","data":"`, home)
	full := head + strings.Repeat("A", 1<<20-len(head)-2) + `"}`
	if err := north.Publish(requests, []byte(full)); err != nil {
		t.Fatal(err)
	}
	if err := north.Publish(requests, []byte(head+`AAAA"}`)); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, got); len(m.Data) > 1000 {
		t.Errorf("a message of %d bytes was carried", len(m.Data))
	}
	if n := reg.Counter("choria_federation_dropped_msgs", "", "cluster", "london", "identity", "fed.example.net", "direction", "request", "reason", "too_large").Value(); n != 1 {
		t.Errorf("%d dropped as too large; want 1", n)
	}
}

// The names, labels and values of labels are those of the peer.
func TestMetrics(t *testing.T) {
	clients, nodes := labtest.Broker(t), labtest.Broker(t)
	reg := metrics.New()
	run(t, &federation.Broker{Federation: side(clients), Collective: side(nodes), Metrics: reg})
	north, south := connect(t, clients), connect(t, nodes)
	got := listen(t, south, "a.node.*")
	if err := north.Publish(requests, message(fmt.Sprintf(`{"reply-to":%q,"federation":{"req":"i","target":["a.node.b","a.node.c"]}}`, home))); err != nil {
		t.Fatal(err)
	}
	receive(t, got)
	receive(t, got)

	series := func(text string) map[string]bool {
		all := map[string]bool{}
		for _, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, "choria_federation_") || strings.HasPrefix(line, "# TYPE choria_federation_") {
				if !strings.HasPrefix(line, "#") {
					line = line[:strings.LastIndexByte(line, ' ')]
				}
				all[line] = true
			}
		}
		return all
	}
	peer, err := os.ReadFile(filepath.Join(vectors.Dir(t), "metrics", "federation.prom"))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "counted", func() bool { return total(reg, "published_msgs") == 2 })
	text := shown(reg)
	ours := series(text)
	for s := range series(string(peer)) {
		if !ours[s] {
			t.Errorf("not shown: %s", s)
		}
	}
	for s := range ours {
		if !series(string(peer))[s] && !strings.Contains(s, "choria_federation_dropped_msgs") && !strings.Contains(s, "choria_federation_connections") {
			t.Errorf("shown, but not by the peer: %s", s)
		}
	}
	for name, want := range map[string]int{"received_msgs": 3, "published_msgs": 2, "errors": 0, "time_count": 3} {
		if got := total(reg, name); got != want {
			t.Errorf("choria_federation_%s is %d in all; want %d", name, got, want)
		}
	}
	for _, want := range []string{
		`choria_federation_connections{cluster="london",connected_to="collective",identity="fed.example.net"} 20`,
		`choria_federation_connections{cluster="london",connected_to="federation",identity="fed.example.net"} 20`,
		`choria_connector_initial_connect_time_count 40`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not shown: %s", want)
		}
	}
}

// shown returns the metrics as they are read over HTTP.
func shown(reg *metrics.Registry) string {
	var b strings.Builder
	_, _ = reg.WriteTo(&b)
	return b.String()
}

// total adds up all series of a metric.
func total(reg *metrics.Registry, name string) int {
	n := 0
	for _, line := range strings.Split(shown(reg), "\n") {
		if strings.HasPrefix(line, "choria_federation_"+name+"{") {
			v, _ := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
			n += v
		}
	}
	return n
}

func TestWrongConfiguration(t *testing.T) {
	for site, want := range map[string]string{
		"a.b": `plugin.choria.federation.cluster: "a.b": want a name without dots, spaces, * and >`,
		"":    `plugin.choria.federation.cluster: "": want a name without dots, spaces, * and >`,
		"ok":  "federation: the identity is empty",
	} {
		if err := (&federation.Broker{Site: site}).Run(t.Context()); err == nil || err.Error() != want {
			t.Errorf("site %q: %v; want %s", site, err, want)
		}
	}
}

// A federation broker that is told to stop before it has found all brokers does.
func TestStopWhileConnecting(t *testing.T) {
	closed := "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(labtest.Port(t)))
	reg := metrics.New()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	b := &federation.Broker{Site: "london", Identity: "fed", Federation: side(labtest.Broker(t)), Collective: side(closed), Metrics: reg}
	go func() { ended <- b.Run(ctx) }()
	until(t, "one side is connected, the other tried", func() bool {
		return strings.Contains(shown(reg), `connected_to="federation",identity="fed"} 20`) &&
			reg.Counter("choria_connector_initial_connection_attempts", "").Value() >= 20
	})
	cancel()
	if err := receive(t, ended); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// brokerAt runs a broker on a port that can be used again after it was stopped.
func brokerAt(t testing.TB, port int) (stop func()) {
	t.Helper()
	_, stop = labtest.StartBroker(t, labtest.BrokerConfig(t, "plugin.choria.network.client_port", strconv.Itoa(port)), broker.Options{})
	t.Cleanup(stop)
	return stop
}
