package bench

import (
	"context"
	"time"
)

// reconnect measures how long the network takes to be complete again after brokers were killed.
func (b *bench) reconnect(ctx context.Context) error {
	names := b.site.BrokerNames()
	if len(names) > 1 {
		row := &Row{Name: "reconnect_one", What: "all nodes answer again after one broker was killed", Unit: "s"}
		// Where the others cannot hold all nodes it comes back at once, as a service manager does it.
		stays := b.site.Fits(len(names) - 1)
		if !stays {
			row.Note = "the broker is started again at once: a process may not open files enough for the nodes of two"
		}
		if err := b.lose(ctx, row, names[len(names)-1:], stays); err != nil {
			return err
		}
	}
	row := &Row{Name: "reconnect_all", What: "the same after all brokers were killed and started again", Unit: "s"}
	return b.lose(ctx, row, names, false)
}

// lose kills brokers and adds how long it takes until all nodes are back. The brokers are started again at
// once, or at the end if the network has to do without them.
func (b *bench) lose(ctx context.Context, row *Row, names []string, without bool) error {
	b.sayf("killing %d broker(s)", len(names))
	start := time.Now()
	for _, name := range names {
		if err := b.site.Kill(name); err != nil {
			return err
		}
	}
	cpu := processor(b.pids()...) // those that were killed are not in it any more
	if !without {
		if err := b.restart(names); err != nil {
			return err
		}
	}
	if err := b.site.WaitConnections(ctx, b.nodes); err != nil {
		return err
	}
	if err := b.site.WaitNodes(ctx); err != nil {
		return err
	}
	row.Values = []float64{time.Since(start).Seconds()}
	row.CPU = []float64{processor(b.pids()...) - cpu}
	b.report.add(row)
	if without {
		if err := b.restart(names); err != nil {
			return err
		}
	}
	return b.site.WaitBrokers(ctx)
}

func (b *bench) restart(names []string) error {
	for _, name := range names {
		if err := b.site.Restart(name); err != nil {
			return err
		}
	}
	return nil
}
