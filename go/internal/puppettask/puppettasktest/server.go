// Package puppettasktest is a stand-in for a Puppet Server that gives out tasks, for tests. It is no Puppet
// Server: it speaks the part of its API that tasks need, over TLS, to those with a certificate.
package puppettasktest

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"choria.io/choria/go/internal/puppettask"
	"choria.io/choria/go/internal/security/pki"
)

// A Server is the stand-in. Its zero value is of no use: see New.
type Server struct {
	Address string // host:port
	CA      *pki.CA

	tb    testing.TB
	mu    sync.Mutex
	tasks map[string]puppettask.Task // by environment and name, joined by a slash
	files map[string][]byte          // by path
	asked map[string]int             // how often a path was asked for
	cut   map[string]int             // how often it is still answered with half of the file
}

// New starts a server on loopback, until the test ends.
func New(tb testing.TB, ca *pki.CA) *Server {
	tb.Helper()
	pair, err := ca.Issue(pki.Request{Name: "puppet.example.net", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}})
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.Cert())
	s := &Server{
		CA: ca, tb: tb, tasks: map[string]puppettask.Task{}, files: map[string][]byte{}, asked: map[string]int{}, cut: map[string]int{},
	}
	h := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	h.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	h.Config.ErrorLog = nil
	h.StartTLS()
	tb.Cleanup(h.Close)
	s.Address = h.Listener.Addr().String()
	return s
}

// Host and Port are the parts of the address.
func (s *Server) Host() string { host, _, _ := net.SplitHostPort(s.Address); return host }

// Port is the port that the server listens on.
func (s *Server) Port() string { _, port, _ := net.SplitHostPort(s.Address); return port }

// ClientTLS returns the configuration of a client with a certificate of name.
func (s *Server) ClientTLS(name string) *tls.Config {
	s.tb.Helper()
	pair, err := s.CA.Issue(pki.Request{Name: name})
	if err != nil {
		s.tb.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		s.tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA.Cert())
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// Add adds a task to the environment production. Each file is a name and its text, one after the other. It returns
// what the server lists of them, as JSON.
func (s *Server) Add(name, metadata string, files ...string) string {
	s.tb.Helper()
	module, _, _ := strings.Cut(name, "::")
	task := puppettask.Task{Metadata: json.RawMessage(metadata)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(files); i += 2 {
		path := "/puppet/v3/file_content/tasks/" + module + "/" + files[i]
		if owner, rest, ok := strings.Cut(files[i], "/"); ok {
			path = "/puppet/v3/file_content/modules/" + owner + "/" + strings.TrimPrefix(rest, "files/")
		}
		s.files[path] = []byte(files[i+1])
		task.Files = append(task.Files, puppettask.File{
			Filename: files[i], SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(files[i+1]))), Size: int64(len(files[i+1])),
			URI: puppettask.URI{Path: path, Params: map[string]string{"environment": "production"}},
		})
	}
	s.tasks["production/"+name] = task
	list, err := json.Marshal(task.Files)
	if err != nil {
		s.tb.Fatal(err)
	}
	return string(list)
}

// Cut makes the next n answers for a file end in its middle.
func (s *Server) Cut(path string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[path] = n
}

// Replace changes a file behind the back of the list.
func (s *Server) Replace(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = []byte(text)
}

// Asked returns how often a path was asked for.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[r.URL.Path]++
	if !strings.Contains(r.UserAgent(), "Choria") || r.Method != http.MethodGet {
		http.Error(w, "who are you?", http.StatusBadRequest)
		return
	}
	if data, ok := s.files[r.URL.Path]; ok && r.Header.Get("Accept") == "application/octet-stream" && r.URL.Query().Get("environment") == "production" {
		if s.cut[r.URL.Path] > 0 {
			s.cut[r.URL.Path]--
			data = data[:len(data)/2]
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(data) // the client may have gone
		return
	}
	name := strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/puppet/v3/tasks/"), "/", "::")
	name = strings.TrimSuffix(name, "::init")
	if task, ok := s.tasks[r.URL.Query().Get("environment")+"/"+name]; ok && r.Header.Get("Accept") == "application/json" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{ // the client may have gone
			"metadata": task.Metadata, "name": name, "files": task.Files,
		})
		return
	}
	http.Error(w, "not here", http.StatusNotFound)
}
