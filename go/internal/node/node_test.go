package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/node"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// patience is for what has to happen, on a machine that is busy with the tests of many packages.
const patience = 60 * time.Second

const rip = "choria=rip.mcollective"

// keys stand in for certificates where security is not what is tested: anybody who knows that a
// signature is the hash of the message can sign.
type keys struct{}

func (keys) Sign(message []byte) (signature, cert []byte, err error) {
	sum := sha256.Sum256(message)
	return sum[:], []byte("a certificate"), nil
}

func (keys) Verify(message, signature, cert []byte, caller string, now time.Time) error {
	if sum := sha256.Sum256(message); !bytes.Equal(signature, sum[:]) {
		return errors.New("signature does not verify")
	}
	return nil
}

// A logBuffer may be written and read concurrently.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A running node and what it says.
type running struct {
	*node.Node
	cfg     *config.Config
	metrics *metrics.Registry
	log     *logBuffer
	stop    func() error // stops it, once, and returns what Run did
}

// options returns those of a node that authorizes nothing away, with its own connection.
func options(t testing.TB, url, identity string, settings ...string) node.Options {
	t.Helper()
	cfg := config.New()
	settings = append([]string{"identity", identity, "rpcauthorization", "false", "classesfile", t.TempDir() + "/classes.txt"}, settings...)
	for i := 0; i < len(settings); i += 2 {
		if err := cfg.Set(settings[i], settings[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return node.Options{Config: cfg, Conn: connect(t, url), Verifier: keys{}}
}

func connect(t testing.TB, url string) *transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := transport.Connect(ctx, transport.Options{Servers: []string{url}, InboxPrefix: "mcollective.reply"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		conn.Close(ctx)
	})
	return conn
}

// run runs a node until the test ends.
func run(t testing.TB, o node.Options) *running {
	t.Helper()
	r := &running{cfg: o.Config, metrics: o.Metrics, log: &logBuffer{}}
	if r.metrics == nil {
		r.metrics = metrics.New()
		o.Metrics = r.metrics
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ready := make(chan struct{})
	o.Ready = func() { close(ready) }
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Node = n
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatal("node is not ready")
	}
	if err := o.Conn.(*transport.Conn).Flush(deadline(t)); err != nil { // the broker knows the subscriptions
		t.Fatal(err)
	}
	return r
}

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// count returns a counter of the node.
func (r *running) count(name string) uint64 {
	return r.metrics.Counter("choria_server_"+name, "", "identity", r.Identity()).Value()
}

// counts returns all counters that protocol section 8 knows.
func (r *running) counts() map[string]uint64 {
	m := map[string]uint64{}
	for _, name := range []string{"total", "validated", "unvalidated", "passed", "filtered", "ttlexpired", "replies"} {
		m[name] = r.count(name)
	}
	return m
}

// await waits until a condition holds.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// A caller makes requests and gets replies.
type caller struct {
	t       testing.TB
	conn    *transport.Conn
	subject string // of replies
	replies chan reply
}

// A reply is what one node answered.
type reply struct {
	transport *protocol.Transport
	*protocol.Reply
	action  string
	status  agent.Status
	message string
	data    json.RawMessage
}

func newCaller(t testing.TB, url string) *caller {
	t.Helper()
	c := &caller{
		t:       t,
		conn:    connect(t, url),
		subject: transport.ReplySubject("mcollective", rip, protocol.NewID()),
		replies: make(chan reply, 10000),
	}
	_, err := c.conn.Subscribe(c.subject, "", 10000, func(m transport.Msg) {
		r, err := decode(m.Data)
		if err != nil {
			t.Errorf("reply: %v", err)
			return
		}
		c.replies <- r
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(payload []byte) (reply, error) {
	t, err := protocol.DecodeTransport(payload)
	if err != nil {
		return reply{}, err
	}
	r, err := protocol.OpenReply(t)
	if err != nil {
		return reply{}, err
	}
	out := reply{transport: t, Reply: r}
	if r.Agent == "discovery" {
		return out, nil
	}
	var body struct {
		Action  *string         `json:"action"`
		Status  *agent.Status   `json:"statuscode"`
		Message *string         `json:"statusmsg"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return out, err
	}
	if body.Action == nil || body.Status == nil || body.Message == nil || len(body.Data) == 0 {
		return out, fmt.Errorf("%s lacks a member", r.Body)
	}
	out.action, out.status, out.message, out.data = *body.Action, *body.Status, *body.Message, body.Data
	return out, nil
}

// request returns a request that every node accepts, for agent discovery.
func request() *protocol.Request {
	return &protocol.Request{
		Version: protocol.V1, ID: protocol.NewID(), Sender: "ws.example.net", Caller: rip, Collective: "mcollective",
		Agent: "discovery", Time: time.Now(), TTL: time.Minute, Body: []byte("ping"),
	}
}

// rpc returns an RPC request; data may be empty.
func rpc(agent, action, data string) *protocol.Request {
	r := request()
	r.Agent = agent
	r.Body = fmt.Appendf(nil, `{"agent":%q,"action":%q}`, agent, action)
	if data != "" {
		r.Body = fmt.Appendf(nil, `{"agent":%q,"action":%q,"data":%s}`, agent, action, data)
	}
	return r
}

// transport returns r signed and wrapped.
func (c *caller) transport(r *protocol.Request) *protocol.Transport {
	c.t.Helper()
	data, err := protocol.SealRequest(r, keys{})
	if err != nil {
		c.t.Fatal(err)
	}
	return &protocol.Transport{Version: r.Version, ReplyTo: c.subject, Sender: r.Sender, Data: data}
}

// send signs r and publishes it.
func (c *caller) send(subject string, r *protocol.Request) {
	c.t.Helper()
	c.publish(subject, encode(c.t, c.transport(r)))
}

func encode(t testing.TB, tr *protocol.Transport) []byte {
	t.Helper()
	payload, err := tr.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func (c *caller) publish(subject string, payload []byte) {
	c.t.Helper()
	if err := c.conn.Publish(subject, payload); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next reply.
func (c *caller) next() reply {
	c.t.Helper()
	select {
	case r := <-c.replies:
		return r
	case <-time.After(patience):
		c.t.Fatal("no reply")
	}
	panic("unreachable")
}

// none fails the test if there is a reply.
func (c *caller) none(why string) {
	c.t.Helper()
	select {
	case r := <-c.replies:
		c.t.Errorf("%s: there is a reply: %s", why, r.Body)
	default:
	}
}

// call makes an RPC request to one node and returns its reply.
func (c *caller) call(identity, agent, action, data string) reply {
	c.t.Helper()
	r := rpc(agent, action, data)
	c.send(transport.NodeSubject("mcollective", identity), r)
	got := c.next()
	if got.RequestID != r.ID || got.Sender != identity || got.Agent != agent {
		c.t.Errorf("reply from %s, agent %s, to request %s; want %s, %s, %s", got.Sender, got.Agent, got.RequestID, identity, agent, r.ID)
	}
	return got
}

// describe makes the description of an agent whose actions take any inputs of the types that are
// given as name:type.
func describe(name string, seconds int, inputs []string, actions ...string) *ddl.Agent {
	d := &ddl.Agent{Metadata: ddl.Metadata{
		Name: name, Description: "for a test", Author: "a", License: "l", Version: "1.0.0", URL: "u", Timeout: seconds, Provider: "golang",
	}}
	for _, action := range actions {
		a := &ddl.Action{Name: action, Description: "does it", Input: map[string]*ddl.Input{}, Output: map[string]*ddl.Output{}}
		for _, in := range inputs {
			name, kind, _ := strings.Cut(in, ":")
			a.Input[name] = &ddl.Input{Prompt: name, Description: name, Type: kind, Optional: true, Validation: ".", MaxLength: 1000}
		}
		d.Actions = append(d.Actions, a)
	}
	return d
}

// actions makes an agent with 2 s to run.
func testAgent(name string, actions map[string]agent.Action) *agent.Agent {
	a := &agent.Agent{DDL: describe(name, 2, []string{"text:string", "n:integer"}), Actions: actions}
	for action := range actions {
		a.DDL.Actions = append(a.DDL.Actions, describe(name, 2, []string{"text:string", "n:integer"}, action).Actions...)
	}
	return a
}

func TestDiscovery(t *testing.T) {
	url := labtest.Broker(t)
	run(t, options(t, url, "n1.example.net"))
	run(t, options(t, url, "n2.example.net"))
	c := newCaller(t, url)

	r := request()
	c.send(transport.BroadcastSubject("mcollective", "discovery"), r)
	seen := map[string]bool{}
	for range 2 {
		got := c.next()
		seen[got.Sender] = true
		if string(got.Body) != "pong" || got.RequestID != r.ID || got.transport.Sender != got.Sender {
			t.Errorf("reply %q to %s by %s", got.Body, got.RequestID, got.Sender)
		}
		hop := protocol.Hop{url, got.Sender, url}
		if len(got.transport.Hops) != 1 || fmt.Sprint(got.transport.Hops[0]) != fmt.Sprint(hop) || got.transport.Federation != nil {
			t.Errorf("transport of the reply %+v; want one hop %v and no federation", got.transport, hop)
		}
	}
	if !seen["n1.example.net"] || !seen["n2.example.net"] {
		t.Errorf("replies of %v", seen)
	}

	r = request()
	r.Filter = filter.Filter{Identity: []string{"/^n2/"}}
	c.send(transport.BroadcastSubject("mcollective", "discovery"), r)
	if got := c.next(); got.Sender != "n2.example.net" {
		t.Errorf("reply by %s", got.Sender)
	}
	c.none("filter")
}

// Each message goes through the steps of protocol section 8 as far as it should, and is counted.
func TestCounters(t *testing.T) {
	url := labtest.Broker(t)
	n := run(t, options(t, url, "n1.example.net", "collectives", "mcollective,prod"))
	c := newCaller(t, url)
	subject := transport.NodeSubject("mcollective", "n1.example.net")

	dup := encode(t, c.transport(request()))
	sealed := func(change func(*protocol.Request)) []byte {
		r := request()
		change(r)
		return encode(t, c.transport(r))
	}
	dropped := func(reason ...string) map[string]uint64 {
		m := map[string]uint64{"total": 1}
		for _, name := range reason {
			m[name] = 1
		}
		return m
	}
	tests := []struct {
		name    string
		payload []byte
		want    map[string]uint64 // how the counters grow
	}{
		{"empty", nil, dropped("unvalidated")},
		{"garbage", []byte("\x00{"), dropped("unvalidated")},
		{"null", []byte("null"), dropped("unvalidated")},
		{"no data", []byte(`{"protocol":"choria:transport:1","headers":{}}`), dropped("unvalidated")},
		{"signature", func() []byte {
			tr := c.transport(request())
			tr.Data = bytes.Replace(tr.Data, []byte("ws.example.net"), []byte("xs.example.net"), 1)
			return encode(t, tr)
		}(), dropped("unvalidated")},
		{"filter", sealed(func(r *protocol.Request) { r.Filter.Identity = []string{"n2"} }), dropped("filtered")},
		{"expression", sealed(func(r *protocol.Request) { r.Filter.Compound = []filter.Compound{{Expr: "1 +"}} }), dropped("filtered")},
		{"collective", sealed(func(r *protocol.Request) { r.Collective = "dev" }), dropped("passed", "unvalidated")},
		{"old", sealed(func(r *protocol.Request) { r.Time = r.Time.Add(-time.Hour) }), dropped("passed", "ttlexpired")},
		{"from the future", sealed(func(r *protocol.Request) { r.Time = r.Time.Add(time.Hour) }), dropped("passed", "ttlexpired")},
		{"filter before time", sealed(func(r *protocol.Request) { r.Filter.Identity, r.Time = []string{"n2"}, r.Time.Add(time.Hour) }), dropped("filtered")},
		{"unknown agent", sealed(func(r *protocol.Request) { r.Agent = "nosuch" }), dropped("passed", "validated")},
		{"not a ping", sealed(func(r *protocol.Request) { r.Body = []byte("hello, who is there") }), dropped("passed", "validated")},
		{"good", dup, dropped("passed", "validated", "replies")},
		{"again", dup, dropped("passed", "unvalidated")},
		{"other collective", sealed(func(r *protocol.Request) { r.Collective = "prod" }), dropped("passed", "validated", "replies")},
		{"reply subject", func() []byte {
			tr := c.transport(request())
			tr.ReplyTo = "a b\r\nPUB x 0"
			return encode(t, tr)
		}(), dropped("passed", "validated")},
		{"no reply subject", func() []byte {
			tr := c.transport(request())
			tr.ReplyTo = ""
			return encode(t, tr)
		}(), dropped("passed", "validated")},
	}
	for _, tt := range tests {
		before := n.counts()
		c.publish(subject, tt.payload)
		// One subscription handles its messages in order, hence when this is answered the other is done.
		c.send(subject, request())
		c.next()
		if tt.want["replies"] == 1 {
			c.next()
		}
		c.none(tt.name)
		await(t, "the replies to be counted", func() bool { return n.count("replies") == before["replies"]+1+tt.want["replies"] })
		for name, after := range n.counts() {
			marker := uint64(1)
			if name != "total" && name != "passed" && name != "validated" && name != "replies" {
				marker = 0
			}
			if got := after - before[name] - marker; got != tt.want[name] {
				t.Errorf("%s: counter %s grew by %d; want %d", tt.name, name, got, tt.want[name])
			}
		}
	}
	if got := n.count("replayed"); got != 1 {
		t.Errorf("%d messages counted as replayed; want 1", got)
	}
	if text := n.log.String(); strings.Contains(text, "panic") {
		t.Errorf("a message caused a panic:\n%s", text)
	}
}

// What a federation broker put into the request comes back with the reply.
func TestFederation(t *testing.T) {
	url := labtest.Broker(t)
	run(t, options(t, url, "n1.example.net"))
	c := newCaller(t, url)
	tr := c.transport(request())
	tr.Federation = &protocol.Federation{RequestID: "0123456789abcdef0123456789abcdef", ReplyTo: "mcollective.reply.abc"}
	tr.Hops = []protocol.Hop{{"a", "client", "b"}, {"c", "broker", "d"}}
	c.publish(transport.BroadcastSubject("mcollective", "discovery"), encode(t, tr))
	got := c.next().transport
	if got.Federation == nil || got.Federation.RequestID != tr.Federation.RequestID || got.Federation.ReplyTo != tr.Federation.ReplyTo {
		t.Errorf("federation header %+v; want %+v", got.Federation, tr.Federation)
	}
	want := append(tr.Hops, protocol.Hop{url, "n1.example.net", url})
	if fmt.Sprint(got.Hops) != fmt.Sprint(want) {
		t.Errorf("hops %v; want %v", got.Hops, want)
	}
}

// A service agent is answered by one node of many, and not on the subject of ordinary agents.
func TestServiceAgent(t *testing.T) {
	url := labtest.Broker(t)
	for i := range 3 {
		o := options(t, url, fmt.Sprintf("n%d.example.net", i))
		a := testAgent("signer", map[string]agent.Action{
			"sign": func(context.Context, *agent.Request, *agent.Reply) error { return nil },
		})
		a.DDL.Metadata.Service = true
		o.Agents = []*agent.Agent{a}
		run(t, o)
	}
	c := newCaller(t, url)
	senders := map[string]int{}
	for range 30 {
		c.send(transport.BroadcastSubject("mcollective", "signer"), rpc("signer", "sign", ""))
		c.send(transport.ServiceSubject("mcollective", "signer"), rpc("signer", "sign", ""))
		senders[c.next().Sender]++
	}
	c.none("one of three answers")
	if len(senders) < 2 {
		t.Errorf("30 requests were answered by %v only", senders)
	}
}

func TestNew(t *testing.T) {
	url := labtest.Broker(t)
	tests := []struct {
		name   string
		change func(*node.Options)
		err    string
	}{
		{"no connection", func(o *node.Options) { o.Conn = nil }, "node: configuration, connection and verifier are required"},
		{"no verifier", func(o *node.Options) { o.Verifier = nil }, "node: configuration, connection and verifier are required"},
		{"no identity", func(o *node.Options) { o.Config.Identity = "" }, "node: the identity is empty"},
		{"no collectives", func(o *node.Options) { o.Config.Collectives = nil }, "node: no collectives are configured"},
		{"nil agent", func(o *node.Options) { o.Agents = []*agent.Agent{nil} }, "node: an agent without a description"},
		{"two of a name", func(o *node.Options) { o.Agents = []*agent.Agent{testAgent("rpcutil", nil)} }, "node: two agents are called rpcutil"},
		{"audit without a file", func(o *node.Options) { o.Config.Audit = true }, "rpcaudit is on, but plugin.rpcaudit.logfile is not set"},
	}
	for _, tt := range tests {
		o := options(t, url, "n1.example.net")
		tt.change(&o)
		if _, err := node.New(o); err == nil || err.Error() != tt.err {
			t.Errorf("%s: New: %v; want %q", tt.name, err, tt.err)
		}
	}
}

func TestSwitchedOffAgents(t *testing.T) {
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "plugin.demo.activate_agent", "n", "plugin.choria_util.activate_agent", "false")
	o.Agents = []*agent.Agent{testAgent("demo", nil), testAgent("other", nil)}
	run(t, o)
	got := newCaller(t, url).call("n1.example.net", "rpcutil", "inventory", "")
	var inventory struct{ Agents []string }
	if err := json.Unmarshal(got.data, &inventory); err != nil || fmt.Sprint(inventory.Agents) != "[discovery other rpcutil]" {
		t.Errorf("agents %v, %v; want discovery, other and rpcutil", inventory.Agents, err)
	}
}
