package tasktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A ConsulStandIn is no Consul: it stands in for one where none can be had. It has the part of its HTTP API that
// the store uses, keys and sessions, as https://developer.hashicorp.com/consul/api-docs describes them. Sessions end
// ttl after their last renewal; Consul itself lets them live up to twice as long.
type ConsulStandIn struct {
	mu       sync.Mutex
	last     int
	refused  int
	keys     map[string]consulKey
	sessions map[string]consulSession
}

type consulKey struct {
	Key, Session string
	Value        []byte
	LockIndex    int // how often a session was given it
}

type consulSession struct {
	ID  string
	TTL string
	end time.Time
}

// NewConsulStandIn returns the address of a stand-in that runs until the test ends.
func NewConsulStandIn(t testing.TB) (*ConsulStandIn, string) {
	s := &ConsulStandIn{keys: map[string]consulKey{}, sessions: map[string]consulSession{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.Listener.Addr().String()
}

// destroy ends a session, and with it the keys that it holds.
func (s *ConsulStandIn) destroy(id string) {
	delete(s.sessions, id)
	for name, key := range s.keys {
		if key.Session == id {
			delete(s.keys, name)
		}
	}
}

// Lose ends all sessions, as an operator can.
func (s *ConsulStandIn) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.sessions {
		s.destroy(id)
	}
}

// Locked reports whether a session holds a key.
func (s *ConsulStandIn) Locked(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[key].Session != ""
}

// Refused returns how often somebody wanted a key that somebody else held.
func (s *ConsulStandIn) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// TTL returns how long sessions live that hold a key, as they were made.
func (s *ConsulStandIn) TTL(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[s.keys[key].Session].TTL
}

// ServeHTTP implements http.Handler.
func (s *ConsulStandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, session := range s.sessions {
		if time.Now().After(session.end) {
			s.destroy(id)
		}
	}
	body, _ := io.ReadAll(r.Body)
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	kv, isKey := strings.CutPrefix(r.URL.Path, "/v1/kv/")
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case isKey && r.Method == http.MethodGet:
		key, ok := s.keys[kv]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		answer([]consulKey{key})
	case isKey && r.Method == http.MethodPut:
		wants := r.URL.Query().Get("acquire")
		_, lives := s.sessions[wants]
		key := s.keys[kv]
		if wants != "" && (!lives || key.Session != "" && key.Session != wants) {
			s.refused++
			answer(false)
			return
		}
		next := consulKey{Key: kv, Session: key.Session, Value: body, LockIndex: key.LockIndex}
		if wants != "" && key.Session == "" {
			next.Session, next.LockIndex = wants, key.LockIndex+1
		}
		s.keys[kv] = next
		answer(true)
	case isKey && r.Method == http.MethodDelete:
		delete(s.keys, kv)
		answer(true)
	case r.URL.Path == "/v1/session/create":
		var session consulSession
		_ = json.Unmarshal(body, &session)
		ttl, err := time.ParseDuration(session.TTL)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.last++
		session.ID, session.end = fmt.Sprint(s.last), time.Now().Add(ttl)
		s.sessions[session.ID] = session
		answer(session)
	case strings.HasPrefix(r.URL.Path, "/v1/session/renew/"):
		session, ok := s.sessions[id]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		ttl, _ := time.ParseDuration(session.TTL)
		session.end = time.Now().Add(ttl)
		s.sessions[id] = session
		answer([]consulSession{session})
	case strings.HasPrefix(r.URL.Path, "/v1/session/destroy/"):
		s.destroy(id)
		answer(true)
	default:
		http.NotFound(w, r)
	}
}
