package choria_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// patience is for what has to happen, on a machine that is busy with the tests of many packages.
const patience = 60 * time.Second

// A network is a broker with TLS and a client of it.
type network struct {
	t    *testing.T
	site *labtest.Site
	id   *security.Identity
	conn *transport.Conn
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, site: labtest.TLSBroker(t)}
	n.id = n.site.Identity(t, "rip.mcollective", security.ForClient)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	n.conn, err = transport.Connect(ctx, transport.Options{Servers: []string{n.site.URL}, TLS: n.id.ClientTLS(), InboxPrefix: "mcollective.reply"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		n.conn.Close(ctx)
	})
	return n
}

// server returns a server of the network with the agent of the example.
func (n *network) server(identity string) *choria.Server {
	n.t.Helper()
	n.site.Issue(n.t, pki.Request{Name: identity})
	s, err := newGreeter(identity, strings.TrimPrefix(n.site.URL, "nats://"), n.site.Dir)
	if err != nil {
		n.t.Fatal(err)
	}
	s.Authorize = func(r *agent.Request) bool { return r.Action != "get_fact" || r.Caller == "choria=rip.mcollective" }
	return s
}

// run runs a server until the test ends, or stop is called.
func run(t *testing.T, s *choria.Server) (stop func()) {
	t.Helper()
	ready := make(chan struct{})
	s.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ended:
		stopped = true
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatal("the server is not ready")
	}
	return stop
}

// call makes a request and returns the body of its one reply.
func (n *network) call(identity, agent, action, data string) string {
	n.t.Helper()
	r := &protocol.Request{
		Version: protocol.V1, ID: protocol.NewID(), Sender: "ws.example.net", Caller: n.id.Caller(), Collective: "mcollective",
		Agent: agent, Time: time.Now(), TTL: time.Minute, Body: fmt.Appendf(nil, `{"agent":%q,"action":%q,"data":%s}`, agent, action, data),
	}
	sealed, err := protocol.SealRequest(r, n.id)
	if err != nil {
		n.t.Fatal(err)
	}
	reply := make(chan string, 1)
	subject := transport.ReplySubject("mcollective", r.Caller, r.ID)
	sub, err := n.conn.Subscribe(subject, "", 0, func(m transport.Msg) {
		t, err := protocol.DecodeTransport(m.Data)
		if err != nil {
			reply <- err.Error()
			return
		}
		got, err := protocol.OpenReply(t)
		if err != nil {
			reply <- err.Error()
			return
		}
		reply <- string(got.Body)
	})
	if err != nil {
		n.t.Fatal(err)
	}
	defer sub.Unsubscribe()
	tr := &protocol.Transport{Version: protocol.V1, ReplyTo: subject, Sender: "ws.example.net", Data: sealed}
	payload, err := tr.Encode()
	if err != nil {
		n.t.Fatal(err)
	}
	// The server is ready, but the broker may read its subscriptions after this, hence again and again.
	// It is the same request, which is run once.
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := n.conn.Publish(transport.NodeSubject("mcollective", identity), payload); err != nil {
			n.t.Fatal(err)
		}
		select {
		case body := <-reply:
			return body
		case <-time.After(200 * time.Millisecond):
		}
	}
	n.t.Fatalf("no reply of %s", identity)
	return ""
}

func TestServer(t *testing.T) {
	n := newNetwork(t)
	s := n.server("n1.example.net")
	s.Facts = func() json.RawMessage { return json.RawMessage(`{"site":"here"}`) }
	s.Settings = map[string]string{"plugin.greeter.language": "en"}
	stop := run(t, s)
	tests := []struct{ agent, action, data, want string }{
		{"greeter", "greet", `{"name":"World"}`, `{"action":"greet","statuscode":0,"statusmsg":"OK","data":{"greeting":"Hello World"}}`},
		{"greeter", "greet", `{"name":"nobody"}`, `{"action":"greet","statuscode":1,"statusmsg":"there is nobody to greet","data":{}}`},
		{"greeter", "greet", `{"name":"no body"}`, `"statuscode":4`},
		{"greeter", "greet", `{}`, `"statuscode":3`},
		{"rpcutil", "get_fact", `{"fact":"site"}`, `{"fact":"site","value":"here"}`},
		{"rpcutil", "get_config_item", `{"item":"plugin.greeter.language"}`, `"value":"en"`},
		{"choria_util", "info", `{}`, `"connector_tls":true`},
	}
	for _, tt := range tests {
		if got := n.call("n1.example.net", tt.agent, tt.action, tt.data); !strings.Contains(got, tt.want) {
			t.Errorf("%s#%s %s: %s; want %s", tt.agent, tt.action, tt.data, got, tt.want)
		}
	}
	if err := s.Reopen(); err != nil {
		t.Errorf("Reopen: %v", err)
	}
	stop()
	if err := s.Reopen(); err != nil {
		t.Errorf("Reopen of a server that does not run: %v", err)
	}
}

// Two servers in one process share nothing.
func TestTwoServers(t *testing.T) {
	n := newNetwork(t)
	for _, identity := range []string{"n1.example.net", "n2.example.net"} {
		s := n.server(identity)
		s.Facts = func() json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"me":%q}`, identity)) }
		run(t, s)
	}
	for _, identity := range []string{"n1.example.net", "n2.example.net"} {
		if got, want := n.call(identity, "rpcutil", "get_fact", `{"fact":"me"}`), fmt.Sprintf(`"value":%q`, identity); !strings.Contains(got, want) {
			t.Errorf("%s: %s; want %s", identity, got, want)
		}
	}
}

// With a configuration file there are its log, its policies and its agents, and what code says wins.
func TestServerWithFile(t *testing.T) {
	n := newNetwork(t)
	dir := t.TempDir()
	files := map[string]string{
		"server.conf": "identity = from.the.file\nlogfile = " + dir + "/server.log\nrpcaudit = 1\nplugin.rpcaudit.logfile = " + dir + "/audit.log\n" +
			"plugin.choria.nosuchkey = 1\nplugin.shell.activate_agent = false\n",
		"policies/rpcutil.policy": "policy default deny\nallow\t*\tagent_inventory\t*\t*\n",
	}
	if err := os.Mkdir(filepath.Join(dir, "policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := n.server("n1.example.net")
	s.ConfigFile, s.Standard, s.Authorize = filepath.Join(dir, "server.conf"), true, nil
	stop := run(t, s)
	inventory := n.call("n1.example.net", "rpcutil", "agent_inventory", `{}`)
	for _, name := range []string{"filemgr", "nettest", "process", "greeter"} {
		if !strings.Contains(inventory, fmt.Sprintf(`"agent":%q`, name)) {
			t.Errorf("inventory %s; want agent %s in it", inventory, name)
		}
	}
	if strings.Contains(inventory, `"agent":"shell"`) {
		t.Errorf("inventory %s; shell is switched off", inventory)
	}
	if got := n.call("n1.example.net", "rpcutil", "inventory", `{}`); !strings.Contains(got, "You are not authorized") {
		t.Errorf("inventory without a policy: %s", got)
	}
	for _, name := range []string{"server.log", "audit.log"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	n.call("n1.example.net", "rpcutil", "inventory", `{}`)
	stop()
	for name, want := range map[string]string{
		"server.log.1": "nosuchkey", "server.log": "request denied", "audit.log.1": `"action":"agent_inventory"`, "audit.log": `"denied":`,
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %v, %s; want %q in it", name, err, data, want)
		}
	}
}

func TestServerRefusals(t *testing.T) {
	n := newNetwork(t)
	taken, err := ddl.Parse([]byte(strings.Replace(greeterDDL, `"greeter"`, `"rpcutil"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*choria.Server)
		err    string // a part of it
	}{
		{"no such file", func(s *choria.Server) { s.ConfigFile = "/no/such/server.conf" }, "/no/such/server.conf"},
		{"setting", func(s *choria.Server) { s.Settings = map[string]string{"rpcaudit": "perhaps"} }, "rpcaudit"},
		{"certificate", func(s *choria.Server) { s.TLS.Certificate = "/no/such.pem" }, "/no/such.pem"},
		{"no description", func(s *choria.Server) { s.Agents = []*agent.Agent{{}} }, "without a description"},
		{"taken", func(s *choria.Server) { s.Agents[0].DDL = taken }, "two agents are called rpcutil"},
		{"component", func(s *choria.Server) { s.Component = "a.b" }, "component"},
	}
	for i, tt := range tests {
		s := n.server(fmt.Sprintf("n%d.example.net", i))
		tt.change(s)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: Run: %v; want %q", tt.name, err, tt.err)
		}
		cancel()
	}
}

// A server that is told to stop while it waits for a broker does.
func TestServerWithoutBroker(t *testing.T) {
	n := newNetwork(t)
	s := n.server("n1.example.net")
	s.Brokers = []string{"127.0.0.1:1"}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}
