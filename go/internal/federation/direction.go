package federation

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// What may wait for one worker, so that memory is bounded whatever arrives: the replies of 50 000
// nodes that come at once fit, messages of the largest size do so 16 at a time.
const (
	maxWaiting      = 16_384
	maxWaitingBytes = 16 << 20
)

// maxHops is how many stations a message may have behind it. In a federation there are four at most.
const maxHops = 32

// Why a message is not passed on: the values of the label reason. A message with a header that is
// missing or forged is dropped, one that cannot be sent is lost.
const (
	notUnderstood = "not_understood" // no transport
	notFederated  = "not_federated"  // without a federation header
	noTargets     = "no_targets"
	badTarget     = "bad_target"
	noReply       = "no_reply" // nobody waits for replies
	badReply      = "bad_reply"
	tooManyHops   = "too_many_hops"
	tooLarge      = "too_large"     // for the broker of the other side
	disconnected  = "disconnected"  // the other side cannot be reached
	notPublished  = "not_published" // for another reason
	queueFull     = "queue_full"    // messages arrive faster than they are carried
	panicked      = "panic"
)

// reasons are all of them; their counters are shown from the start.
var reasons = []string{notUnderstood, notFederated, noTargets, badTarget, noReply, badReply, tooManyHops,
	tooLarge, disconnected, notPublished, queueFull, panicked}

// A direction carries messages from one side to the other.
type direction struct {
	broker         *Broker
	name           string // request or reply
	from, to       *end
	subject, queue string
	workers        []*worker
	dropped        map[string]*metrics.Counter
	last           atomic.Int64 // when the latest message came, Unix nanoseconds

	joined bool // the workers are in the queue group; of Run's goroutine
}

// A worker receives on a connection of its own, and publishes to the connection of the same number on
// the other side, or to another one while that is down.
type worker struct {
	*direction
	number    int
	in, out   *link
	transform tally
	processor string // names the worker in hops, when all its parts have its number
	lost      int    // messages of sub that were dropped, as far as they are counted

	sub *transport.Sub // nil: not in the queue group; of Run's goroutine and, when it is set, the handler
	mu  sync.Mutex     // guards sub
}

func newDirection(b *Broker, name string, from, to *end, subject, queue string) *direction {
	d := &direction{broker: b, name: name, from: from, to: to, subject: subject, queue: queue, dropped: map[string]*metrics.Counter{}}
	for _, reason := range reasons {
		d.dropped[reason] = b.Metrics.Counter("choria_federation_dropped_msgs", "Messages that a Federation Broker did not pass on",
			"cluster", b.Site, "identity", b.Identity, "direction", name, "reason", reason)
	}
	for i := range b.Workers {
		d.workers = append(d.workers, &worker{
			direction: d, number: i, in: from.in[i], out: to.out[i],
			transform: b.tally("choria_"+name+"_transformer", "unconnected", i),
			processor: d.processor(i, i),
		})
	}
	return d
}

// processor names what handles a message in its hop. Source: protocol section 12.5.
func (d *direction) processor(in, out int) string {
	return fmt.Sprintf("%s (choria_nats_ingest:%d, choria_%s_transformer:%d, choria_nats_egest:%d)", d.broker.Identity, in, d.name, in, out)
}

// adjust joins the queue group while the other side can be reached, and leaves it to the other
// federation brokers of the site while it cannot.
func (d *direction) adjust() error {
	able := d.to.sendable()
	if able == d.joined {
		return nil
	}
	d.joined = able
	if able {
		d.broker.Log.Info("carrying messages", "site", d.broker.Site, "direction", d.name, "to", d.to.name)
	} else {
		d.broker.Log.Warn("no broker is reachable to send messages to, leaving them to other federation brokers",
			"site", d.broker.Site, "direction", d.name, "to", d.to.name)
	}
	for _, w := range d.workers {
		if err := w.join(able); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) join(able bool) error {
	w.mu.Lock()
	sub := w.sub
	w.sub = nil
	w.mu.Unlock()
	if !able {
		return sub.Drain()
	}
	sub, err := w.in.conn.Load().Subscribe(w.subject, w.queue, maxWaiting, w.receive)
	if err != nil {
		return err
	}
	if err := sub.LimitBytes(maxWaitingBytes); err != nil {
		return err
	}
	w.mu.Lock()
	w.sub, w.lost = sub, 0
	w.mu.Unlock()
	return nil
}

// drain takes no more messages and returns when those that have arrived are passed on.
func (d *direction) drain() {
	d.from.closeLinks(d.from.in)
}

// lastMessage returns when the latest message came.
func (d *direction) lastMessage() time.Time { return time.Unix(0, d.last.Load()) }

// receive takes one message to the other side.
func (w *worker) receive(m transport.Msg) {
	start := time.Now()
	w.last.Store(start.UnixNano())
	w.in.received.Inc()
	defer func() {
		// No message may end the daemon, nor keep the next one from being carried.
		if p := recover(); p != nil {
			w.drop(&w.transform, panicked)
			w.broker.Log.Error("panic while a message was carried", "direction", w.name, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	w.countLost()

	r, err := protocol.DecodeRelay(m.Data)
	decoded := time.Now()
	w.in.time.Observe(decoded.Sub(start).Seconds())
	if err != nil {
		w.drop(&w.in.tally, notUnderstood)
		w.broker.Log.Warn("message not understood", "direction", w.name, "err", err)
		return
	}
	w.transform.received.Inc()
	targets, reason := w.route(r)
	w.transform.time.Observe(time.Since(decoded).Seconds())
	if reason != "" {
		w.drop(&w.transform, reason)
		w.broker.Log.Warn("message dropped", "direction", w.name, "reason", reason, "sender", clip(r.Sender))
		if w.name == request {
			w.traceDropped(r, reason)
		}
		return
	}
	w.send(r, targets, wanted(m.Reply))
}

// The directions, as hops, metrics and logs call them.
const (
	request = "request"
	reply   = "reply"
)

// route sets the headers of a message for its way beyond this broker, and returns where it goes or
// why it must not.
func (w *worker) route(r *protocol.Relay) (targets []string, reason string) {
	if len(r.Hops) > maxHops {
		return nil, tooManyHops
	}
	if w.name == request {
		home, _ := transport.FederationReplies(w.broker.Site)
		return routeRequest(&r.Transport, home)
	}
	return routeReply(&r.Transport)
}

// routeRequest makes home the reply subject of a request, which keeps the one it had in its headers.
// Source: protocol section 12.2.
func routeRequest(t *protocol.Transport, home string) (targets []string, reason string) {
	f := t.Federation
	switch {
	case f == nil:
		return nil, notFederated
	case t.ReplyTo == "":
		return nil, noReply
	case !isReply(t.ReplyTo):
		return nil, badReply
	case len(f.Targets) == 0:
		return nil, noTargets
	}
	for _, target := range f.Targets {
		if !isTarget(target) {
			return nil, badTarget
		}
	}
	targets = f.Targets
	t.Federation = &protocol.Federation{RequestID: f.RequestID, ReplyTo: t.ReplyTo}
	t.ReplyTo = home
	return targets, ""
}

// routeReply returns where the client waits. The reply is then as if it had never been federated.
func routeReply(t *protocol.Transport) (targets []string, reason string) {
	f := t.Federation
	switch {
	case f == nil:
		return nil, notFederated
	case f.ReplyTo == "":
		return nil, noReply
	case !isReply(f.ReplyTo):
		return nil, badReply
	}
	t.Federation = nil
	return []string{f.ReplyTo}, ""
}

// send publishes a message. absent is where to say on which targets nobody listens, empty when nobody wants to know.
func (w *worker) send(r *protocol.Relay, targets []string, absent string) {
	start := time.Now()
	number, out := w.egest()
	out.received.Inc()
	defer func() { out.time.Since(start) }()

	in, conn := w.in.conn.Load(), out.conn.Load()
	processor := w.processor
	if number != w.number {
		processor = w.direction.processor(w.number, number)
	}
	r.Hops = append(r.Hops, protocol.Hop{w.from.url(in), processor, w.to.url(conn)})
	payload := r.Encode()
	if w.name == request && len(targets) == 1 && protocol.Traced(r.Federation.ReplyTo) {
		w.trace(r, targets[0], out, payload)
		return
	}
	for _, target := range targets {
		if absent == "" || w.name == reply {
			w.published(out, conn.Publish(target, payload))
		} else {
			w.published(out, conn.PublishRequest(target, out.inbox(absent, target), payload))
		}
	}
}

// egest returns the connection to publish to: that of the number of w, or the next one that is up.
// When none is, the first publications wait in the connection for the broker to come back.
func (w *worker) egest() (int, *link) {
	for i := range w.to.out {
		n := (w.number + i) % len(w.to.out)
		if l := w.to.out[n]; l.connected() {
			return n, l
		}
	}
	return w.number, w.out
}

// published counts a publication.
func (w *worker) published(out *link, err error) (reason string) {
	switch {
	case err == nil:
		out.published.Inc()
		return ""
	case errors.Is(err, transport.ErrTooLarge):
		reason = tooLarge
	case errors.Is(err, transport.ErrBufferFull):
		reason = disconnected
	default:
		reason = notPublished
	}
	w.drop(&out.tally, reason)
	w.broker.Log.Warn("message not published", "direction", w.name, "reason", reason, "err", err)
	return reason
}

func (d *direction) drop(at *tally, reason string) {
	at.errors.Inc()
	d.dropped[reason].Inc()
}

// countLost counts what was dropped before it got here.
func (w *worker) countLost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sub == nil {
		return
	}
	if n := w.sub.Dropped(); n > w.lost {
		w.in.errors.Add(uint64(n - w.lost))
		w.dropped[queueFull].Add(uint64(n - w.lost))
		w.lost = n
	}
}

// clip shortens text of others for the log.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
