package node

import (
	"fmt"
	"strings"
	"time"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// trace tells the sender of a traced request, which verified, what becomes of it: event is
// protocol.TraceReceived or TraceDropped. Only a request to this one node is told about, so that a
// message makes no more than one; and since what was dropped may be an old request that somebody
// sends again, that is told once a second.
func (n *Node) trace(m transport.Msg, t *protocol.Transport, req *protocol.Request, event, reason string) {
	home := t.ReplyTo
	if t.Federation != nil {
		home = t.Federation.ReplyTo
	}
	if !protocol.Traced(home) || !transport.ValidSubject(t.ReplyTo) || !strings.HasSuffix(m.Subject, ".node."+n.identity) {
		return
	}
	now := time.Now()
	if event == protocol.TraceDropped {
		last := n.lastTrace.Load()
		if last == now.Unix() || !n.lastTrace.CompareAndSwap(last, now.Unix()) {
			return
		}
	}
	server := n.conn.Server()
	var hops []protocol.Hop
	if t.Federation != nil {
		hops = t.Hops
	}
	hops = append(hops[:len(hops):len(hops)], protocol.Hop{server, n.identity, server})
	payload, err := (&protocol.Trace{
		RequestID: req.ID, Component: n.component, Identity: n.identity,
		Event: event, Reason: reason, Time: now,
	}).Encode(t.Version, hops, t.Federation)
	if err == nil {
		err = n.conn.Publish(t.ReplyTo, payload)
	}
	if err != nil {
		n.log.Warn("trace not published", "request", req.ID, "caller", req.Caller, "err", err)
	}
}

// late says why the time of a request is refused at now.
func late(req *protocol.Request, now time.Time) string {
	return fmt.Sprintf("the clock of the node says %s, the request was made at %s and is good for %s",
		now.UTC().Format(time.RFC3339), req.Time.UTC().Format(time.RFC3339), req.TTL)
}
