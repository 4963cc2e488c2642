package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"choria.io/choria/go/internal/security/pki"
)

// TestGate has handshakes that never end: those behind them wait for a turn, and not for ever.
func TestGate(t *testing.T) {
	ca, err := pki.New("gate")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(pki.Request{Name: "broker"})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		entered := 0
		config := &tls.Config{Certificates: []tls.Certificate{cert}}
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if err := g.enter(hello); err != nil {
				return nil, err
			}
			entered++
			return nil, nil
		}
		begin := func(client net.Conn, server net.Conn) (result chan error) {
			result = make(chan error, 1)
			go func() { _ = tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
			go func() {
				result <- tls.Server(server, config).Handshake()
				server.Close()
			}()
			return result
		}

		stuck, server := net.Pipe()
		reading := make(chan struct{})
		stuckResult := begin(&halting{Conn: stuck, goOn: reading}, server)
		synctest.Wait()
		if entered != 1 {
			t.Fatalf("%d handshakes have a turn; want 1", entered)
		}
		start := time.Now()
		if err := <-begin(net.Pipe()); !errors.Is(err, errBusy) || time.Since(start) != handshakeQueue {
			t.Errorf("a handshake without a turn ends after %v with %v", time.Since(start), err)
		}

		next := begin(net.Pipe())
		synctest.Wait()
		stuck.Close() // which ends its handshake, and the next one has a turn
		if err := <-stuckResult; err == nil {
			t.Error("a handshake without a client succeeds")
		}
		if err := <-next; err != nil {
			t.Errorf("the next handshake: %v", err)
		}
		close(reading)
		if entered != 2 {
			t.Errorf("%d handshakes had a turn; want 2", entered)
		}
	})
}

// A halting connection reads nothing until goOn is closed.
type halting struct {
	net.Conn
	goOn chan struct{}
}

func (h *halting) Read(p []byte) (int, error) {
	<-h.goOn
	return h.Conn.Read(p)
}
