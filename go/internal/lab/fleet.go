package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"choria.io/choria/go/internal/lab/fleet"
	"choria.io/choria/go/internal/security/pki"
)

// ownProcess is up to how many nodes have a process each, as on machines of their own. More share a
// few processes.
const ownProcess = 24

// MaxBrokers is how many brokers a lab may have: there are as many addresses for them.
const MaxBrokers = firstSource - 1

// Hosts of the block that nodes connect from: each has some 28 000 ports.
const firstSource, sources = 16, 32

// spareFiles is how many open files a process with many connections needs for other things.
const spareFiles = 500

// openFiles returns how many files a process may have open. Go has raised the soft limit to the hard
// one in the processes that the lab starts, as they are Go programs too.
func openFiles() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("lab: limit of open files: %w", err)
	}
	return int(min(limit.Max, 1<<20)), nil
}

// checkSize reports why this machine cannot hold the network, before minutes are spent on it.
func (n *Network) checkSize() error {
	limit, err := openFiles()
	if err != nil {
		return err
	}
	if limit <= 2*spareFiles {
		return fmt.Errorf("lab: a process may open %d files here, which is too few for a broker", limit)
	}
	if most := (limit - spareFiles) * n.Brokers * max(1, n.Federation); n.Nodes > most {
		return &sizeError{nodes: n.Nodes, brokers: n.Brokers, limit: limit}
	}
	return nil
}

// A sizeError says that the brokers of a lab cannot hold its nodes.
type sizeError struct{ nodes, brokers, limit int }

func (e *sizeError) Error() string {
	return fmt.Sprintf("lab: %d nodes on %d broker(s): each process may open %d files here, and every connection is one", e.nodes, e.brokers, e.limit)
}

// Hint returns what to do about it.
func (e *sizeError) Hint() string {
	return fmt.Sprintf("--brokers %d, or a higher limit: ulimit -Hn", (e.nodes+e.limit-spareFiles-1)/(e.limit-spareFiles))
}

// fleet returns the description of the nodes of a network.
func (p *plan) fleet(net network) *fleet.Spec {
	s := &fleet.Spec{
		First:       net.firstNode,
		Count:       net.nodes,
		Config:      p.path("etc", "nodes", "server.conf"),
		Brokers:     p.addresses(net, clientPort),
		Keys:        p.path("ssl"),
		Agents:      p.extra.Agents,
		Collectives: p.extra.Collectives,
	}
	for i := range sources {
		s.Sources = append(s.Sources, p.block.address(firstSource+i))
	}
	return s
}

// addNodes issues the certificates of the nodes and decides which processes run them.
func (p *plan) addNodes(ca *pki.CA) error {
	if err := p.issueNodes(ca); err != nil {
		return err
	}
	if len(p.nodes) <= ownProcess && !p.extra.Shared {
		for i := range p.nodes {
			if err := p.addNode(i); err != nil {
				return err
			}
		}
		return nil
	}
	p.files["etc/nodes/server.conf"] = file{settings(p.server()), 0o640}
	p.addPolicy("nodes")
	limit, err := openFiles()
	if err != nil {
		return err
	}
	for _, net := range p.networks {
		if net.nodes > 0 {
			p.fleets = append(p.fleets, p.fleet(net).Split(limit-spareFiles)...)
		}
	}
	return nil
}

// issueNodes makes the keys of all nodes on all processors, and writes them at once: those of a large
// network do not have to be in memory.
func (p *plan) issueNodes(ca *pki.CA) error {
	if err := os.MkdirAll(p.path("ssl"), 0o700); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	g, _ := errgroup.WithContext(context.Background())
	g.SetLimit(8)
	for _, name := range p.nodes {
		g.Go(func() error {
			pair, err := ca.Issue(pki.Request{Name: name})
			if err != nil {
				return fmt.Errorf("lab: certificate of %s: %w", name, err)
			}
			if err := os.WriteFile(p.path("ssl", name+".pem"), pair.Cert, 0o644); err != nil {
				return fmt.Errorf("lab: %w", err)
			}
			if err := os.WriteFile(p.path("ssl", name+".key"), pair.Key, 0o600); err != nil {
				return fmt.Errorf("lab: %w", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// startFleets starts the processes with many nodes each, under names that begin with prefix, and
// returns the names. connected is called with how many nodes of all of them are connected.
func startFleets(procs *processes, bin, dir, prefix string, specs []*fleet.Spec, connected func(int)) ([]string, error) {
	var (
		names []string
		count = &counts{total: connected, of: make([]int, len(specs))}
	)
	for i, s := range specs {
		name := fmt.Sprintf("%s%d", prefix, i+1)
		path := filepath.Join(dir, "run", name+".json")
		if err := s.Save(path); err != nil {
			return names, fmt.Errorf("lab: %w", err)
		}
		err := procs.start(name, filepath.Join(dir, "log", name+".out"), &counter{counts: count, i: i},
			filepath.Join(bin, "choria-server"), "lab", "--config", path, "--pid", filepath.Join(dir, "run", name+".pid"))
		if err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

// counts add up what several processes tell.
type counts struct {
	total func(int)

	mu  sync.Mutex
	of  []int
	sum int
}

// A counter reads the numbers that one process writes, one a line.
type counter struct {
	*counts
	i    int
	rest []byte // the beginning of a line
}

// Write implements io.Writer.
func (c *counter) Write(data []byte) (int, error) {
	c.rest = append(c.rest, data...)
	for {
		line, rest, ok := bytes.Cut(c.rest, []byte("\n"))
		if !ok {
			return len(data), nil
		}
		c.rest = rest
		n, err := strconv.Atoi(string(line))
		if err != nil {
			return 0, fmt.Errorf("lab: a process with nodes says %q, want a number", line)
		}
		c.mu.Lock()
		c.sum += n - c.of[c.i]
		c.of[c.i] = n
		c.total(c.sum)
		c.mu.Unlock()
	}
}
