// Package pki makes throwaway certificate authorities for the lab and for tests.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// lifetime is how long certificates and revocation lists are good for unless the request says
// otherwise, and skew how long before now they begin, for machines whose clocks differ.
const (
	lifetime = 10 * 365 * 24 * time.Hour
	skew     = time.Hour
)

// A CA issues certificates. Its methods may be called concurrently.
type CA struct {
	cert   *x509.Certificate
	key    crypto.Signer
	parent *CA    // nil: a root
	pem    []byte // this certificate and those of its parents, leaf first

	mu      sync.Mutex
	serial  int64 // of the certificate issued last
	number  int64 // of the revocation list made last
	revoked []x509.RevocationListEntry
}

// A Request describes a certificate. The zero value of all but Name works.
type Request struct {
	Name                string   // subject common name, and a DNS subject alternative name unless NoSAN
	DNS                 []string // further names
	IPs                 []string // addresses
	RSA                 bool     // RSA 2048, which callers need to sign requests; otherwise ECDSA P-256, much faster to make
	NoSAN               bool
	NoClient            bool      // no client authentication in the extended key usage
	NotBefore, NotAfter time.Time // zero: an hour ago, ten years from now
}

// A Pair is a certificate with its key.
type Pair struct {
	Cert []byte // PEM; followed by the certificate of the issuer when that is an intermediate
	Key  []byte // PEM: PKCS#1 for RSA as Puppet writes it, PKCS#8 otherwise
}

// New makes a CA whose certificate has the common name name.
func New(name string) (*CA, error) {
	return newCA(name, nil)
}

// Intermediate makes a CA that c vouches for, as Puppet's own CA is one below a root.
func (c *CA) Intermediate(name string) (*CA, error) {
	return newCA(name, c)
}

// newCA makes a CA below parent, or a root when that is nil. Its key is ECDSA whatever it issues:
// that is a hundred times faster to make than RSA.
func newCA(name string, parent *CA) (*CA, error) {
	if name == "" {
		return nil, errors.New("certificate authority: no name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of certificate authority %q: %w", name, err)
	}
	c := &CA{key: key, parent: parent, serial: 1}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	issuer, signer := tmpl, crypto.Signer(key)
	if parent != nil {
		tmpl.SerialNumber = parent.next()
		issuer, signer = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %q: %w", name, err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("certificate authority %q: %w", name, err)
	}
	c.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if parent != nil {
		c.pem = append(c.pem, parent.pem...)
	}
	return c, nil
}

// next returns the serial number of the next certificate.
func (c *CA) next() *big.Int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	return big.NewInt(c.serial)
}

// Cert returns the certificate of the CA as PEM, followed by those of its parents.
func (c *CA) Cert() []byte {
	return append([]byte(nil), c.pem...)
}

// Issue makes a key and a certificate for it.
func (c *CA) Issue(r Request) (*Pair, error) {
	if r.Name == "" {
		return nil, errors.New("certificate: no name")
	}
	tmpl, err := c.template(r)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", r.Name, err)
	}
	key, keyPEM, err := newKey(r.RSA)
	if err != nil {
		return nil, fmt.Errorf("key of certificate %q: %w", r.Name, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.cert, key.Public(), c.key)
	if err != nil {
		return nil, fmt.Errorf("certificate %q: %w", r.Name, err)
	}
	p := &Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: keyPEM}
	if c.parent != nil {
		p.Cert = append(p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
	}
	return p, nil
}

// template returns what the certificate for r says.
func (c *CA) template(r Request) (*x509.Certificate, error) {
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: c.next(),
		Subject:      pkix.Name{CommonName: r.Name},
		NotBefore:    r.NotBefore,
		NotAfter:     r.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     r.DNS,

		BasicConstraintsValid: true,
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = now.Add(-skew)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = now.Add(lifetime)
	}
	if r.RSA {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if !r.NoClient {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if !r.NoSAN {
		t.DNSNames = append([]string{r.Name}, r.DNS...)
	}
	for _, text := range r.IPs {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, fmt.Errorf("address %q: not an IP address", text)
		}
		t.IPAddresses = append(t.IPAddresses, ip)
	}
	return t, nil
}

// newKey makes a key and its PEM form.
func newKey(isRSA bool) (crypto.Signer, []byte, error) {
	if isRSA {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, nil, err
		}
		der := x509.MarshalPKCS1PrivateKey(key)
		return key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}), nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
