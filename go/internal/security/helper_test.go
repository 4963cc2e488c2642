package security

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/vectors"
)

// vectorNow is in the validity of the certificates of the vectors and near the capture.
var vectorNow = time.Unix(1795351414, 0)

// vectorOptions returns options for a certificate of the vectors. Its key is copied since only a
// file that nobody else may read is accepted.
func vectorOptions(t testing.TB, name string) Options {
	t.Helper()
	dir := filepath.Join(vectors.Dir(t), "v1", "pki")
	key := write(t, filepath.Join(t.TempDir(), name+".key"), read(t, filepath.Join(dir, name+".key")))
	return Options{
		Name:        name,
		Certificate: filepath.Join(dir, name+".pem"),
		Key:         key,
		CA:          filepath.Join(dir, "ca.pem"),
	}
}

func mustNew(t testing.TB, o Options) *Identity {
	t.Helper()
	id, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// site is a CA with the directory its certificates are written to, as Puppet does.
type site struct {
	t   testing.TB
	ca  *pki.CA
	dir string
}

func newSite(t testing.TB) *site {
	t.Helper()
	ca, err := pki.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, ca, t.TempDir()}
}

// issue makes a certificate and returns it with the options to use it.
func (s *site) issue(r pki.Request) (Options, *pki.Pair) {
	s.t.Helper()
	pair, err := s.ca.Issue(r)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.ca.WriteSSLDir(s.dir, r.Name, pair); err != nil {
		s.t.Fatal(err)
	}
	return Options{
		Name:        r.Name,
		Certificate: filepath.Join(s.dir, "certs", r.Name+".pem"),
		Key:         filepath.Join(s.dir, "private_keys", r.Name+".pem"),
		CA:          filepath.Join(s.dir, "certs", "ca.pem"),
		CRL:         filepath.Join(s.dir, "crl.pem"),
	}, pair
}

// revoke writes a list with pair on it.
func (s *site) revoke(pair *pki.Pair) {
	s.t.Helper()
	if err := s.ca.Revoke(pair); err != nil {
		s.t.Fatal(err)
	}
	if err := s.ca.WriteSSLDir(s.dir, "", nil); err != nil {
		s.t.Fatal(err)
	}
}

// hurry makes ids look at their files at the next use, as if a second had passed.
func hurry(ids ...*Identity) {
	for _, id := range ids {
		id.own.next.Store(0)
		id.trust.authorities.next.Store(0)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// write replaces path in one step, readable by its owner alone, and returns it.
func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// check reports an error whose message does not contain want; empty wants no error.
func check(t testing.TB, what string, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("%s: no error, want %q", what, want)
	case err != nil && want == "":
		t.Errorf("%s: %v", what, err)
	case err != nil && !strings.Contains(err.Error(), want):
		t.Errorf("%s: %q, want %q in it", what, err, want)
	}
}

// logBuffer collects a log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), text)
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
