package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func leaf(t *testing.T, p *Pair) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(p.Cert)
	if block == nil {
		t.Fatal("no certificate in the pair")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func verify(ca *CA, p *Pair, usage x509.ExtKeyUsage) error {
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert())
	inter.AppendCertsFromPEM(p.Cert)
	block, _ := pem.Decode(p.Cert)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	_, err = c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestIssue(t *testing.T) {
	t.Parallel()
	ca, err := New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Minute)
	tests := []struct {
		name      string
		req       Request
		host      string // must be good for
		algorithm x509.PublicKeyAlgorithm
		noClient  bool
		err       string // of verifying as a server
	}{
		{"defaults", Request{Name: "n1.example.net"}, "n1.example.net", x509.ECDSA, false, ""},
		{"rsa", Request{Name: "rip.mcollective", RSA: true}, "rip.mcollective", x509.RSA, false, ""},
		{"more names", Request{Name: "b", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1", "::1"}}, "localhost", x509.ECDSA, false, ""},
		{"address", Request{Name: "b", IPs: []string{"127.0.0.1"}}, "127.0.0.1", x509.ECDSA, false, ""},
		{"no san", Request{Name: "old", NoSAN: true}, "", x509.ECDSA, false, ""},
		{"no client", Request{Name: "s", NoClient: true}, "s", x509.ECDSA, true, ""},
		{"expired", Request{Name: "e", NotAfter: past}, "e", x509.ECDSA, false, "expired or is not yet valid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ca.Issue(tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
				t.Errorf("certificate and key: %v", err)
			}
			c := leaf(t, p)
			if c.PublicKeyAlgorithm != tt.algorithm {
				t.Errorf("key is %v, want %v", c.PublicKeyAlgorithm, tt.algorithm)
			}
			if c.Subject.CommonName != tt.req.Name {
				t.Errorf("common name %q, want %q", c.Subject.CommonName, tt.req.Name)
			}
			if tt.req.NoSAN && len(c.DNSNames) > 0 {
				t.Errorf("names %q, want none", c.DNSNames)
			}
			if tt.host != "" {
				if err := c.VerifyHostname(tt.host); err != nil {
					t.Error(err)
				}
			}
			err = verify(ca, p, x509.ExtKeyUsageServerAuth)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("as a server: %v, want %q", err, tt.err)
			}
			if err := verify(ca, p, x509.ExtKeyUsageClientAuth); (err != nil) != (tt.noClient || tt.err != "") {
				t.Errorf("as a client: %v", err)
			}
		})
	}

	other, err := New("Other CA")
	if err != nil {
		t.Fatal(err)
	}
	p, err := other.Issue(Request{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(ca, p, x509.ExtKeyUsageServerAuth); err == nil {
		t.Error("a certificate of another CA verified")
	}
	if _, err := ca.Issue(Request{Name: "x", IPs: []string{"localhost"}}); err == nil {
		t.Error("a host name passed as an address")
	}
	if _, err := ca.Issue(Request{}); err == nil {
		t.Error("a certificate without a name was issued")
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	root, err := New("Root")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := root.Intermediate("Sub")
	if err != nil {
		t.Fatal(err)
	}
	p, err := sub.Issue(Request{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(root, p, x509.ExtKeyUsageClientAuth); err != nil {
		t.Errorf("below the intermediate: %v", err)
	}
	if err := root.Revoke(p); err == nil {
		t.Error("the root revoked what it did not issue")
	}
	for range 2 { // twice is once
		if err := sub.Revoke(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := root.RevokeCA(sub); err != nil {
		t.Fatal(err)
	}
	data, err := sub.CRL()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		issuer  *x509.Certificate
		revoked *x509.Certificate
	}{{sub.cert, leaf(t, p)}, {root.cert, sub.cert}} {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			t.Fatalf("list %d is missing", i)
		}
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := crl.CheckSignatureFrom(want.issuer); err != nil {
			t.Errorf("list %d: %v", i, err)
		}
		if n := len(crl.RevokedCertificateEntries); n != 1 {
			t.Fatalf("list %d has %d entries, want 1", i, n)
		}
		if got := crl.RevokedCertificateEntries[0].SerialNumber; got.Cmp(want.revoked.SerialNumber) != 0 {
			t.Errorf("list %d revokes %v, want %v", i, got, want.revoked.SerialNumber)
		}
	}
}

func TestWriteSSLDir(t *testing.T) {
	t.Parallel()
	ca, err := New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ca.Issue(Request{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 2 { // the second replaces the first
		if err := ca.WriteSSLDir(dir, "n1", p); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{
		"certs/ca.pem": 0o644, "certs/n1.pem": 0o644, "private_keys/n1.pem": 0o600, "crl.pem": 0o644,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), mode)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
