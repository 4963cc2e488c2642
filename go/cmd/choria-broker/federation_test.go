package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// TestFederation runs a federation broker in one process with the broker of its site, and then by
// itself.
func TestFederation(t *testing.T) {
	site := newSite(t)
	secure := broker.Options{Security: site.Load(t, "broker.example.net", security.ForBroker)}
	clients := labtest.RunBroker(t, labtest.BrokerConfig(t), secure)
	node := site.Identity(t, "n1.example.net", security.ForServer)
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprintf("together=%v", together), func(t *testing.T) {
			port, stats := labtest.Port(t), labtest.Port(t)
			url := fmt.Sprintf("nats://127.0.0.1:%d", port)
			lines := []string{
				"plugin.choria.broker_federation = true",
				"plugin.choria.federation.cluster = london",
				"plugin.choria.federation_middleware_hosts = " + strings.TrimPrefix(clients.URL(), "nats://"),
				"plugin.choria.network.connect_timeout = 30s",
				fmt.Sprintf("plugin.choria.network.client_port = %d", port),
				fmt.Sprintf("plugin.choria.stats_port = %d", stats),
			}
			if !together {
				b := labtest.RunBroker(t, labtest.BrokerConfig(t), secure)
				url = b.URL()
				lines = append(lines, "plugin.choria.broker_network = false", "plugin.choria.middleware_hosts = "+strings.TrimPrefix(url, "nats://"))
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, []string{"run", "--config", conf(t, site, lines...)}, io.Discard) }()
			connect := func(url string) *transport.Conn {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				c, err := transport.Connect(ctx, transport.Options{Servers: []string{url}, TLS: node.ClientTLS(), ConnectTimeout: 30 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close(context.Background()) })
				return c
			}
			north, south := connect(clients.URL()), connect(url)
			got := make(chan transport.Msg, 1000)
			if _, err := south.Subscribe("mcollective.node.n1", "", 1000, func(m transport.Msg) { got <- m }); err != nil {
				t.Fatal(err)
			}
			flushed, done := context.WithTimeout(t.Context(), patience)
			defer done()
			if err := south.Flush(flushed); err != nil {
				t.Fatal(err)
			}
			for _, side := range []string{"collective", "federation"} {
				want := fmt.Sprintf("choria_federation_connections{cluster=\"london\",connected_to=%q,identity=\"broker.example.net\"} 20\n", side)
				until(t, "connected", func() bool { return strings.Contains(scrape(stats), want) })
			}

			request := []byte(`{"protocol":"choria:transport:1","data":"e30=","headers":{"reply-to":"mcollective.reply.a.b","federation":{"req":"i","target":["mcollective.node.n1"]}}}`)
			var m transport.Msg
			until(t, "a request arrives", func() bool {
				if err := north.Publish("choria.federation.london.federation", request); err != nil {
					t.Fatal(err)
				}
				select {
				case m = <-got:
					return true
				case <-time.After(50 * time.Millisecond):
					return false
				}
			})
			tr, err := protocol.DecodeTransport(m.Data)
			if err != nil || len(tr.Hops) != 1 || tr.Hops[0][0] != clients.URL() || tr.Hops[0][2] != url {
				t.Errorf("%s, %v; want a hop from %s to %s", m.Data, err, clients.URL(), url)
			}

			// What has arrived is passed on before the broker of the site ends.
			for len(got) > 0 {
				<-got
			}
			const n = 500
			for range n {
				if err := north.Publish("choria.federation.london.federation", request); err != nil {
					t.Fatal(err)
				}
			}
			if err := north.Flush(flushed); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("ended with %v", err)
			}
			until(t, "all requests arrive", func() bool { return len(got) >= n })
		})
	}
}

// scrape returns the metrics of a process, and nothing while it does not serve them yet.
func scrape(port int) string {
	r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/choria/metrics", port))
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return string(body)
}
