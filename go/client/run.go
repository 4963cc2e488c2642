package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/transport"
)

// A Reply is one node's answer.
type Reply struct {
	Sender  string
	Action  string
	Status  agent.Status
	Message string
	Data    json.RawMessage // {} when the node sent none
	Time    time.Time
}

// Stats tell how a request went.
type Stats struct {
	RequestID  string
	Discovered int // how many nodes were asked
	Responses  int
	OK, Failed int
	NoResponse []string // nodes asked that did not answer, sorted
	Absent     []string // those of NoResponse that are not connected, as the broker says, sorted
	Unexpected []string // nodes that answered without being asked, sorted; at most 10 000 names

	Duplicates int // further replies of nodes that had answered, not yielded
	Ignored    int // messages that are no reply to this request

	Start       time.Time
	PublishTime time.Duration // handing the request to the broker, all batches together
	RequestTime time.Duration // from the first publish to the last reply, or the end of waiting
}

// maxUnexpected bounds the names kept of nodes that nobody asked.
const maxUnexpected = 10_000

// A nodeState says how far a node that is to be asked has come.
type nodeState uint8

const (
	unasked  nodeState = iota
	waiting            // asked in the batch that is on its way, or in one before
	absent             // not connected
	answered           // replied
)

// A Run is a request on its way.
type Run struct {
	client *Client
	conn   *transport.Conn
	req    Request // with defaults filled in
	id     string
	reply  string // subject
	sealed *sealed
	losses int // reconnections of the client before the request

	directed bool // to nodes, not a broadcast
	service  bool
	nodes    []string
	index    map[string]int32 // of nodes
	size     int              // of a batch

	// Between the subscriptions and the iterator.
	replies chan Reply
	gone    chan absence
	done    chan struct{}
	stop    sync.Once
	ignored atomic.Int64
	subs    []*transport.Sub

	// Between the sender of a batch and the iterator.
	sent chan sending

	// Of the iterator alone.
	iterate    iter.Seq[Reply]
	state      []nodeState
	from, to   int // the batch on its way
	open       int // nodes of the batch that have not answered
	seen       map[string]struct{}
	unexpected map[string]struct{}
	unserved   unserved  // its sites are where the request goes; none without a federation
	last       time.Time // of the latest reply
	heard      time.Time // when something was heard that may be followed by more: a reply, or that a batch is sent
	roll       rollCall
	until      time.Time // when the batch is given up
	forlorn    bool      // it was told that the broker is gone
	stats      Stats
	err        error
}

// A sending is how the publishing of a batch ended.
type sending struct {
	took time.Duration
	err  error
}

// ID returns the request id.
func (r *Run) ID() string { return r.id }

// Replies yields replies as they arrive, in constant memory, and ends when all nodes asked have
// answered or the time is over. It is called once.
func (r *Run) Replies() iter.Seq[Reply] {
	if r.iterate == nil { // the replies go elsewhere
		return func(func(Reply) bool) {}
	}
	return r.iterate
}

// Err returns what ended Replies early: the context's error, ErrConnectionLost or ErrRepliesDropped.
func (r *Run) Err() error { return r.err }

// Stats may be called after Replies has ended.
func (r *Run) Stats() Stats { return r.stats }

// listen subscribes to the replies.
func (r *Run) listen(ctx context.Context) error {
	r.replies = make(chan Reply, 256) // so that decoding and handling overlap
	r.gone = make(chan absence, 256)
	r.done = make(chan struct{})
	r.sent = make(chan sending, 1)
	r.seen = map[string]struct{}{}
	r.unexpected = map[string]struct{}{}
	listen := func(subject string, f func(transport.Msg)) error {
		sub, err := r.conn.Subscribe(subject, "", replyQueue, f)
		if err == nil {
			r.subs = append(r.subs, sub)
		}
		return err
	}
	err := listen(r.reply, r.received)
	if err == nil && (r.directed || r.service || len(r.unserved.sites) > 0) {
		err = listen(absences(r.reply)+"*", r.receivedAbsence)
	}
	if err != nil {
		r.close()
		return err
	}
	context.AfterFunc(ctx, r.close)
	r.iterate = func(yield func(Reply) bool) {
		defer r.close()
		defer r.finish()
		r.run(ctx, yield)
	}
	return nil
}

// close ends the subscriptions. What is still on its way is dropped.
func (r *Run) close() {
	r.stop.Do(func() {
		close(r.done)
		for _, sub := range r.subs {
			_ = sub.Unsubscribe()
		}
	})
}

// received takes a message from the reply subject.
func (r *Run) received(m transport.Msg) {
	p, err := open(m.Data)
	if err != nil || p.RequestID != r.id || !discovery.ValidName(p.Sender) {
		r.ignored.Add(1)
		return
	}
	reply := decodeBody(p.Body)
	reply.Sender, reply.Time = p.Sender, p.Time
	select {
	case r.replies <- reply:
	case <-r.done:
	}
}

// decodeBody reads the RPC body of a reply. A node that sends something else has answered, but not
// what was asked for.
func decodeBody(body []byte) Reply {
	var b struct {
		Action  string          `json:"action"`
		Status  agent.Status    `json:"statuscode"`
		Message string          `json:"statusmsg"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return Reply{Status: agent.UnknownError, Message: "the node's reply is no RPC reply: " + err.Error(), Data: json.RawMessage("{}")}
	}
	if len(b.Data) == 0 {
		b.Data = json.RawMessage("{}")
	}
	return Reply{Action: b.Action, Status: b.Status, Message: b.Message, Data: b.Data}
}

// receivedAbsence takes the broker's word that nobody listens on the subject of a node, or on that of
// a federated site, or the word of a federation broker about a node.
func (r *Run) receivedAbsence(m transport.Msg) {
	var a absence
	var ok bool
	if m.NoResponders {
		a, ok = parseAbsence(m.Subject, max(1, len(r.nodes)), len(r.unserved.sites))
	} else {
		a, ok = r.parseFederatedAbsence(m)
	}
	if !ok {
		r.ignored.Add(1)
		return
	}
	select {
	case r.gone <- a:
	case <-r.done:
	}
}

// startBatch sends the next batch in the background.
func (r *Run) startBatch(ctx context.Context) {
	batch := 0
	if r.directed {
		batch = r.to / r.size
	}
	from, to := r.announce(batch)
	r.from, r.to = from, to
	r.open = 1
	if r.directed {
		r.roll.begin(from)
		r.open = 0
		for i := from; i < to; i++ {
			if r.state[i] == unasked {
				r.state[i] = waiting
				r.open++
			}
		}
	}
	go func() {
		start := time.Now()
		err := r.send(ctx, from, to)
		r.sent <- sending{time.Since(start), err} // has room for it
	}()
}

// run iterates over all batches; the first has been started.
func (r *Run) run(ctx context.Context, yield func(Reply) bool) {
	for {
		if !r.wait(ctx, r.sent, r.req.Timeout, yield) || !r.directed || r.to == len(r.nodes) {
			return
		}
		if !r.wait(ctx, nil, r.req.BatchSleep, yield) {
			return
		}
		r.startBatch(ctx)
	}
}

// wait yields what arrives. With sent, until that says that the batch is sent and all its nodes have
// answered, or limit has passed since it was sent; without, for limit. It is false when iterating is
// over.
func (r *Run) wait(ctx context.Context, sent <-chan sending, limit time.Duration, yield func(Reply) bool) bool {
	var expired, roll <-chan time.Time
	var over time.Time // when what still arrives counts no more
	batch := sent != nil
	if !batch {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		if batch && sent == nil && r.open == 0 {
			return true
		}
		select {
		case reply := <-r.replies:
			if r.take(reply) && !yield(reply) {
				return false
			}
		case a := <-r.gone:
			if a.node < 0 {
				if err := r.unserved.add(r.client, a.site); err != nil && r.stats.Responses == 0 {
					r.err = err
					return false
				}
			} else if next := r.missing(a); next > 0 && roll != nil {
				roll = time.After(next)
			}
		case s := <-sent:
			r.stats.PublishTime += s.took
			if s.err != nil {
				if ctx.Err() == nil && !r.lost() && !errors.Is(s.err, ErrConnectionLost) {
					r.err = s.err
					return false
				}
				// The broker went away. Nodes that have the request may still answer.
				r.client.log.Warn("connection lost while sending", "request", r.id, "err", s.err)
			}
			sent = nil
			timer := time.NewTimer(limit)
			defer timer.Stop()
			expired = timer.C
			r.heard = time.Now()
			r.until = r.heard.Add(limit)
			if r.directed {
				roll = time.After(rollQuiet)
			}
		case <-roll:
			if quiet := r.quiet(); quiet < rollQuiet {
				roll = time.After(rollQuiet - quiet)
			} else {
				roll = time.After(r.call())
			}
		case <-expired:
			// What has arrived counts, even if it was not looked at in time.
			if over.IsZero() {
				over = time.Now().Add(limit) // nobody keeps us here for ever by talking
			}
			if len(r.replies) == 0 && !r.arrived() || time.Now().After(over) {
				return true
			}
			expired = time.After(time.Millisecond)
		case <-ctx.Done():
			r.err = ctx.Err()
			return false
		}
	}
}

// take notes a reply and reports whether to yield it.
func (r *Run) take(reply Reply) bool {
	if r.directed {
		i, asked := r.index[reply.Sender]
		if !asked {
			if len(r.unexpected) < maxUnexpected {
				r.unexpected[reply.Sender] = struct{}{}
			}
			return false
		}
		if r.state[i] == answered {
			r.stats.Duplicates++
			return false
		}
		if r.state[i] == waiting && r.from <= int(i) && int(i) < r.to {
			r.open--
		}
		r.state[i] = answered
	} else {
		if _, twice := r.seen[reply.Sender]; twice {
			r.stats.Duplicates++
			return false
		}
		r.seen[reply.Sender] = struct{}{}
		if r.service {
			r.open = 0
		}
	}
	r.last = time.Now()
	r.heard = r.last
	r.stats.Responses++
	if reply.Status == agent.OK {
		r.stats.OK++
	} else {
		r.stats.Failed++
	}
	return true
}

// miss notes that node i is not connected.
func (r *Run) miss(i int) {
	if r.service {
		r.open = 0
		return
	}
	if r.state[i] != waiting {
		return
	}
	r.state[i] = absent
	if r.from <= i && i < r.to {
		r.open--
	}
}

// finish completes the statistics when iterating is over.
func (r *Run) finish() {
	s := &r.stats
	s.RequestID = r.id
	s.Ignored = int(r.ignored.Load())
	s.RequestTime = time.Since(s.Start)
	for i, state := range r.state {
		switch state {
		case absent:
			s.Absent = append(s.Absent, r.nodes[i])
			s.NoResponse = append(s.NoResponse, r.nodes[i])
		case waiting, unasked:
			s.NoResponse = append(s.NoResponse, r.nodes[i])
		}
	}
	if len(s.NoResponse) == 0 && r.directed {
		s.RequestTime = r.last.Sub(s.Start)
	}
	slices.Sort(s.Absent)
	slices.Sort(s.NoResponse)
	for name := range r.unexpected {
		s.Unexpected = append(s.Unexpected, name)
	}
	slices.Sort(s.Unexpected)
	if r.err != nil || len(s.NoResponse) == 0 && r.directed {
		return
	}
	dropped := 0
	for _, sub := range r.subs {
		dropped += sub.Dropped()
	}
	switch {
	case dropped > 0:
		r.err = ErrRepliesDropped
	case r.lost():
		r.err = lostError(s.NoResponse)
	}
}

// lost reports whether the connection went away since the request was made, even if it is back.
func (r *Run) lost() bool {
	_, losses := r.client.restoration()
	return losses != r.losses || r.conn.Server() == ""
}
