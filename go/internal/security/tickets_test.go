package security

import (
	"crypto/tls"
	"testing"
	"time"

	"choria.io/choria/go/internal/security/pki"
)

// TestResumptionAfterRestart resumes a session with another process that has the same certificate, and
// with nobody else.
func TestResumptionAfterRestart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	bo, _ := s.issue(pki.Request{Name: "broker"})
	bo.For = ForBroker
	co, _ := s.issue(pki.Request{Name: "n1"})
	listen := func(o Options) string {
		id := mustNew(t, o)
		c := id.ServerTLS()
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return id.ServerTLSFor(hello), nil }
		addr, _ := serve(t, c)
		return addr
	}
	first, restarted := listen(bo), listen(bo)
	renewed, _ := s.issue(pki.Request{Name: "broker"})
	renewed.For = ForBroker
	other := listen(renewed)

	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		cfg := mustNew(t, co).ClientTLS()
		cfg.MaxVersion = version
		for i, want := range []struct {
			addr   string
			resume bool
		}{
			{first, false}, {first, true},
			{restarted, version == tls.VersionTLS13}, // see tickets
			{other, false},
		} {
			cs, err := connect(want.addr, "broker", cfg)
			if err != nil || cs.DidResume != want.resume {
				t.Errorf("%s, connection %d: %v, resumed %v; want %v", tls.VersionName(version), i, err, cs.DidResume, want.resume)
			}
		}
	}
}

// TestTicketKeys holds that keys follow from key and day, and how long old ones are kept.
func TestTicketKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o, _ := s.issue(pki.Request{Name: "broker"})
	key := mustNew(t, o).own.get().cert.PrivateKey
	day := 24 * time.Hour
	monday := time.Date(2026, 3, 2, 23, 59, 0, 0, time.UTC)
	at := func(tk *tickets, when time.Time) [][32]byte {
		keys, err := tk.at(when, key)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	var one, two tickets
	before := at(&one, monday)
	if after := at(&two, monday.Add(time.Minute)); after[0] == before[0] || after[1] != before[0] {
		t.Error("the next day does not have a new key and that of the day before")
	}
	if again := at(&one, monday.Add(6*day)); again[6] != before[0] {
		t.Error("a key is gone within a week")
	}
	for i, k := range at(&one, monday.Add(9*day)) {
		if k == before[0] {
			t.Errorf("a key is still there after nine days, as number %d", i)
		}
	}
	if _, err := new(tickets).at(monday, "a key in hardware"); err == nil {
		t.Error("keys were made of what cannot be exported")
	}
}

// TestServerTLSFor holds that connections share a configuration until the CA file changes.
func TestServerTLSFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o, _ := s.issue(pki.Request{Name: "broker"})
	o.For = ForBroker
	id := mustNew(t, o)
	hello := &tls.ClientHelloInfo{SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12}}
	first := id.ServerTLSFor(hello)
	if again := id.ServerTLSFor(hello); again != first {
		t.Error("each connection has a configuration of its own")
	}
	if old := id.ServerTLSFor(&tls.ClientHelloInfo{SupportedVersions: []uint16{tls.VersionTLS12}}); old == first {
		t.Error("TLS 1.2 shares the keys of tickets")
	}
	a, err := loadAuthorities(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	id.trust.authorities.value.Store(a)
	if id.ServerTLSFor(hello).ClientCAs != a.roots {
		t.Error("the CA of before is trusted")
	}
}
