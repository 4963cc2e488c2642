package protocol_test

import (
	"encoding/json"
	"testing"
	"time"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
)

// BenchmarkRequestOnNode is all that a node does for a request but to run it: decode, verify, match,
// look for a replay, encode the reply.
func BenchmarkRequestOnNode(b *testing.B) {
	payload, now := directed(b)
	// A verifier may know the signature it has just seen, so two requests take turns.
	payloads := [2][]byte{payload, load(b, "captured/rpcutil_get_fact.json")[0].Payload}
	n1 := identity(b, "n1.example.net", security.ForServer)
	node := vectorNode(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tr, err := protocol.DecodeTransport(payloads[i%2])
		if err != nil {
			b.Fatal(err)
		}
		req, err := protocol.OpenRequest(tr, n1, now)
		if err != nil {
			b.Fatal(err)
		}
		if ok, err := req.Filter.Match(node); !ok || err != nil {
			b.Fatal(ok, err)
		}
		var seen protocol.Replay
		if !seen.First(req, now) {
			b.Fatal("seen before")
		}
		if _, err := encodeReply(req, now); err != nil {
			b.Fatal(err)
		}
	}
}

func encodeReply(req *protocol.Request, now time.Time) ([]byte, error) {
	data, err := protocol.SealReply(&protocol.Reply{
		Version: req.Version, RequestID: req.ID, Sender: "n1.example.net", Agent: req.Agent, Time: now,
		Body: []byte(`{"action":"ping","statuscode":0,"statusmsg":"OK","data":{"pong":1795351223}}`),
	})
	if err != nil {
		return nil, err
	}
	const server = "nats://127.0.0.1:4222"
	tr := protocol.Transport{Version: req.Version, Sender: "n1.example.net", Data: data, Hops: []protocol.Hop{{server, "n1.example.net", server}}}
	return tr.Encode()
}

// directed returns a real request to one node and when it was made.
func directed(t testing.TB) ([]byte, time.Time) {
	t.Helper()
	r := load(t, "captured/rpcutil_directed.json")[0]
	return r.Payload, r.Time
}

// TestAllocations holds what one request may allocate on a node in here; verifying adds to it.
func TestAllocations(t *testing.T) {
	payload, now := directed(t)
	got := testing.AllocsPerRun(100, func() {
		tr, err := protocol.DecodeTransport(payload)
		if err != nil {
			t.Fatal(err)
		}
		req, err := protocol.OpenRequest(tr, trusting{}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := encodeReply(req, now); err != nil {
			t.Fatal(err)
		}
	})
	if got > 36 {
		t.Errorf("%v allocations, want at most 36", got)
	}
}

// trusting verifies nothing.
type trusting struct{}

func (trusting) Verify(message, signature, cert []byte, caller string, now time.Time) error {
	return nil
}

func BenchmarkDecodeRequest(b *testing.B) {
	payload, now := directed(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		tr, err := protocol.DecodeTransport(payload)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := protocol.OpenRequest(tr, trusting{}, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeRequestEncodingJSON does the same as BenchmarkDecodeRequest by reflection, without
// any of the checks. It is what the scanner has to be worth its lines against.
func BenchmarkDecodeRequestEncodingJSON(b *testing.B) {
	payload, _ := directed(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		var tr struct {
			Protocol string
			Data     []byte
			Headers  struct {
				ReplyTo string     `json:"reply-to"`
				Sender  string     `json:"mc_sender"`
				SeenBy  [][]string `json:"seen-by"`
			}
		}
		if err := json.Unmarshal(payload, &tr); err != nil {
			b.Fatal(err)
		}
		var secure struct {
			Protocol, Message, PubCert string
			Signature                  []byte
		}
		if err := json.Unmarshal(tr.Data, &secure); err != nil {
			b.Fatal(err)
		}
		var req struct {
			Protocol, Message string
			Envelope          struct {
				RequestID, SenderID, CallerID, Collective, Agent string
				TTL, Time                                        int64
				Filter                                           struct {
					Fact            []map[string]string
					Class           []string `json:"cf_class"`
					Agent, Identity []string
					Compound        [][]map[string]any
				}
			}
		}
		if err := json.Unmarshal([]byte(secure.Message), &req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenReply(b *testing.B) {
	payload := load(b, "captured/rpcutil_directed.json")[1].Payload
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		tr, err := protocol.DecodeTransport(payload)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := protocol.OpenReply(tr); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeReply(b *testing.B) {
	req := newRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encodeReply(req, made); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealRequest(b *testing.B) {
	req := newRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.SealRequest(req, sealer{}); err != nil {
			b.Fatal(err)
		}
	}
}
