package security

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// How much of a file is read: a revocation list of a large site has megabytes, nothing else has.
const (
	maxFile    = 1 << 20
	maxCRLFile = 64 << 20
)

// maxSessions is how many brokers a process can resume a TLS session with. One session takes some
// 3 kB, and most processes have one connection.
const maxSessions = 4

// loadOwn reads the certificate and the key that o names and checks all that can be checked without
// anybody else.
func loadOwn(o Options, a *authorities, now time.Time) (*own, error) {
	certs, err := readCertificates(o.Certificate, "certificate")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && o.missing != "" {
			err = hint(err, o.missing)
		}
		return nil, err
	}
	leaf := certs[0]
	switch {
	case now.Before(leaf.NotBefore):
		return nil, hint(fmt.Errorf("certificate %s: not valid before %s, now is %s", o.Certificate, date(leaf.NotBefore), date(now)),
			"check the clock of this machine")
	case now.After(leaf.NotAfter):
		return nil, hint(fmt.Errorf("certificate %s: expired on %s", o.Certificate, date(leaf.NotAfter)),
			"request a new certificate from the CA")
	}
	key, err := readKey(o.Key)
	if err != nil {
		return nil, err
	}
	if pub, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(key.Public()) {
		return nil, hint(fmt.Errorf("key %s: does not belong to the certificate %s", o.Key, o.Certificate),
			"the certificate was made for another key: put the right key in place or request a new certificate")
	}
	if err := checkOwnChain(o, a, certs, now); err != nil {
		return nil, err
	}
	out := &own{
		cert:      tls.Certificate{PrivateKey: key},
		expires:   leaf.NotAfter,
		algorithm: leaf.PublicKeyAlgorithm,
		sessions:  tls.NewLRUClientSessionCache(maxSessions),
	}
	if o.For != ForServer {
		out.cert.Leaf = leaf // which spares who is connected to the parsing; a node connects to others, and there are many
	}
	for i, c := range certs {
		if i > 0 && bytes.Equal(c.RawIssuer, c.RawSubject) {
			continue // the other side has the root or does not trust it, sending it is a waste
		}
		out.cert.Certificate = append(out.cert.Certificate, c.Raw)
	}
	return out, nil
}

// pem returns the certificate and its intermediates as requests carry them.
func (o *own) pem() []byte {
	var out []byte
	for _, der := range o.cert.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// checkOwnChain reports why others that trust the same CA will not accept certs.
func checkOwnChain(o Options, a *authorities, certs []*x509.Certificate, now time.Time) error {
	usage, purpose := x509.ExtKeyUsageClientAuth, "client"
	if o.For == ForBroker {
		usage, purpose = x509.ExtKeyUsageServerAuth, "server"
	}
	chains, err := a.verify(certs, usage, now)
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return hint(fmt.Errorf("certificate %s: not issued by an authority in %s, its issuer is %q", o.Certificate, a.file, certs[0].Issuer.CommonName),
			"certificate and CA have to come from the same authority")
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return hint(fmt.Errorf("certificate %s: not for %s authentication", o.Certificate, purpose),
			"request a certificate whose extended key usage has "+purpose+" authentication")
	case err != nil:
		return fmt.Errorf("certificate %s: %w", o.Certificate, err)
	}
	if _, err := a.unrevoked(chains); err != nil {
		return hint(fmt.Errorf("certificate %s: %w", o.Certificate, err), "request a new certificate from the CA")
	}
	return nil
}

// readCertificates reads the certificates in a PEM file, at least one. what is for messages.
func readCertificates(path, what string) ([]*x509.Certificate, error) {
	data, _, err := readFile(path, what, maxFile)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, path, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s %s: %w", what, path, errNoCertificate)
	}
	return out, nil
}

// readKey reads a private key, PKCS#1, PKCS#8 or SEC 1, that others cannot read.
func readKey(path string) (crypto.Signer, error) {
	data, info, err := readFile(path, "key", maxFile)
	if err != nil {
		return nil, err
	}
	if err := checkMode(path, info.Mode()); err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, fmt.Errorf("key %s: holds no PEM private key", path)
		}
		// PKCS#8 says it in the type, the older forms in a header (RFC 1421, section 4.6.1.1).
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, hint(fmt.Errorf("key %s: encrypted with a passphrase", path),
				fmt.Sprintf("store it without, readable by its owner only: umask 077; openssl pkey -in %s -out NEW", path))
		}
		var key any
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			continue // openssl writes EC PARAMETERS before the key
		}
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", path, err)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("key %s: %T cannot sign", path, key)
		}
		return signer, nil
	}
}

// checkMode refuses a key that all users may read or that a group may replace. Reading by the group
// is accepted: Puppet makes its keys 0640, puppet:puppet.
func checkMode(path string, mode fs.FileMode) error {
	const bad = 0o027
	if mode.Perm()&bad == 0 {
		return nil
	}
	return hint(fmt.Errorf("key %s: mode %04o lets others use it", path, mode.Perm()), "chmod 0600 "+path)
}

// readFile reads at most limit bytes of path and refuses longer files.
func readFile(path, what string, limit int64) ([]byte, fs.FileInfo, error) {
	if path == "" {
		return nil, nil, fmt.Errorf("%s: no file is configured", what)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", what, path, bare(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", what, path, bare(err))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", what, path, bare(err))
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("%s %s: longer than %d bytes", what, path, limit)
	}
	return data, info, nil
}

// bare removes the path from the errors of package os, which the messages here name themselves.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func date(t time.Time) string { return t.UTC().Format(time.DateTime + " UTC") }
