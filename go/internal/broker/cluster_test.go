package broker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// member runs one broker of a cluster on a port that the others know.
func member(t testing.TB, name string, port int, peers []string, o broker.Options, settings ...string) (*broker.Broker, func()) {
	t.Helper()
	cfg := labtest.BrokerConfig(t, append([]string{
		"identity", name,
		"plugin.choria.network.peers", strings.Join(peers, ","),
		"plugin.choria.network.peer_port", strconv.Itoa(port),
	}, settings...)...)
	b, stop := labtest.StartBroker(t, cfg, o)
	t.Cleanup(stop)
	return b, stop
}

// peerAddresses picks free ports.
func peerAddresses(t testing.TB, n int) (ports []int, peers []string) {
	t.Helper()
	for len(ports) < n {
		p := labtest.Port(t)
		if !slices.Contains(ports, p) {
			ports = append(ports, p)
			peers = append(peers, fmt.Sprintf("127.0.0.1:%d", p))
		}
	}
	return ports, peers
}

// TestClusterOfThree kills the broker that a node is connected to.
func TestClusterOfThree(t *testing.T) {
	for _, mode := range []string{"tls", "plain routes", "plain"} {
		t.Run(mode, func(t *testing.T) {
			site := labtest.NewSite(t)
			ports, peers := peerAddresses(t, 3)
			var (
				brokers [3]*broker.Broker
				stop    [3]func()
				urls    []string
			)
			for i := range brokers {
				name := fmt.Sprintf("b%d.example.net", i)
				var o broker.Options
				if mode != "plain" {
					o.Security = site.Identity(t, name, security.ForBroker)
				}
				settings := []string{"plugin.choria.network.peer_user", "peer", "plugin.choria.network.peer_password", "secret"}
				if mode == "plain routes" {
					settings = append(settings, "plugin.choria.network.peer_tls", "false")
				}
				brokers[i], stop[i] = member(t, name, ports[i], peers, o, settings...)
				urls = append(urls, brokers[i].URL())
			}
			for i, b := range brokers {
				until(t, fmt.Sprintf("broker %d has routes to both others", i), func() bool { return b.Peers() == 2 })
			}

			var o transport.Options
			if mode != "plain" {
				o.TLS = site.Identity(t, "n1", security.ForServer).ClientTLS()
			}
			o.Servers = []string{urls[0], urls[1]}
			node := connect(t, o)
			o.Servers = []string{urls[2]}
			client := connect(t, o)
			got := make(chan string, 1)
			if _, err := node.Subscribe("mcollective.node.n1", "", 0, func(m transport.Msg) {
				select {
				case got <- string(m.Data):
				default:
				}
			}); err != nil {
				t.Fatal(err)
			}
			// A subscription takes a moment to be known to the other brokers.
			ask := func(text string) {
				t.Helper()
				until(t, "the node answers", func() bool {
					if err := client.Publish("mcollective.node.n1", []byte(text)); err != nil {
						t.Fatal(err)
					}
					if err := client.Flush(limited(t)); err != nil {
						t.Fatal(err)
					}
					select {
					case m := <-got:
						return m == text
					default:
						return false
					}
				})
			}
			ask("before")
			stop[0]()
			until(t, "the node is at the next broker", func() bool { return node.Server() == urls[1] })
			ask("after")
		})
	}
}

func TestRoutesAreForPeersAlone(t *testing.T) {
	logger, logged := newLog()
	site := labtest.NewSite(t)
	ports, peers := peerAddresses(t, 2)
	a, _ := member(t, "b1.example.net", ports[0], peers, broker.Options{Security: site.Identity(t, "b1.example.net", security.ForBroker), Log: logger})

	// It has a certificate of our CA, as every node has.
	site.Issue(t, pki.Request{Name: "n1.example.net"})
	intruder, _ := member(t, "n1.example.net", ports[1], []string{peers[0]}, broker.Options{Security: site.Load(t, "n1.example.net", security.ForServer)})
	until(t, "the intruder is refused", func() bool {
		return strings.Contains(logged.String(), "not that of a broker in plugin.choria.network.peers")
	})
	if n := a.Peers(); n != 0 {
		t.Errorf("%d peers; want none", n)
	}
	// It takes itself for a peer until the broker hangs up.
	until(t, "the intruder has no peer", func() bool { return intruder.Peers() == 0 })
}

func TestRoutesNeedThePassword(t *testing.T) {
	logger, logged := newLog()
	ports, peers := peerAddresses(t, 2)
	a, _ := member(t, "b1", ports[0], peers, broker.Options{Log: logger}, "plugin.choria.network.peer_user", "peer", "plugin.choria.network.peer_password", "right")
	b, _ := member(t, "b2", ports[1], peers, broker.Options{Log: slog.New(slog.DiscardHandler)}, "plugin.choria.network.peer_user", "peer", "plugin.choria.network.peer_password", "wrong")
	until(t, "the other broker is refused", func() bool { return strings.Contains(logged.String(), "wrong user or password for a broker") })
	// Who asks takes itself for a peer until it is refused.
	until(t, "no peers", func() bool { return a.Peers() == 0 && b.Peers() == 0 })
}

// TestNameInCluster is by what name brokers hear of a broker: the one that all have on their lists.
func TestNameInCluster(t *testing.T) {
	for _, tt := range []struct{ own, want string }{
		{"b1.example.net", "b1.example.net"},
		{"127.0.0.1", "127.0.0.1"},
		{"localhost", "127.0.0.1"},
		{"other.example.net", "127.0.0.1"}, // it listens there
	} {
		port := labtest.Port(t)
		b, stop := member(t, "b1.example.net", port, []string{fmt.Sprintf("%s:%d", tt.own, port), "127.0.0.1:1"}, broker.Options{})
		conn, err := net.Dial("tcp", b.PeerAddress())
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		text, ok := strings.CutPrefix(line, "INFO ")
		var info struct {
			Host string `json:"host"`
			Port int    `json:"port"`
		}
		if err != nil || !ok || json.Unmarshal([]byte(text), &info) != nil || info.Host != tt.want || info.Port != port {
			t.Errorf("listed as %s: %q, %v; want host %s, port %d", tt.own, line, err, tt.want, port)
		}
		stop()
	}
}

// srvRecords answers every lookup with the same servers.
type srvRecords []*net.SRV

func (s srvRecords) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", s, nil
}

func TestPeersFromDNS(t *testing.T) {
	ports, _ := peerAddresses(t, 2)
	dns := srvRecords{{Target: "127.0.0.1.", Port: uint16(ports[0])}, {Target: "127.0.0.1.", Port: uint16(ports[1])}}
	var brokers []*broker.Broker
	for i, port := range ports {
		b, _ := member(t, fmt.Sprintf("b%d", i), port, []string{"ignored.example.net:5222"}, broker.Options{Resolver: dns},
			"plugin.choria.use_srv", "true", "plugin.choria.srv_domain", "example.net")
		brokers = append(brokers, b)
		if want := fmt.Sprintf("127.0.0.1:%d", port); b.PeerAddress() != want {
			t.Errorf("PeerAddress() = %q; want %q", b.PeerAddress(), want)
		}
	}
	for _, b := range brokers {
		until(t, "the brokers find each other", func() bool { return b.Peers() == 1 })
	}
}
