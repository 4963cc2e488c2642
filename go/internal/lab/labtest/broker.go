// Package labtest starts parts of a network inside a test.
package labtest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout is how long a broker may take to accept connections, on a machine that is busy with
// the tests of many packages.
const startTimeout = 30 * time.Second

// Broker runs a bare NATS server without TLS on a free loopback port until the test ends, and
// returns its URL, nats://127.0.0.1:port. Anybody may publish and subscribe to everything.
func Broker(t testing.TB) (url string) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host:   "127.0.0.1",
		Port:   server.RANDOM_PORT,
		NoLog:  true,
		NoSigs: true,
	})
	if err != nil {
		t.Fatalf("labtest: broker: %v", err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(startTimeout) {
		t.Fatalf("labtest: broker is not ready after %v", startTimeout)
	}
	return srv.ClientURL()
}
