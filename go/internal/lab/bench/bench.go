package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/lab"
)

// Budgets of the design. Memory is in kB.
const (
	budgetRatio     = 2 // full round trip, in times of what bare NATS takes
	budgetBroker    = 30
	budgetBrokerTLS = 45
	budgetNode      = 80 // without TLS
)

// Options say what to measure.
type Options struct {
	Repeat    int      // how often; zero means 5
	Measure   bool     // what things cost
	Scenarios []string // adverse conditions; see Scenarios

	// Steady is how long the scenario steady lasts. Zero means a minute.
	Steady time.Duration

	// Rest is how long memory must stay the same to be that of a network that has nothing to do. Zero means
	// 25 s, in which a process that became quiet has given back what it does not need.
	Rest time.Duration

	Progress io.Writer // nil discards
}

// clients is how many ask at once in one of the measurements.
const clients = 10

// A bench is one run.
type bench struct {
	o      Options
	site   *lab.Site
	client *client.Client
	nodes  int
	report *Report
	empty  []int // memory of the brokers before anything was connected, kB
	start  time.Time

	mu    sync.Mutex
	doing string // what is measured, for the faults of the following
	lost  *Row
	twice *Row
}

// Run starts the network n, measures it and returns what was found. An error means that the report
// is not complete; budgets that were missed are in the report.
func Run(ctx context.Context, n lab.Network, o Options) (*Report, error) {
	if o.Repeat == 0 {
		o.Repeat = 5
	}
	if o.Steady == 0 {
		o.Steady = time.Minute
	}
	if o.Rest == 0 {
		o.Rest = 25 * time.Second
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	b := &bench{o: o, nodes: n.Nodes, start: time.Now(), report: &Report{
		Version: build.Version, Started: time.Now().UTC(), Machine: thisMachine(),
		Nodes: n.Nodes, Brokers: n.Brokers, TLS: !n.NoTLS, Agents: n.Agents, Collectives: n.Collectives, Repeat: o.Repeat,
	}}
	n.Shared = true
	n.BrokersUp = func(_ context.Context, site *lab.Site) (err error) {
		b.empty, err = brokerMemory(site)
		return err
	}
	err := n.Run(ctx, func(ctx context.Context, site *lab.Site) error {
		b.site = site
		return b.run(ctx)
	})
	b.report.Took = time.Since(b.start)
	return b.report, err
}

func (b *bench) sayf(format string, args ...any) {
	fmt.Fprintf(b.o.Progress, "bench: %4.0f s: %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) run(ctx context.Context) error {
	var err error
	if b.client, err = b.open(ctx); err != nil {
		return err
	}
	defer b.client.Close()
	b.lost = &Row{Name: "lost", What: "replies lost in all of these measurements", Unit: "", Budget: most(0), Values: []float64{0}}
	b.twice = &Row{Name: "duplicates", What: "replies received twice", Unit: "", Budget: most(0), Values: []float64{0}}
	if b.o.Measure {
		if err := b.measure(ctx); err != nil {
			return err
		}
	}
	for _, name := range b.o.Scenarios {
		if err := b.scenario(ctx, name); err != nil {
			return fmt.Errorf("scenario %s: %w", name, err)
		}
	}
	if !b.o.Measure {
		return nil
	}
	return b.compare(ctx)
}

// open returns a client of the network that is connected.
func (b *bench) open(ctx context.Context) (*client.Client, error) {
	c, err := client.Open(ctx, client.Options{Config: b.site.Config, ConnectTimeout: patience})
	if err != nil {
		return nil, err
	}
	return c, c.Connect(ctx)
}

// measure finds out what people wait for, and what memory it takes.
func (b *bench) measure(ctx context.Context) error {
	b.report.add(&Row{Name: "connect", What: "connect all nodes, until all have answered", Unit: "s", Values: []float64{b.site.Connecting.Seconds()}})
	one, err := filter.ParseFact("percent=7")
	if err != nil {
		return err
	}
	few := filter.Filter{Fact: []filter.Fact{one}}
	hundredth := (b.nodes + 92) / 100 // node numbers that end in 07
	for _, m := range []struct {
		name, what string
		f          func() error
	}{
		{"ping", "ping", func() error { return b.ping(ctx) }},
		{"discovery", "discovery by broadcast", func() error { _, err := b.discover(ctx, filter.Filter{}, b.nodes); return err }},
		{"rpc", "rpcutil ping, nodes given", func() error { return b.rpc(ctx, b.client, b.site.Nodes, filter.Filter{}) }},
		{"rpc_discovery", "rpcutil ping with discovery by broadcast", func() error { return b.discoverAndAsk(ctx, filter.Filter{}, b.nodes) }},
		{"rpc_filter", "the same with a filter that matches 1 %", func() error { return b.discoverAndAsk(ctx, few, hundredth) }},
		{"rpc_clients", fmt.Sprintf("rpcutil ping, nodes given, %d clients at once", clients), func() error { return b.crowd(ctx) }},
	} {
		row := &Row{Name: m.name, What: m.what, Unit: "s"}
		for i := range b.o.Repeat {
			b.sayf("%s, %d of %d", m.what, i+1, b.o.Repeat)
			b.doing = m.what
			if err := b.timed(row, m.f); err != nil {
				return fmt.Errorf("%s: %w", m.what, err)
			}
		}
		b.report.add(row)
	}
	return b.memory(ctx)
}

// timed calls f and adds how long it took, and how much processor time.
func (b *bench) timed(row *Row, f func() error) error {
	start, cpu := time.Now(), processor(b.pids()...)
	if err := f(); err != nil {
		return err
	}
	row.Values = append(row.Values, time.Since(start).Seconds())
	row.CPU = append(row.CPU, processor(b.pids()...)-cpu)
	return nil
}

// pids returns the processes of the network and this one.
func (b *bench) pids() []int {
	pids := []int{os.Getpid()}
	for _, name := range append(b.site.Shared(), b.site.BrokerNames()...) {
		if pid, err := b.site.PID(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ping asks who is there and counts who is not.
func (b *bench) ping(ctx context.Context) error {
	answers := 0
	for _, err := range b.client.Ping(ctx, client.Discovery{Timeout: patience}, b.nodes) {
		if err != nil {
			return err
		}
		answers++
	}
	b.miss(b.nodes-answers, 0, "")
	return ctx.Err()
}

// discover finds nodes by broadcast, with the patience that the client has by itself.
func (b *bench) discover(ctx context.Context, f filter.Filter, want int) ([]string, error) {
	// The timeout is what a person would give on a network of that size; the end of the answers ends
	// the waiting.
	found, err := b.client.Discover(ctx, client.Discovery{Filter: f, Method: client.Broadcast, Timeout: patience})
	if err != nil {
		return nil, err
	}
	b.miss(want-len(found), 0, "")
	return found, ctx.Err()
}

// rpc asks nodes and counts who does not answer, or does twice.
func (b *bench) rpc(ctx context.Context, c *client.Client, nodes []string, f filter.Filter) error {
	run, err := c.Start(ctx, client.Request{Agent: "rpcutil", Action: "ping", Nodes: nodes, Filter: f, Timeout: patience})
	if err != nil {
		return err
	}
	why := ""
	for reply := range run.Replies() {
		if reply.Status != agent.OK && why == "" {
			why = fmt.Sprintf("; %s says %q", reply.Sender, reply.Message)
		}
	}
	s := run.Stats()
	if n := len(s.NoResponse); n > 0 {
		why += fmt.Sprintf("; %d of them not connected, such as %s", len(s.Absent), s.NoResponse[0])
	}
	b.miss(len(s.NoResponse)+s.Failed, s.Duplicates, why)
	return run.Err()
}

// miss notes replies that did not come, and those that came twice.
func (b *bench) miss(lost, twice int, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost.Values[0] += float64(lost)
	b.twice.Values[0] += float64(twice)
	if lost != 0 {
		b.lost.faultf("%s: %d%s", b.doing, lost, why)
	}
	if twice != 0 {
		b.twice.faultf("%s: %d", b.doing, twice)
	}
}

func (b *bench) discoverAndAsk(ctx context.Context, f filter.Filter, want int) error {
	nodes, err := b.discover(ctx, f, want)
	if err != nil {
		return err
	}
	return b.rpc(ctx, b.client, nodes, f)
}

// crowd is several clients that ask all nodes at once.
func (b *bench) crowd(ctx context.Context) error {
	var g errgroup.Group
	for range clients {
		g.Go(func() error {
			c, err := b.open(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			return b.rpc(ctx, c, b.site.Nodes, filter.Filter{})
		})
	}
	return g.Wait()
}

// brokerMemory returns the resident memory of each broker in kB.
func brokerMemory(site *lab.Site) ([]int, error) {
	var all []int
	for _, name := range site.BrokerNames() {
		pid, err := site.PID(name)
		if err != nil {
			return nil, err
		}
		kb, err := resident(pid)
		if err != nil {
			return nil, err
		}
		all = append(all, kb)
	}
	return all, nil
}

// nodeMemory returns the resident memory of all processes with nodes in kB.
func nodeMemory(site *lab.Site) (int, error) {
	pids, err := site.NodeProcesses()
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, pid := range pids {
		kb, err := resident(pid)
		if err != nil {
			return 0, err
		}
		sum += kb
	}
	return sum, nil
}

func sum(all []int) (n int) {
	for _, v := range all {
		n += v
	}
	return n
}

// memory adds what a node takes of brokers and of the processes with nodes: right after all that was
// asked of it, and once it has nothing left to do, which is what budgets are for.
func (b *bench) memory(ctx context.Context) error {
	if _, _, err := b.weigh("_busy", ", right after these requests"); err != nil {
		return err
	}
	b.sayf("memory, at rest")
	if err := b.settle(ctx); err != nil {
		return err
	}
	broker, node, err := b.weigh("", ", at rest")
	if err != nil {
		return err
	}
	budget := map[*Row]float64{broker: budgetBrokerTLS}
	if b.site.NoTLS {
		budget = map[*Row]float64{broker: budgetBroker, node: budgetNode}
	}
	for row, kb := range budget {
		row.Budget = most(kb)
		row.Missed = row.Median > kb
	}
	return nil
}

// weigh adds what a node takes of brokers and of the processes with nodes now.
func (b *bench) weigh(name, when string) (broker, node *Row, err error) {
	now, err := brokerMemory(b.site)
	if err != nil {
		return nil, nil, err
	}
	nodes, err := nodeMemory(b.site)
	if err != nil {
		return nil, nil, err
	}
	each := 1.0 / float64(b.nodes)
	broker = b.report.add(&Row{Name: "broker_memory" + name, What: "broker: resident memory, for each connection" + when, Unit: "kB",
		Values: []float64{float64(sum(now)-sum(b.empty)) * each}})
	node = b.report.add(&Row{Name: "node_memory" + name, What: "node: resident memory of one of many in a process" + when, Unit: "kB",
		Values: []float64{float64(nodes) * each}})
	return broker, node, nil
}

// settled is by how many percent the memory of something that has nothing to do still changes.
const settled = 1

// settle returns when the memory of brokers and nodes has stayed the same for Options.Rest, or has had ten times
// that.
func (b *bench) settle(ctx context.Context) error {
	last, err := b.footprint()
	if err != nil {
		return err
	}
	for range 10 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(b.o.Rest):
		}
		now, err := b.footprint()
		if err != nil {
			return err
		}
		if 100*max(now-last, last-now) < settled*now {
			return nil
		}
		last = now
	}
	return nil
}

// compare measures what ends the network as it is: brokers that are killed, and bare connections in
// place of nodes.
func (b *bench) compare(ctx context.Context) error {
	nc, err := dial(b.site)
	if err != nil {
		return err
	}
	defer nc.Close()
	b.doing = "messages overheard"
	ping, err := overhear(ctx, nc, "mcollective.broadcast.agent.discovery", "mcollective.reply.>", func() error { return b.ping(ctx) })
	if err != nil {
		return err
	}
	rpc, err := overhear(ctx, nc, "mcollective.node."+b.site.Nodes[0], "mcollective.reply.>", func() error {
		return b.rpc(ctx, b.client, b.site.Nodes, filter.Filter{})
	})
	if err != nil {
		return err
	}
	nc.Close()
	if err := b.reconnect(ctx); err != nil {
		return err
	}
	b.report.add(b.lost)
	b.report.add(b.twice)
	if err := b.site.StopNodes(); err != nil {
		return err
	}
	if err := b.floors(ctx, ping, rpc); err != nil {
		return err
	}
	r := b.report
	r.ratio("ping", "ping, in times of the floor", most(budgetRatio), "floor_broadcast")
	r.ratio("rpc", "rpcutil ping, nodes given, in times of the floor", most(budgetRatio), "floor_directed")
	r.ratio("rpc_discovery", "the same with discovery, in times of both floors", nil, "floor_broadcast", "floor_directed")
	return nil
}
