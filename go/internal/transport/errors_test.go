package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

// TestConnectSaysWhatWasTried holds the message and the hint for each way not to reach a broker.
func TestConnectSaysWhatWasTried(t *testing.T) {
	site := labtest.TLSBroker(t)
	other := labtest.NewSite(t)
	good := site.Identity(t, "n1.example.net", security.ForServer).ClientTLS()

	expired := expiredBroker(t, site)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	deaf, deaf2 := "nats://"+deafPort(t), "nats://"+deafPort(t)
	plain := labtest.Broker(t)

	full := labtest.NewSite(t)
	limited := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b"), broker.Options{
		Security: full.Identity(t, "b", security.ForBroker), MaxConnections: 1,
	})
	fullTLS := full.Identity(t, "n", security.ForServer).ClientTLS()
	connect(t, transport.Options{Servers: []string{limited.URL()}, TLS: fullTLS})

	fullPlain := labtest.RunBroker(t, labtest.BrokerConfig(t), broker.Options{MaxConnections: 1})
	connect(t, transport.Options{Servers: []string{fullPlain.URL()}})

	// A broker of the good CA that is not for the address it is reached at.
	site.Issue(t, pki.Request{Name: "misplaced.example.net"})
	misplaced := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "misplaced.example.net"),
		broker.Options{Security: site.Load(t, "misplaced.example.net", security.ForBroker)})

	tests := []struct {
		name    string
		servers []string
		tls     *tls.Config
		wait    time.Duration // MaxWait, long, where the first round has to be enough
		timeout time.Duration
		want    string // regular expression for the reasons
		hint    string // part of it
	}{
		{"refused", []string{deaf, deaf2}, nil, 0, 0, deaf + `: connection refused; ` + deaf2 + `: connection refused`, "is the broker running"},
		{"silent", []string{"nats://" + silent.Addr().String()}, nil, 0, 200 * time.Millisecond, `: timed out`, "firewall"},
		{"name", []string{"nats://no-such-host.invalid:4222"}, nil, 0, 0, `: (the host name "no-such-host.invalid" is not known|looking up the host name "no-such-host.invalid": .*|timed out)`, ""},
		{"other CA", []string{site.URL}, other.Identity(t, "n1.example.net", security.ForServer).ClientTLS(), patience, 0, `: its certificate is signed by an unknown authority( \(".*"\))?`, "CA file of this machine"},
		{"our CA unknown", []string{site.URL}, mixed(site, t, other), patience, 0, `: it refused our certificate: unknown certificate authority`, "CA that the broker trusts"},
		{"no certificate", []string{site.URL}, func() *tls.Config { c := good.Clone(); c.GetClientCertificate = nil; return c }(), 0, 0, `: it refused us: authorization violation`, "log of the broker"},
		{"expired", []string{expired}, good, patience, 0, `: its certificate expired on 20\d\d-.*`, "clock"},
		{"wrong name", []string{misplaced.URL()}, good, patience, 0, `: its certificate is not for 127\.0\.0\.1 but for misplaced\.example\.net`, "connect by a name"},
		{"no TLS there", []string{plain}, good, patience, 0, `: it does not offer TLS`, "agree on TLS"},
		{"full", []string{limited.URL()}, fullTLS, 0, 0, `: maximum connections exceeded`, ""},
		{"full, no TLS", []string{fullPlain.URL()}, nil, 0, 0, `: maximum connections exceeded`, ""},
		{"several", []string{deaf, plain}, good, 0, 0, deaf + `: connection refused; ` + plain + `: it does not offer TLS`, "agree on TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.timeout == 0 {
				tt.timeout = patience
			}
			start := time.Now()
			err := tryOnce(t, transport.Options{Servers: tt.servers, TLS: tt.tls, MaxWait: tt.wait, ConnectTimeout: tt.timeout})
			var ce *transport.ConnectError
			if !errors.As(err, &ce) {
				t.Fatalf("Connect = %v; want a *ConnectError", err)
			}
			if !regexp.MustCompile(`^no broker reached within [0-9.]+m?s: .*` + tt.want + `$`).MatchString(err.Error()) {
				t.Errorf("Connect = %v\nwant ...%s", err, tt.want)
			}
			if !strings.Contains(ce.Hint(), tt.hint) {
				t.Errorf("Hint() = %q; want ...%s...", ce.Hint(), tt.hint)
			}
			if len(ce.Tried) != len(tt.servers) {
				t.Errorf("Tried = %+v; want each of %v once", ce.Tried, tt.servers)
			}
			if tt.wait == patience && time.Since(start) > patience/2 {
				t.Errorf("waited %v for what only a person can repair", time.Since(start))
			}
		})
	}
}

// tryOnce connects until every server was tried, and returns why that was in vain. With MaxWait that
// of a client is held: it gives up by itself.
func tryOnce(t *testing.T, o transport.Options) error {
	t.Helper()
	o.Metrics = metrics.New()
	attempts := o.Metrics.Counter("choria_connector_initial_connection_attempts", "")
	ctx, cancel := context.WithCancel(context1(t))
	defer cancel()
	result := make(chan error, 1)
	go func() {
		c, err := transport.Connect(ctx, o)
		if err == nil {
			c.Close(ctx)
		}
		result <- err
	}()
	if o.MaxWait == 0 {
		until(t, "every server was tried", func() bool { return int(attempts.Value()) >= len(o.Servers) || len(result) > 0 })
		cancel()
	}
	return <-result
}

// TestConnectGivesUpAfterMaxWait is about what might get better while one waits.
func TestConnectGivesUpAfterMaxWait(t *testing.T) {
	start := time.Now()
	_, err := transport.Connect(context1(t), transport.Options{Servers: []string{"nats://" + deafPort(t)}, MaxWait: 700 * time.Millisecond, ConnectTimeout: patience})
	var ce *transport.ConnectError
	if !errors.As(err, &ce) || !strings.HasSuffix(err.Error(), ": connection refused") {
		t.Fatalf("Connect = %v; want connection refused", err)
	}
	if d := time.Since(start); d < 700*time.Millisecond || ce.Waited < 700*time.Millisecond || ce.Waited > d {
		t.Errorf("Connect took %v and says %v; want at least 700ms", d, ce.Waited)
	}
	if ce.Tried[0].Times < 1 {
		t.Errorf("Tried = %+v", ce.Tried)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the error is that of the caller's context, which has not ended")
	}
}

// expiredBroker answers like a broker whose certificate has expired, and returns its URL. A real one
// does not start.
func expiredBroker(t *testing.T, site *labtest.Site) string {
	t.Helper()
	pair, err := site.CA.Issue(pki.Request{
		Name: "expired", IPs: []string{"127.0.0.1"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"max_payload\":1048576,\"tls_required\":true}\r\n")
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
			}()
		}
	}()
	return "nats://" + l.Addr().String()
}

// mixed trusts the CA of site, but presents a certificate of other.
func mixed(site *labtest.Site, t *testing.T, other *labtest.Site) *tls.Config {
	t.Helper()
	c := site.Identity(t, "n2.example.net", security.ForServer).ClientTLS()
	c.GetClientCertificate = other.Identity(t, "n2.example.net", security.ForServer).ClientTLS().GetClientCertificate
	c.ClientSessionCache = nil
	return c
}
