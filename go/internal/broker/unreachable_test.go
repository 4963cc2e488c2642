package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
)

// TestUnreachable holds that a broker that cannot be reached is named once, in words, however often it
// is tried.
func TestUnreachable(t *testing.T) {
	closed := labtest.Port(t)
	for _, tt := range []struct {
		name     string
		settings []string
		want     string
	}{
		{"peer", []string{network + "peers", fmt.Sprintf("127.0.0.1:%d", closed), network + "peer_port", fmt.Sprint(labtest.Port(t))},
			"another broker of the cluster is not reachable"},
		{"leafnode", []string{network + "leafnode_remotes", "a", network + "leafnode_remote.a.url", fmt.Sprintf("127.0.0.1:%d", closed)}, "the broker to be a leafnode of is not reachable"},
		{"gateway", []string{network + "gateway_port", fmt.Sprint(labtest.Port(t)), network + "gateway_remotes", "WEST",
			network + "gateway_remote.WEST.urls", fmt.Sprintf("127.0.0.1:%d", closed)}, "a broker of another cluster is not reachable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			logger, logged := newLog()
			labtest.RunBroker(t, labtest.BrokerConfig(t, append(tt.settings, "identity", "b1")...), broker.Options{Log: logger})
			want := fmt.Sprintf(`msg="%s" err="127.0.0.1:%d: connection refused"`, tt.want, closed)
			until(t, want, func() bool { return strings.Contains(logged.String(), want) })
			if n := strings.Count(logged.String(), want); n != 1 {
				t.Errorf("said %d times: %s", n, want)
			}
			if strings.Contains(logged.String(), "Error trying") || strings.Contains(logged.String(), "Error connecting") {
				t.Errorf("logged %s", logged.String())
			}
		})
	}
}

// TestPeersWithAndWithoutTLS holds that what makes two brokers not understand each other is said with its cure.
func TestPeersWithAndWithoutTLS(t *testing.T) {
	site := labtest.NewSite(t)
	ports := [2]int{labtest.Port(t), labtest.Port(t)}
	logger, logged := newLog()
	for i := range ports {
		name := fmt.Sprintf("b%d.example.net", i)
		o := broker.Options{Security: site.Identity(t, name, security.ForBroker)}
		if i == 0 {
			o.Log = logger
		}
		labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", name, network+"peers", fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", ports[0], ports[1]),
			network+"peer_port", fmt.Sprint(ports[i]), network+"peer_tls", fmt.Sprint(i == 0)), o)
	}
	until(t, "the trouble is named", func() bool {
		return strings.Contains(logged.String(), `msg="trouble with another broker" kind=cluster peer=127.0.0.1:`) &&
			strings.Contains(logged.String(), `cure="plugin.choria.network.peer_tls has to be the same on all brokers"`)
	})
}
