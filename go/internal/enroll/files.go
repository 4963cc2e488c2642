package enroll

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds on RSA keys: what is shorter is not secure, what is longer takes seconds to sign with.
const (
	defaultBits = 2048
	minBits     = 2048
	maxBits     = 8192
)

// organization is the OU of all requests. Source: protocol section 3.7.
const organization = "choria.io"

// makeKey makes a key as Puppet writes it, PKCS#1.
func (r *Request) makeKey() (*rsa.PrivateKey, error) {
	bits := r.Bits
	if bits == 0 {
		bits = defaultBits
	}
	if bits < minBits || bits > maxBits {
		return nil, fmt.Errorf("key %s: %d bits: want %d to %d", r.Key, bits, minBits, maxBits)
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", r.Key, err)
	}
	if err := os.MkdirAll(filepath.Dir(r.Key), 0o700); err != nil {
		return nil, fmt.Errorf("key %s: %w", r.Key, err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := create(r.Key, data, 0o600); err != nil {
		return nil, fmt.Errorf("key %s: %w", r.Key, err)
	}
	return key, nil
}

// csr returns the request for key: the one that is there, or a new one, which is not kept before the CA
// has taken it.
func (r *Request) csr(key *rsa.PrivateKey) (*x509.CertificateRequest, error) {
	data, err := os.ReadFile(r.CSR)
	switch {
	case err == nil:
		return r.oldCSR(key, data)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("request: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: r.Name, OrganizationalUnit: []string{organization}},
		SignatureAlgorithm: x509.SHA256WithRSA,
		DNSNames:           r.DNS,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("request for %s: %w", r.Name, err)
	}
	return x509.ParseCertificateRequest(der)
}

// keepCSR writes a request that the CA has.
func (r *Request) keepCSR(csr *x509.CertificateRequest) error {
	err := create(r.CSR, encodeCSR(csr.Raw), 0o644)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("request %s: %w", r.CSR, err)
	}
	return nil
}

// oldCSR returns the request in data if it is the one that would be made now.
func (r *Request) oldCSR(key *rsa.PrivateKey, data []byte) (*x509.CertificateRequest, error) {
	csr, err := parseCSR(data)
	switch {
	case err != nil:
		err = fmt.Errorf("request %s: %w", r.CSR, err)
	case !same(csr.PublicKey, key.Public()):
		err = fmt.Errorf("request %s: is not for the key %s", r.CSR, r.Key)
	case csr.Subject.CommonName != r.Name:
		err = fmt.Errorf("request %s: is for %q, not for %s", r.CSR, csr.Subject.CommonName, r.Name)
	case !slices.Equal(csr.DNSNames, r.DNS):
		err = fmt.Errorf("request %s: is for the names %q, not %q", r.CSR, csr.DNSNames, r.DNS)
	default:
		return csr, nil
	}
	return nil, hint(err, "remove it to have a new one made")
}

// create writes data to path, whose directory it makes, in one step; it is an error when path is
// there.
func create(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return bare(err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return bare(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // which, unlike a rename, takes nothing's place
	}
	return bare(err)
}

// bare removes the paths from the errors of package os, which the messages here name themselves.
func bare(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &l):
		return l.Err
	case errors.As(err, &p):
		return p.Err
	}
	return err
}

func encodeCSR(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// parseCSR parses a PEM request; Puppet writes the older of the two types.
func parseCSR(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, errors.New("holds no PEM certificate request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return csr, csr.CheckSignature()
}

// parseCertificates parses PEM certificates, one at least.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no PEM certificate")
	}
	return certs, nil
}

// Fingerprint returns the SHA-256 of der as Puppet shows it: pairs of hexadecimal digits with colons
// between.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// fingerprint reads a fingerprint as people and programs write it: in any case, with colons or
// spaces, behind "SHA256".
func fingerprint(text string) ([]byte, error) {
	digits := strings.ToLower(strings.TrimSpace(text))
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "("), "sha256")
	digits = strings.NewReplacer(":", "", " ", "", ")", "").Replace(digits)
	var sum []byte
	if _, err := fmt.Sscanf(digits, "%x", &sum); err != nil || len(sum) != sha256.Size || len(digits) != 2*sha256.Size {
		return nil, fmt.Errorf("fingerprint %q: want the 64 hexadecimal digits of a SHA-256", text)
	}
	return sum, nil
}

// pinned reports whether all certs are those of the authority with a fingerprint: the one that has it,
// those that it has signed, and those that have signed it.
func pinned(certs []*x509.Certificate, sum []byte) error {
	isIt := func(c *x509.Certificate) bool {
		got := sha256.Sum256(c.Raw)
		return bytes.Equal(got[:], sum)
	}
	i := slices.IndexFunc(certs, isIt)
	if i < 0 {
		return fmt.Errorf("the fingerprint is %s", Fingerprint(certs[0].Raw))
	}
	known := []*x509.Certificate{certs[i]}
	for grown := true; grown; {
		grown = false
		for _, c := range certs {
			if !slices.Contains(known, c) && slices.ContainsFunc(known, func(k *x509.Certificate) bool {
				return c.CheckSignatureFrom(k) == nil || k.CheckSignatureFrom(c) == nil
			}) {
				known, grown = append(known, c), true
			}
		}
	}
	for _, c := range certs {
		if !slices.Contains(known, c) {
			return fmt.Errorf("%q comes with it, which has nothing to do with it", c.Subject.CommonName)
		}
	}
	return nil
}
