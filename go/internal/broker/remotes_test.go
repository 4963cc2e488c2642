package broker_test

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

const network = "plugin.choria.network."

// joined waits until what is published at one connection arrives at the other, both ways.
func joined(t testing.TB, a, b *transport.Conn) {
	t.Helper()
	until(t, "messages go there", func() bool { return passesOnce(t, a, b, "mcollective.broadcast.agent.x") })
	until(t, "messages come back", func() bool { return passesOnce(t, b, a, "mcollective.reply.x.y") })
}

// passesOnce reports whether a message published now arrives within a moment.
func passesOnce(t testing.TB, from, to *transport.Conn, subject string) bool {
	t.Helper()
	got := make(chan struct{}, 1)
	sub, err := to.Subscribe(subject, "", 0, func(transport.Msg) {
		select {
		case got <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if err := to.Flush(limited(t)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := from.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
			return true
		case <-time.After(5 * time.Millisecond):
		}
	}
	return false
}

// TestLeafnode joins a broker to another as a leafnode, with streams on both sides.
func TestLeafnode(t *testing.T) {
	for _, mode := range []string{"tls", "own certificates", "plain"} {
		t.Run(mode, func(t *testing.T) {
			hubSite, leafSite := labtest.NewSite(t), labtest.NewSite(t)
			if mode == "tls" {
				leafSite = hubSite
			}
			port := labtest.Port(t)
			var hubOptions, leafOptions broker.Options
			if mode != "plain" {
				hubOptions.Security = hubSite.Identity(t, "hub.example.net", security.ForBroker)
				leafOptions.Security = leafSite.Identity(t, "leaf.example.net", security.ForBroker)
			}
			hubOptions.Metrics = metrics.New()
			hub, err := broker.New(labtest.BrokerConfig(t, "identity", "hub.example.net", network+"leafnode_port", strconv.Itoa(port), storeKey, t.TempDir()), hubOptions)
			if err != nil {
				t.Fatal(err)
			}
			hub.SetLeafInterval(10 * time.Millisecond)
			defer labtest.Run(t, hub)()
			settings := []string{
				"identity", "leaf.example.net", storeKey, t.TempDir(),
				network + "leafnode_remotes", "hub", network + "leafnode_remote.hub.url", fmt.Sprintf("127.0.0.1:%d", port),
			}
			if mode == "own certificates" {
				hubSite.Issue(t, pki.Request{Name: "branch.example.net"})
				settings = append(settings, network+"leafnode_remote.hub.tls.cert", hubSite.Dir+"/branch.example.net.pem",
					network+"leafnode_remote.hub.tls.key", hubSite.Dir+"/branch.example.net.key", network+"leafnode_remote.hub.tls.ca", hubSite.Dir+"/ca.pem")
			}
			leaf, stop := labtest.StartBroker(t, labtest.BrokerConfig(t, settings...), leafOptions)
			defer stop()
			until(t, "the leafnode is connected", func() bool { return hub.Leafnodes() == 1 && leaf.Leafnodes() == 1 })
			atHub, atLeaf := connect(t, transport.Options{InProcess: hub.InProcess}), connect(t, transport.Options{InProcess: leaf.InProcess})
			joined(t, atHub, atLeaf)

			// Each side has streams of its own.
			for name, conn := range map[string]*transport.Conn{"hub": atHub, "leaf": atLeaf} {
				s := streams.On(conn)
				until(t, "the streams of "+name, func() bool { return len(names(t, s)) >= len(standard) })
				if _, err := s.CreateBucket(limited(t), streams.BucketConfig{Name: "only-" + name}); err != nil {
					t.Fatal(err)
				}
			}
			for name, conn := range map[string]*transport.Conn{"hub": atLeaf, "leaf": atHub} {
				if _, err := streams.On(conn).Bucket(limited(t), "only-"+name); err == nil {
					t.Errorf("the bucket of %s is seen at the other side", name)
				}
			}

			shown := func() string {
				var text strings.Builder
				if _, err := hubOptions.Metrics.WriteTo(&text); err != nil {
					t.Fatal(err)
				}
				return text.String()
			}
			const metric = `choria_network_leafnode_in_msgs{account="choria",host="127.0.0.1",identity="hub.example.net",port="`
			until(t, "the leafnode is counted", func() bool { return strings.Contains(shown(), metric) })
			stop()
			until(t, "the leafnode is counted no more", func() bool { return !strings.Contains(shown(), metric) })
		})
	}
}

// TestLeafnodesAreRefused holds that a leafnode, which may do everything, may only come from where
// clients come, with a certificate.
func TestLeafnodesAreRefused(t *testing.T) {
	tests := []struct {
		name string
		hub  []string
		leaf []string
		want string
	}{
		{"not a client", []string{network + "client_hosts", "192.0.2.1"}, nil, "a leafnode may do everything, and its address is not in plugin.choria.network.client_hosts"},
		{"no TLS", nil, []string{network + "leafnode_remote.hub.tls.disable", "true"}, "TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			logger, logged := newLog()
			site, port := labtest.NewSite(t), labtest.Port(t)
			hub := labtest.RunBroker(t, labtest.BrokerConfig(t, append(tt.hub, "identity", "hub", network+"leafnode_port", strconv.Itoa(port))...),
				broker.Options{Security: site.Identity(t, "hub.example.net", security.ForBroker), Log: logger})
			labtest.RunBroker(t, labtest.BrokerConfig(t, append(tt.leaf, "identity", "leaf",
				network+"leafnode_remotes", "hub", network+"leafnode_remote.hub.url", fmt.Sprintf("127.0.0.1:%d", port))...),
				broker.Options{Security: site.Identity(t, "n1.example.net", security.ForBroker), Log: logger})
			until(t, "it is refused", func() bool { return strings.Contains(logged.String(), tt.want) })
			if hub.Leafnodes() != 0 {
				t.Error("the leafnode is connected")
			}
		})
	}
}

// gateway runs the only broker of a cluster that knows the others by name and port.
func gateway(t testing.TB, name string, ports map[string]int, o broker.Options) *broker.Broker {
	t.Helper()
	settings := []string{"identity", "broker." + name, network + "gateway_name", name, network + "gateway_port", strconv.Itoa(ports[name])}
	var remotes []string
	for other, port := range ports {
		remotes = append(remotes, other)
		settings = append(settings, network+"gateway_remote."+other+".urls", fmt.Sprintf("127.0.0.1:%d", port))
	}
	settings = append(settings, network+"gateway_remotes", strings.Join(remotes, ","))
	return labtest.RunBroker(t, labtest.BrokerConfig(t, settings...), o)
}

func TestGateways(t *testing.T) {
	for _, mode := range []string{"tls", "plain"} {
		t.Run(mode, func(t *testing.T) {
			site := labtest.NewSite(t)
			options := func(name string) (o broker.Options) {
				if mode == "tls" {
					o.Security = site.Identity(t, name, security.ForBroker)
				}
				return o
			}
			ports := map[string]int{"EAST": labtest.Port(t), "WEST": labtest.Port(t)}
			east, west := gateway(t, "EAST", ports, options("east.example.net")), gateway(t, "WEST", ports, options("west.example.net"))
			until(t, "the gateways are connected", func() bool { return east.Gateways() == 1 && west.Gateways() == 1 })
			joined(t, connect(t, transport.Options{InProcess: east.InProcess}), connect(t, transport.Options{InProcess: west.InProcess}))
		})
	}
}

// TestGatewaysAreForClusters refuses who has a certificate, as every node has, but is no broker of
// the clusters that are configured.
func TestGatewaysAreForClusters(t *testing.T) {
	logger, logged := newLog()
	site := labtest.NewSite(t)
	ports := map[string]int{"EAST": labtest.Port(t), "WEST": labtest.Port(t)}
	east := gateway(t, "EAST", ports, broker.Options{Security: site.Identity(t, "east.example.net", security.ForBroker), Log: logger})
	site.Issue(t, pki.Request{Name: "n1.example.net"})
	gateway(t, "WEST", ports, broker.Options{Security: site.Load(t, "n1.example.net", security.ForBroker)})
	until(t, "the intruder is refused", func() bool {
		return strings.Contains(logged.String(), "not that of a broker in plugin.choria.network.gateway_remotes")
	})
	if east.Gateways() != 0 {
		t.Error("the gateway is connected")
	}
}

func TestWebsocket(t *testing.T) {
	site, port := labtest.NewSite(t), labtest.Port(t)
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1", network+"websocket_port", strconv.Itoa(port)),
		broker.Options{Security: site.Identity(t, "broker.example.net", security.ForBroker)})
	node := site.Identity(t, "n1.example.net", security.ForServer)
	url := fmt.Sprintf("wss://127.0.0.1:%d", port)
	ws := connect(t, transport.Options{Servers: []string{url}, TLS: node.ClientTLS()})
	joined(t, ws, connect(t, transport.Options{InProcess: b.InProcess}))
	if ws.Server() != url {
		t.Errorf("connected to %s", ws.Server())
	}
	// Without a certificate it is no better than anywhere else.
	anonymous := node.ClientTLS()
	anonymous.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	anonymous.ClientSessionCache = nil // in which the certificate of before is remembered
	refused(t, transport.Options{Servers: []string{url}, TLS: anonymous}, "no broker reached")
}

func TestMapping(t *testing.T) {
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1", network+"mapping.names", "old",
		network+"mapping.old.source", "acme.registration.*", network+"mapping.old.destination", "registration.{{wildcard(1)}}"), broker.Options{})
	conn := connect(t, transport.Options{Servers: []string{b.URL()}})
	got := make(chan string, 1)
	if _, err := conn.Subscribe("registration.*", "", 0, func(m transport.Msg) { got <- m.Subject }); err != nil {
		t.Fatal(err)
	}
	if err := conn.Publish("acme.registration.n1", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case subject := <-got:
		if subject != "registration.n1" {
			t.Errorf("it arrives on %s", subject)
		}
	case <-time.After(patience):
		t.Fatal("nothing arrives")
	}
}

func TestBadRemotes(t *testing.T) {
	tests := []struct {
		settings []string
		want     string
	}{
		{[]string{network + "leafnode_remotes", "a.b"}, `plugin.choria.network.leafnode_remotes: "a.b": want a name of letters, digits, - and _`},
		{[]string{network + "leafnode_remotes", "hub"}, "plugin.choria.network.leafnode_remote.hub.url: not set"},
		{[]string{network + "leafnode_remotes", "hub", network + "leafnode_remote.hub.url", "secret@hub"}, "plugin.choria.network.leafnode_remote.hub.url: want host:port, "},
		{[]string{network + "leafnode_remotes", "hub", network + "leafnode_remote.hub.url", "hub:7422", network + "leafnode_remote.hub.account", "other"}, `plugin.choria.network.leafnode_remote.hub.account: "other": want choria or system`},
		{[]string{network + "leafnode_remotes", "hub", network + "leafnode_remote.hub.url", "hub:7422", network + "leafnode_remote.hub.tls.ca", "/ca.pem"}, "tls.cert, tls.key and tls.ca belong together"},
		{[]string{network + "leafnode_remotes", "hub", network + "leafnode_remote.hub.url", "hub:7422", network + "leafnode_remote.hub.tls.ca", "/no/ca.pem", network + "leafnode_remote.hub.tls.cert", "/no/c.pem", network + "leafnode_remote.hub.tls.key", "/no/k.pem"}, "plugin.choria.network.leafnode_remote.hub: "},
		{[]string{network + "leafnode_remotes", "hub", network + "leafnode_remote.hub.url", "hub:7422", network + "leafnode_remote.hub.credentials", "/no/creds"}, "plugin.choria.network.leafnode_remote.hub.credentials: open /no/creds: no such file or directory"},
		{[]string{network + "gateway_remotes", "WEST"}, "plugin.choria.network.gateway_port is not set"},
		{[]string{network + "gateway_port", "7222", network + "gateway_remotes", "WEST"}, "plugin.choria.network.gateway_remote.WEST.urls: not set"},
		{[]string{network + "gateway_port", "7222", network + "gateway_remotes", "WEST", network + "gateway_remote.WEST.urls", "west"}, "plugin.choria.network.gateway_remote.WEST.urls: want host:port"},
	}
	for _, tt := range tests {
		_, err := broker.New(labtest.BrokerConfig(t, append(tt.settings, "identity", "b1")...), broker.Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v\nwant %s", tt.settings, err, tt.want)
		}
	}
	for _, tt := range []struct{ key, destination, want string }{
		{"", "", "plugin.choria.network.mapping.m.destination: not set"},
		{"destination", "b.{{wildcard(2)}}", "plugin.choria.network.mapping.m: a.* to b.{{wildcard(2)}}: "},
	} {
		settings := []string{"identity", "b1", network + "mapping.names", "m", network + "mapping.m.source", "a.*"}
		if tt.key != "" {
			settings = append(settings, network+"mapping.m."+tt.key, tt.destination)
		}
		b, err := broker.New(labtest.BrokerConfig(t, settings...), broker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Run(limited(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("mapping: %v\nwant %s", err, tt.want)
		}
	}
	// Ports that are taken.
	taken := labtest.Broker(t)
	port := taken[strings.LastIndexByte(taken, ':')+1:]
	for _, key := range []string{"leafnode_port", "gateway_port", "websocket_port"} {
		b, err := broker.New(labtest.BrokerConfig(t, "identity", "b1", network+key, port), broker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := network + key + ": listen on 127.0.0.1:" + port + ": address already in use"
		if err := b.Run(limited(t)); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", key, err, want)
		}
	}
}
