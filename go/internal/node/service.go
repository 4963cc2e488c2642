package node

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// grace is how long an action may take to end after its time is up before the caller is told that
// it timed out. Actions that notice in time answer themselves, with what they know.
const grace = 500 * time.Millisecond

// A service is a loaded agent.
type service struct {
	name    string
	ddl     *ddl.Agent
	timeout time.Duration
	agent   *agent.Agent             // nil for discovery
	raw     func(body []byte) []byte // discovery: not RPC, and too quick to be worth a goroutine
	queue
}

// newService returns the service of an agent.
func newService(a *agent.Agent) *service {
	return &service{name: a.DDL.Metadata.Name, agent: a, ddl: a.DDL, timeout: a.DDL.Timeout()}
}

// dispatch hands a request to its agent. It returns before the action has ended.
func (n *Node) dispatch(ctx context.Context, e *exchange) {
	s := n.service(e.req.Agent)
	if s == nil {
		n.log.Warn("request for an agent that this node does not have", "request", e.req.ID, "caller", e.req.Caller, "agent", e.req.Agent)
		return
	}
	if s.raw != nil {
		if body := s.raw(e.req.Body); body != nil {
			e.send(body)
		}
		return
	}
	if !n.work.begin() {
		return // the node is stopping
	}
	if body := n.prepare(s, e); body != nil {
		defer n.work.end()
		e.send(body)
		return
	}
	latest := time.Now().Add(s.timeout)
	ok := s.submit(func(waited bool) {
		defer n.work.end()
		deadline := latest
		if !waited {
			deadline = time.Time{}
		}
		n.perform(ctx, s, e, deadline)
	})
	if !ok {
		defer n.work.end()
		n.stats.busy.Inc()
		n.log.Warn("request turned away: too many are waiting", "request", e.req.ID, "caller", e.req.Caller, "agent", s.name)
		e.send(rpcError(e.call.Action, agent.Aborted,
			fmt.Sprintf("agent %s is busy: %d requests are running and %d are waiting", s.name, maxRunning, maxWaiting)))
	}
}

// prepare parses the body of a request. A reply is returned for one that cannot be run.
func (n *Node) prepare(s *service, e *exchange) (reply []byte) {
	var err error
	if e.call, err = parseCall(e.req.Body); err != nil {
		n.log.Warn("body of the request not understood", "request", e.req.ID, "caller", e.req.Caller, "agent", s.name, "err", err)
		return rpcError("", agent.InvalidData, "the body is not an RPC request: "+err.Error())
	}
	if s.action(e.call.Action) == nil {
		return rpcError(e.call.Action, agent.UnknownAction, fmt.Sprintf("agent %s has no action %q", s.name, e.call.Action))
	}
	return nil
}

// action returns what runs the action of that name, nil when nothing does.
func (s *service) action(name string) agent.Action {
	if run := s.agent.Actions[name]; run != nil {
		return run
	}
	return s.agent.Any
}

// perform runs one request and sends the reply. When the action has not returned shortly after its
// deadline the caller is told so; the action keeps its place among the running until it returns.
//
// A zero deadline is that of an action that begins now. It is counted from when the action itself runs: in
// a process with thousands of nodes, or on a machine that is starved of CPU, much time may pass between two
// lines of this program, which is not the time of the action.
func (n *Node) perform(ctx context.Context, s *service, e *exchange, deadline time.Time) {
	e.clock.deadline = deadline
	body := n.answer(ctx, s, e)
	e.clock.stop()
	if !e.clock.answered.CompareAndSwap(false, true) {
		n.log.Warn("action ended after its time; what it returned is dropped", "request", e.req.ID, "agent", s.name)
		return
	}
	e.send(body)
}

// A clock is the time that an action has.
type clock struct {
	deadline time.Time // zero until start, unless it began before
	answered atomic.Bool
	late     *time.Timer // nil until start
	cancel   context.CancelFunc
}

// start returns the context of an action that begins now.
func (e *exchange) start(ctx context.Context, s *service) context.Context {
	c := &e.clock
	if c.deadline.IsZero() {
		c.deadline = time.Now().Add(s.timeout)
	}
	ctx, c.cancel = context.WithDeadline(ctx, c.deadline)
	c.late = time.AfterFunc(time.Until(c.deadline)+grace, func() {
		letOthersRun()
		if c.answered.CompareAndSwap(false, true) {
			e.node.log.Warn("action timed out", "request", e.req.ID, "caller", e.req.Caller, "agent", s.name, "timeout", s.timeout)
			e.send(rpcError(e.call.Action, agent.Aborted, timedOut(s)))
		}
	})
	return ctx
}

// letOthersRun returns when what has been ready to run has had its turn. Where nothing waits for the processor that is
// at once. On a machine that gives it to this process once in several seconds, or in a process with thousands of
// requests at a time, actions that have next to nothing to do are late for want of it alone: with their turn
// they end, and have not timed out.
func letOthersRun() {
	for range turns {
		runtime.Gosched() // behind all others of the queue that the threads of the process share
	}
}

// turns is how many turns others get. In one of 10 ms most actions end that wait for nothing; that what is ready may
// stand in the queue of one thread, and is not passed in order, takes some more.
const turns = 8

// end says that the action has returned. What is left to do is not counted.
func (c *clock) end() { c.late.Stop() }

// stop ends the context of the action, if it was started.
func (c *clock) stop() {
	if c.late != nil {
		c.late.Stop()
		c.cancel()
	}
}

func timedOut(s *service) string {
	return fmt.Sprintf("agent %s did not finish within its timeout of %s", s.name, s.timeout)
}
