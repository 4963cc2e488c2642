package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// limit is how long a test waits for what must happen, on a machine that is busy with other tests.
const limit = 60 * time.Second

// patiently tries what takes its whole timeout, with one that grows until it was long enough for this
// machine: when nothing in it is wrong but the time.
func patiently(t *testing.T, try func(timeout time.Duration) error) {
	t.Helper()
	for timeout := 400 * time.Millisecond; ; timeout *= 5 {
		err := try(timeout)
		if err == nil {
			return
		}
		if timeout > limit/2 {
			t.Fatal(err)
		}
	}
}

// open returns a client of the site with further configuration lines.
func open(t testing.TB, site *labtest.Site, lines ...string) *client.Client {
	t.Helper()
	c, err := client.Open(t.Context(), client.Options{Config: configFile(t, site, lines...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// configFile writes a client configuration for the site.
func configFile(t testing.TB, site *labtest.Site, lines ...string) string {
	t.Helper()
	const name = "alice.mcollective"
	if _, err := os.Stat(filepath.Join(site.Dir, name+".pem")); err != nil {
		site.Issue(t, pki.Request{Name: name, RSA: true})
	}
	base := []string{
		"identity = workstation.example.net",
		"plugin.choria.middleware_hosts = " + strings.TrimPrefix(site.URL, "nats://"),
		"plugin.choria.use_srv = false",
		"plugin.choria.network.connect_timeout = 30s",
		"plugin.security.provider = file",
		"plugin.security.file.certificate = " + filepath.Join(site.Dir, name+".pem"),
		"plugin.security.file.key = " + filepath.Join(site.Dir, name+".key"),
		"plugin.security.file.ca = " + filepath.Join(site.Dir, "ca.pem"),
		"collectives = mcollective, other",
		"discovery_timeout = 60", // a test that waits for it fails
	}
	path := filepath.Join(t.TempDir(), "client.cfg")
	if err := os.WriteFile(path, []byte(strings.Join(append(base, lines...), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeNodes are nodes that share a connection. Requests are not verified: that is the business of
// real nodes.
type fakeNodes struct {
	t    testing.TB
	conn *transport.Conn

	mu       sync.Mutex
	payloads [][]byte // of the requests to nodes
	seen     []*protocol.Request
}

// newNodes connects nodes of these names, which answer discovery, and requests by answer.
func newNodes(t testing.TB, site *labtest.Site, answer func(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request), names ...string) *fakeNodes {
	t.Helper()
	id := site.Identity(t, "nodes.example.net", security.ForServer)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	conn, err := transport.Connect(ctx, transport.Options{Servers: []string{site.URL}, TLS: id.ClientTLS(), ConnectTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the broker may be gone already
		defer cancel()
		_ = conn.Close(ctx)
	})
	f := &fakeNodes{t: t, conn: conn}
	f.subscribe("mcollective.broadcast.agent.discovery", func(tr *protocol.Transport, r *protocol.Request) {
		if !strings.Contains(string(r.Body), "ping") {
			t.Errorf("discovery request with body %q", r.Body)
		}
		for _, name := range names {
			f.reply(name, tr, r, "pong")
		}
	})
	for _, name := range names {
		f.subscribe(transport.NodeSubject("mcollective", name), func(tr *protocol.Transport, r *protocol.Request) { answer(f, name, tr, r) })
	}
	if err := conn.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// subscribe calls handle for the requests on a subject.
func (f *fakeNodes) subscribe(subject string, handle func(*protocol.Transport, *protocol.Request)) {
	f.t.Helper()
	_, err := f.conn.Subscribe(subject, "", 0, func(m transport.Msg) {
		tr, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			f.t.Errorf("request on %s: %v", subject, err)
			return
		}
		secure, err := protocol.DecodeSecureRequest(tr)
		if err != nil {
			f.t.Errorf("request on %s: %v", subject, err)
			return
		}
		r, err := protocol.DecodeRequest(secure.Version, secure.Message)
		if err != nil {
			f.t.Errorf("request on %s: %v", subject, err)
			return
		}
		if len(r.Filter.Identity) > 0 && r.Filter.Identity[0] == "nobody.choria.invalid" {
			return // as nodes do with what their name does not match: the client wants to know who is gone
		}
		f.mu.Lock()
		f.payloads = append(f.payloads, m.Data)
		f.seen = append(f.seen, r)
		f.mu.Unlock()
		handle(tr, r)
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// requests returns what was asked so far.
func (f *fakeNodes) requests() []*protocol.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*protocol.Request(nil), f.seen...)
}

// reply answers as a node.
func (f *fakeNodes) reply(node string, tr *protocol.Transport, r *protocol.Request, body string) {
	payload, err := encodeReply(node, r.ID, r.Agent, body, tr.Federation)
	if err != nil {
		f.t.Errorf("reply of %s: %v", node, err)
		return
	}
	if err := f.conn.Publish(tr.ReplyTo, payload); err != nil {
		f.t.Logf("reply of %s: %v", node, err) // the broker is gone on purpose in some tests
	}
}

// encodeReply returns a reply, with the federation header of the request.
func encodeReply(node, id, agent, body string, federation *protocol.Federation) ([]byte, error) {
	data, err := protocol.SealReply(&protocol.Reply{Version: protocol.V1, RequestID: id, Sender: node, Agent: agent, Time: time.Now(), Body: []byte(body)})
	if err != nil {
		return nil, err
	}
	return (&protocol.Transport{Version: protocol.V1, Sender: node, Federation: federation, Data: data}).Encode()
}

// ok answers every request well.
func ok(f *fakeNodes, node string, tr *protocol.Transport, r *protocol.Request) {
	f.reply(node, tr, r, rpcBody(0, "OK", map[string]any{"node": node}))
}

func rpcBody(status int, message string, data any) string {
	body, err := json.Marshal(map[string]any{"action": "ping", "statuscode": status, "statusmsg": message, "data": data})
	if err != nil {
		panic(err)
	}
	return string(body)
}

func names(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("n%d.example.net", i+1))
	}
	return out
}
