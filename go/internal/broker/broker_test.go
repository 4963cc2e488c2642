package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// patience is how long anything may take on a busy machine before a test gives up on it.
const patience = time.Minute

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

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

// connect connects until the test ends. What Close says is of no interest: brokers go first.
func connect(t testing.TB, o transport.Options) *transport.Conn {
	t.Helper()
	o.ConnectTimeout = 30 * time.Second
	c, err := transport.Connect(limited(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

// refused connects until it was refused once, and holds the reason.
func refused(t testing.TB, o transport.Options, want string) {
	t.Helper()
	o.ConnectTimeout = patience
	o.Metrics = metrics.New()
	attempts := o.Metrics.Counter("choria_connector_initial_connection_attempts", "")
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	result := make(chan error, 1)
	go func() {
		c, err := transport.Connect(ctx, o)
		if err == nil {
			c.Close(ctx)
		}
		result <- err
	}()
	until(t, "one attempt", func() bool { return attempts.Value() > 0 || len(result) > 0 })
	cancel()
	err := <-result
	if err == nil {
		t.Fatalf("connected; want to be refused: %s", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("refused with: %v\nwant: %s", err, want)
	}
}

// log collects what is logged.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newLog() (*slog.Logger, *log) {
	l := &log{}
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

// passes reports whether a message that from publishes on subject reaches to. What to received is
// counted before the broker's answer to its flush, and that comes behind the message if there is one.
func passes(t testing.TB, from, to *transport.Conn, subject string) bool {
	t.Helper()
	sub, err := to.Subscribe(subject, "", 0, func(transport.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	before := to.Stats().InMsgs
	for _, step := range []func() error{
		func() error { return to.Flush(limited(t)) },
		func() error { return from.Publish(subject, nil) },
		func() error { return from.Flush(limited(t)) },
		func() error { return to.Flush(limited(t)) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return to.Stats().InMsgs > before
}

func TestCertificatesDecideWhoConnects(t *testing.T) {
	logger, logged := newLog()
	site, other := labtest.NewSite(t), labtest.NewSite(t)
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b.example.net"), broker.Options{
		Security: site.Identity(t, "b.example.net", security.ForBroker), Log: logger,
	})
	url := []string{b.URL()}

	node := site.Identity(t, "n1.example.net", security.ForServer).ClientTLS()
	c := connect(t, transport.Options{Servers: url, TLS: node, Name: "n1"})
	if !passes(t, c, c, "mcollective.broadcast.agent.x") {
		t.Error("a connection with a certificate may not publish")
	}

	none := node.Clone()
	none.GetClientCertificate = nil
	none.ClientSessionCache = nil
	refused(t, transport.Options{Servers: url, TLS: none, Name: "anonymous"}, "authorization violation")
	until(t, "reason logged", func() bool { return strings.Contains(logged.String(), "it has no certificate from our CA") })
	if !strings.Contains(logged.String(), "name=anonymous") {
		t.Error("the log does not name the connection that was refused")
	}

	wrong := node.Clone()
	wrong.ClientSessionCache = nil
	wrong.GetClientCertificate = other.Identity(t, "n1.example.net", security.ForServer).ClientTLS().GetClientCertificate
	refused(t, transport.Options{Servers: url, TLS: wrong}, "unknown certificate authority")

	// Without TLS the handshake is not even begun; the library then insists on TLS by itself.
	refused(t, transport.Options{Servers: url}, "certificate")
	refused(t, transport.Options{Servers: url, TLS: node, User: "provisioner", Password: "x"}, "authorization violation")

	if got := b.URL(); !strings.HasPrefix(got, "nats://127.0.0.1:") {
		t.Errorf("URL() = %s", got)
	}
	p := connect(t, transport.Options{InProcess: b.InProcess})
	if !passes(t, p, c, "x") {
		t.Error("a connection within the process does not reach the others")
	}
}

func TestRevokedClients(t *testing.T) {
	logger, logged := newLog()
	site := labtest.NewSite(t)
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b.example.net"), broker.Options{
		Security: site.Identity(t, "b.example.net", security.ForBroker), Log: logger,
		RevocationInterval: 50 * time.Millisecond,
	})
	good := connect(t, transport.Options{Servers: []string{b.URL()}, TLS: site.Identity(t, "good", security.ForServer).ClientTLS()})
	pair := site.Issue(t, pki.Request{Name: "bad"})
	id := site.Load(t, "bad", security.ForServer)
	bad := connect(t, transport.Options{Servers: []string{b.URL()}, TLS: id.ClientTLS(), Name: "bad"})
	if b.Clients() != 2 {
		t.Errorf("%d clients; want 2", b.Clients())
	}

	site.Revoke(t, pair)
	until(t, "the revoked client is gone", func() bool { return b.Clients() == 1 })
	until(t, "and knows it", func() bool { return bad.Server() == "" })
	if good.Server() == "" {
		t.Error("another client lost its connection")
	}
	if !strings.Contains(logged.String(), "name=bad") {
		t.Error("the log does not name the client")
	}
	refused(t, transport.Options{Servers: []string{b.URL()}, TLS: id.ClientTLS()}, "it refused our certificate")
}

func TestClientHosts(t *testing.T) {
	type perm struct {
		subject string
		ok      bool
	}
	serverPublish := []perm{
		{"mcollective.broadcast.agent.rpcutil", false},
		{"mcollective.broadcast.service.x", false},
		{"mcollective.node.n1", false},
		{"choria.federation.london.federation", false},
		{"mcollective.reply.abc.def", true},
		{"choria.federation.london.collective", true},
		{"choria.lifecycle.event.startup.server", true},
		{"acme.registration", true},
	}
	serverSubscribe := []perm{
		{"mcollective.broadcast.agent.rpcutil", true},
		{"mcollective.broadcast.service.x", true},
		{"mcollective.node.n1", true},
		{"mcollective.reply.abc.def", false},
		{"choria.federation.london.federation", false},
		{"choria.lifecycle.event.startup.server", false},
	}
	everything := func(list []perm) (all []perm) {
		for _, p := range list {
			all = append(all, perm{p.subject, true})
		}
		return all
	}
	tests := []struct {
		name      string
		settings  []string
		pub, sub  []perm
		allDenied bool
	}{
		{"not set", nil, everything(serverPublish), everything(serverSubscribe), false},
		{"address in the list", []string{"plugin.choria.network.client_hosts", "192.0.2.1, 127.0.0.1"}, everything(serverPublish), everything(serverSubscribe), false},
		{"network in the list", []string{"plugin.choria.network.client_hosts", "127.0.0.0/8"}, everything(serverPublish), everything(serverSubscribe), false},
		{"not in the list", []string{"plugin.choria.network.client_hosts", "192.0.2.0/24,2001:db8::/32"}, serverPublish, serverSubscribe, false},
		{"in the list, servers denied", []string{"plugin.choria.network.client_hosts", "127.0.0.1", "plugin.choria.network.deny_server_connections", "1"}, everything(serverPublish), everything(serverSubscribe), false},
		{"not in the list, servers denied", []string{"plugin.choria.network.client_hosts", "192.0.2.1", "plugin.choria.network.deny_server_connections", "1"}, nil, nil, true},
		{"no list, servers denied", []string{"plugin.choria.network.deny_server_connections", "1"}, everything(serverPublish), everything(serverSubscribe), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := labtest.RunBroker(t, labtest.BrokerConfig(t, tt.settings...), broker.Options{})
			all := connect(t, transport.Options{InProcess: b.InProcess}) // may always do everything
			c := connect(t, transport.Options{Servers: []string{b.URL()}})
			if tt.allDenied {
				for _, s := range append(serverPublish, serverSubscribe...) {
					if passes(t, c, all, s.subject) || passes(t, all, c, s.subject) {
						t.Errorf("%s: permitted; want nothing to be", s.subject)
					}
				}
				return
			}
			for _, p := range tt.pub {
				if got := passes(t, c, all, p.subject); got != p.ok {
					t.Errorf("publish to %s: permitted %v; want %v", p.subject, got, p.ok)
				}
			}
			for _, p := range tt.sub {
				if got := passes(t, all, c, p.subject); got != p.ok {
					t.Errorf("subscribe to %s: permitted %v; want %v", p.subject, got, p.ok)
				}
			}
		})
	}
}

func TestSystemAccount(t *testing.T) {
	site := labtest.NewSite(t)
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b.example.net",
		"plugin.choria.network.system.user", "sys", "plugin.choria.network.system.password", "s3cret",
	), broker.Options{Security: site.Identity(t, "b.example.net", security.ForBroker)})
	tls := site.Identity(t, "n1", security.ForServer).ClientTLS()
	url := []string{b.URL()}

	sys := connect(t, transport.Options{Servers: url, TLS: tls, User: "sys", Password: "s3cret"})
	got := make(chan []byte, 1)
	if _, err := sys.Subscribe("answer", "", 0, func(m transport.Msg) { got <- m.Data }); err != nil {
		t.Fatal(err)
	}
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING", "answer", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case data := <-got:
		if !bytes.Contains(data, []byte("b.example.net")) {
			t.Errorf("the server answers %s", data)
		}
	case <-time.After(patience):
		t.Error("the system account does not answer")
	}

	ordinary := connect(t, transport.Options{Servers: url, TLS: tls})
	if passes(t, sys, ordinary, "mcollective.node.n1") {
		t.Error("the system account reaches the account of nodes")
	}
	if passes(t, ordinary, sys, "$SYS.REQ.SERVER.PING") {
		t.Error("an ordinary connection reaches the system account")
	}
	refused(t, transport.Options{Servers: url, TLS: tls, User: "sys", Password: "wrong"}, "authorization violation")
	anonymous := tls.Clone()
	anonymous.GetClientCertificate = nil
	anonymous.ClientSessionCache = nil
	refused(t, transport.Options{Servers: url, TLS: anonymous, User: "sys", Password: "s3cret"}, "authorization violation")
}

func TestMaxConnections(t *testing.T) {
	b := labtest.RunBroker(t, labtest.BrokerConfig(t), broker.Options{MaxConnections: 2})
	for range 2 {
		connect(t, transport.Options{Servers: []string{b.URL()}})
	}
	refused(t, transport.Options{Servers: []string{b.URL()}}, "maximum")
}

// TestLifecycleMetrics holds that a broker counts what nodes say.
func TestLifecycleMetrics(t *testing.T) {
	reg := metrics.New()
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b.example.net"), broker.Options{Metrics: reg})
	c := connect(t, transport.Options{Servers: []string{b.URL()}, Name: "n1"})
	e := lifecycle.New(lifecycle.Startup, "n1.example.net", lifecycle.Server)
	e.Version = "1.2.3"
	data, err := lifecycle.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the node is counted", func() bool { // the broker may not listen yet
		if err := c.Publish(lifecycle.Subject(e), data); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := reg.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out.String(), `choria_lifecycle_nodes{component="server",identity="b.example.net",version="1.2.3"} 1`+"\n")
	})
}

func TestMetricsAndMonitoring(t *testing.T) {
	reg := metrics.New()
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b.example.net"), broker.Options{Metrics: reg})
	c := connect(t, transport.Options{Servers: []string{b.URL()}, Name: "n1"})
	if !passes(t, c, c, "x") {
		t.Fatal("no message passed")
	}
	var out bytes.Buffer
	until(t, "c and the connection that counts events", func() bool {
		out.Reset()
		if _, err := reg.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out.String(), `choria_network_connections{identity="b.example.net"} 2`)
	})
	for _, line := range []string{
		`# TYPE choria_network_connections gauge`,
		`choria_network_total_connections{identity="b.example.net"} 2`,
		`choria_network_routes{identity="b.example.net"} 0`,
		`choria_network_remotes{identity="b.example.net"} 0`,
		`choria_network_leafnode_remotes{identity="b.example.net"} 0`,
		`choria_network_in_msgs{identity="b.example.net"} 1`,
		`choria_network_out_msgs{identity="b.example.net"} 1`,
		`choria_network_in_bytes{identity="b.example.net"} 0`,
		`choria_network_out_bytes{identity="b.example.net"} 0`,
		`choria_network_slow_consumers{identity="b.example.net"} 0`,
		`choria_network_subscriptions{identity="b.example.net"} `,
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %s in\n%s", line, out.String())
		}
	}
	for path, want := range map[string]string{
		"/varz": `"server_name": "b.example.net"`, "/connz": `"name": "n1"`, "/routez": `"num_routes": 0`, "/subsz": `"num_subscriptions"`,
		"/jsz": `"disabled": true`, "/healthz": `"status": "ok"`, "/accountz": `"choria"`, "/": "connz", "/gatewayz": "{", "/leafz": "{", "/accstatz": "{", "/stacksz": "goroutine",
	} {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if body := strings.ReplaceAll(w.Body.String(), `":"`, `": "`); w.Code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d %.300s; want %s", path, w.Code, body, want)
		}
	}
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/no-such-page", nil))
	if w.Code != 404 {
		t.Errorf("GET /no-such-page: %d; want 404", w.Code)
	}
}

// TestSettings holds what the server says of itself against protocol section 10.1.
func TestSettings(t *testing.T) {
	cfg := config.New()
	for k, v := range map[string]string{
		"identity": "b.example.net", "plugin.choria.use_srv": "no", "plugin.choria.network.client_port": "-1",
		"plugin.choria.network.listen_address": "127.0.0.1", "plugin.choria.network.public_url": "nats.example.net:4333",
	} {
		if err := cfg.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	b := labtest.RunBroker(t, cfg, broker.Options{MaxConnections: 100}) // for which there are files everywhere
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/varz", nil))
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"server_name": "b.example.net", "max_connections": 100.0, "max_payload": 1048576.0, "max_pending": 67108864.0, "max_control_line": 4096.0,
		"write_deadline": 10e9, "tls_timeout": 2.0, "auth_timeout": 2.0, "ping_interval": 120e9, "ping_max": 2.0, "system_account": "system",
		"host": "nats.example.net", "port": 4333.0,
	} {
		if v[key] != want {
			t.Errorf("%s is %v; want %v", key, v[key], want)
		}
	}
	if broker.MaxConnections != 50_000 {
		t.Errorf("%d connections are the most; want 50000", broker.MaxConnections)
	}
}

func TestPortErrorOfUnknownName(t *testing.T) {
	err := &broker.PortError{Key: "k", Host: "nowhere", Port: 1, Err: &net.OpError{Op: "listen", Err: &net.DNSError{Err: "no such host", Name: "nowhere"}}}
	if got, want := err.Error(), `k: listen on nowhere:1: the host name "nowhere" is not known`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if !strings.Contains(err.Hint(), "listen_address") {
		t.Errorf("hint %q", err.Hint())
	}
}

func TestStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	free := strconv.Itoa(labtest.Port(t))
	tests := []struct {
		name     string
		settings []string
		change   func(*config.Config)
		err      string
		hint     string
	}{
		{"client port taken", []string{"plugin.choria.network.client_port", port}, nil,
			"plugin.choria.network.client_port: listen on 127.0.0.1:" + port + ": address already in use", "another program has the port"},
		{"peer port taken", []string{"plugin.choria.network.peers", "other.example.net:5222", "plugin.choria.network.peer_port", port}, nil,
			"plugin.choria.network.peer_port: listen on 127.0.0.1:" + port + ": address already in use", "another program has the port"},
		{"one port twice", []string{"plugin.choria.network.client_port", free, "plugin.choria.network.leafnode_port", free}, nil,
			"plugin.choria.network.leafnode_port: listen on 127.0.0.1:" + free + ": it is plugin.choria.network.client_port too", ""},
		{"peer port and client port", []string{"plugin.choria.network.client_port", free, "plugin.choria.network.peers", "other.example.net:5222", "plugin.choria.network.peer_port", free}, nil,
			"plugin.choria.network.peer_port: listen on 127.0.0.1:" + free + ": it is plugin.choria.network.client_port too", ""},
		{"statistics port and client port", []string{"plugin.choria.network.client_port", free, "plugin.choria.stats_port", free}, nil,
			"plugin.choria.stats_port: listen on 127.0.0.1:" + free + ": it is plugin.choria.network.client_port too", ""},
		{"gateways and streams without a cluster", []string{"plugin.choria.network.gateway_port", free, storeKey, t.TempDir()}, nil,
			"plugin.choria.network.gateway_port: a broker with gateways keeps streams in a cluster alone", "plugin.choria.network.peers"},
		{"bad name of a cluster", []string{"plugin.choria.network.gateway_name", "EAST WEST"}, nil, `plugin.choria.network.gateway_name: "EAST WEST": want a name without spaces`, ""},
		{"bad address of websockets", []string{"plugin.choria.network.websocket_port", free, "plugin.choria.network.websocket_advertise", "a b"}, nil,
			`plugin.choria.network.websocket_advertise: "a b": want a host, or host:port`, ""},
		{"not our address", []string{"plugin.choria.network.listen_address", "192.0.2.1"}, nil,
			"plugin.choria.network.client_port: listen on 192.0.2.1:0: cannot assign requested address", "listen_address"},
		{"bad peer", nil, func(c *config.Config) { c.Peers = []string{"other.example.net"} },
			`plugin.choria.network.peers: "other.example.net": want`, ""},
		{"bad client host", []string{"plugin.choria.network.client_hosts", "127.0.0.1, web.example.net"}, nil,
			`plugin.choria.network.client_hosts: "web.example.net": want an IP address, or a network as in 192.168.0.0/24`, ""},
		{"bad public address", []string{"plugin.choria.network.public_url", "http://x"}, nil, `plugin.choria.network.public_url: "http://x": want`, ""},
		{"no port", nil, func(c *config.Config) { c.ClientPort = 0 }, "plugin.choria.network.client_port: want a port", ""},
		{"no system password", []string{"plugin.choria.network.system.user", "sys"}, nil, "plugin.choria.network.system.user: plugin.choria.network.system.password is not set", ""},
		{"TLS without a certificate", []string{"plugin.choria.network.client_tls_force_required", "yes"}, nil, "plugin.choria.network.client_tls_force_required: there is no certificate", ""},
		{"bad name", nil, func(c *config.Config) { c.Identity = "two words" }, "broker: server name cannot contain spaces", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := labtest.BrokerConfig(t, tt.settings...)
			if tt.change != nil {
				tt.change(cfg)
			}
			b, err := broker.New(cfg, broker.Options{})
			if err == nil {
				err = b.Run(limited(t))
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Fatalf("got %v; want %s", err, tt.err)
			}
			var h interface{ Hint() string }
			if tt.hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), tt.hint)) {
				t.Errorf("no hint about %s in %v", tt.hint, err)
			}
		})
	}
}

// TestSecretsAreNotLogged reads the log of a cluster with all passwords there are.
func TestSecretsAreNotLogged(t *testing.T) {
	logger, logged := newLog()
	cfg := labtest.BrokerConfig(t, "identity", "b",
		"plugin.choria.network.system.user", "sys", "plugin.choria.network.system.password", "s3cret-1",
		"plugin.choria.network.peers", "nats://u:s3cret-2@127.0.0.1:1", "plugin.choria.network.peer_port", "-1",
		"plugin.choria.network.peer_user", "peer", "plugin.choria.network.peer_password", "s3cret-3")
	b := labtest.RunBroker(t, cfg, broker.Options{Log: logger})
	connect(t, transport.Options{Servers: []string{b.URL()}, User: "sys", Password: "s3cret-1"})
	refused(t, transport.Options{Servers: []string{b.URL()}, User: "sys", Password: "s3cret-4"}, "authorization violation")
	until(t, "a route is tried", func() bool { return strings.Contains(logged.String(), "127.0.0.1:1") })
	if i := strings.Index(logged.String(), "s3cret"); i >= 0 {
		t.Errorf("a password is logged: %s", logged.String()[max(0, i-200):i+20])
	}
}

func TestWarnsAboutOpenFiles(t *testing.T) {
	logger, logged := newLog()
	labtest.RunBroker(t, labtest.BrokerConfig(t), broker.Options{Log: logger, MaxConnections: 1 << 30})
	if !strings.Contains(logged.String(), "the limit of open files is too low") || !strings.Contains(logged.String(), "LimitNOFILE") {
		t.Errorf("no warning about open files in %s", logged.String())
	}
}
