package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/lab/fleet"
	"choria.io/choria/go/internal/streams"
)

// look is the time between looks at what is awaited.
const look = 20 * time.Millisecond

func (s *Site) startDaemon(d daemon) error {
	return s.procs.start(d.name, d.log, nil, filepath.Join(s.Bin, d.program), "run", "--config", d.config, "--pid", d.pid)
}

// BrokerNames returns the names of the brokers, as PID takes them.
func (s *Site) BrokerNames() []string { return s.plan.brokers }

// Kill kills a broker or a node with a process of its own, as a power cut does.
func (s *Site) Kill(name string) error { return s.procs.end(name, syscall.SIGKILL) }

// Restart starts a broker or node that was killed.
func (s *Site) Restart(name string) error {
	i := slices.IndexFunc(s.plan.daemons, func(d daemon) bool { return d.name == name })
	if i < 0 {
		return fmt.Errorf("lab: there is no %s", name)
	}
	return s.startDaemon(s.plan.daemons[i])
}

// WaitBrokers returns when all brokers accept connections and have found each other.
func (s *Site) WaitBrokers(ctx context.Context) error {
	for i, name := range s.plan.brokers {
		err := await(ctx, func() bool {
			v, err := s.broker(ctx, i)
			return err == nil && v.Remotes == s.plan.networkOfBroker(i).brokers-1
		})
		if err != nil {
			return fmt.Errorf("lab: %s: %w", name, err)
		}
	}
	return nil
}

// await returns when ok holds, or why ctx ended.
func await(ctx context.Context, ok func() bool) error {
	for !ok() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(look):
		}
	}
	return nil
}

// vars is what a broker tells about itself on its statistics port, as far as it is of use here.
type vars struct {
	Connections int   `json:"connections"`
	Remotes     int   `json:"remotes"`
	Slow        int64 `json:"slow_consumers"`
}

// broker asks broker i about itself.
func (s *Site) broker(ctx context.Context, i int) (v vars, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	host, _, err := net.SplitHostPort(s.Brokers[i])
	if err != nil {
		return v, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/varz", host, statsPort), nil)
	if err != nil {
		return v, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

// Connections returns how many nodes and clients the brokers that run have together, and how many
// they have cut off for not reading what they were sent.
func (s *Site) Connections(ctx context.Context) (connections int, slow int64) {
	for i := range s.plan.brokers {
		if v, err := s.broker(ctx, i); err == nil {
			connections += v.Connections
			slow += v.Slow
		}
	}
	return connections, slow
}

// BrokerConnections returns how many nodes and clients broker i, counted from 0, has.
func (s *Site) BrokerConnections(ctx context.Context, i int) (int, error) {
	v, err := s.broker(ctx, i)
	return v.Connections, err
}

// WaitConnections returns when the brokers that run have at least n connections together.
func (s *Site) WaitConnections(ctx context.Context, n int) error {
	err := await(ctx, func() bool {
		have, _ := s.Connections(ctx)
		return have >= n
	})
	if err != nil {
		return fmt.Errorf("lab: %d connections: %w", n, err)
	}
	return nil
}

// Fits reports whether so many brokers can hold all nodes.
func (s *Site) Fits(brokers int) bool {
	return (&Network{Nodes: len(s.Nodes), Brokers: brokers}).checkSize() == nil
}

// StartNodes starts the nodes that share processes and returns when all are connected. connected, when
// set, is called with how many are.
func (s *Site) StartNodes(ctx context.Context, connected func(int)) error {
	if len(s.plan.fleets) == 0 {
		return nil
	}
	names, err := s.startFleets(ctx, "nodes", s.plan.fleets, connected)
	s.fleets = names
	return err
}

// StopNodes ends the nodes that share processes.
func (s *Site) StopNodes() error {
	names := s.fleets
	s.fleets = nil
	return s.endFleets(names)
}

// Shared returns the names of the processes that hold nodes, or bare connections in their place.
func (s *Site) Shared() []string { return slices.Clone(s.fleets) }

// NodeProcesses returns the process ids of the nodes that share processes.
func (s *Site) NodeProcesses() ([]int, error) {
	var pids []int
	for _, name := range s.fleets {
		pid, err := s.PID(name)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// StartBare starts as many bare connections as there are nodes, which must have been stopped, and returns
// when all are made. They use the certificate of the first node.
func (s *Site) StartBare(ctx context.Context, b fleet.Bare) (stop func() error, err error) {
	if !s.NoTLS {
		b.Name = s.Nodes[0]
	}
	limit, err := openFiles()
	if err != nil {
		return nil, err
	}
	all := s.plan.fleet(s.plan.networks[0])
	all.Bare = &b
	s.fleets, err = s.startFleets(ctx, "bare", all.Split(limit-spareFiles), nil)
	return s.StopNodes, err
}

// startFleets starts processes and returns when all that is in them is connected.
func (s *Site) startFleets(ctx context.Context, prefix string, specs []*fleet.Spec, connected func(int)) ([]string, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	total := 0
	for _, spec := range specs {
		total += spec.Count
	}
	all := make(chan struct{})
	complete := sync.OnceFunc(func() { close(all) })
	names, err := startFleets(s.procs, s.Bin, s.Dir, prefix, specs, func(n int) {
		if connected != nil {
			connected(n)
		}
		if n == total {
			complete()
		}
	})
	if err != nil {
		return names, err
	}
	ended := make(chan struct{})
	for _, name := range names {
		gone := s.procs.gone(name)
		go func() {
			select {
			case <-gone:
				fail(fmt.Errorf("lab: %s ended:\n%s", name, tail(filepath.Join(s.Dir, "log", name+".out"), 10)))
			case <-ended:
			}
		}()
	}
	defer close(ended)
	select {
	case <-all:
		return names, nil
	case <-ctx.Done():
		return names, fmt.Errorf("lab: nodes connect: %w", context.Cause(ctx))
	}
}

func (s *Site) endFleets(names []string) error {
	var g errgroup.Group
	for _, name := range names {
		g.Go(func() error { return s.procs.end(name, syscall.SIGTERM) })
	}
	return g.Wait()
}

// WaitNodes returns when every node has answered a ping.
func (s *Site) WaitNodes(ctx context.Context) error {
	c, err := client.Open(ctx, client.Options{Config: s.Config, ConnectTimeout: 10 * time.Minute}) // ctx ends it
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer c.Close()

	missing := make(map[string]bool, len(s.Nodes))
	for _, name := range s.Nodes {
		missing[name] = true
	}
	// Answers to a ping that was given up are no answers to the next one.
	patience := time.Second + time.Duration(len(s.Nodes))*time.Millisecond/2
	for {
		for pong, err := range c.Ping(ctx, client.Discovery{Timeout: patience}, len(s.Nodes)) {
			var early *client.UnservedError
			switch {
			case errors.As(err, &early): // federation brokers still connect
				select {
				case <-time.After(look):
				case <-ctx.Done():
				}
			case err != nil && ctx.Err() == nil:
				return fmt.Errorf("lab: %w", err)
			default:
				delete(missing, pong.Sender)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("lab: %w; no answer from %s; logs are in %s", context.Cause(ctx), s.list(missing), filepath.Join(s.Dir, "log"))
		}
	}
}

// list returns the first of the names that are missing, in the order of the nodes.
func (s *Site) list(missing map[string]bool) string {
	const shown = 20
	var names []string
	for _, name := range s.Nodes {
		if missing[name] {
			names = append(names, name)
		}
	}
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], " "), more)
	}
	return strings.Join(names, " ")
}

// waitStreams returns when the brokers have made their streams, which those of a cluster do when they
// have elected a leader.
func (s *Site) waitStreams(ctx context.Context) error {
	cfg, err := config.LoadClient(s.Config)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	conn, err := streams.Open(ctx, cfg, nil)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer conn.Close()
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := conn.Bucket(attempt, streams.Elections) // the last of them
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lab: %w; %v; logs are in %s", context.Cause(ctx), err, filepath.Join(s.Dir, "log"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
