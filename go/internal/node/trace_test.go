package node_test

import (
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// A node says what becomes of traced requests to it, when they verify, and of no others.
func TestTrace(t *testing.T) {
	url := labtest.Broker(t)
	run(t, options(t, url, "n1.example.net"))
	c := newCaller(t, url)
	events := make(chan *protocol.Transport, 100)
	home := protocol.TracedSubject("mcollective.reply.me.1")
	for _, subject := range []string{home, "choria.federation.london.collective"} {
		if _, err := c.conn.Subscribe(subject, "", 100, func(m transport.Msg) {
			tr, err := protocol.DecodeTransport(m.Data)
			if err != nil {
				t.Error(err)
				return
			}
			events <- tr
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.conn.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	next := func() *protocol.Transport {
		t.Helper()
		select {
		case tr := <-events:
			return tr
		case <-deadline(t).Done():
			t.Fatal("nothing received")
			panic("unreachable")
		}
	}
	me := transport.NodeSubject("mcollective", "n1.example.net")
	send := func(subject string, tr *protocol.Transport) {
		t.Helper()
		tr.ReplyTo = home
		c.publish(subject, encode(t, tr))
	}

	r := request()
	send(me, c.transport(r))
	event, err := protocol.DecodeTrace(next().Data)
	if err != nil || event.Event != protocol.TraceReceived || event.RequestID != r.ID || event.Identity != "n1.example.net" || event.Component != "server" {
		t.Errorf("event %+v, %v; want that it was received", event, err)
	}
	if _, err := protocol.OpenReply(next()); err != nil {
		t.Errorf("the reply after it: %v", err)
	}

	// Through a federation broker, which needs its header back.
	tr := c.transport(request())
	tr.ReplyTo = "choria.federation.london.collective"
	tr.Federation = &protocol.Federation{RequestID: "id", ReplyTo: home}
	tr.Hops = []protocol.Hop{{"a", "client", "b"}}
	c.publish(me, encode(t, tr))
	got := next()
	if event, err := protocol.DecodeTrace(got.Data); err != nil || event.Event != protocol.TraceReceived {
		t.Errorf("event %+v, %v", event, err)
	}
	if f := got.Federation; f == nil || f.ReplyTo != home || len(got.Hops) != 2 {
		t.Errorf("headers %+v", got)
	}
	next() // the reply

	// Not a request to this node, not one that verifies.
	send(transport.BroadcastSubject("mcollective", "discovery"), c.transport(request()))
	if _, err := protocol.OpenReply(next()); err != nil {
		t.Errorf("a broadcast is told about: %v", err)
	}
	tr = c.transport(request())
	tr.Data = []byte(strings.Replace(string(tr.Data), "signature\":\"", "signature\":\"AAAA", 1))
	send(me, tr)

	// The first of many that are too late.
	for range 3 {
		r = request()
		r.Time = r.Time.Add(-time.Hour)
		send(me, c.transport(r))
	}
	event, err = protocol.DecodeTrace(next().Data)
	if err != nil || event.Event != protocol.TraceDropped || !strings.Contains(event.Reason, "the clock of the node says") {
		t.Errorf("event %+v, %v; want that it is too late", event, err)
	}
}
