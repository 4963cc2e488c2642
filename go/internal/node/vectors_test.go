package node_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/internal/vectors"
)

// A crafted message and what a peer made of it.
type crafted struct {
	Name    string   `json:"name"`
	Payload []byte   `json:"payload_base64"`
	Replied bool     `json:"peer_replied"`
	Replies [][]byte `json:"peer_replies_base64"`
	Times   int      `json:"published_times"`
	ReplyTo string   `json:"reply_to"`
	Subject string   `json:"subject"`
}

// departures are messages that get another reaction from us than from the peer, and why.
var departures = map[string]string{
	"filter without agent key": "the peer runs it and is then unable to make the reply",
	"caller trailing junk":     "we hold the whole caller id against its pattern, since policies compare it as a whole",
}

func readVectors[T any](t testing.TB, name string) (v T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// vectorNode runs node n1 of the vectors, with its certificates and a clock that the test sets.
func vectorNode(t *testing.T) (n *running, url string, clock *atomic.Int64) {
	t.Helper()
	v1 := filepath.Join(vectors.Dir(t), "v1")
	// Keys that others may read are refused, and the modes of a checkout are not ours to rely on.
	key, err := os.ReadFile(filepath.Join(v1, "pki", "n1.example.net.key"))
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "n1.key")
	if err := os.WriteFile(private, key, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := security.New(security.Options{
		For: security.ForServer, Name: "n1.example.net",
		Certificate: filepath.Join(v1, "pki", "n1.example.net.pem"), Key: private, CA: filepath.Join(v1, "pki", "ca.pem"),
	})
	if err != nil {
		t.Fatal(err)
	}
	url = labtest.Broker(t)
	o := options(t, url, "n1.example.net", "collectives", "mcollective,prod",
		"plugin.yaml", filepath.Join(v1, "facts.yaml"), "classesfile", filepath.Join(v1, "classes.txt"))
	clock = &atomic.Int64{}
	o.Verifier = id
	o.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	return run(t, o), url, clock
}

// madeAt returns when a message was made, as far as it says so.
func madeAt(payload []byte) (int64, bool) {
	var outer struct {
		Data string `json:"data"`
	}
	var secure struct {
		Message string `json:"message"`
	}
	var inner struct {
		Envelope struct {
			Time int64 `json:"time"`
		} `json:"envelope"`
	}
	if json.Unmarshal(payload, &outer) != nil {
		return 0, false
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(outer.Data, "\n", ""))
	if err != nil || json.Unmarshal(data, &secure) != nil || json.Unmarshal([]byte(secure.Message), &inner) != nil {
		return 0, false
	}
	return inner.Envelope.Time, inner.Envelope.Time > 0
}

// A node answers what a peer answered, with the same bytes where they are not its own to choose, and
// drops what the peer dropped.
func TestCraftedVectors(t *testing.T) {
	records := readVectors[[]crafted](t, "v1/crafted.json")
	if len(records) < 100 {
		t.Fatalf("%d records", len(records))
	}
	n, url, clock := vectorNode(t)
	conn := connect(t, url)
	received := make(chan transport.Msg, 1000)
	if _, err := conn.Subscribe("*.reply.>", "", 1000, func(m transport.Msg) { received <- m }); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	total, replies := uint64(0), uint64(0)
	for _, rec := range records {
		// The messages were sent as they were made, but for those whose time is what was crafted.
		if at, ok := madeAt(rec.Payload); ok && !strings.HasPrefix(rec.Name, "time ") {
			clock.Store(at)
		}
		for range rec.Times {
			if err := conn.Publish(rec.Subject, rec.Payload); err != nil {
				t.Fatal(err)
			}
		}
		total += uint64(rec.Times)
		await(t, "the node to decide about "+rec.Name, func() bool { return n.count("total") == total && decided(n) })
		departure := departures[rec.Name] != ""
		if rec.Replied == departure {
			continue // an answer after all is found below
		}
		replies++ // once, however often it was sent
		select {
		case m := <-received:
			if m.Subject != rec.ReplyTo {
				t.Fatalf("%s: reply on %s; want %s", rec.Name, m.Subject, rec.ReplyTo)
			}
			if !departure {
				compare(t, rec.Name, m.Data, rec.Replies)
			}
		case <-time.After(patience):
			t.Fatalf("%s: no reply:\n%s", rec.Name, n.log)
		}
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if got := n.count("replies"); got != replies {
		t.Errorf("%d replies; want %d", got, replies)
	}
	if got := n.count("replayed"); got != 1 {
		t.Errorf("%d messages counted as replayed; want 1", got)
	}
	if text := n.log.String(); strings.Contains(text, "panic") {
		t.Errorf("a message caused a panic:\n%s", text)
	}
}

// decided reports whether everything received was dropped or found valid.
func decided(n *running) bool {
	c := n.counts()
	return c["total"] == c["validated"]+c["unvalidated"]+c["filtered"]+c["ttlexpired"]
}

// compare holds a reply against that of the peer.
func compare(t *testing.T, name string, payload []byte, peer [][]byte) {
	t.Helper()
	got, err := decode(payload)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var want reply
	for _, data := range peer { // a broadcast was answered by other nodes, too
		r, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if r.Sender == "n1.example.net" {
			want = r
		}
	}
	if want.Reply == nil {
		t.Fatalf("%s: no reply of n1", name)
	}
	if got.Version != protocol.V1 || got.RequestID != want.RequestID || got.Sender != want.Sender || got.Agent != want.Agent {
		t.Errorf("%s: reply %+v; want %+v", name, got.Reply, want.Reply)
	}
	if got.Agent == "discovery" {
		if string(got.Body) != string(want.Body) {
			t.Errorf("%s: body %q; want %q", name, got.Body, want.Body)
		}
	} else if got.action != want.action || got.status != want.status || (want.status == 0) != (got.message == "OK") {
		t.Errorf("%s: body %s; want %s", name, got.Body, want.Body)
	}
	f, g := got.transport.Federation, want.transport.Federation
	if (f == nil) != (g == nil) || (f != nil && (f.RequestID != g.RequestID || f.ReplyTo != g.ReplyTo)) {
		t.Errorf("%s: federation %+v; want %+v", name, f, g)
	}
	if len(got.transport.Hops) != len(want.transport.Hops) {
		t.Errorf("%s: hops %v; want as many as %v", name, got.transport.Hops, want.transport.Hops)
	}
}

// Messages that end the daemon of the peer are dropped, and the node answers the next one.
func TestMustDropVectors(t *testing.T) {
	records := readVectors[[]crafted](t, "v1/must_drop.json")
	if len(records) == 0 {
		t.Fatal("no records")
	}
	n, url, clock := vectorNode(t)
	conn := connect(t, url)
	for i, rec := range records {
		if at, ok := madeAt(rec.Payload); ok {
			clock.Store(at)
		}
		if err := conn.Publish(rec.Subject, rec.Payload); err != nil {
			t.Fatal(err)
		}
		await(t, "the message to arrive", func() bool { return n.count("total") == uint64(i+1) })
		await(t, "the node to decide about "+rec.Name, func() bool { return decided(n) })
	}
	if got := n.count("replies"); got != 0 {
		t.Errorf("%d replies; want none", got)
	}
	ping := readVectors[[]crafted](t, "v1/crafted.json")[0]
	at, _ := madeAt(ping.Payload)
	clock.Store(at)
	if err := conn.Publish(ping.Subject, ping.Payload); err != nil {
		t.Fatal(err)
	}
	await(t, "the node to answer", func() bool { return n.count("replies") == 1 })
	if text := n.log.String(); strings.Contains(text, "panic") {
		t.Errorf("a message caused a panic:\n%s", text)
	}
}

// Requests of the legacy Ruby client get the replies that the peer gave them. Federated ones are
// delivered as a federation broker would.
func TestRubyVectors(t *testing.T) {
	type message struct {
		Payload []byte `json:"payload_base64"`
	}
	records := readVectors[[]struct {
		Name    string    `json:"name"`
		Subject string    `json:"subject"`
		Payload []byte    `json:"payload_base64"`
		Replies []message `json:"replies"`
	}](t, "v1/ruby.json")
	n, url, clock := vectorNode(t)
	conn := connect(t, url)
	received := make(chan transport.Msg, 100)
	if _, err := conn.Subscribe("mcollective.reply.>", "", 100, func(m transport.Msg) { received <- m }); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for _, rec := range records {
		if len(rec.Replies) == 0 {
			continue // a reply
		}
		requests++
		at, ok := madeAt(rec.Payload)
		if !ok {
			t.Fatalf("%s: no time", rec.Name)
		}
		clock.Store(at)
		tr, err := protocol.DecodeTransport(rec.Payload)
		if err != nil {
			t.Fatal(err)
		}
		subject := rec.Subject
		if tr.Federation != nil {
			subject = tr.Federation.Targets[0]
		}
		if err := conn.Publish(subject, rec.Payload); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-received:
			got, err := decode(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			want, err := decode(rec.Replies[0].Payload)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != tr.ReplyTo || got.RequestID != want.RequestID || got.Agent != want.Agent || got.status != want.status || got.action != want.action {
				t.Errorf("%s: reply %s on %s; want %s on %s", rec.Name, got.Body, m.Subject, want.Body, tr.ReplyTo)
			}
			if (tr.Federation == nil) != (got.transport.Federation == nil) {
				t.Errorf("%s: federation header %+v; want one like %+v", rec.Name, got.transport.Federation, tr.Federation)
			}
		case <-time.After(patience):
			t.Fatalf("%s: no reply:\n%s", rec.Name, n.log)
		}
	}
	if requests < 5 {
		t.Errorf("%d requests in ruby.json", requests)
	}
}
