package enroll

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/security"
)

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A recorder keeps what it is told, in few words.
type recorder struct {
	said    []string
	waiting func() // called at each wait
}

func (r *recorder) say(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) CA(_, _ string, certs []*x509.Certificate, fetched bool) {
	r.say("ca %d %v", len(certs), fetched)
}
func (r *recorder) Key(_ string, made bool)       { r.say("key %v", made) }
func (r *recorder) Requested(_ string, sent bool) { r.say("requested %v", sent) }
func (r *recorder) Waiting(_ time.Duration, err error) {
	r.say("waiting %v", err != nil)
	if r.waiting != nil {
		r.waiting()
	}
}

func newRequest(dir, server string) (*Request, *recorder) {
	rec := &recorder{}
	return &Request{
		Name:        "ann.mcollective",
		Certificate: filepath.Join(dir, "certs", "ann.mcollective.pem"),
		Key:         filepath.Join(dir, "private_keys", "ann.mcollective.pem"),
		CSR:         filepath.Join(dir, "certificate_requests", "ann.mcollective.pem"),
		CA:          filepath.Join(dir, "certs", "ca.pem"),
		Servers:     []string{server},
		Wait:        time.Minute,
		Interval:    time.Millisecond,
		Progress:    rec,
	}, rec
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEnroll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ssl")
	s := newStandIn(t, func(asked int) bool { return asked > 3 }) // the first is before the request
	r, rec := newRequest(dir, s.server)
	cert, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ca 1 true", "key true", "requested true", "waiting false", "waiting false"}
	if !slices.Equal(rec.said, want) {
		t.Errorf("said %q, want %q", rec.said, want)
	}
	if cert.Subject.CommonName != "ann.mcollective" {
		t.Errorf("certificate for %s", cert.Subject)
	}
	csr, err := parseCSR([]byte(read(t, r.CSR)))
	if err != nil {
		t.Fatal(err)
	}
	key, _ := csr.PublicKey.(*rsa.PublicKey)
	if got := csr.Subject.String(); got != "CN=ann.mcollective,OU=choria.io" || csr.SignatureAlgorithm != x509.SHA256WithRSA || key.Size() != 256 {
		t.Errorf("request %s, %s, %d bytes", got, csr.SignatureAlgorithm, key.Size())
	}
	if !strings.HasPrefix(read(t, r.Key), "-----BEGIN RSA PRIVATE KEY-----\n") {
		t.Error("the key is not in PKCS#1")
	}
	for path, mode := range map[string]fs.FileMode{r.Key: 0o600, filepath.Dir(r.Key): 0o700, r.Certificate: 0o644, r.CA: 0o644, r.CSR: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %v", path, info.Mode(), err, mode)
		}
	}
	filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		if strings.HasPrefix(filepath.Base(path), ".") {
			t.Errorf("%s was left behind", path)
		}
		return nil
	})
	// What was made is what clients use.
	if _, err := security.New(security.Options{For: security.ForClient, Name: r.Name, Certificate: r.Certificate, Key: r.Key, CA: r.CA}); err != nil {
		t.Error(err)
	}

	before := read(t, r.Certificate) + read(t, r.Key)
	if _, err := r.Run(t.Context()); message(err) != "certificate "+r.Certificate+": is there already" {
		t.Errorf("again: %v", err)
	}
	if read(t, r.Certificate)+read(t, r.Key) != before {
		t.Error("files were overwritten")
	}
}

// TestResume is about runs that are interrupted at each point.
func TestResume(t *testing.T) {
	s := newStandIn(t, never)
	dir := t.TempDir()
	first, _ := newRequest(dir, s.server)
	first.Wait = 0
	_, err := first.Run(t.Context())
	var unsigned *UnsignedError
	if !errors.As(err, &unsigned) || !strings.Contains(unsigned.Hint(), "puppetserver ca sign --certname ann.mcollective") {
		t.Fatalf("not signed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, rec := newRequest(dir, s.server)
	rec.waiting = cancel
	if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if want := []string{"ca 1 false", "key false", "requested false", "waiting false"}; !slices.Equal(rec.said, want) {
		t.Errorf("second run: %q, want %q", rec.said, want)
	}
	if err := os.Remove(r.CSR); err != nil { // as by hand: the key is what counts
		t.Fatal(err)
	}
	s.mu.Lock()
	s.sign = always
	s.mu.Unlock()
	r, rec = newRequest(dir, s.server)
	if _, err := r.Run(t.Context()); err != nil {
		t.Errorf("third run: %v", err)
	}
	if want := []string{"ca 1 false", "key false"}; !slices.Equal(rec.said, want) {
		t.Errorf("third run: %q, want %q", rec.said, want)
	}
	if err := os.Remove(r.Certificate); err != nil { // the CA still has it
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Errorf("fourth run: %v", err)
	}
}

// TestOutage is about a CA that restarts while it is waited for.
func TestOutage(t *testing.T) {
	s := newStandIn(t, func(asked int) bool { return asked > 4 })
	r, rec := newRequest(t.TempDir(), s.server)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if s.asked != 2 || r.Method != http.MethodGet {
			return false
		}
		s.asked++
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return true
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(rec.said, "waiting true") {
		t.Errorf("said %q, want a wait with an error", rec.said)
	}
}

func TestFingerprints(t *testing.T) {
	s := newStandIn(t, always)
	stranger, _ := newAuthority(t, "Stranger")
	sum := Fingerprint(s.cert.Raw)
	for i, good := range []string{sum, strings.ToLower(sum), strings.ReplaceAll(sum, ":", ""), "SHA256 " + sum, " (SHA256) " + sum + "\n"} {
		r, _ := newRequest(t.TempDir(), s.server)
		r.Name, r.Fingerprint = fmt.Sprintf("u%d", i), good
		if _, err := r.Run(t.Context()); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	dir := t.TempDir()
	r, rec := newRequest(dir, s.server)
	r.Fingerprint = Fingerprint(stranger.Raw)
	want := fmt.Sprintf("CA certificate from %s: is not the one with the given fingerprint: the fingerprint is %s", s.server, sum)
	if _, err := r.Run(t.Context()); message(err) != want || len(rec.said) != 0 {
		t.Errorf("another CA: %v, said %q", err, rec.said)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("files were made: %v", files)
	}
	for _, bad := range []string{"aa", sum[1:], sum + "00", "xx" + sum[2:]} {
		r.Fingerprint = bad
		if _, err := r.Run(t.Context()); !strings.Contains(message(err), "want the 64 hexadecimal digits") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// The file that is there is held to it too.
	r, _ = newRequest(dir, s.server)
	if err := create(r.CA, encodeCertificate(s.cert), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Fingerprint = Fingerprint(stranger.Raw)
	if _, err := r.Run(t.Context()); !strings.Contains(message(err), r.CA+": is not the one") {
		t.Errorf("file of another CA: %v", err)
	}
}

// TestPinned is about CAs of several certificates: a fingerprint is of one, and the others must belong
// to it.
func TestPinned(t *testing.T) {
	root, rootKey := newAuthority(t, "Root")
	other, _ := newAuthority(t, "Other")
	_, key := newAuthority(t, "unused")
	sub := issue(t, &x509.Certificate{Subject: other.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, root, key.Public(), rootKey)
	sum := func(c *x509.Certificate) []byte { s, _ := fingerprint(Fingerprint(c.Raw)); return s }
	tests := []struct {
		name  string
		certs []*x509.Certificate
		pin   *x509.Certificate
		err   string
	}{
		{"one", []*x509.Certificate{root}, root, ""},
		{"issued by it", []*x509.Certificate{sub, root}, root, ""},
		{"issuer of it", []*x509.Certificate{sub, root}, sub, ""},
		{"another", []*x509.Certificate{root}, sub, "the fingerprint is " + Fingerprint(root.Raw)},
		{"a stranger beside it", []*x509.Certificate{root, other}, root, `"Other" comes with it, which has nothing to do with it`},
	}
	for _, tt := range tests {
		if err := pinned(tt.certs, sum(tt.pin)); message(err) != tt.err {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestErrors(t *testing.T) {
	type set func(s *standIn, r *Request)
	put := func(t *testing.T, path, text string) {
		t.Helper()
		if err := create(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		set  set
		err  string // part of it
		hint string // part of it
	}{
		{"name", func(_ *standIn, r *Request) { r.Name = "../ann" }, `certificate name "../ann": want letters`, ""},
		{"no server", func(_ *standIn, r *Request) { r.Servers = nil }, "no server of a CA is known", ""},
		{"nobody there", func(_ *standIn, r *Request) { r.Servers = []string{"localhost:1"} }, "CA localhost:1: ", "--ca"},
		{"short key", func(_ *standIn, r *Request) { r.Bits = 1024 }, "1024 bits: want 2048 to 8192", ""},
		{"alternative names", func(_ *standIn, r *Request) { r.DNS = []string{"other"} }, "refused by", "--dns"},
		{"alternative names, then none", func(_ *standIn, r *Request) {
			r.DNS = []string{"other"}
			_, _ = r.Run(context.Background())
			r.DNS = nil
		}, `a request for the names ["other"] is waiting at`, "puppetserver ca clean"},
		{"another name of the server", func(s *standIn, r *Request) {
			r.Servers = []string{strings.Replace(s.server, "localhost", "127.0.0.1", 1)}
		}, "127.0.0.1", "name it as its certificate does: localhost"},
		{"CA of others", func(_ *standIn, r *Request) {
			stranger, _ := newAuthority(t, "Stranger")
			put(t, r.CA, string(encodeCertificate(stranger)))
		}, "unknown authority", "remove the certificate"},
		{"no CA in the file", func(_ *standIn, r *Request) { put(t, r.CA, "x") }, "ca.pem: holds no PEM certificate", ""},
		{"no CA from the server", func(s *standIn, _ *Request) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) bool { io.WriteString(w, "<html>"); return true }
		}, "holds no PEM certificate", ""},
		{"no end", func(s *standIn, _ *Request) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				io.WriteString(w, strings.Repeat("x", maxAnswer+1))
				return true
			}
		}, "answer is larger than 1048576 bytes", ""},
		{"no CA there", func(s *standIn, _ *Request) {
			s.answer = func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }
		}, "404 404 page not found", ""},
		{"no permission", func(s *standIn, _ *Request) {
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut {
					return false
				}
				http.Error(w, "Forbidden request", http.StatusForbidden)
				return true
			}
		}, "403 Forbidden request", "auth.conf"},
		{"another key waits", func(s *standIn, r *Request) {
			other, _ := newRequest(t.TempDir(), s.server)
			other.Wait = 0
			_, _ = other.Run(context.Background())
		}, "a request with another key is waiting at", "puppetserver ca clean --certname ann.mcollective"},
		{"another key is signed", func(s *standIn, r *Request) {
			s.sign = always
			other, _ := newRequest(t.TempDir(), s.server)
			if _, err := other.Run(context.Background()); err != nil {
				t.Error(err)
			}
		}, "has signed one for another key", "puppetserver ca clean"},
		{"key that all may read", func(_ *standIn, r *Request) {
			put(t, r.Key, "x")
			os.Chmod(r.Key, 0o644)
		}, "mode 0644 lets others use it", "chmod 0600"},
		{"key that is none", func(_ *standIn, r *Request) { put(t, r.Key, "x") }, "holds no PEM private key", ""},
		{"request that is none", func(_ *standIn, r *Request) { put(t, r.CSR, "x") }, "holds no PEM certificate request", "remove it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStandIn(t, never)
			r, _ := newRequest(t.TempDir(), s.server)
			r.Wait = 0
			tt.set(s, r)
			_, err := r.Run(t.Context())
			var h interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("%v, want %q", err, tt.err)
			}
			if tt.hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), tt.hint)) {
				t.Errorf("%v: no hint %q", err, tt.hint)
			}
			if _, err := os.Stat(r.Certificate); err == nil {
				t.Error("there is a certificate all the same")
			}
		})
	}
}

// TestNextServer is about several CAs: the first that answers is used.
func TestNextServer(t *testing.T) {
	s := newStandIn(t, always)
	r, _ := newRequest(t.TempDir(), s.server)
	r.Servers = []string{"localhost:1", s.server}
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	again, _ := newRequest(t.TempDir(), s.server)
	again.CA, again.Servers, again.Name = r.CA, r.Servers, "bob.mcollective"
	if _, err := again.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("SHA256 aa:bb"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if csr, err := parseCSR(data); err == nil && csr == nil {
			t.Error("no request and no error")
		}
		if certs, err := parseCertificates(data); err == nil && len(certs) == 0 {
			t.Error("no certificate and no error")
		}
		if sum, err := fingerprint(string(data)); err == nil && len(sum) != 32 {
			t.Errorf("fingerprint of %d bytes", len(sum))
		}
	})
}
