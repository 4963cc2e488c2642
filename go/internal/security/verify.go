package security

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what a request may carry. A certificate has some 2 kB of PEM, and a chain rarely more
// than three of them. A key of 8192 bits is what TLS stops at too: checking signatures with larger
// ones, which anybody can put into an intermediate, takes milliseconds.
const (
	maxCertBytes = 32 << 10
	maxCerts     = 8
	maxRSABits   = 8192
)

// maxCallers is how many verified certificates are kept, some 2 kB each, unless Options says otherwise.
const maxCallers = 128

// A caller is what remains of a certificate that verified. It holds for as long as the certificate
// and all that vouch for it are valid, and until CA or revocation lists change.
type caller struct {
	from, to   time.Time
	names      []string // common name and DNS names
	privileged bool
	key        *rsaKey

	// last is the request that was found to be signed by this caller most recently. Where many nodes
	// share an identity all of them receive each request.
	last atomic.Pointer[signed]
}

type signed struct {
	digest    [sha256.Size]byte
	signature []byte
}

// Verify implements protocol.Verifier by the rules of protocol section 3.3, and refuses revoked
// certificates.
func (i *Identity) Verify(message, signature, cert []byte, caller string, now time.Time) error {
	name, err := ParseCaller(caller)
	if err != nil {
		return err
	}
	c, err := i.caller(cert, now)
	if err != nil {
		return fmt.Errorf("caller %q: %w", clip(caller), err)
	}
	if !c.privileged {
		if !slices.Contains(c.names, name) {
			return fmt.Errorf("caller %q: the certificate is for %q", clip(caller), clip(c.names[0]))
		}
		if !i.trust.allowed.match(name) {
			return fmt.Errorf("caller %q: not matched by plugin.choria.security.certname_whitelist", clip(caller))
		}
	}
	if err := c.verify(message, signature); err != nil {
		return fmt.Errorf("caller %q: %w", clip(caller), err)
	}
	return nil
}

// verify reports why signature is not c's over message.
func (c *caller) verify(message, signature []byte) error {
	digest := sha256.Sum256(message)
	if last := c.last.Load(); last != nil && last.digest == digest && bytes.Equal(last.signature, signature) {
		return nil
	}
	if err := c.key.verify(digest, signature); err != nil {
		return err
	}
	c.last.Store(&signed{digest, bytes.Clone(signature)})
	return nil
}

// callers are those whose certificates have verified.
type callers struct {
	most int // how many are kept

	mu    sync.RWMutex
	by    *authorities         // that vouch for all of them; with others they are forgotten
	known map[[32]byte]*caller // by the SHA-256 of the PEM form of their certificates
}

// get returns the caller with that certificate, nil when it is not known.
func (c *callers) get(by *authorities, sum [32]byte) *caller {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.by != by {
		return nil
	}
	return c.known[sum]
}

// keep remembers one in place of any other when there are too many. What gets here is signed by the
// CA, so that nobody else can push callers out.
func (c *callers) keep(by *authorities, sum [32]byte, one *caller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by != by || c.known == nil {
		c.by, c.known = by, make(map[[32]byte]*caller)
	}
	if _, known := c.known[sum]; !known && len(c.known) >= c.most {
		for any := range c.known {
			delete(c.known, any)
			break
		}
	}
	c.known[sum] = one
}

// caller returns who the certificate in data, PEM, belongs to.
func (i *Identity) caller(data []byte, now time.Time) (*caller, error) {
	if len(data) > maxCertBytes {
		return nil, fmt.Errorf("certificate: %d bytes, at most %d are accepted", len(data), maxCertBytes)
	}
	a := i.trust.authorities.get()
	sum := sha256.Sum256(data)
	if c := i.known.get(a, sum); c != nil && !now.Before(c.from) && !now.After(c.to) {
		return c, nil
	}
	c, err := i.trust.newCaller(a, data, now)
	if err != nil {
		return nil, err
	}
	i.known.keep(a, sum, c)
	return c, nil
}

// newCaller verifies the certificate in data.
func (t *trust) newCaller(a *authorities, data []byte, now time.Time) (*caller, error) {
	certs, err := parseCallerCerts(data)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	leaf := certs[0]
	chains, err := a.verify(certs, x509.ExtKeyUsageClientAuth, now)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", clip(leaf.Subject.CommonName), err)
	}
	chain, err := a.unrevoked(chains)
	if err != nil {
		return nil, err
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("certificate %q: has an %s key, requests are signed with RSA", clip(leaf.Subject.CommonName), leaf.PublicKeyAlgorithm)
	}
	c := &caller{from: leaf.NotBefore, to: leaf.NotAfter, names: certNames(leaf), key: newRSAKey(key)}
	c.privileged = t.privileged.matchAny(c.names)
	for _, above := range chain[1:] {
		if above.NotBefore.After(c.from) {
			c.from = above.NotBefore
		}
		if above.NotAfter.Before(c.to) {
			c.to = above.NotAfter
		}
	}
	return c, nil
}

// certNames returns the names of c: the common name, which may be empty, then the DNS names.
func certNames(c *x509.Certificate) []string {
	return append([]string{c.Subject.CommonName}, c.DNSNames...)
}

// parseCallerCerts parses the certificates a request carries, the signer's first.
func parseCallerCerts(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if len(out) == maxCerts {
			return nil, fmt.Errorf("more than %d", maxCerts)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return nil, fmt.Errorf("RSA key of %d bits, at most %d are accepted", key.N.BitLen(), maxRSABits)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errNoCertificate
	}
	return out, nil
}
