package adapter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"choria.io/choria/go/internal/lab/labtest"
)

func retried(err error) bool { return err != nil && !errors.Is(err, ErrRefused) }

// A search stands in for Elasticsearch: it has of the bulk interface what the documentation says about
// documents that are created.
type search struct {
	t *testing.T

	mu     sync.Mutex
	byID   map[string]string
	sample int // every so many documents come at a bad time; 0: none
	seen   int
}

func (s *search) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, ok := r.BasicAuth(); !ok || user != "choria" || password != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":{"reason":"missing authentication credentials"},"status":401}`)
		return
	}
	if r.URL.Path != "/_bulk" || r.Header.Get("Content-Type") != "application/x-ndjson" {
		s.t.Errorf("%s %s", r.URL.Path, r.Header)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if len(body) > 1<<20 {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []string
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	lines.Buffer(nil, 2<<20)
	for lines.Scan() {
		var action struct {
			Create struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			} `json:"create"`
		}
		if err := json.Unmarshal(lines.Bytes(), &action); err != nil || !strings.HasPrefix(action.Create.Index, "nodes-n") || !lines.Scan() {
			s.t.Errorf("action %s: %v", lines.Bytes(), err)
			return
		}
		s.seen++
		id, document := action.Create.ID, lines.Text()
		switch {
		case s.byID[id] != "":
			items = append(items, `{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"document already exists"}}}`)
		case !json.Valid([]byte(document)):
			items = append(items, `{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse"}}}`)
		case s.sample > 0 && s.seen%s.sample == 0:
			items = append(items, `{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue is full"}}}`)
		default:
			s.byID[id] = document
			items = append(items, `{"create":{"status":201}}`)
		}
	}
	fmt.Fprintf(w, `{"took":1,"errors":true,"items":[%s]}`, strings.Join(items, ","))
}

func newSearch(t *testing.T) (*search, *place) {
	s := &search{t: t, byID: map[string]string{}}
	address := fmt.Sprintf("127.0.0.1:%d", labtest.Port(t))
	var server *httptest.Server
	start := func() {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server = httptest.NewUnstartedServer(s)
		server.Listener.Close()
		server.Listener = listener
		server.Start()
	}
	start()
	t.Cleanup(func() { server.Close() })
	return s, &place{
		settings: []string{
			"stream.urls", "http://" + address, "stream.topic", "nodes-%s", "stream.user", "choria",
			"stream.password_file", secretFile(t, "secret", 0o600),
		},
		stored: func() map[string]int {
			s.mu.Lock()
			defer s.mu.Unlock()
			all := map[string]int{}
			for _, document := range s.byID {
				all[document]++
			}
			return all
		},
		stop:  func() { server.Close() },
		start: start,
		large: 2 << 20,
		once:  true,
	}
}

func elasticPlace(t *testing.T) *place {
	_, p := newSearch(t)
	return p
}

// TestElastic holds what a server says of single documents against what becomes of them.
func TestElastic(t *testing.T) {
	t.Parallel()
	s, p := newSearch(t)
	sink := openSink(t, "opensearch", p)
	s.sample = 2
	bad := documentOf(3, 10)
	bad.Data = []byte(`{"no`)
	results := sink.Publish(t.Context(), []Message{documentOf(1, 10), documentOf(2, 10), bad, documentOf(4, 10), documentOf(1, 10)})
	for i, want := range []string{"", `index nodes-%s: Too Many Requests "queue is full"`, `refused: index nodes-%s: "failed to parse"`, `index nodes-%s: Too Many Requests "queue is full"`, ""} {
		if got := results[i]; got == nil && want != "" || got != nil && got.Error() != want {
			t.Errorf("document %d: %v; want %q", i, got, want)
		}
	}
	if !errors.Is(results[2], ErrRefused) || !retried(results[1]) {
		t.Errorf("%v", results)
	}

	p.settings = append(p.settings, "stream.password_file", secretFile(t, "wrong", 0o600))
	err := openSink(t, "elasticsearch", p).Publish(t.Context(), []Message{documentOf(5, 10)})[0]
	if !retried(err) || !strings.Contains(err.Error(), `Unauthorized "missing authentication credentials"`) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
}

// TestElasticKey logs in with a key, to the second server of which the first is gone, by HTTPS.
func TestElasticKey(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "ApiKey abc" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"items":[{"create":{"status":201}}]}`)
	}))
	defer server.Close()
	p := &place{settings: []string{
		"stream.urls", fmt.Sprintf("https://127.0.0.1:%d, %s", labtest.Port(t), server.URL), "stream.api_key_file", secretFile(t, "abc", 0o600),
	}}
	sink := openSink(t, "elasticsearch", p)
	err := sink.Publish(t.Context(), []Message{documentOf(1, 10)})[0]
	if !retried(err) {
		t.Errorf("the first server: %v", err)
	}
	err = sink.Publish(t.Context(), []Message{documentOf(1, 10)})[0]
	if !retried(err) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without its authority: %v", err)
	}
	sink.(*elastic).client = server.Client()
	results := sink.Publish(t.Context(), []Message{documentOf(1, 10)})
	if retried(results[0]) { // the first one again, since the second has failed
		results = sink.Publish(t.Context(), []Message{documentOf(1, 10)})
	}
	if results[0] != nil {
		t.Errorf("%v", results[0])
	}
}

// Whatever a server answers, each message has a result.
func FuzzBulkAnswer(f *testing.F) {
	f.Add([]byte(`{"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"reason":"x"}}}]}`))
	f.Add([]byte(`{"items":[{"create":{"status":429,"error":"x"}}]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		e := &elastic{index: "i"}
		results, err := e.results([]Message{{}, {}}, answer)
		if err == nil && len(results) != 2 {
			t.Errorf("%d results", len(results))
		}
		_ = reason(answer)
	})
}
