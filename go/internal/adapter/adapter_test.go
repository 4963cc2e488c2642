package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

const patience = time.Minute

// document is what is published. Source: protocol section 13.
type document struct {
	Protocol  string `json:"protocol"`
	Data      string `json:"data"`
	Sender    string `json:"sender"`
	Time      string `json:"time"`
	RequestID string `json:"requestid"`
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A sinkBroker is a broker with streams that can be stopped and started again.
type sinkBroker struct {
	t         testing.TB
	url       string
	port      int
	store     string
	broker    *broker.Broker
	stop      func()
	collected *streams.Conn
}

func newSinkBroker(t testing.TB) *sinkBroker {
	t.Helper()
	b := &sinkBroker{t: t, port: labtest.Port(t), store: filepath.Join(t.TempDir(), "store")}
	b.url = fmt.Sprintf("nats://127.0.0.1:%d", b.port)
	b.start()
	b.collected = streams.On(connect(t, b.url))
	until(t, "streams", func() bool {
		return b.collected.Create(limited(t), streams.Definition{Name: "SINK", Subjects: []string{"sink.>"}}) == nil
	})
	return b
}

func (b *sinkBroker) start() {
	b.t.Helper()
	b.broker, b.stop = labtest.StartBroker(b.t, labtest.BrokerConfig(b.t,
		"plugin.choria.network.client_port", fmt.Sprint(b.port),
		"plugin.choria.network.stream.store", b.store,
		"plugin.choria.network.stream.manage_streams", "false"), broker.Options{})
	b.t.Cleanup(b.stop)
}

// documents returns how often each document is in the stream.
func (b *sinkBroker) documents() map[string]int {
	b.t.Helper()
	all := map[string]int{}
	for m, err := range b.collected.Messages(limited(b.t), "SINK", streams.View{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		all[string(m.Data)]++
	}
	return all
}

// count returns how many messages the stream has, -1 while there is no answer.
func (b *sinkBroker) count() int {
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
	defer cancel()
	info, err := b.collected.Stream(ctx, "SINK")
	if err != nil {
		return -1
	}
	return int(info.Messages)
}

func connect(t testing.TB, url string) *transport.Conn {
	t.Helper()
	c, err := transport.Connect(limited(t), transport.Options{Servers: []string{url}, ConnectTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// start runs a, and returns what stops it.
func start(t testing.TB, a *Adapter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	a.Ready = func() { close(ready) }
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("ended with %v", err)
	case <-time.After(patience):
		t.Fatal("not ready")
	}
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// adapter returns one between two brokers.
func newAdapter(ingest, sink string) *Adapter {
	a := &Adapter{
		Name: "a", Identity: "b1", Kind: Replies, Subject: "in", DeadLetters: "dead",
		Workers: 2, OutputWorkers: 2, Metrics: metrics.New(), Log: slog.New(slog.DiscardHandler),
		Ingest: transport.Options{Servers: []string{ingest}, ConnectTimeout: 30 * time.Second},
	}
	a.Open = func(int) (Sink, error) {
		return OpenStreams("sink.%s", transport.Options{Servers: []string{sink}}), nil
	}
	return a
}

func reply(t testing.TB, sender string, n int) []byte {
	t.Helper()
	data, err := protocol.SealReply(&protocol.Reply{
		Version: protocol.V1, RequestID: fmt.Sprintf("%032x", n), Sender: sender, Agent: "test", Time: time.Now(), Body: fmt.Appendf(nil, `{"n":%d}`, n),
	})
	return wrap(t, sender, data, err)
}

func request(t testing.TB, sender string, made time.Time, id *security.Identity) []byte {
	t.Helper()
	data, err := protocol.SealRequest(&protocol.Request{
		Version: protocol.V1, ID: protocol.NewID(), Sender: sender, Caller: id.Caller(), Collective: "mcollective", Agent: "registration",
		Time: made, TTL: time.Minute, Body: []byte(`{"facts":{"country":"mt"}}`),
	}, id)
	return wrap(t, sender, data, err)
}

func wrap(t testing.TB, sender string, data []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := (&protocol.Transport{Version: protocol.V1, Sender: sender, Data: data}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// proof trusts the certificates of site.
func proof(t testing.TB, site *labtest.Site) *Proof {
	t.Helper()
	o := security.Options{
		For: security.ForServer, Name: "checker", Certificate: site.Dir + "/checker.pem", Key: site.Dir + "/checker.key", CA: site.Dir + "/ca.pem",
	}
	callers := site.Identity(t, "checker", security.ForServer)
	o.Callers = []string{"."}
	all, err := security.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &Proof{Any: all, Callers: callers}
}

// TestRequests carries what nodes say about themselves, once, and buries everything else.
func TestRequests(t *testing.T) {
	site := labtest.NewSite(t)
	n1 := site.Identity(t, "n1.example.net", security.ForClient)
	caller := site.Identity(t, "rip.mcollective", security.ForClient)
	b := newSinkBroker(t)
	a := newAdapter(b.url, b.url)
	a.Kind, a.Proof = Requests, proof(t, site)
	a.Ingest = transport.Options{InProcess: b.broker.InProcess}
	start(t, a)

	conn := connect(t, b.url)
	letters := make(chan deadLetter, 100)
	if _, err := conn.Subscribe("dead", "", 100, func(m transport.Msg) {
		var l deadLetter
		if err := json.Unmarshal(m.Data, &l); err != nil {
			t.Error(err)
		}
		letters <- l
	}); err != nil {
		t.Fatal(err)
	}
	good := request(t, "n1.example.net", time.Now(), n1)
	other := site.Identity(t, "n2.example.net", security.ForClient)
	tampered := request(t, "n1.example.net", time.Now(), n1)
	tr, err := protocol.DecodeTransport(tampered)
	if err != nil {
		t.Fatal(err)
	}
	tr.Data = []byte(strings.Replace(string(tr.Data), `country`, `kountry`, 1))
	bad := map[string][]byte{
		malformed: []byte("nonsense"),
		"tamper":  wrap(t, "n1.example.net", tr.Data, nil),
		"forged":  request(t, "n1.example.net", time.Now(), other),
		expired:   request(t, "n1.example.net", time.Now().Add(-time.Hour), n1),
		badSender: request(t, "a.>", time.Now(), caller),
	}
	for _, payload := range [][]byte{good, good, request(t, "desk.example.net", time.Now(), caller), good} {
		if err := conn.Publish("in", payload); err != nil {
			t.Fatal(err)
		}
	}
	kinds := map[string]string{"tamper": unproven, "forged": unproven}
	for name, payload := range bad {
		if err := conn.Publish("in", payload); err != nil {
			t.Fatal(err)
		}
		select {
		case l := <-letters:
			want := name
			if kinds[name] != "" {
				want = kinds[name]
			}
			if l.Kind != want || string(l.Payload) != string(payload) || l.Reason == "" || l.Subject != "in" || l.Adapter != "a" {
				t.Errorf("%s: %+v", name, l)
			}
		case <-time.After(patience):
			t.Fatalf("%s: no dead letter", name)
		}
	}
	until(t, "published", func() bool {
		return a.tally.side("output", 0).published.Value()+a.tally.side("output", 1).published.Value() == 4
	})
	subjects := map[string]int{}
	for m, err := range b.collected.Messages(limited(t), "SINK", streams.View{}) {
		if err != nil {
			t.Fatal(err)
		}
		subjects[m.Subject]++
	}
	if len(subjects) != 2 || subjects["sink.n1.example.net"] != 1 || subjects["sink.desk.example.net"] != 1 {
		t.Errorf("%v; want one of n1 and one of desk", subjects)
	}
	var page strings.Builder
	a.Metrics.WriteTo(&page)
	for _, want := range []string{
		`choria_adapter_dead_letters{identity="b1",name="a",reason="unverified"} 2`,
		`choria_adapter_dead_letters{identity="b1",name="a",reason="expired"} 1`,
		`choria_adapter_queue_capacity{identity="b1",name="a"} 1000`,
		`choria_adapter_queue_length{identity="b1",name="a"} 0`,
		`choria_adapter_received_msgs{identity="b1",name="a.0",role="input"}`,
		`choria_adapter_time_count{identity="b1",name="a.1",role="output"}`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("metrics lack %s:\n%s", want, page.String())
		}
	}
}

// TestSinkAway takes the sink away while messages come, stops the adapter, starts both again, and
// finds everything.
func TestSinkAway(t *testing.T) {
	ingest := labtest.Broker(t)
	conn := connect(t, ingest)
	b := newSinkBroker(t)
	spill := t.TempDir()
	run := func() (*Adapter, func()) {
		a := newAdapter(ingest, b.url)
		a.SpillDir = spill
		return a, start(t, a)
	}
	sent := 0
	send := func(n int) {
		for range n {
			sent++
			if err := conn.Publish("in", reply(t, fmt.Sprintf("n%d.example.net", sent%7), sent)); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Flush(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	a, stop := run()
	send(100)
	// What is stored and not yet acknowledged would wait on disk too when the broker goes.
	until(t, "the first are acknowledged", func() bool {
		return a.tally.side("output", 0).published.Value()+a.tally.side("output", 1).published.Value() == 100
	})
	b.stop()
	send(300)
	until(t, "they wait on disk", func() bool { return a.spill.waiting() == 300 })
	stop()

	a, stop = run() // without its sink
	if n := a.spill.waiting(); n != 300 {
		t.Errorf("%d messages after a restart; want 300", n)
	}
	send(300)
	until(t, "they wait behind those", func() bool { return a.spill.waiting() == 600 })
	b.start()
	until(t, "the sink has them", func() bool { return b.count() == 700 && a.spill.waiting() == 0 })
	send(100)
	stop() // drains, and leaves in the spill what the sink does not take in time
	_, stop = run()
	until(t, "what came last", func() bool { return b.count() == sent })
	stop()
	if n := a.tally.dropped("overflow").Value() + a.tally.dropped("stopped").Value(); n != 0 {
		t.Errorf("%d dropped", n)
	}
	// Those of one sender are in the order in which they came, while they waited.
	last := map[string]string{}
	for m, err := range b.collected.Messages(limited(t), "SINK", streams.View{}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Sequence <= 400 || m.Sequence > 700 {
			continue
		}
		var d document
		if err := json.Unmarshal(m.Data, &d); err != nil {
			t.Fatal(err)
		}
		last[d.RequestID] = d.Sender
	}
	if len(last) != 300 {
		t.Errorf("%d different messages of 300", len(last))
	}
}

// TestOverflow has nowhere to keep what the sink does not take: what is lost is counted, and nothing
// else is lost.
func TestOverflow(t *testing.T) {
	ingest := labtest.Broker(t)
	conn := connect(t, ingest)
	b := newSinkBroker(t)
	b.stop()
	a := newAdapter(ingest, b.url)
	a.Workers, a.OutputWorkers, a.QueueLength = 1, 1, 10
	start(t, a)
	const sent = 4000
	for i := range sent {
		if err := conn.Publish("in", reply(t, "n1", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(limited(t)); err != nil {
		t.Fatal(err)
	}
	overflow := a.tally.dropped("overflow")
	until(t, "messages are dropped", func() bool { return overflow.Value() > 0 })
	b.start()
	until(t, "the rest arrives", func() bool { return b.count()+int(overflow.Value()) == sent })
	if n := overflow.Value(); n < sent/2 {
		t.Errorf("%d dropped of %d; want most, since the queue has 10", n, sent)
	}
}

// TestStopWithoutSink says what is lost when there is no place for it.
func TestStopWithoutSink(t *testing.T) {
	ingest := labtest.Broker(t)
	conn := connect(t, ingest)
	a := newAdapter(ingest, "")
	a.Open = func(int) (Sink, error) {
		return OpenStreams("x", transport.Options{InProcess: func() (net.Conn, error) { return nil, fmt.Errorf("gone") }}), nil
	}
	stop := start(t, a)
	for i := range 5 {
		if err := conn.Publish("in", reply(t, "n1", i)); err != nil {
			t.Fatal(err)
		}
	}
	in := []side{a.tally.side("input", 0), a.tally.side("input", 1)}
	until(t, "received", func() bool { return in[0].received.Value()+in[1].received.Value() == 5 })
	stop()
	if n := a.tally.dropped("stopped").Value(); n != 5 {
		t.Errorf("%d counted as dropped; want 5", n)
	}
}

// TestNoSpill has no place on disk for messages: the adapter says so and runs, and its lag is seen.
func TestNoSpill(t *testing.T) {
	for name, tt := range map[string]struct{ dir, says string }{
		"none":  {"", "no directory is known for them"},
		"wrong": {"/proc/none", "/proc/none"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newSinkBroker(t)
			a := newAdapter(b.url, b.url)
			a.SpillDir, a.SpillOptional = tt.dir, true
			var log bytes.Buffer // read when nothing writes
			a.Log = slog.New(slog.NewTextHandler(&log, nil))
			var away atomic.Bool
			away.Store(true)
			a.Open = func(int) (Sink, error) {
				return sinkFunc(func(batch []Message) []error {
					if away.Load() {
						return all(batch, errNotConnected)
					}
					return make([]error, len(batch))
				}), nil
			}
			stop := start(t, a)
			lag := func() string {
				_, rest, _ := strings.Cut(text(a.Metrics), `choria_adapter_lag_seconds{identity="b1",name="a"} `)
				value, _, _ := strings.Cut(rest, "\n")
				return value
			}
			if lag() != "0" {
				t.Errorf("lag %q at the start; want 0", lag())
			}
			if err := connect(t, b.url).Publish("in", reply(t, "n1.example.net", 1)); err != nil {
				t.Fatal(err)
			}
			until(t, "lag", func() bool { return lag() != "0" })
			away.Store(false)
			until(t, "no lag", func() bool { return lag() == "0" })
			stop()
			if !strings.Contains(log.String(), tt.says) || !strings.Contains(log.String(), "plugin.choria.adapter.a.spill.directory") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// text returns the page of metrics.
func text(r *metrics.Registry) string {
	var page strings.Builder
	r.WriteTo(&page)
	return page.String()
}

// A sinkFunc is a sink that has nothing to close.
type sinkFunc func(batch []Message) []error

func (f sinkFunc) Publish(_ context.Context, batch []Message) []error { return f(batch) }
func (f sinkFunc) Close() error                                       { return nil }
