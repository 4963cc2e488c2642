package node

import "choria.io/choria/go/internal/metrics"

// counters count what happens to messages. Each name is that of the metric without choria_server_.
type counters struct {
	total, validated, unvalidated, passed, filtered, expired, replies, events *metrics.Counter

	// replayed is the part of unvalidated that was received before, busy the part of validated that
	// was turned away because the agent had too much to do, and of filtered whose filter asks data
	// plugins that had. The peer has neither.
	replayed, busy *metrics.Counter
}

func newCounters(r *metrics.Registry, identity string) counters {
	c := func(name, help string) *metrics.Counter {
		return r.Counter("choria_server_"+name, help, "identity", identity)
	}
	return counters{
		total:       c("total", "Messages received"),
		validated:   c("validated", "Messages that passed every check"),
		unvalidated: c("unvalidated", "Messages refused because they did not verify"),
		passed:      c("passed", "Messages whose filter matched this node"),
		filtered:    c("filtered", "Messages whose filter did not match this node"),
		expired:     c("ttlexpired", "Messages that were too old"),
		replies:     c("replies", "Replies sent"),
		events:      c("events", "Lifecycle events published"),
		replayed:    c("replayed", "Messages refused because they were received before"),
		busy:        c("busy", "Requests turned away because too many were waiting for the agent, or for the data plugins of their filter"),
	}
}
