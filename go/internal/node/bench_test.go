package node

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// silentConn is a connection to nobody, so that nothing but the node is measured.
type silentConn struct {
	Conn
	replies chan []byte
}

func (c silentConn) Publish(_ string, data []byte) error {
	c.replies <- data
	return nil
}

func (silentConn) Server() string { return "nats://broker.example.net:4222" }

// signer returns the identity of a client, and that of a node of the same authority.
func signer(b testing.TB) (client, server *security.Identity) {
	b.Helper()
	dir := b.TempDir()
	ca, err := pki.New("bench")
	if err != nil {
		b.Fatal(err)
	}
	load := func(name string, kind security.For) *security.Identity {
		pair, err := ca.Issue(pki.Request{Name: name, RSA: true})
		if err != nil {
			b.Fatal(err)
		}
		for file, data := range map[string][]byte{"ca.pem": ca.Cert(), name + ".pem": pair.Cert, name + ".key": pair.Key} {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		id, err := security.New(security.Options{
			For: kind, Name: name, CA: filepath.Join(dir, "ca.pem"),
			Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"),
		})
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	return load("rip.mcollective", security.ForClient), load("n1.example.net", security.ForServer)
}

// BenchmarkRequest is one RPC request on a node from the payload of the broker to that of the reply:
// RSA 2048, a filter, an action policy. Budget: 150 µs, 60 allocations.
func BenchmarkRequest(b *testing.B) {
	client, server := signer(b)
	block, _ := pem.Decode(certOf(b, client))
	if cert, err := x509.ParseCertificate(block.Bytes); err != nil || cert.PublicKeyAlgorithm != x509.RSA {
		b.Fatalf("the client signs with %v, %v", cert, err)
	}
	dir := b.TempDir()
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		b.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for file, text := range map[string]string{
		filepath.Join(policies, "rpcutil.policy"): "policy default deny\nallow\t/^choria=/\tping\t*\t*\n",
		filepath.Join(dir, "facts.yaml"):          "country: mt\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			b.Fatal(err)
		}
	}
	cfg := config.New()
	cfg.Identity = "n1.example.net"
	cfg.FactFiles = []string{filepath.Join(dir, "facts.yaml")}
	conn := silentConn{replies: make(chan []byte, 1)}
	n, err := New(Options{Config: cfg, Conn: conn, Verifier: server, PolicyDir: policies})
	if err != nil {
		b.Fatal(err)
	}

	const batch = 256
	payloads := make([][]byte, 0, batch)
	fill := func() {
		payloads = payloads[:0]
		for range batch {
			r := &protocol.Request{
				Version: protocol.V1, ID: protocol.NewID(), Sender: "ws.example.net", Caller: "choria=rip.mcollective", Collective: "mcollective",
				Agent: "rpcutil", Time: time.Now(), TTL: time.Minute, Body: []byte(`{"agent":"rpcutil","action":"ping","data":{}}`),
			}
			r.Filter.Agent = []string{"rpcutil"}
			data, err := protocol.SealRequest(r, client)
			if err != nil {
				b.Fatal(err)
			}
			t := protocol.Transport{Version: protocol.V1, ReplyTo: "mcollective.reply.x.y", Sender: "ws.example.net", Data: data}
			payload, err := t.Encode()
			if err != nil {
				b.Fatal(err)
			}
			payloads = append(payloads, payload)
		}
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%batch == 0 {
			b.StopTimer()
			fill()
			b.StartTimer()
		}
		n.receive(ctx, transport.Msg{Subject: "mcollective.node.n1.example.net", Data: payloads[i%batch]})
		if n.stats.validated.Value() != uint64(i+1) {
			b.Fatal("the request was refused")
		}
		<-conn.replies
	}
}

func certOf(b testing.TB, id *security.Identity) []byte {
	b.Helper()
	_, cert, err := id.Sign([]byte("x"))
	if err != nil {
		b.Fatal(err)
	}
	return cert
}
