package protocol_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"choria.io/choria/go/internal/protocol"
)

// A message that is passed on keeps its data byte for byte, in both versions.
func TestRelay(t *testing.T) {
	const (
		v1 = `{"protocol":"choria:transport:1","data":"e3\n0=","headers":{"reply-to":"r","mc_sender":"s","seen-by":[["a","b","c"]],"federation":{"req":"i","reply-to":"o","target":["x","y"]}}}`
		v2 = `{"protocol":"io.choria.protocol.v2.transport","data":"no base64","headers":{"reply":"r","sender":"s","trace":[["a","b","c"]],"federation":{"request":"i","reply":"o","targets":["x","y"]}}}`
	)
	for _, payload := range []string{v1, v2, strings.ReplaceAll(v1, "\n", `\n`)} {
		r, err := protocol.DecodeRelay([]byte(payload))
		if strings.Contains(payload, "\n") { // no line breaks in JSON strings
			if err == nil {
				t.Errorf("%s is accepted", payload)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want := protocol.Transport{Version: r.Version, ReplyTo: "r", Sender: "s", Hops: []protocol.Hop{{"a", "b", "c"}},
			Federation: &protocol.Federation{RequestID: "i", ReplyTo: "o", Targets: []string{"x", "y"}}}
		if !reflect.DeepEqual(r.Transport, want) {
			t.Errorf("%s\nis read as %+v", payload, r.Transport)
		}
		if got := string(r.Encode()); got != payload {
			t.Errorf("written as\n%s; want\n%s", got, payload)
		}
	}
	r, err := protocol.DecodeRelay([]byte(`{"protocol":"choria:transport:1","data":"e30=","headers":null}`))
	if err != nil || string(r.Encode()) != `{"protocol":"choria:transport:1","data":"e30=","headers":{}}` {
		t.Errorf("headers null: %v", err)
	}
}

func TestRelayRefuses(t *testing.T) {
	for payload, want := range map[string]string{
		`{`: "transport: json: unexpected end",
		`{"protocol":"choria:transport:3","data":"e30="}`: "transport: protocol version not supported: \"choria:transport:3\"",
		`{"data":"e30="}`:                                                                      `transport: no member "protocol"`,
		`{"protocol":"choria:transport:1"}`:                                                    "transport: no data",
		`{"protocol":"choria:transport:1","data":""}`:                                          "transport: no data",
		`{"protocol":"choria:transport:1","data":{"a":1}}`:                                     "transport: data: want a string",
		`{"protocol":"choria:transport:1","data":"e30=","headers":[]}`:                         "transport: headers: json: want an object, got '[' at byte 0",
		`{"protocol":"choria:transport:1","data":"e30=","headers":{"reply-to":1}}`:             "transport: headers: reply-to: json: want a string, got '1' at byte 12",
		`{"protocol":"io.choria.protocol.v2.transport","data":"e30=","headers":{"reply":[]}}x`: "transport: json: want the end, got 'x' at byte 83",
	} {
		if _, err := protocol.DecodeRelay([]byte(payload)); fmt.Sprint(err) != want {
			t.Errorf("%s: %v; want %s", payload, err, want)
		}
	}
	big := make([]byte, protocol.MaxTransport+1)
	if _, err := protocol.DecodeRelay(big); err == nil {
		t.Error("a payload above the limit is accepted")
	}
}

// What is relayed is read again as the same.
func FuzzDecodeRelay(f *testing.F) {
	f.Add([]byte(`{"protocol":"choria:transport:1","data":"e30=","headers":{"seen-by":[["a","b"],[]],"federation":{}}}`))
	f.Add([]byte(`{"protocol":"io.choria.protocol.v2.transport","data":"","headers":{"reply":"r","federation":{"targets":["x"]}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := protocol.DecodeRelay(payload)
		if err != nil {
			return
		}
		again, err := protocol.DecodeRelay(r.Encode())
		if err != nil {
			t.Fatalf("%q was written as %q: %v", payload, r.Encode(), err)
		}
		if string(again.Encode()) != string(r.Encode()) {
			t.Errorf("%q, written again %q", r.Encode(), again.Encode())
		}
	})
}

func BenchmarkRelay(b *testing.B) {
	payload, _ := directed(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := protocol.DecodeRelay(payload)
		if err != nil {
			b.Fatal(err)
		}
		r.Encode()
	}
}
