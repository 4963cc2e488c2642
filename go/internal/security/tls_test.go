package security

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/security/pki"
)

// serve accepts TLS connections on loopback until the test ends. It greets whom it accepts, so that
// who connects learns in TLS 1.3 whether it was, and gets a session ticket. The second result tells
// why the latest handshake was refused, once for each.
func serve(t *testing.T, cfg *tls.Config) (addr string, refused <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conn := tls.Server(c, cfg)
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if err := conn.Handshake(); err != nil {
				select {
				case errs <- err:
				default: // nobody asked about the one before
				}
			} else if _, err := conn.Write([]byte{'!'}); err == nil {
				_, _ = conn.Read(make([]byte, 1)) // until the client is done
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), errs
}

// connect connects as the library of the broker does: a clone of the configuration with the name of
// the server set.
func connect(addr, server string, cfg *tls.Config) (tls.ConnectionState, error) {
	cfg = cfg.Clone()
	cfg.ServerName = server
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	conn := tls.Client(c, cfg)
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s, stranger := newSite(t), newSite(t)
	broker, _ := s.issue(pki.Request{Name: "broker.example.net", IPs: []string{"127.0.0.1"}})
	cnOnly, _ := s.issue(pki.Request{Name: "old.example.net", NoSAN: true})
	cnAddress, _ := s.issue(pki.Request{Name: "127.0.0.9", NoSAN: true})
	node, _ := s.issue(pki.Request{Name: "n1.example.net"})
	noServer := node // a certificate for clients and servers, but without an address
	foreign, _ := stranger.issue(pki.Request{Name: "broker.example.net"})
	broker.For, cnOnly.For, cnAddress.For, foreign.For = ForBroker, ForBroker, ForBroker, ForBroker
	legacy := node
	legacy.LegacyBrokers = true
	knows := legacy
	knows.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.9")}
	knowsToo := legacy
	knowsToo.Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

	tests := []struct {
		name   string
		broker Options
		client Options
		server string // what the client connects to
		err    string
	}{
		{"name", broker, node, "broker.example.net", ""},
		{"address", broker, node, "127.0.0.1", ""},
		{"another name", broker, node, "other.example.net", "not other.example.net"},
		{"another address", broker, node, "127.0.0.2", "not 127.0.0.2"},
		{"common name alone", cnOnly, node, "old.example.net", "legacy Common Name"},
		{"another CA", foreign, node, "broker.example.net", "unknown authority"},
		{"legacy: name", broker, legacy, "broker.example.net", ""},
		{"legacy: another name", broker, legacy, "other.example.net", "not other.example.net"},
		{"legacy: common name alone", cnOnly, legacy, "old.example.net", ""},
		{"legacy: case and dot", cnOnly, legacy, "OLD.example.net.", ""},
		{"legacy: another common name", cnOnly, legacy, "new.example.net", "not valid for any names"},
		{"legacy: another CA", foreign, legacy, "broker.example.net", "unknown authority"},
		{"legacy: address", broker, legacy, "127.0.0.1", ""},
		{"legacy: a node at an address", noServer, legacy, "127.0.0.1", "not for the IP address"},
		{"legacy: address is known", broker, knowsToo, "127.0.0.1", ""},
		{"legacy: address is not known", broker, knows, "127.0.0.1", "not for the IP address"},
		{"legacy: address as common name", cnAddress, knows, "127.0.0.9", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, _ := serve(t, mustNew(t, tt.broker).ServerTLS())
			cs, err := connect(addr, tt.server, mustNew(t, tt.client).ClientTLS())
			check(t, tt.server, err, tt.err)
			if refused := new(tls.CertificateVerificationError); err != nil && !errors.As(err, &refused) {
				t.Errorf("the error is a %T, want a %T", err, refused)
			}
			if err == nil && cs.Version != tls.VersionTLS13 {
				t.Errorf("version %x, want 1.3", cs.Version)
			}
		})
	}
}

// TestServiceTLS is about services other than brokers: an address has to be in their certificate.
func TestServiceTLS(t *testing.T) {
	t.Parallel()
	s, stranger := newSite(t), newSite(t)
	service, _ := s.issue(pki.Request{Name: "puppetdb.example.net", IPs: []string{"127.0.0.1"}})
	cnOnly, _ := s.issue(pki.Request{Name: "old.example.net", NoSAN: true})
	foreign, _ := stranger.issue(pki.Request{Name: "puppetdb.example.net"})
	node, _ := s.issue(pki.Request{Name: "n1.example.net"})
	service.For, cnOnly.For, foreign.For = ForBroker, ForBroker, ForBroker
	legacy := node
	legacy.LegacyBrokers = true
	legacy.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.1")} // of brokers, which is nothing to services

	tests := []struct {
		name    string
		service Options
		client  Options
		host    string
		err     string
	}{
		{"name", service, node, "puppetdb.example.net", ""},
		{"address", service, legacy, "127.0.0.1", ""},
		{"another name", service, legacy, "other.example.net", "not other.example.net"},
		{"another address", service, legacy, "127.0.0.2", "not 127.0.0.2"},
		{"common name alone", cnOnly, node, "old.example.net", "legacy Common Name"},
		{"legacy: common name alone", cnOnly, legacy, "old.example.net", ""},
		{"legacy: another common name", cnOnly, legacy, "127.0.0.1", "doesn't contain any IP SANs"},
		{"another CA", foreign, legacy, "puppetdb.example.net", "unknown authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, _ := serve(t, mustNew(t, tt.service).ServerTLS())
			_, err := connect(addr, tt.host, mustNew(t, tt.client).ServiceTLS(tt.host))
			check(t, tt.host, err, tt.err)
		})
	}

	revoked, pair := s.issue(pki.Request{Name: "revoked.example.net"})
	addr, _ := serve(t, mustNew(t, revoked).ServerTLS())
	s.revoke(pair)
	_, err := connect(addr, "revoked.example.net", mustNew(t, node).ServiceTLS("revoked.example.net"))
	check(t, "revoked", err, "revoked")
}

// TestServerTLS is about who may connect.
func TestServerTLS(t *testing.T) {
	t.Parallel()
	s, stranger := newSite(t), newSite(t)
	broker, _ := s.issue(pki.Request{Name: "broker"})
	serverOnly, _ := s.issue(pki.Request{Name: "so", NoClient: true})
	node, _ := s.issue(pki.Request{Name: "n1"})
	foreign, _ := stranger.issue(pki.Request{Name: "n1"})
	broker.For, serverOnly.For = ForBroker, ForBroker
	addr, refused := serve(t, mustNew(t, broker).ServerTLS())

	trusting := func(o Options) *tls.Config { // presents o but trusts the broker
		c := mustNew(t, o).ClientTLS()
		c.RootCAs = mustNew(t, node).ClientTLS().RootCAs
		c.VerifyConnection = nil
		return c
	}
	anonymous := mustNew(t, node).ClientTLS()
	anonymous.GetClientCertificate = nil
	old := trusting(node)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, tt := range []struct {
		name string
		cfg  *tls.Config
		err  string // what the server says
	}{
		{"node", trusting(node), ""},
		{"no certificate", anonymous, ""},
		{"for servers only", trusting(serverOnly), "incompatible key usage"},
		{"another CA", trusting(foreign), "unknown authority"},
		{"TLS 1.1", old, "unsupported versions"},
	} {
		_, err := connect(addr, "broker", tt.cfg)
		if (err == nil) != (tt.err == "") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
		if tt.err != "" {
			check(t, tt.name, <-refused, tt.err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	broker, _ := s.issue(pki.Request{Name: "broker"})
	broker.For = ForBroker
	const gcm12, gcm13 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"
	for _, tt := range []struct {
		name    string
		suites  []string
		curves  []string
		version uint16 // the most the client speaks
		want    uint16 // suite
		err     string
	}{
		{"1.2", []string{gcm12}, nil, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ""},
		{"1.2 with 1.3", []string{gcm13, gcm12}, nil, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ""},
		{"1.3 alone", []string{gcm13}, nil, tls.VersionTLS12, 0, "protocol version"},
		{"none in common", []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, nil, tls.VersionTLS12, 0, "handshake failure"},
		{"curve", []string{gcm12}, []string{"CurveP384"}, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ""},
		{"no curve in common", nil, []string{"CurveP521"}, tls.VersionTLS13, 0, "handshake failure"},
	} {
		o := broker
		o.CipherSuites, o.Curves = tt.suites, tt.curves
		addr, _ := serve(t, mustNew(t, o).ServerTLS())
		client := mustNew(t, broker).ClientTLS()
		client.MaxVersion = tt.version
		client.CurvePreferences = []tls.CurveID{tls.CurveP384, tls.X25519}
		cs, err := connect(addr, "broker", client)
		check(t, tt.name, err, tt.err)
		if err == nil && (cs.CipherSuite != tt.want || cs.CurveID == tls.CurveP384 != (tt.curves != nil)) {
			t.Errorf("%s: suite %s, curve %v", tt.name, tls.CipherSuiteName(cs.CipherSuite), cs.CurveID)
		}
	}
}

// TestRevocationTLS revokes a client and a broker while both run. Resuming a session must not get
// around it.
func TestRevocationTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		version uint16
		legacy  bool
	}{{"1.2", tls.VersionTLS12, false}, {"1.3", tls.VersionTLS13, false}, {"1.2 legacy", tls.VersionTLS12, true}, {"1.3 legacy", tls.VersionTLS13, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			bo, brokerPair := s.issue(pki.Request{Name: "broker"})
			co, clientPair := s.issue(pki.Request{Name: "n1"})
			oo, _ := s.issue(pki.Request{Name: "n2"})
			bo.For, co.LegacyBrokers, oo.LegacyBrokers = ForBroker, tt.legacy, tt.legacy
			broker, client, other := mustNew(t, bo), mustNew(t, co), mustNew(t, oo)
			addr, refused := serve(t, broker.ServerTLS())
			cfg, otherCfg := client.ClientTLS(), other.ClientTLS()
			cfg.MaxVersion, otherCfg.MaxVersion = tt.version, tt.version

			for i := range 3 {
				cs, err := connect(addr, "broker", cfg)
				if err != nil {
					t.Fatal(err)
				}
				if cs.DidResume != (i > 0) {
					t.Errorf("connection %d: resumed %v", i, cs.DidResume)
				}
				if _, err := connect(addr, "broker", otherCfg); err != nil {
					t.Fatal(err)
				}
			}

			s.revoke(clientPair)
			deadline := time.Now().Add(20 * time.Second)
			for { // the real thing: nothing tells the broker but the file
				if _, err := connect(addr, "broker", cfg); err != nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("a revoked client still gets in")
				}
				time.Sleep(20 * time.Millisecond)
			}
			check(t, "broker", <-refused, `revoked: certificate "n1" with serial number 3`)
			if cs, err := connect(addr, "broker", otherCfg); err != nil || !cs.DidResume {
				t.Errorf("another client: %v, resumed %v", err, cs.DidResume)
			}

			s.revoke(brokerPair)
			hurry(other)
			_, err := connect(addr, "broker", otherCfg)
			check(t, "client", err, `revoked: certificate "broker" with serial number 2`)
		})
	}
}

// TestRenewedCertificate replaces the certificate of a client and of a broker while they run.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bo, _ := s.issue(pki.Request{Name: "broker"})
	co, _ := s.issue(pki.Request{Name: "n1"})
	bo.For = ForBroker
	var log logBuffer
	co.Log = log.logger()
	broker, client := mustNew(t, bo), mustNew(t, co)
	server := broker.ServerTLS()
	seen := make(chan string, 1) // what the last client presented
	verify := server.VerifyConnection
	server.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := verify(cs); err != nil {
			return err
		}
		if len(cs.PeerCertificates) == 0 {
			return errors.New("no certificate")
		}
		seen <- cs.PeerCertificates[0].SerialNumber.String()
		return nil
	}
	addr, _ := serve(t, server)
	cfg := client.ClientTLS()
	want := func(what, clientSerial, brokerSerial string) {
		t.Helper()
		cs, err := connect(addr, "broker", cfg)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if got := <-seen; got != clientSerial {
			t.Errorf("%s: client presented %s, want %s", what, got, clientSerial)
		}
		if got := cs.PeerCertificates[0].SerialNumber.String(); got != brokerSerial {
			t.Errorf("%s: broker presented %s, want %s", what, got, brokerSerial)
		}
	}
	want("at first", "3", "2")
	s.issue(pki.Request{Name: "n1"})
	hurry(client)
	want("client renewed", "4", "2")
	s.issue(pki.Request{Name: "broker"})
	hurry(broker)
	client.own.get().sessions.Put("broker", nil) // a resumed session shows what it began with
	want("broker renewed", "4", "5")

	write(t, co.Key, []byte("nothing"))
	for range 3 {
		hurry(client)
		want("key broken", "4", "5")
	}
	if n := log.count("changed certificate not used"); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}

func TestSessionsAreNotShared(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bo, _ := s.issue(pki.Request{Name: "broker"})
	bo.For = ForBroker
	ao, _ := s.issue(pki.Request{Name: "n1"})
	ao.Shared = &Shared{}
	a := mustNew(t, ao)
	o, _ := s.issue(pki.Request{Name: "n2"})
	o.Shared = ao.Shared
	b := mustNew(t, o)
	if a.trust != b.trust {
		t.Error("the authorities are not shared")
	}
	addr, _ := serve(t, mustNew(t, bo).ServerTLS())
	for i, want := range []struct {
		id     *Identity
		resume bool
	}{{a, false}, {b, false}, {a, true}, {b, true}} {
		cs, err := connect(addr, "broker", want.id.ClientTLS())
		if err != nil || cs.DidResume != want.resume {
			t.Errorf("connection %d: %v, resumed %v, want %v", i, err, cs.DidResume, want.resume)
		}
	}
}

// TestRefusalOverTheWire reads what a revoked client is told.
func TestRefusalOverTheWire(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bo, _ := s.issue(pki.Request{Name: "broker"})
	co, pair := s.issue(pki.Request{Name: "n1"})
	bo.For = ForBroker
	client := mustNew(t, co)
	s.revoke(pair)
	addr, refused := serve(t, mustNew(t, bo).ServerTLS())
	_, err := connect(addr, "broker", client.ClientTLS())
	if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("the client is told %v, want an alert", err)
	}
	check(t, "broker", <-refused, "revoked")
}
