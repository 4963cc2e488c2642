package host

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
)

// TestPacer holds that a turn ends when a connection is made or closed, with TLS and without, and not before.
func TestPacer(t *testing.T) {
	site := labtest.NewSite(t)
	server := site.Identity(t, "broker.example.net", security.ForBroker).ServerTLS()
	client := site.Identity(t, "n1.example.net", security.ForServer).ClientTLS()
	client.ServerName = "broker.example.net"
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		name := "no TLS"
		if version != 0 {
			name = tls.VersionName(version)
		}
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					if version != 0 {
						conn = tls.Server(conn, server)
					}
					go func() {
						defer conn.Close()
						io.Copy(conn, conn)
					}()
				}
			}()
			p := pacer{slots: make(chan struct{}, 1)}
			dial := p.dialFrom("127.0.0.1")
			conn, err := dial(t.Context(), "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if len(p.slots) != 1 {
				t.Error("no turn is taken")
			}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := dial(over, "tcp", l.Addr().String()); !errors.Is(err, context.Canceled) {
				t.Errorf("a second one: %v; want it to wait", err)
			}
			if version != 0 {
				c := client.Clone()
				c.MinVersion, c.MaxVersion = version, version
				secure := tls.Client(conn, c)
				if err := secure.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				conn = secure
			}
			if _, err := conn.Write([]byte("CONNECT")); err != nil {
				t.Fatal(err)
			}
			if len(p.slots) != 0 {
				t.Error("the turn did not end")
			}
			again, err := dial(t.Context(), "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close() // gives nothing back twice
			if len(p.slots) != 1 {
				t.Error("the turn of the second one ended with the first")
			}
			again.Close()
			if len(p.slots) != 0 {
				t.Error("closing does not end the turn")
			}
		})
	}
}
