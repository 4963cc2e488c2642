package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"choria.io/choria/go/internal/metrics"
)

// leafInterval is the time between two looks at the leafnodes. Source: protocol section 11.
const leafInterval = 10 * time.Second

// A leaf is one leafnode connection in the metrics.
type leaf struct{ host, port, account string }

// leafFigures are the metrics of one leafnode, without choria_network_leafnode_.
var leafFigures = []struct {
	name, help string
	value      func(*server.LeafInfo) float64
}{
	{"rtt_ms", "Milliseconds to the leafnode and back", func(l *server.LeafInfo) float64 {
		d, err := time.ParseDuration(l.RTT)
		if err != nil {
			return 0
		}
		return float64(d) / float64(time.Millisecond)
	}},
	{"in_msgs", "Messages received from the leafnode", func(l *server.LeafInfo) float64 { return float64(l.InMsgs) }},
	{"out_msgs", "Messages sent to the leafnode", func(l *server.LeafInfo) float64 { return float64(l.OutMsgs) }},
	{"in_bytes", "Bytes received from the leafnode", func(l *server.LeafInfo) float64 { return float64(l.InBytes) }},
	{"out_bytes", "Bytes sent to the leafnode", func(l *server.LeafInfo) float64 { return float64(l.OutBytes) }},
	{"subscriptions", "Subscriptions of the leafnode", func(l *server.LeafInfo) float64 { return float64(l.NumSubs) }},
}

// countLeafnodes keeps the metrics of leafnodes, which come and go, until ctx ends.
func (b *Broker) countLeafnodes(ctx context.Context, srv *server.Server) error {
	if b.o.Metrics == nil || b.cfg.LeafnodePort == 0 && len(b.cfg.LeafnodeRemotes) == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(b.leafInterval)
	defer tick.Stop()
	shown := map[leaf]bool{}
	for {
		shown = b.showLeafnodes(srv, b.o.Metrics, shown)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// showLeafnodes sets the metrics of the leafnodes there are now, and removes those of others.
func (b *Broker) showLeafnodes(srv *server.Server, r *metrics.Registry, before map[leaf]bool) map[leaf]bool {
	now := map[leaf]bool{}
	info, err := srv.Leafz(nil)
	if err != nil {
		b.log.Warn("leafnodes are not counted", "err", err)
		return before
	}
	for _, l := range info.Leafs {
		key := leaf{l.IP, strconv.Itoa(l.Port), l.Account}
		now[key] = true
		for _, f := range leafFigures {
			r.Gauge("choria_network_leafnode_"+f.name, f.help, key.labels(b.cfg.Identity)...).Set(f.value(l))
		}
	}
	for key := range before {
		if now[key] {
			continue
		}
		for _, f := range leafFigures {
			r.Remove("choria_network_leafnode_"+f.name, key.labels(b.cfg.Identity)...)
		}
	}
	return now
}

func (l leaf) labels(identity string) []string {
	return []string{"identity", identity, "host", l.host, "port", l.port, "account", l.account}
}
