package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// asks reports whether a filter may ask a data plugin other than those that every node has: one that
// may take long. A mere mention of the name counts, which costs a goroutine and nothing else.
func (n *Node) asks(f *filter.Filter) bool {
	if len(f.Compound) == 0 {
		return false
	}
	foreign := n.data.Load().foreign
	return slices.ContainsFunc(f.Compound, func(c filter.Compound) bool {
		return slices.ContainsFunc(foreign, func(name string) bool { return strings.Contains(c.Expr, name) })
	})
}

// matchLater matches a filter that may take long beside the messages that come after it.
func (n *Node) matchLater(ctx context.Context, m transport.Msg, t *protocol.Transport, req *protocol.Request, now time.Time) {
	if !n.work.begin() {
		return // the node is stopping
	}
	ok := n.filtering.submit(func(bool) {
		defer n.work.end()
		defer n.survive(m)
		n.match(ctx, m, t, req, now)
	})
	if !ok {
		defer n.work.end()
		n.stats.filtered.Inc()
		n.stats.busy.Inc()
		n.log.Warn("request dropped: too many filters are waiting for data plugins", "request", req.ID, "caller", req.Caller, "agent", req.Agent)
		n.trace(m, t, req, protocol.TraceDropped, "too many filters are waiting for data plugins")
	}
}
