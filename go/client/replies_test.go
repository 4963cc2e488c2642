package client

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// payload returns the broker message of a node's reply.
func payload(t testing.TB, sender, id, body string) []byte {
	t.Helper()
	data, err := protocol.SealReply(&protocol.Reply{Version: protocol.V1, RequestID: id, Sender: sender, Agent: "rpcutil", Time: time.Now(), Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&protocol.Transport{
		Version: protocol.V1,
		Sender:  sender,
		Hops:    []protocol.Hop{{"nats://broker1.example.net:4222", sender, "nats://broker1.example.net:4222"}},
		Data:    data,
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkReplies is the whole handling of a reply, from the broker's message to what the iterator
// yields. The budget is 50 000 a second on one core: 20 µs each.
func BenchmarkReplies(b *testing.B) {
	const nodes = 1000
	id := protocol.NewID()
	messages := make([]transport.Msg, nodes)
	var names []string
	for i := range nodes {
		name := fmt.Sprintf("node%04d.example.net", i)
		names = append(names, name)
		messages[i] = transport.Msg{Data: payload(b, name, id, `{"action":"ping","statuscode":0,"statusmsg":"OK","data":{"pong":1795350267}}`)}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(messages[0].Data)))
	for done := 0; done < b.N; {
		r := &Run{
			client:  &Client{log: slog.New(slog.DiscardHandler)},
			id:      id,
			replies: make(chan Reply, nodes),
			done:    make(chan struct{}),
			req:     Request{Agent: "rpcutil", BatchSize: 0},
		}
		if err := r.address(names); err != nil {
			b.Fatal(err)
		}
		n := min(nodes, b.N-done)
		for _, m := range messages[:n] {
			r.received(m)
			if !r.take(<-r.replies) {
				b.Fatal("a reply was refused")
			}
		}
		if r.stats.OK != n {
			b.Fatalf("%d good replies of %d", r.stats.OK, n)
		}
		done += n
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replies/s")
}

// BenchmarkPongs is the handling of an answer to a discovery.
func BenchmarkPongs(b *testing.B) {
	p := payload(b, "node0001.example.net", protocol.NewID(), "pong")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := open(p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replies/s")
}

func FuzzReceived(f *testing.F) {
	const id = "0123456789abcdef0123456789abcdef"
	f.Add(payload(f, "n1.example.net", id, `{"statuscode":0,"data":{"a":1}}`))
	f.Add(payload(f, "*", id, `{}`))
	f.Add(payload(f, "n1", protocol.NewID(), `{}`))
	f.Add([]byte(`{"protocol":"choria:transport:1","data":"","headers":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Run{id: id, replies: make(chan Reply, 1), done: make(chan struct{})}
		r.received(transport.Msg{Data: data})
		select {
		case reply := <-r.replies:
			if !json.Valid(reply.Data) || r.ignored.Load() != 0 {
				t.Errorf("reply %+v with data that is no JSON, or counted as ignored", reply)
			}
		default:
			if r.ignored.Load() != 1 {
				t.Error("neither yielded nor counted")
			}
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	for _, s := range []string{`{"action":"a","statuscode":1,"statusmsg":"m","data":{}}`, `{"data":null}`, `[]`, ``, `{"statuscode":"1"}`, `{"statuscode":99999999999999999999}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if r := decodeBody(body); !json.Valid(r.Data) {
			t.Errorf("data %q is no JSON", r.Data)
		}
	})
}
