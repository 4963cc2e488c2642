package enroll

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A standIn answers in the place of a Puppet CA, as Puppet Server 7 does, so that what takes minutes
// there takes milliseconds here. The tests with the real one are in package realtest.
type standIn struct {
	server string // host:port
	cert   *x509.Certificate
	key    crypto.Signer

	mu      sync.Mutex
	pending map[string][]byte // requests, DER
	signed  map[string][]byte // certificates, PEM
	asked   int               // for certificates of others
	sign    func(asked int) bool
	answer  func(w http.ResponseWriter, r *http.Request) bool // when it returns true it has answered
}

func newAuthority(t *testing.T, name string) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, key.Public(), key), key
}

// issue returns a certificate that parent, or itself when that is nil, has signed.
func issue(t *testing.T, c, parent *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
	t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// newStandIn starts a CA that signs when sign, called with the number of times it was asked for a
// certificate, returns true.
func newStandIn(t *testing.T, sign func(asked int) bool) *standIn {
	t.Helper()
	s := &standIn{pending: map[string][]byte{}, signed: map[string][]byte{}, sign: sign}
	s.cert, s.key = newAuthority(t, "Stand-in CA")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "puppet"}, DNSNames: []string{"localhost"}}, s.cert, key.Public(), s.key)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	s.server = strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
	srv := &http.Server{Handler: s.handler(t), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return s
}

func (s *standIn) handler(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /puppet-ca/v1/certificate/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if name == "ca" {
			w.Write(encodeCertificate(s.cert))
			return
		}
		s.asked++
		if der, ok := s.pending[name]; ok && s.sign(s.asked) {
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Error(err)
				return
			}
			cert := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: csr.Subject.CommonName}, DNSNames: []string{name}}, s.cert, csr.PublicKey, s.key)
			s.signed[name] = encodeCertificate(cert)
			delete(s.pending, name)
		}
		s.found(w, s.signed[name])
	})
	mux.HandleFunc("GET /puppet-ca/v1/certificate_request/{name}", func(w http.ResponseWriter, r *http.Request) {
		if der, ok := s.pending[r.PathValue("name")]; ok {
			s.found(w, encodeCSR(der))
			return
		}
		s.found(w, nil)
	})
	mux.HandleFunc("PUT /puppet-ca/v1/certificate_request/{name}", func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		csr, err := parseCSR(data)
		switch name := r.PathValue("name"); {
		case err != nil || r.Header.Get("Content-Type") != "text/plain":
			http.Error(w, "no request", http.StatusBadRequest)
		case s.pending[name] != nil || s.signed[name] != nil:
			http.Error(w, name+" already has a requested or signed certificate; ignoring certificate request", http.StatusBadRequest)
		case len(csr.DNSNames) > 0:
			s.pending[name] = csr.Raw // which it is all the same
			http.Error(w, "CSR '"+name+"' contains subject alternative names (DNS:x), which are disallowed.", http.StatusBadRequest)
		default:
			s.pending[name] = csr.Raw
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.URL.Query().Get("environment") != "production" {
			http.Error(w, "no environment", http.StatusBadRequest)
			return
		}
		if s.answer != nil && s.answer(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *standIn) found(w http.ResponseWriter, data []byte) {
	if data == nil {
		http.Error(w, "Resource not found.", http.StatusNotFound)
		return
	}
	w.Write(data)
}

func always(int) bool { return true }
func never(int) bool  { return false }
