package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/vectors"
)

// A record is one message of the vectors.
type record struct {
	Name      string
	Note      string
	Time      time.Time
	Subject   string
	Payload   []byte            `json:"payload_base64"`
	Replies   []json.RawMessage // of ruby.json: records
	Published int               `json:"published_times"`
	Replied   *bool             `json:"peer_replied"`
	Answers   [][]byte          `json:"peer_replies_base64"`
	Summaries []string          `json:"peer_reply_summaries"`
	Decoded   struct {
		Headers *struct {
			ReplyTo    string     `json:"reply-to"`
			Sender     string     `json:"mc_sender"`
			Hops       [][]string `json:"seen-by"`
			Federation *struct {
				RequestID string   `json:"req"`
				ReplyTo   string   `json:"reply-to"`
				Targets   []string `json:"target"`
			}
		}
		Inner *struct {
			Message  string
			Envelope struct {
				RequestID, SenderID, CallerID, Collective, Agent string
				Time                                             any
				TTL                                              any
			}
		}
	}
}

func load(t testing.TB, name string) []record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", name))
	if err != nil {
		t.Fatal(err)
	}
	var records []record
	if err := json.Unmarshal(data, &records); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(records) == 0 {
		t.Fatalf("%s holds nothing", name)
	}
	return records
}

// captured returns the names of the files with messages of a real network.
func captured(t testing.TB) []string {
	t.Helper()
	dir := filepath.Join(vectors.Dir(t), "v1")
	names, err := fs.Glob(os.DirFS(dir), "captured/*.json")
	if err != nil || len(names) < 15 {
		t.Fatalf("%d captured files, %v", len(names), err)
	}
	return names
}

// payloads returns every message of protocol 1 in the vectors.
func payloads(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, name := range append(captured(t), "ruby.json", "must_drop.json", "crafted.json") {
		for _, r := range load(t, name) {
			all = append(append(all, r.Payload), r.Answers...)
		}
	}
	return all
}

// identity returns who name is in the vectors.
func identity(t testing.TB, name string, kind security.For) *security.Identity {
	t.Helper()
	dir := t.TempDir()
	// The key files of the vectors can be read by everybody, which keys must not be.
	for _, file := range []string{name + ".pem", name + ".key", "ca.pem"} {
		data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", "pki", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id, err := security.New(security.Options{
		For: kind, Name: name,
		Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, "ca.pem"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestCaptured decodes what was seen on real networks, verifies it, and encodes it again.
func TestCaptured(t *testing.T) {
	n1 := identity(t, "n1.example.net", security.ForServer)
	requests, replies := 0, 0
	for _, name := range append(captured(t), "ruby.json") {
		for i, r := range load(t, name) {
			tr, err := protocol.DecodeTransport(r.Payload)
			if r.Decoded.Headers == nil {
				if err == nil && name != "captured/adapters.json" {
					t.Errorf("%s %d: decoded as a transport, which it is not", name, i)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s %d: %v", name, i, err)
				continue
			}
			checkHeaders(t, name, tr, &r)
			checkAgain(t, name, tr)
			if !strings.Contains(string(tr.Data), "choria:secure:request:1") {
				checkReply(t, name, tr, &r)
				replies++
				continue
			}
			requests++
			made := r.Time
			if made.IsZero() {
				made = time.Unix(int64(r.Decoded.Inner.Envelope.Time.(float64)), 0)
			}
			req, err := protocol.OpenRequest(tr, n1, made)
			if strings.HasPrefix(r.Decoded.Inner.Envelope.CallerID, "choria=n") {
				// Registration is signed by nodes, which are no callers, and is not verified by who reads it.
				if err == nil {
					t.Errorf("%s %d: a node was accepted as a caller", name, i)
				}
				s, serr := protocol.DecodeSecureRequest(tr)
				if serr != nil {
					t.Errorf("%s %d: %v", name, i, serr)
					continue
				}
				req, err = protocol.DecodeRequest(s.Version, s.Message)
			}
			if err != nil {
				t.Errorf("%s %d: %v", name, i, err)
				continue
			}
			checkRequest(t, name, req, &r)
		}
	}
	if requests < 25 || replies < 35 {
		t.Errorf("%d requests and %d replies, want more", requests, replies)
	}
}

func checkHeaders(t *testing.T, name string, tr *protocol.Transport, r *record) {
	t.Helper()
	h := r.Decoded.Headers
	if tr.Version != protocol.V1 || tr.ReplyTo != h.ReplyTo || tr.Sender != h.Sender || len(tr.Hops) != len(h.Hops) {
		t.Errorf("%s: transport %+v, want headers %+v", name, tr, h)
		return
	}
	for i, hop := range tr.Hops {
		if !slices.Equal(hop, h.Hops[i]) {
			t.Errorf("%s: hop %v, want %v", name, hop, h.Hops[i])
		}
	}
	if (tr.Federation == nil) != (h.Federation == nil) {
		t.Errorf("%s: federation %+v, want %+v", name, tr.Federation, h.Federation)
	} else if f := tr.Federation; f != nil &&
		(f.RequestID != h.Federation.RequestID || f.ReplyTo != h.Federation.ReplyTo || !slices.Equal(f.Targets, h.Federation.Targets)) {
		t.Errorf("%s: federation %+v, want %+v", name, f, h.Federation)
	}
}

// checkAgain encodes a transport and holds the result against the same message.
func checkAgain(t *testing.T, name string, tr *protocol.Transport) {
	t.Helper()
	payload, err := tr.Encode()
	if err != nil {
		t.Errorf("%s: encode: %v", name, err)
		return
	}
	again, err := protocol.DecodeTransport(payload)
	if err != nil || !bytes.Equal(again.Data, tr.Data) || again.ReplyTo != tr.ReplyTo || again.Sender != tr.Sender || len(again.Hops) != len(tr.Hops) {
		t.Errorf("%s: %+v came back as %+v, %v", name, tr, again, err)
	}
}

func checkRequest(t *testing.T, name string, req *protocol.Request, r *record) {
	t.Helper()
	e := r.Decoded.Inner.Envelope
	if req.ID != e.RequestID || req.Sender != e.SenderID || req.Caller != e.CallerID || req.Collective != e.Collective || req.Agent != e.Agent ||
		float64(req.Time.Unix()) != e.Time || req.TTL.Seconds() != e.TTL {
		t.Errorf("%s: request %+v, want %+v", name, req, e)
	}
	want := r.Decoded.Inner.Message
	if want == "cGluZw==" {
		want = "ping"
	}
	if string(req.Body) != want {
		t.Errorf("%s: body %q, want %q", name, req.Body, want)
	}
}

func checkReply(t *testing.T, name string, tr *protocol.Transport, r *record) {
	t.Helper()
	reply, err := protocol.OpenReply(tr)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	e := r.Decoded.Inner.Envelope
	if reply.RequestID != e.RequestID || reply.Sender != e.SenderID || reply.Agent != e.Agent || float64(reply.Time.Unix()) != e.Time ||
		string(reply.Body) != r.Decoded.Inner.Message {
		t.Errorf("%s: reply %+v, want %+v", name, reply, r.Decoded.Inner)
	}

	// What we encode of it reads the same, and peers take its hash.
	data, err := protocol.SealReply(reply)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	again, err := protocol.OpenReply(&protocol.Transport{Version: tr.Version, Data: data})
	if err != nil || again.RequestID != reply.RequestID || !bytes.Equal(again.Body, reply.Body) || !again.Time.Equal(reply.Time) {
		t.Errorf("%s: %+v came back as %+v, %v", name, reply, again, err)
	}
}

// TestRubyReplies decodes the replies that a Go node gave to Ruby clients.
func TestRubyReplies(t *testing.T) {
	n := 0
	for _, r := range load(t, "ruby.json") {
		for _, text := range r.Replies {
			var answer record
			if err := json.Unmarshal(text, &answer); err != nil {
				t.Fatal(err)
			}
			tr, err := protocol.DecodeTransport(answer.Payload)
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			checkReply(t, r.Name, tr, &answer)
			n++
		}
	}
	if n < 10 {
		t.Errorf("%d replies, want more", n)
	}
}

// drop is why a message is not answered. It is what a node does, in that order.
func drop(t *testing.T, payload []byte, v protocol.Verifier, now time.Time, node *filter.Node, seen *protocol.Replay) (*protocol.Request, error) {
	t.Helper()
	tr, err := protocol.DecodeTransport(payload)
	if err != nil {
		return nil, err
	}
	req, err := protocol.OpenRequest(tr, v, now)
	if err != nil {
		return nil, err
	}
	matches, err := req.Filter.Match(node)
	switch {
	case err != nil:
		return nil, err
	case !matches:
		return nil, errors.New("filtered")
	case !slices.Contains([]string{"mcollective", "prod"}, req.Collective):
		return nil, errors.New("collective")
	case !now.Add(-req.TTL).Before(req.Time) || !req.Time.Before(now.Add(req.TTL)):
		return nil, errors.New("time")
	case !seen.First(req, now):
		return nil, errors.New("seen before")
	case req.Agent == "discovery" && !bytes.Contains(req.Body, []byte("ping")):
		return nil, errors.New("no ping")
	case !slices.Contains(node.Agents(), req.Agent):
		return nil, errors.New("no such agent")
	case tr.ReplyTo == "":
		return nil, errors.New("nowhere to reply to")
	}
	return req, nil
}

func vectorNode(t testing.TB) *filter.Node {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	facts, err := yaml.YAMLToJSON(read("facts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	classes := strings.Fields(string(read("classes.txt")))
	return &filter.Node{
		Identity: "n1.example.net",
		Agents:   func() []string { return []string{"choria_util", "discovery", "rpcutil", "scout"} },
		Classes:  func() []string { return classes },
		Facts:    func() json.RawMessage { return facts },
	}
}

// TestCrafted takes the requests of crafted.json, one property changed in each, through all checks
// of a node and compares with what a real node did.
func TestCrafted(t *testing.T) {
	n1 := identity(t, "n1.example.net", security.ForServer)
	node := vectorNode(t)

	// Where we differ from the peer on purpose.
	ours := map[string]struct {
		answered bool
		why      string
	}{
		"filter without agent key": {true, "the peer runs it and then fails to make the reply"},
		"caller trailing junk":     {false, "receivers should match the whole caller id, as security does"},
	}

	records := load(t, "crafted.json")
	if len(records) != 116 {
		t.Fatalf("%d requests, want 116", len(records))
	}
	for _, r := range records {
		now := craftedAt(t, &r)
		seen := &protocol.Replay{}
		_, err := drop(t, r.Payload, n1, now, node, seen)
		want := *r.Replied
		if o, ok := ours[r.Name]; ok {
			if o.answered == want {
				t.Errorf("%s: no difference any more: %s", r.Name, o.why)
			}
			want = o.answered
		}
		if (err == nil) != want {
			t.Errorf("%s: answered %v (%v), want %v", r.Name, err == nil, err, want)
		}
		if r.Published > 1 {
			if _, err := drop(t, r.Payload, n1, now, node, seen); err == nil || err.Error() != "seen before" {
				t.Errorf("%s: the second time: %v", r.Name, err)
			}
		}
		for i, payload := range r.Answers {
			tr, err := protocol.DecodeTransport(payload)
			if err != nil {
				t.Errorf("%s, reply %d: %v", r.Name, i, err)
				continue
			}
			reply, err := protocol.OpenReply(tr)
			if err != nil || reply.RequestID != r.Decoded.Inner.Envelope.RequestID || !strings.HasSuffix(reply.Sender, ".example.net") {
				t.Errorf("%s, reply %d: %+v, %v", r.Name, i, reply, err)
			}
			if !strings.HasPrefix(r.Summaries[i], reply.Sender+":"+string(reply.Body)) {
				t.Errorf("%s, reply %d: body %q, want %q", r.Name, i, reply.Body, r.Summaries[i])
			}
		}
	}
}

// craftedAt returns when a request of crafted.json was received: when it was made, unless its name
// says otherwise.
func craftedAt(t *testing.T, r *record) time.Time {
	t.Helper()
	offset := map[string]time.Duration{
		"time -58s": 58 * time.Second, "time -61s": 61 * time.Second, "time +58s": -58 * time.Second, "time +62s": -62 * time.Second,
	}
	made := time.Unix(1795351400, 0) // where the request does not tell
	if r.Decoded.Inner != nil {
		if unix, ok := r.Decoded.Inner.Envelope.Time.(float64); ok {
			made = time.Unix(int64(unix), 0)
		}
	}
	return made.Add(offset[r.Name])
}

// TestMustDrop takes the messages that end the process of a peer.
func TestMustDrop(t *testing.T) {
	n1 := identity(t, "n1.example.net", security.ForServer)
	node := vectorNode(t)
	for _, r := range load(t, "must_drop.json") {
		now := time.Unix(1795351752, 0)
		if _, err := drop(t, r.Payload, n1, now, node, &protocol.Replay{}); err == nil {
			t.Errorf("%s: answered", r.Name)
		} else {
			t.Logf("%s: %v", r.Name, err)
		}
		if !strings.Contains(r.Name, "null") {
			continue
		}
		// No headers are as good as empty ones.
		tr, err := protocol.DecodeTransport(r.Payload)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		if _, err := protocol.OpenRequest(tr, n1, now); err != nil || tr.ReplyTo != "" {
			t.Errorf("%s: %v, reply to %q", r.Name, err, tr.ReplyTo)
		}
	}
}

// TestUnknownVersion refuses messages of protocol 2, for which there is no codec.
func TestUnknownVersion(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v2", "crafted.json"))
	if err != nil {
		t.Fatal(err)
	}
	var records []record
	if err := json.Unmarshal(data, &records); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if tr, err := protocol.DecodeTransport(r.Payload); !errors.Is(err, protocol.ErrVersion) {
			if err == nil && tr.Version == protocol.V1 {
				continue // "v1 transport"
			}
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}
