package task_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// A received request is one that a server got.
type received struct {
	method, uri, body string
	header            http.Header
}

// A site is an HTTP server that keeps what it gets and answers what the test says.
type site struct {
	url    string
	ca     string // file with the certificate of an HTTPS server
	status int
	answer string

	mu  sync.Mutex
	got []received
}

// newSite runs a server until the test ends.
func newSite(t testing.TB, https bool) *site {
	t.Helper()
	s := &site{status: http.StatusOK}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are expected
	if https {
		server.StartTLS()
		s.ca = filepath.Join(t.TempDir(), "ca.pem")
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(s.ca, block, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.got = append(s.got, received{r.Method, r.RequestURI, string(body), r.Header.Clone()})
	s.got[len(s.got)-1].header.Set("Host", r.Host)
	status, answer := s.status, s.answer
	s.mu.Unlock()
	if status == http.StatusFound {
		w.Header().Set("Location", s.url+"/elsewhere")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// last returns the last request, which must be there, and forgets all.
func (s *site) last(t testing.TB) received {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		t.Fatal("the server got no request")
	}
	r := s.got[len(s.got)-1]
	s.got = nil
	return r
}

// secrets are what tasks have hidden.
type secrets struct {
	mu   sync.Mutex
	list []string
}

func (s *secrets) hide(secret any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, fmt.Sprint(secret))
}

// perform runs a task of any type.
func perform(t testing.TB, typ, text string) (*task.Outcome, *tasktest.Log, *secrets, error) {
	t.Helper()
	log, hidden := &tasktest.Log{}, &secrets{}
	env := &task.Env{
		Network: &tasktest.Network{}, Log: log, Environ: os.Environ, Playbook: "site::deploy", Hide: hidden.hide,
	}
	o, err := task.Run(t.Context(), env, typ, properties(t, text))
	return o, log, hidden, err
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	tests := []struct {
		properties          string
		method, uri, body   string
		header, headerValue string // one that must be there
	}{
		{`"data":{"a":1,"b":["x"]}`, "POST", "/hook", `{"a":1,"b":["x"]}`, "Content-Type", "application/json"},
		{``, "POST", "/hook", `{}`, "User-Agent", "Choria Playbooks 1.0.0"},
		{`"data":"text"`, "POST", "/hook", `"text"`, "", ""},
		{`"data":{"n":12345678901234567890}`, "POST", "/hook", `{"n":12345678901234567890}`, "", ""},
		{`"method":"get","data":{"q":"a b&c=d","n":2,"yes":true,"l":["x","y"]}`, "GET", "/hook?l=x&l=y&n=2&q=a+b%26c%3Dd&yes=true", "", "", ""},
		{`"method":"GET"`, "GET", "/hook", "", "", ""},
		{`"method":"put","data":{"a":null}`, "PUT", "/hook", `{"a":null}`, "", ""},
		{`"method":"Patch","data":[1]`, "PATCH", "/hook", `[1]`, "", ""},
		{`"method":"DELETE"`, "DELETE", "/hook", ``, "", ""},
		{`"headers":{"Content-Type":"text/x","X-N":5}`, "POST", "/hook", `{}`, "Content-Type", "text/x"},
		{`"headers":{"X-N":5}`, "POST", "/hook", `{}`, "X-N", "5"},
		{`"headers":{"user-agent":"mine"}`, "POST", "/hook", `{}`, "User-Agent", "mine"},
		{`"headers":{"Host":"virtual.example.net"}`, "POST", "/hook", `{}`, "Host", "virtual.example.net"},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		text := strings.TrimSuffix(fmt.Sprintf(`{"uri":"%s/hook",%s`, s.url, tt.properties), ",") + "}"
		o, log, _, err := perform(t, "webhook", text)
		if err != nil || !o.Success {
			t.Errorf("%s: %+v, %v", tt.properties, o, err)
			continue
		}
		got := s.last(t)
		if got.method != tt.method || got.uri != tt.uri || got.body != tt.body || tt.header != "" && got.header.Get(tt.header) != tt.headerValue {
			t.Errorf("%s: the server got %+v", tt.properties, got)
		}
		id := got.header.Get("X-Choria-Request-ID")
		if len(id) != 36 || seen[id] || !slices.Equal(o.Requests, []string{id}) {
			t.Errorf("%s: request id %q, the outcome has %q; want a new one in both", tt.properties, id, o.Requests)
		}
		seen[id] = true
		if lines := strings.Join(log.Lines(), "\n"); strings.Contains(lines, "is ignored") {
			t.Errorf("%s: %s", tt.properties, lines)
		}
	}
}

func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	tests := []struct {
		properties string
		status     int
		answer     string
		value      string // as JSON
		err        string // how the message ends; empty means success
	}{
		{``, 200, "hello\n", `"hello\n"`, ""},
		{``, 201, `{"id":1}`, `"{\"id\":1}"`, ""},
		{``, 204, "", `""`, ""},
		{`,"parse":true`, 200, ` {"id":1} `, `{"id":1}`, ""},
		{`,"parse":true`, 204, "", `null`, ""},
		{`,"parse":true`, 200, "<html>", `"\u003chtml\u003e"`, "failed: the answer is not JSON"},
		{`,"expect":201`, 200, "x", `"x"`, "failed: the server answered 200 OK"},
		{`,"expect":[404,"409"]`, 409, "x", `"x"`, ""},
		{``, 302, "", `""`, "failed: the server answered 302 Found"},
		{``, 503, "busy", `"busy"`, "failed: the server answered 503 Service Unavailable"},
		{``, 200, strings.Repeat("x", 16<<20+1), "", "failed: the answer is larger than 16 MiB"},
	}
	for _, tt := range tests {
		s.mu.Lock()
		s.status, s.answer = tt.status, tt.answer
		s.mu.Unlock()
		o, _, _, err := perform(t, "webhook", fmt.Sprintf(`{"uri":"http://u:hunter22@%s/hook?key=k"%s}`, strings.TrimPrefix(s.url, "http://"), tt.properties))
		if err != nil {
			t.Errorf("%s: %v", tt.properties, err)
			continue
		}
		got := s.last(t)
		r := o.Results[0]
		value := []byte(tt.value)
		if tt.value != "" {
			value, err = json.Marshal(r.Value)
		}
		if err != nil || string(value) != tt.value || r.Host != "127.0.0.1" {
			t.Errorf("%d %.20q%s: %s is %.80s, %v; want %s", tt.status, tt.answer, tt.properties, r.Host, value, err, tt.value)
		}
		want := "webhook: POST to " + s.url + "/hook " + tt.err
		if tt.err == "" {
			want = fmt.Sprintf("webhook: POST to %s/hook succeeded: %d %s", s.url, tt.status, http.StatusText(tt.status))
		}
		if o.Message != want || o.Success != (tt.err == "") || o.Success != (r.Error == nil) {
			t.Errorf("%d%s: %q, error %v; want %q", tt.status, tt.properties, o.Message, r.Error, want)
		}
		if r.Error != nil {
			details := fmt.Sprint(r.Error.Details)
			want := fmt.Sprintf("map[method:POST request_id:%s status:%d task:webhook uri:%s/hook]", o.Requests[0], tt.status, s.url)
			if details != want {
				t.Errorf("details %s; want %s", details, want)
			}
		}
		if got.uri != "/hook?key=k" || got.header.Get("Authorization") == "" {
			t.Errorf("the server got %+v", got)
		}
	}
}

// TestWebhookTLS holds whom a webhook trusts.
func TestWebhookTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t, true)
	tests := []struct{ properties, err string }{
		{``, "certificate signed by unknown authority"},
		{`,"verify_ssl":false`, ""},
		{`,"verify_ssl":"no"`, ""},
		{`,"verify_ssl":"yes"`, "certificate signed by unknown authority"},
		{fmt.Sprintf(`,"ca":%q`, s.ca), ""},
	}
	for _, tt := range tests {
		o, _, _, err := perform(t, "webhook", fmt.Sprintf(`{"uri":"%s/hook"%s}`, s.url, tt.properties))
		if err != nil || o.Success != (tt.err == "") || !strings.Contains(o.Message, tt.err) {
			t.Errorf("%s: %+v, %v; want %q", tt.properties, o, err, tt.err)
		}
	}
}

// TestWebhookSilence holds that a server that does not answer is given up.
func TestWebhookSilence(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	o, _, _, err := perform(t, "webhook", fmt.Sprintf(`{"uri":%q,"timeout":0.2}`, server.URL))
	if err != nil || o.Success || !strings.HasSuffix(o.Message, "failed: no complete answer within 0.2 seconds") {
		t.Errorf("%+v, %v", o, err)
	}
	o, _, _, err = perform(t, "webhook", `{"uri":"http://`+tasktest.FreePort(t)+`/?secret=x","tries":2,"try_sleep":0}`)
	if err != nil || o.Success || !strings.HasSuffix(o.Message, "connection refused") || strings.Contains(o.Message, "secret=x") || len(o.Requests) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct{ typ, properties, err string }{
		{"webhook", `{}`, `property "uri" of the webhook task: is required`},
		{"webhook", `{"uri":"ftp://u:pw@host/p?q=1"}`, `property "uri" of the webhook task: want a URL that begins with http:// or https:// and a host, got "ftp://host/p"`},
		{"webhook", `{"uri":"http://u:p%zz@h/"}`, `property "uri" of the webhook task: cannot be parsed as a URL`},
		{"webhook", `{"uri":"http://h","method":"TRACE"}`, `property "method" of the webhook task: want one of GET POST PUT PATCH DELETE, got "TRACE"`},
		{"webhook", `{"uri":"http://h","method":"GET","data":{"a":{"b":1}}}`, `property "data" of the webhook task: {"b":1} cannot be part of a URL: want text, a number, true or false for "a"`},
		{"webhook", `{"uri":"http://h","expect":"ok"}`, `property "expect" of the webhook task: want a status of HTTP such as 201, got "ok"`},
		{"webhook", `{"uri":"http://h","headers":{"A":"x\r\nB: y"}}`, `property "headers" of the webhook task: "A" cannot be a header`},
		{"webhook", `{"uri":"http://h","verify_ssl":"perhaps"}`, `property "verify_ssl" of the webhook task: want true or false, got "perhaps"`},
		{"webhook", `{"uri":"http://h","ca":"/does/not/exist"}`, `property "ca" of the webhook task: open /does/not/exist: no such file or directory`},
		{"slack", `{"channel":"#c","text":"t"}`, `property "token" of the slack task: is required`},
		{"slack", `{"channel":"#c","text":"t","token":["xoxb-1"]}`, `property "token" of the slack task: want a string, got a list`},
		{"slack", `{"channel":"#c","token":"t"}`, `property "text" of the slack task: is required`},
		{"slack", `{"text":"#c","token":"t"}`, `property "channel" of the slack task: is required`},
		{"slack", `{"channel":"#c","text":"t","token":"t","color":"red"}`, `property "color" of the slack task: want #rrggbb, good, warning or danger, got "red"`},
		{"graphite_event", `{"what":"w","data":"d"}`, `property "graphite" of the graphite_event task: is required`},
		{"graphite_event", `{"what":"w","graphite":"http://h"}`, `property "data" of the graphite_event task: is required`},
		{"graphite_event", `{"data":"w","graphite":"http://h"}`, `property "what" of the graphite_event task: is required`},
		{"graphite_event", `{"data":"w","what":"w","graphite":"http://h","tags":"a"}`, `property "tags" of the graphite_event task: want an array of strings, got "a"`},
	}
	for _, tt := range tests {
		if _, _, _, err := perform(t, tt.typ, tt.properties); err == nil || err.Error() != tt.err {
			t.Errorf("%s %s: %v; want %s", tt.typ, tt.properties, err, tt.err)
		}
	}
}

func TestSlack(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	post := func(properties, answer string, status int) (*task.Outcome, *tasktest.Log, *secrets) {
		t.Helper()
		s.mu.Lock()
		s.status, s.answer = status, answer
		s.mu.Unlock()
		o, log, hidden, err := perform(t, "slack", fmt.Sprintf(`{"url":"%s/api/chat.postMessage","channel":"#ops","text":"all *done*","token":"xoxb-1"%s}`, s.url, properties))
		if err != nil {
			t.Fatal(err)
		}
		return o, log, hidden
	}
	o, log, hidden := post(`,"description":"tell them"`, `{"ok":true,"ts":"1"}`, 200)
	got := s.last(t)
	if got.method != "POST" || got.uri != "/api/chat.postMessage" || got.header.Get("Authorization") != "Bearer xoxb-1" ||
		got.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("the server got %+v", got)
	}
	var message map[string]any
	if err := json.Unmarshal([]byte(got.body), &message); err != nil {
		t.Fatal(err)
	}
	attachment := message["attachments"].([]any)[0].(map[string]any)
	sent := time.Unix(int64(attachment["ts"].(float64)), 0)
	if age := time.Since(sent); age < 0 || age > time.Hour {
		t.Errorf("the message is from %s", sent)
	}
	delete(attachment, "ts")
	text, err := json.Marshal(message)
	want := `{"attachments":[{"color":"#ffa449","fallback":"all *done*","fields":[{"short":true,"title":"user","value":"up=tester"},` +
		`{"short":true,"title":"playbook","value":"site::deploy"}],"footer":"Choria Playbooks 1.0.0","mrkdwn_in":["text"],"pretext":"tell them","text":"all *done*"}],` +
		`"channel":"#ops","username":"Choria"}`
	if err != nil || string(text) != want {
		t.Errorf("the message is %s, %v\nwant %s", text, err, want)
	}
	if r := o.Results[0]; !o.Success || r.Host != "slack.com" || r.Value != "all *done*" || r.Error != nil {
		t.Errorf("%+v", o)
	}
	if !slices.Equal(hidden.list, []string{"xoxb-1"}) || strings.Contains(strings.Join(log.Lines(), "\n"), "xoxb") {
		t.Errorf("hidden %q, log %q", hidden.list, log.Lines())
	}

	o, _, _ = post(`,"username":"bot","color":"danger"`, `{"ok":true}`, 200)
	if got := s.last(t); !o.Success || !strings.Contains(got.body, `"username":"bot"`) || !strings.Contains(got.body, `"color":"danger"`) {
		t.Errorf("the server got %s", got.body)
	}
	for _, tt := range []struct {
		answer string
		status int
		err    string
	}{
		{`{"ok":false,"error":"channel_not_found"}`, 200, "channel_not_found"},
		{`{"ok":false}`, 200, "the server did not say ok"},
		{`<html>`, 200, "the answer is not that of Slack"},
		{`{"ok":true}`, 429, "the server answered 429 Too Many Requests"},
	} {
		o, _, _ := post("", tt.answer, tt.status)
		r := o.Results[0]
		if want := "Message was not sent to Slack channel #ops: " + tt.err; o.Success || o.Message != want || r.Error == nil || r.Error.Msg != want ||
			fmt.Sprint(r.Error.Details) != "map[channel:#ops]" {
			t.Errorf("%s: %+v", tt.answer, o)
		}
		value, err := json.Marshal(r.Value)
		if err != nil || strings.HasPrefix(tt.answer, "{") && string(value) != tt.answer {
			t.Errorf("%s: value %s, %v; want the answer", tt.answer, value, err)
		}
	}
}

func TestGraphiteEvent(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	for _, tt := range []struct{ properties, tags string }{{``, "choria"}, {`,"tags":["a","b"]`, "a,b"}} {
		before := time.Now().Unix()
		o, _, hidden, err := perform(t, "graphite_event",
			fmt.Sprintf(`{"graphite":"%s/events/","what":"deploy","data":"version 2","headers":{"Authorization":"Basic c2VjcmV0"}%s}`, s.url, tt.properties))
		if err != nil || !o.Success || o.Type != "graphite_event" || len(o.Results) != 1 || o.Results[0].Host != "127.0.0.1" {
			t.Fatalf("%+v, %v", o, err)
		}
		got := s.last(t)
		var event struct {
			What, Tags, Data string
			When             int64
		}
		d := json.NewDecoder(strings.NewReader(got.body))
		d.DisallowUnknownFields()
		if err := d.Decode(&event); err != nil {
			t.Fatal(err)
		}
		if event.What != "deploy" || event.Tags != tt.tags || event.Data != "version 2" || event.When < before || event.When > time.Now().Unix() {
			t.Errorf("event %+v", event)
		}
		if got.method != "POST" || got.uri != "/events/" || got.header.Get("Authorization") != "Basic c2VjcmV0" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("the server got %+v", got)
		}
		if !slices.Equal(hidden.list, []string{"Basic c2VjcmV0", "c2VjcmV0"}) {
			t.Errorf("hidden %q", hidden.list)
		}
	}
}
