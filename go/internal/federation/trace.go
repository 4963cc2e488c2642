package federation

import (
	"sync"
	"time"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

const (
	// maxTraces is how many traced requests may wait at once for the word of the broker. Those beyond
	// are carried as ordinary ones, whose sender hears from the node alone.
	maxTraces = 32

	// traceTimeout is how long the broker may take for it.
	traceTimeout = 2 * time.Second
)

// traces are the traced requests that wait.
type traces struct {
	mu   sync.Mutex
	open int
	all  sync.WaitGroup
}

func (t *traces) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == maxTraces {
		return false
	}
	t.open++
	t.all.Add(1)
	return true
}

func (t *traces) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	t.all.Done()
}

func (t *traces) wait() { t.all.Wait() }

// trace publishes a traced request and tells its sender how far it came. Whether anybody listens
// the broker of the site knows: it says at once when nobody does.
func (w *worker) trace(r *protocol.Relay, target string, out *link, payload []byte) {
	conn := out.conn.Load()
	tr := &protocol.Trace{RequestID: r.Federation.RequestID, Subject: target, Event: protocol.TraceDelivered}
	if !w.broker.traces.begin() {
		if tr.Reason = w.published(out, conn.Publish(target, payload)); tr.Reason != "" {
			tr.Event = protocol.TraceDropped
		}
		w.tell(r, r.Federation.ReplyTo, tr)
		return
	}
	// The message to inbox comes back after what the broker has to say about the one before it.
	inbox := "choria.federation." + w.broker.Site + ".trace." + protocol.NewID()
	absent := make(chan bool, 2)
	sub, err := conn.Subscribe(inbox, "", 2, func(m transport.Msg) { absent <- m.NoResponders })
	if err == nil {
		err = conn.PublishRequest(target, inbox, payload)
	}
	tr.Reason = w.published(out, err)
	if err == nil {
		err = conn.Publish(inbox, nil)
	}
	go func() {
		defer w.broker.traces.end()
		if sub != nil {
			defer func() { _ = sub.Unsubscribe() }()
		}
		switch {
		case tr.Reason != "":
			tr.Event = protocol.TraceDropped
		case err == nil:
			select {
			case nobody := <-absent:
				if nobody {
					tr.Event = protocol.TraceAbsent
				}
			case <-time.After(traceTimeout): // it is not known
			}
		}
		w.tell(r, r.Federation.ReplyTo, tr)
	}()
}

// traceDropped tells the sender of a traced request why it was dropped, when it is known where that
// sender is.
func (w *worker) traceDropped(r *protocol.Relay, reason string) {
	f := r.Federation
	if f == nil || !protocol.Traced(r.ReplyTo) || !isReply(r.ReplyTo) {
		return
	}
	w.tell(r, r.ReplyTo, &protocol.Trace{RequestID: f.RequestID, Event: protocol.TraceDropped, Reason: reason})
}

// tell publishes tr to the sender of a request, by the connections that replies take.
func (w *worker) tell(r *protocol.Relay, to string, tr *protocol.Trace) {
	b := w.broker
	tr.Component, tr.Identity, tr.Cluster, tr.Time = "federation", b.Identity, b.Site, time.Now()
	payload, err := tr.Encode(r.Version, r.Hops, nil)
	if err == nil {
		err = b.replies.workers[w.number].out.conn.Load().Publish(to, payload)
	}
	if err != nil {
		b.Log.Warn("trace not published", "err", err)
	}
}
