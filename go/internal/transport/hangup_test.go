package transport_test

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/transport"
)

// TestSilentBrokerIsHungUpOn holds that no socket stays open to a broker that takes connections and does not
// welcome anybody: it has enough to do without those.
func TestSilentBrokerIsHungUpOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var (
		silent atomic.Bool
		held   = make(chan net.Conn, 100) // these have room for all attempts of a minute
		ended  = make(chan error, 100)
	)
	go func() {
		for {
			conn, err := l.Accept()
			switch {
			case err != nil:
				return
			case !silent.Load():
				go func() {
					welcome(conn) // a client that was not welcomed in time tries again
					held <- conn
				}()
			default:
				go func() {
					defer conn.Close()
					_, err := io.Copy(io.Discard, conn)
					ended <- err
				}()
			}
		}
	}()
	c := connect(t, transport.Options{Servers: []string{"nats://" + l.Addr().String()}, ConnectTimeout: 500 * time.Millisecond})
	silent.Store(true)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case conn := <-held:
				conn.Close()
			case <-stop:
				return
			}
		}
	}()
	for range 2 {
		if err := receive(t, ended); err != nil {
			t.Errorf("a connection ended with %v", err)
		}
	}
	_ = c.Close(context1(t))
}

// welcome takes a connection as a broker does.
func welcome(conn net.Conn) {
	fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"max_payload\":1048576,\"headers\":true}\r\n")
	if _, err := conn.Read(make([]byte, 8192)); err == nil { // CONNECT and PING
		fmt.Fprint(conn, "PONG\r\n")
	}
}
