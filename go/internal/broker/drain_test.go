package broker_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
)

// A tenant is a client of a broker that stops.
type tenant struct {
	conn  *nats.Conn
	told  atomic.Bool // that the broker stops, while it was still connected
	late  atomic.Bool // the connection was closed, and nobody had said so
	heard chan string
}

// TestDrain stops a broker of a cluster with clients on it. Each is told before its connection ends, is
// with the other broker afterwards, and has its subscription there.
func TestDrain(t *testing.T) {
	const clients = 25
	site := labtest.NewSite(t)
	ports := [2]int{labtest.Port(t), labtest.Port(t)}
	logger, logged := newLog()
	var brokers [2]*broker.Broker
	var stop [2]func()
	for i := range brokers {
		name := fmt.Sprintf("b%d.example.net", i)
		brokers[i], stop[i] = labtest.StartBroker(t, labtest.BrokerConfig(t, "identity", name,
			network+"peers", fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", ports[0], ports[1]), network+"peer_port", strconv.Itoa(ports[i])),
			broker.Options{Security: site.Identity(t, name, security.ForBroker), Log: logger})
		t.Cleanup(stop[i])
	}
	until(t, "the brokers are a cluster", func() bool { return brokers[0].Peers() == 1 && brokers[1].Peers() == 1 })

	node := site.Identity(t, "n1.example.net", security.ForServer)
	var tenants []*tenant
	for i := range clients {
		c := &tenant{heard: make(chan string, 1)}
		var err error
		c.conn, err = nats.Connect(brokers[0].URL()+","+brokers[1].URL(), nats.DontRandomize(), nats.Secure(node.ClientTLS()), nats.Timeout(30*time.Second),
			nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.IgnoreDiscoveredServers(),
			nats.LameDuckModeHandler(func(*nats.Conn) { c.told.Store(true) }),
			nats.DisconnectErrHandler(func(*nats.Conn, error) { c.late.Store(!c.told.Load()) }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.conn.Close)
		if _, err := c.conn.Subscribe(fmt.Sprint("tenant.", i), func(m *nats.Msg) { c.heard <- string(m.Data) }); err != nil {
			t.Fatal(err)
		}
		if err := c.conn.FlushTimeout(patience); err != nil {
			t.Fatal(err)
		}
		if got := c.conn.ConnectedUrl(); got != brokers[0].URL() {
			t.Fatalf("client %d is connected to %s", i, got)
		}
		tenants = append(tenants, c)
	}

	stop[0]() // returns when the broker has ended
	for i, c := range tenants {
		until(t, fmt.Sprintf("client %d is with the other broker", i), func() bool { return c.conn.ConnectedUrl() == brokers[1].URL() })
		if !c.told.Load() || c.late.Load() {
			t.Errorf("client %d was told: %t; before its connection ended: %t", i, c.told.Load(), !c.late.Load())
		}
		if err := c.conn.FlushTimeout(patience); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range tenants {
		if err := tenants[0].conn.Publish(fmt.Sprint("tenant.", i), []byte("welcome")); err != nil {
			t.Fatal(err)
		}
		select {
		case text := <-c.heard:
			if text != "welcome" {
				t.Errorf("client %d heard %q", i, text)
			}
		case <-time.After(patience):
			t.Errorf("client %d hears nothing", i)
		}
	}
	if !strings.Contains(logged.String(), fmt.Sprintf(`msg="moving clients to other brokers" clients=%d`, clients)) {
		t.Errorf("logged %s", logged.String())
	}
}

// TestDrainAlone stops a broker that has no others. Its clients are told before their connections end.
func TestDrainAlone(t *testing.T) {
	b, stop := labtest.StartBroker(t, labtest.BrokerConfig(t), broker.Options{})
	t.Cleanup(stop)
	var tenants []*tenant
	for range 10 {
		c := &tenant{}
		var err error
		c.conn, err = nats.Connect(b.URL(), nats.Timeout(30*time.Second), nats.NoReconnect(),
			nats.LameDuckModeHandler(func(*nats.Conn) { c.told.Store(true) }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.conn.Close)
		tenants = append(tenants, c)
	}
	stop()
	for i, c := range tenants {
		until(t, fmt.Sprintf("the connection of client %d has ended, and it was told", i), func() bool { return c.conn.IsClosed() && c.told.Load() })
	}
}
