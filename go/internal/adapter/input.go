package adapter

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// Kinds of dead letters.
const (
	malformed  = "malformed"  // not a request, or not a reply
	unproven   = "unverified" // the signature, certificate or hash is not good
	expired    = "expired"    // made too long ago, or in the future
	badSender  = "sender"     // the sender cannot be a part of a subject
	sinkRefuse = "refused"    // the sink will never take it
)

// A rejection says why a message is not carried.
type rejection struct {
	kind string
	err  error
}

func (r *rejection) Error() string { return r.err.Error() }
func (r *rejection) Unwrap() error { return r.err }

// An input is one ingest worker.
type input struct {
	adapter *Adapter
	side    side

	conn       atomic.Pointer[transport.Conn] // nil until there is one
	sub        *transport.Sub                 // nil until there is one
	overflowed int                            // messages that sub has dropped and that are counted
}

// connect makes the connection, however long that takes. Only the first worker says what goes wrong:
// the others have the same troubles.
func (in *input) connect(ctx context.Context, n int) error {
	a := in.adapter
	o := a.Ingest
	o.Name = fmt.Sprintf("choria adapter %s.%d", a.Name, n)
	o.Metrics = a.Metrics
	o.Log = slog.New(slog.DiscardHandler)
	if n == 0 {
		o.Log = a.Log
	}
	conn, err := transport.Connect(ctx, o)
	if err != nil {
		return fmt.Errorf("adapter %q: ingest: %w", a.Name, err)
	}
	in.conn.Store(conn)
	return nil
}

// subscribe returns when the broker sends messages.
func (in *input) subscribe(ctx context.Context) (err error) {
	a := in.adapter
	conn := in.conn.Load()
	if in.sub, err = conn.Subscribe(a.Subject, "nats_ingest_"+a.Name, pending, in.handle); err != nil {
		return err
	}
	if err := in.sub.LimitBytes(pendingBytes); err != nil {
		return err
	}
	return conn.Flush(ctx)
}

// handle passes one message on.
func (in *input) handle(msg transport.Msg) {
	start := time.Now()
	a := in.adapter
	in.side.received.Inc()
	in.side.bytes.Add(uint64(len(msg.Data)))
	m, err := a.open(msg.Data)
	in.side.time.Since(start)
	if err != nil {
		in.side.errors.Inc()
		a.bury(msg.Subject, msg.Data, err)
		return
	}
	if !a.put(m) {
		in.side.errors.Inc()
		a.tally.dropped(stopped).Inc()
	}
}

// open unwraps the payload of a broker message. Its error is a *rejection.
func (a *Adapter) open(payload []byte) (Message, error) {
	t, err := protocol.DecodeTransport(payload)
	if err != nil {
		return Message{}, &rejection{malformed, err}
	}
	if a.Kind == Replies {
		r, err := protocol.OpenReply(t)
		if err != nil {
			return Message{}, &rejection{unproven, err}
		}
		return a.describe(r.Sender, r.RequestID, r.Time, r.Body, sha256.Sum256(t.Data))
	}
	r, err := a.request(t)
	if err != nil {
		return Message{}, err
	}
	digest := r.Digest
	if a.Proof == nil { // not even the signature was looked at
		digest = sha256.Sum256(t.Data)
	}
	return a.describe(r.Sender, r.ID, r.Time, r.Body, digest)
}

// request unwraps a request, and verifies it if it is to be.
func (a *Adapter) request(t *protocol.Transport) (*protocol.Request, error) {
	p := a.Proof
	if p == nil {
		s, err := protocol.DecodeSecureRequest(t)
		if err != nil {
			return nil, &rejection{malformed, err}
		}
		r, err := protocol.DecodeRequest(s.Version, s.Message)
		if err != nil {
			return nil, &rejection{malformed, err}
		}
		return r, nil
	}
	now := p.now()
	r, err := protocol.OpenRequest(t, p.Any, now)
	if err != nil {
		return nil, &rejection{unproven, err}
	}
	// A node speaks for itself alone: with its certificate nobody passes for another one.
	if name, err := security.ParseCaller(r.Caller); err != nil || name != r.Sender {
		if _, err := protocol.OpenRequest(t, p.Callers, now); err != nil {
			return nil, &rejection{unproven, fmt.Errorf("in the name of sender %.100q: %w", r.Sender, err)}
		}
	}
	// Source: protocol section 3.5.
	if !r.Time.Add(-r.TTL).Before(now) || !now.Before(r.Time.Add(r.TTL)) {
		return nil, &rejection{expired, fmt.Errorf("made at %s with a ttl of %v, now it is %s",
			r.Time.UTC().Format(time.RFC3339), r.TTL, now.UTC().Format(time.RFC3339))}
	}
	return r, nil
}

// describe makes a message of what was unwrapped.
func (a *Adapter) describe(sender, request string, made time.Time, body []byte, digest [sha256.Size]byte) (Message, error) {
	if !validSender(sender) {
		return Message{}, &rejection{badSender, fmt.Errorf("sender %.100q: want a name of letters, digits and _ . -", sender)}
	}
	if !validID(request) {
		return Message{}, &rejection{malformed, fmt.Errorf("request id %.100q: want printable characters without spaces, at most 128", request)}
	}
	return newMessage(a.Name, a.Protocol, sender, request, made, body, digest), nil
}

// validSender reports whether s may be the parts of a subject, and the key of a record.
func validSender(s string) bool {
	return len(s) <= 255 && security.ValidName(s) && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}

// validID reports whether s may be in the header of a message.
func validID(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// bury publishes what is not carried as a dead letter, if it can, and counts it.
func (a *Adapter) bury(subject string, payload []byte, err error) {
	kind := malformed
	var r *rejection
	if errors.As(err, &r) {
		kind = r.kind
	}
	a.tally.deadLetters(kind).Inc()
	a.Log.Debug("message not carried", "subject", subject, "kind", kind, "err", err)
	letter := deadLetter{
		Protocol: deadProtocol, Adapter: a.Name, Subject: subject, Kind: kind, Reason: strings.ToValidUTF8(err.Error(), "?"),
		Time: time.Now().UTC(), Size: len(payload),
	}
	if len(payload) <= maxDeadPayload {
		letter.Payload = payload
	}
	data, err := json.Marshal(letter)
	if conn := a.inputs[0].conn.Load(); err == nil && conn != nil {
		err = conn.Publish(a.DeadLetters, data)
	} else if err == nil {
		err = errNotConnected
	}
	if err != nil {
		a.tally.dropped(lostLetter).Inc()
		a.Log.Debug("dead letter not published", "subject", a.DeadLetters, "err", err)
	}
}
