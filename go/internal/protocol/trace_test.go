package protocol_test

import (
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/protocol"
)

func TestTraced(t *testing.T) {
	for subject, want := range map[string]bool{
		protocol.TracedSubject("mcollective.reply.a.b"): true,
		"mcollective.reply.a.trace":                     true,
		"mcollective.reply.a.b":                         false,
		"mcollective.reply.trace.b":                     false,
		"mcollective.reply.a.notrace":                   false,
		"my.sink.trace":                                 false,
		"reply.trace":                                   false,
		"mcollective.reply.trace":                       true,
		".trace":                                        false,
		"":                                              false,
	} {
		if got := protocol.Traced(subject); got != want {
			t.Errorf("Traced(%q) = %v; want %v", subject, got, want)
		}
	}
}

func TestTrace(t *testing.T) {
	want := protocol.Trace{RequestID: "id", Component: "federation", Identity: "fed", Cluster: "london", Event: protocol.TraceDropped,
		Subject: "a.node.b", Reason: "bad_target", Time: time.Unix(1795366230, 0).UTC()}
	for _, v := range []protocol.Version{protocol.V1, protocol.V2} {
		payload, err := want.Encode(v, []protocol.Hop{{"a", "b", "c"}}, &protocol.Federation{RequestID: "id", ReplyTo: "r"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := protocol.DecodeRelay(payload)
		if err != nil || r.Version != v || r.Sender != "fed" || len(r.Hops) != 1 || r.Federation.ReplyTo != "r" {
			t.Errorf("transport %+v, %v", r, err)
		}
		if v == protocol.V2 { // its transports are read by federation brokers alone as yet
			continue
		}
		tr, err := protocol.DecodeTransport(payload)
		if err != nil {
			t.Fatal(err)
		}
		got, err := protocol.DecodeTrace(tr.Data)
		if err != nil || *got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"protocol":"choria:secure:reply:1"}`: "no trace event",
		`[]`:                                   "trace: json: cannot unmarshal array",
		`{"protocol":"choria:trace:1","identity":"` + strings.Repeat("x", 600) + `"}`: "trace: a text of 600 characters, more than 512",
		`{"protocol":"choria:trace:1","time":"yesterday"}`:                            "trace: parsing time",
	} {
		if _, err := protocol.DecodeTrace([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60s: %v; want %s", text, err, want)
		}
	}
}

func FuzzDecodeTrace(f *testing.F) {
	f.Add([]byte(`{"protocol":"choria:trace:1","request":"id","component":"server","identity":"n1","event":"received","time":"2026-01-02T03:04:05Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := protocol.DecodeTrace(data)
		if err == nil && len(tr.Identity)+len(tr.Reason)+len(tr.Event) > 3*512 {
			t.Errorf("%q is accepted", data)
		}
	})
}
