package labtest

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
)

// A Site is a certificate authority with a directory for the certificates it issues, and, when
// TLSBroker made it, a broker that trusts it.
type Site struct {
	URL    string         // of the broker, nats://127.0.0.1:port
	Broker *broker.Broker // the broker
	CA     *pki.CA
	Dir    string // ca.pem, crl.pem, and NAME.pem with NAME.key for each certificate
}

// TLSBroker runs a choria broker with TLS on a free loopback port until the test ends. keys and
// values of further configuration follow each other.
func TLSBroker(t testing.TB, settings ...string) *Site {
	t.Helper()
	s := NewSite(t)
	cfg := BrokerConfig(t, append([]string{"identity", "broker.example.net"}, settings...)...)
	s.Broker = RunBroker(t, cfg, broker.Options{Security: s.Identity(t, "broker.example.net", security.ForBroker)})
	s.URL = s.Broker.URL()
	return s
}

// NewSite makes a certificate authority without a broker.
func NewSite(t testing.TB) *Site {
	t.Helper()
	ca, err := pki.New("labtest")
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{CA: ca, Dir: t.TempDir()}
	s.write(t, "ca.pem", ca.Cert())
	s.writeCRL(t)
	return s
}

// Identity issues a certificate for name, which is also good for 127.0.0.1, and loads it. That of a
// client has an RSA key, so that it can sign requests.
func (s *Site) Identity(t testing.TB, name string, kind security.For) *security.Identity {
	t.Helper()
	s.Issue(t, pki.Request{Name: name, IPs: []string{"127.0.0.1"}, RSA: kind == security.ForClient})
	return s.Load(t, name, kind)
}

// Issue issues a certificate and writes it to the directory.
func (s *Site) Issue(t testing.TB, r pki.Request) *pki.Pair {
	t.Helper()
	pair, err := s.CA.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, r.Name+".pem", pair.Cert)
	s.write(t, r.Name+".key", pair.Key)
	return pair
}

// Load loads the certificate that was issued for name.
func (s *Site) Load(t testing.TB, name string, kind security.For) *security.Identity {
	t.Helper()
	id, err := security.New(security.Options{
		For:         kind,
		Name:        name,
		Certificate: filepath.Join(s.Dir, name+".pem"),
		Key:         filepath.Join(s.Dir, name+".key"),
		CA:          filepath.Join(s.Dir, "ca.pem"),
		CRL:         filepath.Join(s.Dir, "crl.pem"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Revoke revokes a certificate and renews the revocation list that all identities read.
func (s *Site) Revoke(t testing.TB, pair *pki.Pair) {
	t.Helper()
	if err := s.CA.Revoke(pair); err != nil {
		t.Fatal(err)
	}
	s.writeCRL(t)
}

func (s *Site) writeCRL(t testing.TB) {
	t.Helper()
	crl, err := s.CA.CRL()
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "crl.pem", crl)
}

// write replaces a file, so that nobody reads half of it.
func (s *Site) write(t testing.TB, name string, data []byte) {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// BrokerConfig returns the configuration of a broker on a free loopback port, with keys and values
// of further configuration.
func BrokerConfig(t testing.TB, settings ...string) *config.Config {
	t.Helper()
	cfg := config.New()
	base := []string{
		"plugin.choria.network.listen_address", "127.0.0.1",
		"plugin.choria.network.client_port", "-1",
		"plugin.choria.use_srv", "false",
		"plugin.choria.network.tls_timeout", "30s", // machines that run tests are busy
		"plugin.choria.network.auth_timeout", "30s",
	}
	settings = append(base, settings...)
	if len(settings)%2 != 0 {
		t.Fatalf("labtest: a key without a value: %s", strings.Join(settings, " "))
	}
	for i := 0; i < len(settings); i += 2 {
		if err := cfg.Set(settings[i], settings[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// RunBroker runs a broker until the test ends, and returns when it is ready.
func RunBroker(t testing.TB, cfg *config.Config, o broker.Options) *broker.Broker {
	t.Helper()
	b, stop := StartBroker(t, cfg, o)
	t.Cleanup(stop)
	return b
}

// StartBroker is RunBroker for tests that stop the broker themselves. stop may be called again.
func StartBroker(t testing.TB, cfg *config.Config, o broker.Options) (b *broker.Broker, stop func()) {
	t.Helper()
	b, err := broker.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, Run(t, b)
}

// Run runs a broker and returns when it is ready. stop may be called again.
func Run(t testing.TB, b *broker.Broker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		cancel()
		t.Fatalf("labtest: broker: %v", err)
	case <-time.After(startTimeout):
		cancel()
		t.Fatalf("labtest: broker is not ready after %v", startTimeout)
	}
	stopped := false
	return func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("labtest: broker: %v", err)
		}
	}
}

// Port returns a loopback port that is free now. It is below those that the kernel gives to outgoing
// connections, so that it is likely to stay free until it is used.
func Port(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(22_000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("labtest: no free port found")
	panic("unreachable")
}
