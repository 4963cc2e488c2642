package choria_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/choria"
	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// client returns a client of the network.
func (n *network) client() *client.Client {
	n.t.Helper()
	broker := strings.TrimPrefix(n.site.URL, "nats://")
	file := filepath.Join(n.t.TempDir(), "client.conf")
	text := fmt.Sprintf("plugin.choria.middleware_hosts = %s\nplugin.choria.use_srv = false\nplugin.security.provider = file\nidentity = rip.mcollective\n"+
		"plugin.security.file.ca = %[2]s/ca.pem\nplugin.security.file.certificate = %[2]s/rip.mcollective.pem\nplugin.security.file.key = %[2]s/rip.mcollective.key\n"+
		"collectives = mcollective, poller\n", broker, n.site.Dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	c, err := client.Open(n.t.Context(), client.Options{Config: file})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

// Many nodes share one process, each with facts, agents and a connection of its own, and when they are
// stopped nothing of them is left.
func TestManyServers(t *testing.T) {
	const count = 500
	n := newNetwork(t)
	c := n.client()
	goroutines := runtime.NumGoroutine()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var ready, stopping atomic.Int64
	failed := make(chan error, count)
	nodes := make([]string, count)
	for i := range count {
		nodes[i] = fmt.Sprintf("n%03d.example.net", i)
		s := n.server(nodes[i])
		s.Facts = func() json.RawMessage { return fmt.Appendf(nil, `{"number":%d}`, i) }
		s.Ready = func() { ready.Add(1) }
		s.Stopping = func() { stopping.Add(1) }
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", s.Identity, err)
			}
		})
	}
	for end := time.Now().Add(2 * patience); ready.Load() < count; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d nodes are ready", ready.Load(), count)
		}
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
	}
	t.Logf("%d goroutines for %d nodes", runtime.NumGoroutine()-goroutines, count)

	// Brokers may read the last subscriptions after the nodes are ready, hence again and again.
	seen := make(map[string]string)
	for end := time.Now().Add(patience); len(seen) < count && time.Now().Before(end); {
		clear(seen)
		r, err := c.Start(ctx, client.Request{
			Agent: "rpcutil", Action: "get_fact", Data: map[string]any{"fact": "number"}, Nodes: nodes, Timeout: patience,
		})
		if err != nil {
			t.Fatal(err)
		}
		for reply := range r.Replies() {
			if _, twice := seen[reply.Sender]; twice {
				t.Errorf("two replies of %s", reply.Sender)
			}
			seen[reply.Sender] = string(reply.Data)
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i, node := range nodes {
		if want := fmt.Sprintf(`{"fact":"number","value":%d}`, i); seen[node] != want {
			t.Errorf("%s: %s; want %s", node, seen[node], want)
		}
	}

	cancel()
	running.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if stopping.Load() != count {
		t.Errorf("%d of %d nodes said that they stop", stopping.Load(), count)
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines+50; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) { // the broker is in this process, and ends its side of the connections by itself
			t.Fatalf("%d goroutines, of which there were %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

// What a program has to say about itself is published signed, on a clock of its own.
func TestRegistrations(t *testing.T) {
	n := newNetwork(t)
	got := make(chan []byte, 100)
	sub, err := n.conn.Subscribe(transport.BroadcastSubject("mcollective", "registration"), "", 10, func(m transport.Msg) { got <- m.Data })
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if err := n.conn.Flush(t.Context()); err != nil { // what is published before the broker knows of it is lost
		t.Fatal(err)
	}
	s := n.server("n1.example.net")
	n.site.Issue(t, pki.Request{Name: "n1.example.net", RSA: true}) // to sign protocol 1 takes an RSA key
	var asked atomic.Int64
	s.Registrations = []choria.Registration{{Name: "load", Interval: time.Second, Collect: func() ([]byte, error) {
		asked.Add(1)
		return []byte(`{"load":1}`), nil
	}}}
	stop := run(t, s)
	select {
	case data := <-got:
		tr, err := protocol.DecodeTransport(data)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := protocol.DecodeSecureRequest(tr)
		if err != nil {
			t.Fatal(err)
		}
		req, err := protocol.DecodeRequest(protocol.V1, sealed.Message)
		if err != nil || string(req.Body) != `{"load":1}` || req.Caller != "choria=n1.example.net" || len(sealed.Signature) == 0 {
			t.Errorf("published %+v, %v", req, err)
		}
	case <-time.After(patience):
		t.Fatal("nothing was published")
	}
	stop()
	if asked.Load() == 0 {
		t.Error("the program was not asked")
	}
}
