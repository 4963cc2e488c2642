package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"choria.io/choria/go/internal/transport"
)

// pending is how many messages may wait on one subscription. The longest queue that costs a
// connection no goroutine; the peer has 10.
const pending = 256

// Run runs many nodes of one process until ctx ends, like Node.Run. They share the goroutine that
// calls it: besides their connections they cost no goroutine and no timer while nothing is asked of
// them. An error to start one stops all.
func Run(ctx context.Context, nodes ...*Node) error {
	g := &group{nodes: nodes}
	err := g.start(ctx) // what takes room on the stack is done by functions that return
	if err == nil {
		g.scheduler.run(ctx)
	}
	return g.stop(err)
}

// A group is nodes that run together.
type group struct {
	nodes     []*Node
	started   int // how many of them
	scheduler scheduler
	cancel    context.CancelFunc // ends their actions
}

// start starts nodes until ctx ends.
func (g *group) start(ctx context.Context) error {
	// Actions outlive ctx for a while, see stop.
	var actions context.Context
	actions, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, n := range g.nodes {
		if ctx.Err() != nil {
			break
		}
		if err := n.start(actions, &g.scheduler); err != nil {
			return fmt.Errorf("node %s: %w", n.identity, err)
		}
		g.started++
	}
	return nil
}

// stop stops the nodes and adds to err what goes wrong with that.
func (g *group) stop(err error) error {
	defer g.cancel()
	stop(g.nodes[:g.started], g.cancel)
	for _, n := range g.nodes {
		if n.audit != nil {
			err = errors.Join(err, n.audit.Close())
		}
	}
	return err
}

// start subscribes and announces the node.
func (n *Node) start(ctx context.Context, s *scheduler) error {
	if err := n.hear(ctx); err != nil {
		n.unsubscribe()
		return err
	}
	n.log.Info("node is ready", "identity", n.identity, "collectives", n.cfg.Collectives, "agents", n.names())
	n.announce(s)
	n.keepStatus(s)
	n.register(s)
	if n.ready != nil {
		n.ready()
	}
	return nil
}

// hear subscribes to requests for the node and for its agents. ctx is that of the actions.
func (n *Node) hear(ctx context.Context) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	n.handle = func(m transport.Msg) { n.receive(ctx, m) }
	n.subs = make(map[string][]*transport.Sub)
	for _, collective := range n.cfg.Collectives {
		if err := n.subscribe("", transport.NodeSubject(collective, n.identity), ""); err != nil {
			return err
		}
	}
	for _, name := range n.names() {
		if err := n.listen(n.service(name)); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) unsubscribe() {
	n.changing.Lock()
	defer n.changing.Unlock()
	for key := range n.subs {
		n.deafen(key)
	}
	n.handle = nil
}

// stop stops nodes together: what is in progress gets the longest soft_shutdown_timeout of them to
// finish, then cancel ends it.
func stop(nodes []*Node, cancel context.CancelFunc) {
	var patience time.Duration
	for _, n := range nodes {
		n.unsubscribe()
		if n.stopping != nil {
			n.stopping()
		}
		patience = max(patience, n.cfg.SoftShutdownTimeout)
	}
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	for _, n := range nodes {
		select {
		case <-n.work.close():
		case <-time.After(patience + grace):
			n.log.Warn("an action does not end; it is abandoned", "identity", n.identity)
		}
		n.farewell()
	}
}

// work counts the requests in progress. The zero value accepts them.
type work struct {
	mu     sync.Mutex
	active int
	idle   chan struct{} // made by close
}

// begin reports whether another request may start.
func (w *work) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.idle != nil {
		return false
	}
	w.active++
	return true
}

func (w *work) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active--
	if w.idle != nil && w.active == 0 {
		close(w.idle)
	}
}

// close refuses what would begin after it. The channel is closed when nothing is in progress.
func (w *work) close() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.idle == nil {
		w.idle = make(chan struct{})
		if w.active == 0 {
			close(w.idle)
		}
	}
	return w.idle
}

// closing reports whether close was called.
func (w *work) closing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.idle != nil
}
