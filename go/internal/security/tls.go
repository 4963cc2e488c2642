package security

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// tlsSettings are what configurations differ in between processes.
type tlsSettings struct {
	suites  []uint16 // nil: those of Go
	curves  []tls.CurveID
	minimum uint16

	legacy    bool
	addresses []netip.Addr
}

// curves are the accepted values of plugin.security.ecc_curves, and all of them, in this order, the
// default. Go's own default begins with a post-quantum exchange, which adds 2 kB to every handshake
// and is not known to old peers.
var curves = []struct {
	name string
	id   tls.CurveID
}{
	{"X25519", tls.X25519},
	{"CurveP256", tls.CurveP256},
	{"CurveP384", tls.CurveP384},
	{"CurveP521", tls.CurveP521},
}

func newTLSSettings(o Options) (tlsSettings, error) {
	s := tlsSettings{minimum: tls.VersionTLS12, legacy: o.LegacyBrokers, addresses: o.Addresses}
	var err error
	if s.suites, s.minimum, err = cipherSuites(o.CipherSuites); err != nil {
		return s, err
	}
	s.curves, err = curveIDs(o.Curves)
	return s, err
}

// cipherSuites returns the numbers of the named suites and the least TLS version to go with them.
// What TLS 1.3 uses cannot be chosen in Go: naming one of its suites only allows that version, and
// naming nothing else demands it.
func cipherSuites(names []string) (ids []uint16, minimum uint16, err error) {
	if len(names) == 0 {
		return nil, tls.VersionTLS12, nil
	}
	for _, name := range names {
		suite := findSuite(name)
		if suite == nil {
			return nil, 0, fmt.Errorf("plugin.security.cipher_suites: %q: want one of %s", name, strings.Join(suiteNames(), ", "))
		}
		if suite.SupportedVersions[0] <= tls.VersionTLS12 {
			ids = append(ids, suite.ID)
		}
	}
	if ids == nil {
		return nil, tls.VersionTLS13, nil
	}
	return ids, tls.VersionTLS12, nil
}

func findSuite(name string) *tls.CipherSuite {
	for _, s := range tls.CipherSuites() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func suiteNames() []string {
	var out []string
	for _, s := range tls.CipherSuites() {
		out = append(out, s.Name)
	}
	return out
}

func curveIDs(names []string) ([]tls.CurveID, error) {
	var ids []tls.CurveID
	var known []string
	for _, c := range curves {
		known = append(known, c.name)
		if len(names) == 0 {
			ids = append(ids, c.id)
		}
	}
	for _, name := range names {
		n := slices.Index(known, name)
		if n < 0 {
			return nil, fmt.Errorf("plugin.security.ecc_curves: %q: want one of %s", name, strings.Join(known, ", "))
		}
		ids = append(ids, curves[n].id)
	}
	return ids, nil
}

// ClientTLS returns the configuration for connecting to a broker. The broker's certificate is
// verified against the CA, the revocation lists and the name that was connected to, on resumed
// connections too. Each connection presents the certificate that is in force by then, and sessions
// are resumed as long as that does not change.
//
// With Options.LegacyBrokers a certificate without any alternative name is good for its common name.
// crypto/tls does not say then which IP address, if it was one, was connected to. In that case the
// certificate has to be for one of Options.Addresses, or, when there are none, for any IP address,
// which the certificates of nodes are not.
func (i *Identity) ClientTLS() *tls.Config {
	c := i.config()
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &i.own.get().cert, nil
	}
	c.ClientSessionCache = sessions{i}
	if i.tls.legacy {
		// What crypto/tls would do, and the CN besides, is done by verifyLegacyBroker.
		c.InsecureSkipVerify = true
		c.VerifyConnection = broker(i.verifyLegacyBroker)
		return c
	}
	c.RootCAs = i.trust.authorities.get().roots
	c.VerifyConnection = broker(i.verifyUnrevoked)
	return c
}

// ServerTLS returns the configuration for accepting connections; client certificates are verified
// when given, and revoked ones are refused, on resumed connections too. It has to be asked for again
// to trust another CA.
func (i *Identity) ServerTLS() *tls.Config {
	c := i.config()
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &i.own.get().cert, nil
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	c.ClientCAs = i.trust.authorities.get().roots
	c.VerifyConnection = i.verifyUnrevoked
	return c
}

func (i *Identity) config() *tls.Config {
	return &tls.Config{
		MinVersion:       i.tls.minimum,
		CipherSuites:     i.tls.suites,
		CurvePreferences: i.tls.curves,
	}
}

// broker makes the errors of verify those that crypto/tls returns for a server's certificate.
func broker(verify func(tls.ConnectionState) error) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		err := verify(cs)
		if err == nil {
			return nil
		}
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
}

// verifyUnrevoked looks for the peer, whose certificate crypto/tls has verified, in the revocation
// lists.
func (i *Identity) verifyUnrevoked(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return nil // a client without a certificate; what it may do is decided elsewhere
	}
	_, err := i.trust.authorities.get().unrevoked(cs.VerifiedChains)
	return err
}

// ServiceTLS returns the configuration for HTTPS with a service of the site, such as PuppetDB, at host,
// a name or an IP address. The service's certificate is verified as that of a broker is, an IP address
// always in the certificate itself.
func (i *Identity) ServiceTLS(host string) *tls.Config {
	c := i.config()
	c.ServerName = host
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &i.own.get().cert, nil
	}
	c.InsecureSkipVerify = true // what crypto/tls would do, and the CN besides, is done by verifyNamed
	c.VerifyConnection = broker(func(cs tls.ConnectionState) error {
		leaf, err := i.verifyServer(cs)
		if err != nil {
			return err
		}
		return i.verifyNamed(leaf, host)
	})
	return c
}

// verifyLegacyBroker does all of the verification of a broker.
func (i *Identity) verifyLegacyBroker(cs tls.ConnectionState) error {
	leaf, err := i.verifyServer(cs)
	if err != nil {
		return err
	}
	if cs.ServerName == "" {
		return verifyAddress(leaf, i.tls.addresses)
	}
	return i.verifyNamed(leaf, cs.ServerName)
}

// verifyServer verifies all but the name of who was connected to, and returns its certificate.
func (i *Identity) verifyServer(cs tls.ConnectionState) (*x509.Certificate, error) {
	if len(cs.PeerCertificates) == 0 {
		return nil, errors.New("the server has no certificate")
	}
	a := i.trust.authorities.get()
	chains, err := a.verify(cs.PeerCertificates, x509.ExtKeyUsageServerAuth, time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := a.unrevoked(chains); err != nil {
		return nil, err
	}
	return cs.PeerCertificates[0], nil
}

// verifyNamed reports why leaf is not for host. With Options.LegacyBrokers the common name counts
// where there are no alternative names.
func (i *Identity) verifyNamed(leaf *x509.Certificate, host string) error {
	if i.tls.legacy && !hasAlternativeNames(leaf) && strings.EqualFold(leaf.Subject.CommonName, strings.TrimSuffix(host, ".")) {
		return nil
	}
	return leaf.VerifyHostname(host)
}

// verifyAddress reports why leaf is not for a broker at one of addresses.
func verifyAddress(leaf *x509.Certificate, addresses []netip.Addr) error {
	for _, ip := range leaf.IPAddresses {
		if len(addresses) == 0 {
			return nil
		}
		addr, _ := netip.AddrFromSlice(ip)
		for _, a := range addresses {
			if addr.Unmap() == a.Unmap() {
				return nil
			}
		}
	}
	for _, a := range addresses {
		if !hasAlternativeNames(leaf) && leaf.Subject.CommonName == a.String() {
			return nil
		}
	}
	return hint(fmt.Errorf("certificate %q is not for the IP address of the broker", leaf.Subject.CommonName),
		"connect by a host name that is in the certificate, or issue a certificate with the address in it")
}

func hasAlternativeNames(c *x509.Certificate) bool {
	return len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) > 0
}

// sessions keeps TLS sessions with the certificate they were made with: a broker takes who resumes
// one for the holder of that certificate, so that identities must not share them, and a renewed
// certificate starts anew.
type sessions struct{ id *Identity }

// Get implements tls.ClientSessionCache.
func (s sessions) Get(key string) (*tls.ClientSessionState, bool) {
	return s.id.own.get().sessions.Get(key)
}

// Put implements tls.ClientSessionCache.
func (s sessions) Put(key string, cs *tls.ClientSessionState) {
	s.id.own.get().sessions.Put(key, cs)
}
