package transport_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// TestReconnectionResumesTLS holds that a node which comes back to a broker that was started again pays no full
// handshake: a whole fleet does so at once.
func TestReconnectionResumesTLS(t *testing.T) {
	site := labtest.NewSite(t)
	id := site.Identity(t, "broker.example.net", security.ForBroker)
	addr := deafPort(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	start := func() (stop func()) {
		_, stop = labtest.StartBroker(t, labtest.BrokerConfig(t, "identity", "broker.example.net", "plugin.choria.network.client_port", port),
			broker.Options{Security: id})
		t.Cleanup(stop)
		return stop
	}
	stop := start()

	config := site.Identity(t, "n1.example.net", security.ForServer).ClientTLS()
	resumed := make(chan bool, 100) // holds all attempts that a minute has room for
	verify := config.VerifyConnection
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		resumed <- cs.DidResume
		return verify(cs)
	}
	back := make(chan string, 10)
	c := connect(t, transport.Options{Servers: []string{"nats://" + addr}, TLS: config,
		ConnectTimeout: 30 * time.Second, OnReconnect: func(s string) { back <- s }})
	if receive(t, resumed) {
		t.Error("the first connection resumes a session")
	}
	// A flush is answered after the session ticket, which the broker sends behind its part of the handshake.
	if err := c.Flush(context1(t)); err != nil {
		t.Fatal(err)
	}
	stop()
	start()
	receive(t, back)
	if !receive(t, resumed) {
		t.Error("the connection was made again with a full handshake")
	}
	if err := c.Close(context1(t)); err != nil { // before the broker goes
		t.Error(err)
	}
}
