package adapter

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/vectors"
)

// TestVectors makes of each message what an adapter of the peer has published about it.
func TestVectors(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"n1.example.net.pem", "n1.example.net.key", "ca.pem"} {
		data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", "pki", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	identity := func(callers []string) *security.Identity {
		id, err := security.New(security.Options{
			For: security.ForServer, Name: "n1.example.net", Callers: callers,
			Certificate: dir + "/n1.example.net.pem", Key: dir + "/n1.example.net.key", CA: dir + "/ca.pem",
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	data, err := os.ReadFile(filepath.Join(vectors.Dir(t), "v1", "captured", "adapters.json"))
	if err != nil {
		t.Fatal(err)
	}
	var records []struct {
		Time    time.Time
		Payload []byte `json:"payload_base64"`
	}
	if err := json.Unmarshal(data, &records); err != nil {
		t.Fatal(err)
	}
	published := map[string][]byte{} // by request id
	for _, r := range records {
		var d document
		if json.Unmarshal(r.Payload, &d) == nil && d.Protocol == streamsProtocol {
			published[d.RequestID] = r.Payload
		}
	}
	clock := time.Time{}
	adapters := map[Kind]*Adapter{
		Requests: {Name: "a", Kind: Requests, Proof: &Proof{Any: identity([]string{"."}), Callers: identity(nil), Now: func() time.Time { return clock }}},
		Replies:  {Name: "a", Kind: Replies},
	}
	same := 0
	for _, r := range records {
		tr, err := protocol.DecodeTransport(r.Payload)
		if err != nil {
			continue // published by an adapter
		}
		kind := Replies
		if _, err := protocol.DecodeSecureRequest(tr); err == nil {
			kind = Requests
		}
		clock = r.Time
		m, err := adapters[kind].open(r.Payload)
		if err != nil {
			t.Errorf("%s: %v", r.Payload, err)
			continue
		}
		var d document
		if err := json.Unmarshal(m.Data, &d); err != nil {
			t.Fatal(err)
		}
		// The request that the reply answers has its id, and went to no adapter.
		if want := published[d.RequestID]; want != nil && (kind == Replies || bytes.Contains(want, []byte("registration"))) {
			if !bytes.Equal(m.Data, want) {
				t.Errorf("published %s\nwant      %s", m.Data, want)
			}
			same++
		}
	}
	if same != len(published) || same != 3 {
		t.Errorf("%d of %d documents compared", same, len(published))
	}
}

// Whatever arrives, what is published is JSON about a sender that can be a part of a subject.
func FuzzOpen(f *testing.F) {
	f.Add(reply(f, "n1.example.net", 1))
	f.Add([]byte(`{"protocol":"choria:transport:1","data":"e30=","headers":{}}`))
	f.Add([]byte(`{"protocol":"io.choria.protocol.v2.transport","data":"x","headers":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, kind := range []Kind{Requests, Replies} {
			m, err := (&Adapter{Name: "a", Kind: kind}).open(payload)
			if err != nil {
				continue
			}
			var d document
			if err := json.Unmarshal(m.Data, &d); err != nil || d.Sender != m.Sender {
				t.Errorf("%s: %v", m.Data, err)
			}
			if !validSubject("x."+m.Sender, false) || !validID(m.ID[:min(len(m.ID), 128)]) {
				t.Errorf("sender %q, id %q", m.Sender, m.ID)
			}
			again, err := decodeMessage(m.encode(nil))
			if err != nil || again.ID != m.ID || again.Sender != m.Sender || !bytes.Equal(again.Data, m.Data) {
				t.Errorf("%+v, %v; want %+v", again, err, m)
			}
		}
	})
}
