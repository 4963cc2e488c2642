// Package lab runs a whole network on one machine: brokers and nodes as real processes, with TLS and
// a certificate authority of its own.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"
)

// A Network is one lab. Set its fields, then call Run.
type Network struct {
	Brokers int // zero means 1; in a federation at each site
	Nodes   int // zero means 5; in a federation spread over the sites

	// Federation is how many sites there are, each with brokers and nodes of its own, joined to a
	// federation that clients use. Zero means that the network is not federated.
	Federation int

	// FederationBrokers is how many federation brokers share the work for each site. Zero means 1.
	FederationBrokers int

	// Dir is where certificates, configuration files and logs go; they stay there. Empty means a
	// private temporary directory that is removed at the end.
	Dir string

	// Bin is the directory of choria-broker and choria-server. Empty means that of this program.
	Bin string

	// Progress gets lines about what is going on. Nil discards them.
	Progress io.Writer

	// Timeout is how long the network may take until all nodes answer. Zero means 60 s, and 10 ms more
	// for each node.
	Timeout time.Duration

	// NoTLS runs everything without TLS, which only a lab does.
	NoTLS bool

	// Agents and Collectives are how many more each node has than it has by itself. With more agents
	// nodes never have processes of their own.
	Agents, Collectives int

	// LogLevel is that of brokers and nodes. Empty means info.
	LogLevel string

	// Shared makes nodes share processes however few they are.
	Shared bool

	// BrokersUp, when set, is called when the brokers of a network whose nodes share processes accept
	// connections and there are none yet.
	BrokersUp func(context.Context, *Site) error

	// Connected, when set, is called now and then with how many of the nodes that share processes are
	// connected.
	Connected func(connected int)
}

// A Site is a network that runs: what a command or test needs to use it.
type Site struct {
	Dir     string   // all files of the network
	Config  string   // client configuration
	Suite   string   // data file for cspec::suite, describing this network
	Bin     string   // where the programs are
	Brokers []string // broker addresses, host:port
	Nodes   []string // node identities
	NoTLS   bool

	// Connecting is how long it took from the start of the first node until all were connected and
	// had answered.
	Connecting time.Duration

	plan   *plan
	procs  *processes
	fleets []string // names of the processes of nodes that share some
}

// Environ returns the environment variables that make client commands use the site. The programs of
// the lab come first on the PATH.
func (s *Site) Environ() []string {
	return []string{
		"CHORIA_CONFIG=" + s.Config,
		"CHORIA_LAB=" + s.Dir,
		"PATH=" + s.Bin + string(os.PathListSeparator) + os.Getenv("PATH"),
	}
}

// PID returns the process id of a broker (broker1) or node (node1.lab) of the site.
func (s *Site) PID(name string) (int, error) {
	data, err := os.ReadFile(filepath.Join(s.Dir, "run", name+".pid"))
	if err != nil {
		return 0, err
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		return 0, fmt.Errorf("pid file of %s: %w", name, err)
	}
	return pid, nil
}

// Run starts the network, waits until every node answers, calls use and stops everything. Its error
// is that of use, or why the network did not come up. When it returns every process that it
// started is gone; they also go when this process is killed.
func (n *Network) Run(ctx context.Context, use func(context.Context, *Site) error) (err error) {
	if n.Brokers == 0 {
		n.Brokers = 1
	}
	if n.Nodes == 0 {
		n.Nodes = 5
	}
	if n.Timeout == 0 {
		n.Timeout = 60*time.Second + time.Duration(n.Nodes)*10*time.Millisecond
	}
	if n.FederationBrokers == 0 {
		n.FederationBrokers = 1
	}
	if err := n.checkFederation(); err != nil {
		return err
	}
	if err := n.checkSize(); err != nil {
		return err
	}
	if n.Progress == nil {
		n.Progress = io.Discard
	}
	if n.Bin == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		if self, err = filepath.EvalSymlinks(self); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		n.Bin = filepath.Dir(self)
	}

	start := time.Now()
	block, err := claim()
	if err != nil {
		return err
	}
	defer block.release()

	dir, remove, err := directory(n.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	fmt.Fprintf(n.Progress, "lab: making keys for %d broker(s) and %d node(s) in %s\n", n.Brokers*max(1, n.Federation), n.Nodes, dir)
	plan, err := n.plan(dir, block)
	if err != nil {
		return err
	}
	if err := plan.write(); err != nil {
		return err
	}

	procs := newProcesses(n.Progress)
	defer func() { err = errors.Join(err, endPuppet(dir)) }() // when no node is left that could start another
	defer func() { err = errors.Join(err, procs.stop(15*time.Second)) }()
	site := plan.site(n.Bin, procs)
	if err := n.start(ctx, site); err != nil {
		return err
	}
	fmt.Fprintf(n.Progress, "lab: %d node(s) answer after %.1f s\n", n.Nodes, time.Since(start).Seconds())
	procs.settled()

	return use(ctx, site)
}

// start starts the brokers and then the nodes, and returns when every node has answered.
func (n *Network) start(ctx context.Context, site *Site) error {
	ctx, cancel := context.WithTimeoutCause(ctx, n.Timeout, fmt.Errorf("not ready within %v", n.Timeout))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer site.procs.onDeath(fail)()

	own := 0 // nodes with a process
	for _, d := range site.plan.daemons {
		if d.program == "choria-server" {
			own++
		}
		if err := site.startDaemon(d); err != nil {
			return err
		}
	}
	if own == 0 {
		// So many nodes do not have to try again and again until brokers that have just been started
		// accept them.
		if err := site.WaitBrokers(ctx); err != nil {
			return err
		}
		if n.BrokersUp != nil {
			if err := n.BrokersUp(ctx, site); err != nil {
				return err
			}
		}
	}
	began := time.Now()
	if err := site.StartNodes(ctx, n.Connected); err != nil {
		return err
	}
	if err := site.WaitNodes(ctx); err != nil {
		return err
	}
	site.Connecting = time.Since(began)
	return site.waitStreams(ctx)
}

// clientName is the certificate name of the user, as the security package derives it.
func clientName() string {
	name := "lab"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return name + ".mcollective"
}

// directory returns the directory for the files of a lab, and what to do with it at the end.
func directory(dir string) (string, func() error, error) {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "choria-lab-") // made 0700
		if err != nil {
			return "", nil, fmt.Errorf("lab: %w", err)
		}
		return tmp, func() error { return os.RemoveAll(tmp) }, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("lab: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", nil, fmt.Errorf("lab: %w", err)
	}
	lock, err := lockDir(abs)
	if err != nil {
		return "", nil, err
	}
	return abs, lock.Close, nil
}

// lockDir makes sure that no other lab uses dir, and that dir is a lab's or empty.
func lockDir(dir string) (*os.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	path := filepath.Join(dir, ".choria-lab")
	if _, err := os.Stat(path); err != nil && len(entries) > 0 {
		return nil, fmt.Errorf("lab: directory %s holds other files; name a new or empty one", dir)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lab: directory %s is used by another lab: %w", dir, err)
	}
	for _, e := range entries { // what an earlier lab left
		if e.Name() == filepath.Base(path) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			f.Close()
			return nil, fmt.Errorf("lab: %w", err)
		}
	}
	return f, nil
}
