package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Revoke puts the certificate in pair on the revocation list. Who has read an earlier list does not
// know of it until the new one, CRL, is where they look.
func (c *CA) Revoke(pair *Pair) error {
	block, _ := pem.Decode(pair.Cert)
	if block == nil {
		return errors.New("revoke: no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return c.revoke(cert)
}

// RevokeCA puts the certificate of sub, an intermediate of c, on the revocation list.
func (c *CA) RevokeCA(sub *CA) error {
	return c.revoke(sub.cert)
}

func (c *CA) revoke(cert *x509.Certificate) error {
	if !bytes.Equal(cert.RawIssuer, c.cert.RawSubject) {
		return fmt.Errorf("revoke %q: issued by %q, not by %q", cert.Subject.CommonName, cert.Issuer.CommonName, c.cert.Subject.CommonName)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.revoked {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return nil
		}
	}
	c.revoked = append(c.revoked, x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: time.Now()})
	return nil
}

// CRL returns the revocation list as PEM, followed by those of the parents.
func (c *CA) CRL() ([]byte, error) {
	out, err := c.ownCRL()
	if err != nil {
		return nil, fmt.Errorf("revocation list of %q: %w", c.cert.Subject.CommonName, err)
	}
	if c.parent != nil {
		above, err := c.parent.CRL()
		if err != nil {
			return nil, err
		}
		out = append(out, above...)
	}
	return out, nil
}

func (c *CA) ownCRL() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	now := time.Now()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:                    big.NewInt(c.number),
		ThisUpdate:                now.Add(-skew),
		NextUpdate:                now.Add(lifetime),
		RevokedCertificateEntries: c.revoked,
	}, c.cert, c.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// WriteSSLDir writes pair under dir as Puppet does: certs/ca.pem, certs/NAME.pem,
// private_keys/NAME.pem (0600) and crl.pem. Each file appears whole or not at all, so that it may
// be called again, with another pair or after Revoke, while others read. pair may be nil to write
// the CA and the revocation list alone.
func (c *CA) WriteSSLDir(dir, name string, pair *Pair) error {
	certs, keys := filepath.Join(dir, "certs"), filepath.Join(dir, "private_keys")
	if err := os.MkdirAll(certs, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(keys, 0o750); err != nil {
		return err
	}
	crl, err := c.CRL()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(certs, "ca.pem"), c.pem, 0o644); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "crl.pem"), crl, 0o644); err != nil {
		return err
	}
	if pair == nil {
		return nil
	}
	if err := writeFile(filepath.Join(certs, name+".pem"), pair.Cert, 0o644); err != nil {
		return err
	}
	return writeFile(filepath.Join(keys, name+".pem"), pair.Key, 0o600)
}

// writeFile replaces path in one step.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600 from the start
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
