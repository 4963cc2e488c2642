package node

import (
	"math/rand/v2"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/lifecycle"
)

// aliveInterval is the time between two alive events. Observers take a node for gone after 80 min.
// Source: protocol section 15.1.
const aliveInterval = 30 * time.Minute

// announce says that the node is there, now and from time to time.
func (n *Node) announce(s *scheduler) {
	n.publishEvent(lifecycle.Startup)
	// Whole minutes, as the peer has it; a fleet restarted together must not speak together.
	first := time.Duration(rand.IntN(int(aliveInterval/time.Minute))) * time.Minute
	s.every(first, aliveInterval, func() { n.publishEvent(lifecycle.Alive) })
}

// farewell says that the node stops.
func (n *Node) farewell() { n.publishEvent(lifecycle.Shutdown) }

func (n *Node) publishEvent(t lifecycle.Type) {
	e := lifecycle.New(t, n.identity, n.component)
	e.Version = build.Version
	encode := lifecycle.Encode
	if n.cfg.LegacyLifecycle {
		encode = lifecycle.EncodeBare
	}
	data, err := encode(e)
	if err == nil {
		err = n.conn.Publish(lifecycle.Subject(e), data)
	}
	if err != nil {
		n.log.Warn("lifecycle event not published", "type", t, "err", err)
		return
	}
	n.stats.events.Inc()
}
