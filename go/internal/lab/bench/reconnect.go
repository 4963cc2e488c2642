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
		took, err := b.lose(ctx, names[len(names)-1:], stays)
		if err != nil {
			return err
		}
		row.Values = []float64{took.Seconds()}
		b.report.add(row)
	}
	took, err := b.lose(ctx, names, false)
	if err != nil {
		return err
	}
	b.report.add(&Row{Name: "reconnect_all", What: "all nodes answer again after all brokers were killed and started again", Unit: "s", Values: []float64{took.Seconds()}})
	return nil
}

// lose kills brokers and returns how long it takes until all nodes are back. They are started again
// at once, or at the end if the network has to do without them.
func (b *bench) lose(ctx context.Context, names []string, without bool) (time.Duration, error) {
	b.sayf("killing %d broker(s)", len(names))
	start := time.Now()
	for _, name := range names {
		if err := b.site.Kill(name); err != nil {
			return 0, err
		}
	}
	if !without {
		if err := b.restart(names); err != nil {
			return 0, err
		}
	}
	if err := b.site.WaitConnections(ctx, b.nodes); err != nil {
		return 0, err
	}
	if err := b.site.WaitNodes(ctx); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if without {
		if err := b.restart(names); err != nil {
			return 0, err
		}
	}
	return took, b.site.WaitBrokers(ctx)
}

func (b *bench) restart(names []string) error {
	for _, name := range names {
		if err := b.site.Restart(name); err != nil {
			return err
		}
	}
	return nil
}
