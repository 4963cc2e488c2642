package node

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// receive takes one message from the broker through the steps of protocol section 8. What is dropped
// is counted by reason; nothing is ever answered to it. ctx is that of the actions.
func (n *Node) receive(ctx context.Context, m transport.Msg) {
	n.stats.total.Inc()
	defer n.survive(m)
	t, err := protocol.DecodeTransport(m.Data)
	if err != nil {
		n.refuse(m, err)
		return
	}
	now := n.now()
	req, err := protocol.OpenRequest(t, n.verifier, now)
	if err != nil {
		n.refuse(m, err)
		return
	}
	if n.asks(&req.Filter) {
		n.matchLater(ctx, m, t, req, now)
		return
	}
	n.match(ctx, m, t, req, now)
}

// survive keeps a message from ending the daemon: what a decoder did not expect is one that does not
// verify. It is to be deferred.
func (n *Node) survive(m transport.Msg) {
	if p := recover(); p != nil {
		n.stats.unvalidated.Inc()
		n.log.Error("panic while a message was checked", "subject", m.Subject, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

// match takes a verified request through the rest of the steps. now is when it came.
func (n *Node) match(ctx context.Context, m transport.Msg, t *protocol.Transport, req *protocol.Request, now time.Time) {
	matches, err := req.Filter.Match(n.filter.Load())
	if err != nil {
		n.log.Info("filter not understood", "request", req.ID, "caller", req.Caller, "err", err)
	}
	if !matches {
		n.stats.filtered.Inc()
		n.trace(m, t, req, protocol.TraceDropped, "the filter of the request does not match the node")
		return
	}
	n.stats.passed.Inc()
	if !slices.Contains(n.cfg.Collectives, req.Collective) {
		n.refuse(m, fmt.Errorf("request %s is for collective %q, which this node is not in", req.ID, req.Collective))
		n.trace(m, t, req, protocol.TraceDropped, fmt.Sprintf("the node is not in collective %q", req.Collective))
		return
	}
	if !req.Time.Add(-req.TTL).Before(now) || !now.Before(req.Time.Add(req.TTL)) {
		n.stats.expired.Inc()
		n.log.Warn("request is too old, or from the future", "request", req.ID, "caller", req.Caller, "sender", req.Sender,
			"made", req.Time.UTC().Format(time.RFC3339), "ttl", req.TTL)
		n.trace(m, t, req, protocol.TraceDropped, late(req, now))
		return
	}
	if !n.replays.First(req, now) {
		n.stats.unvalidated.Inc()
		n.stats.replayed.Inc()
		n.log.Warn("request was received before; it is not run again", "request", req.ID, "caller", req.Caller, "sender", req.Sender)
		return
	}
	n.stats.validated.Inc()
	n.lastMessage.Store(now.Unix())
	n.trace(m, t, req, protocol.TraceReceived, "")
	n.dispatch(ctx, &exchange{node: n, transport: t, req: req})
}

// refuse counts and logs a message that did not verify.
func (n *Node) refuse(m transport.Msg, err error) {
	n.stats.unvalidated.Inc()
	n.log.Warn("message refused", "subject", m.Subject, "err", err)
}

// An exchange is a request that passed every check, and the way back for its reply.
type exchange struct {
	node      *Node
	transport *protocol.Transport
	req       *protocol.Request
	call      *call // of RPC requests, as soon as the body is parsed
	clock     clock
}

// send sends body as the reply. A request without a reply subject wants none.
func (e *exchange) send(body []byte) {
	subject := e.transport.ReplyTo
	if subject == "" {
		return
	}
	if !transport.ValidSubject(subject) { // it is not covered by the signature
		e.node.log.Warn("reply subject refused", "request", e.req.ID, "caller", e.req.Caller, "subject", subject)
		return
	}
	err := e.publish(subject, body)
	if errors.Is(err, transport.ErrTooLarge) {
		// The caller hears why instead of waiting for nothing.
		err = e.publish(subject, e.tooLarge(err))
	}
	if err != nil {
		e.node.log.Warn("reply not sent", "request", e.req.ID, "caller", e.req.Caller, "agent", e.req.Agent, "err", err)
		return
	}
	e.node.stats.replies.Inc()
}

// tooLarge is the reply in place of one that the broker does not take.
func (e *exchange) tooLarge(err error) []byte {
	action := ""
	if e.call != nil {
		action = e.call.Action
	}
	return rpcError(action, agent.UnknownError, "the reply is too large: "+err.Error())
}

func (e *exchange) publish(subject string, body []byte) error {
	payload, err := e.encode(body)
	if err != nil {
		return err
	}
	return e.node.conn.Publish(subject, payload)
}

// encode wraps a body in all layers. What a federation broker has put into the transport of the
// request goes back with the reply: it keeps nothing and finds the way home by it.
func (e *exchange) encode(body []byte) ([]byte, error) {
	n := e.node
	data, err := protocol.SealReply(&protocol.Reply{
		Version:   e.req.Version,
		RequestID: e.req.ID,
		Sender:    n.identity,
		Agent:     e.req.Agent,
		Time:      n.now(),
		Body:      body,
	})
	if err != nil {
		return nil, err
	}
	server := n.conn.Server()
	out := &protocol.Transport{Version: e.req.Version, Sender: n.identity, Data: data}
	if f := e.transport.Federation; f != nil {
		out.Federation = f
		out.Hops = slices.Clip(e.transport.Hops)
	}
	out.Hops = append(out.Hops, protocol.Hop{server, n.identity, server})
	return out.Encode()
}
