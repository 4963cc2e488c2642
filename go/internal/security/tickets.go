package security

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ticketDays is for how many days after it was given out a session ticket is good. Source: RFC 8446
// section 4.6.1, which allows no more than seven.
const ticketDays = 7

// tickets are the keys that session tickets are sealed with. They follow from the private key and the
// day, so that a broker that was started again knows the tickets it gave out before: thousands of nodes
// that come back at once then take a tenth of what full handshakes take.
//
// Who has the private key can make tickets, and pass for any node at this broker; but that is who can
// pass for the broker. What was said over TLS 1.3 remains secret from him, as each resumption agrees on a
// new secret; TLS 1.2 does not, and gets random keys instead.
type tickets struct {
	mu   sync.Mutex
	day  int64 // days since 1970 UTC; zero: none made yet
	keys [][32]byte
}

// at returns the keys for that time, that to seal with first. Keys that cannot be exported, as those
// in hardware, have none.
func (t *tickets) at(now time.Time, private any) ([][32]byte, error) {
	day := now.Unix() / 86400
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.day == day {
		return t.keys, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("session tickets: %w", err)
	}
	var keys [][32]byte
	for back := range int64(ticketDays + 1) {
		key, err := hkdf.Key(sha256.New, der, nil, fmt.Sprintf("choria session tickets of day %d", day-back), 32)
		if err != nil {
			return nil, fmt.Errorf("session tickets: %w", err)
		}
		keys = append(keys, [32]byte(key))
	}
	t.day, t.keys = day, keys
	return keys, nil
}

// serving is the configuration of ServerTLSFor, and what it was made from. All connections share it: one of its
// own would be 4 kB of each.
type serving struct {
	own         *own
	authorities *authorities
	day         int64
	config      *tls.Config
}

// ServerTLSFor is ServerTLS for a client that says hello, to be returned by GetConfigForClient. Sessions of
// TLS 1.3 are resumed although this process, or another one with the same key, was started anew.
func (i *Identity) ServerTLSFor(hello *tls.ClientHelloInfo) *tls.Config {
	if !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return i.ServerTLS()
	}
	now := time.Now()
	next := &serving{own: i.own.get(), authorities: i.trust.authorities.get(), day: now.Unix() / 86400}
	if s := i.serving.Load(); s != nil && s.own == next.own && s.authorities == next.authorities && s.day == next.day {
		return s.config
	}
	next.config = i.ServerTLS()
	if keys, err := next.own.tickets.at(now, next.own.cert.PrivateKey); err == nil {
		next.config.SetSessionTicketKeys(keys)
	}
	i.serving.Store(next)
	return next.config
}
