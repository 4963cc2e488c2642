package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/lab"
	"choria.io/choria/go/internal/lab/labtest"
)

// open returns a client of the site.
func open(t *testing.T, site *lab.Site) *client.Client {
	t.Helper()
	c, err := client.Open(t.Context(), client.Options{Config: site.Config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends an RPC request to nodes and returns how it went.
func ask(t *testing.T, c *client.Client, r client.Request) client.Stats {
	t.Helper()
	run, err := c.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for range run.Replies() {
	}
	if err := run.Err(); err != nil {
		t.Fatal(err)
	}
	return run.Stats()
}

// Many nodes share processes, and are nodes like any other.
func TestNodesThatShareProcesses(t *testing.T) {
	const nodes = 200
	most := 0
	n := &lab.Network{
		Nodes: nodes, Brokers: 2, Agents: 2, Collectives: 1, Bin: labtest.Binaries(t),
		Connected: func(n int) { most = max(most, n) },
	}
	err := n.Run(t.Context(), func(ctx context.Context, site *lab.Site) error {
		if most != nodes || len(site.Nodes) != nodes {
			t.Errorf("%d of %d nodes were connected; want %d", most, len(site.Nodes), nodes)
		}
		if pids, err := site.NodeProcesses(); err != nil || len(pids) != 2 {
			t.Errorf("process ids of the nodes are %v, %v; want two", pids, err)
		}
		c := open(t, site)
		found, err := c.Discover(ctx, client.Discovery{Fixed: true, Collective: "lab1_collective"})
		if err != nil {
			return err
		}
		if !slices.Equal(found, slices.Sorted(slices.Values(site.Nodes))) {
			t.Errorf("%d nodes were discovered in the further collective; want %d", len(found), nodes)
		}
		f, err := filter.ParseFact("percent=7")
		if err != nil {
			return err
		}
		found, err = c.Discover(ctx, client.Discovery{Fixed: true, Filter: filter.Filter{Fact: []filter.Fact{f}}})
		if err != nil {
			return err
		}
		if want := []string{"node108.lab", "node8.lab"}; !slices.Equal(found, want) {
			t.Errorf("1 %% of the nodes are %v; want %v", found, want)
		}
		if s := ask(t, c, client.Request{Agent: "rpcutil", Action: "ping", Nodes: site.Nodes}); s.OK != nodes || s.Duplicates != 0 {
			t.Errorf("%d of %d nodes replied, %d twice", s.OK, nodes, s.Duplicates)
		}

		// The network outlives a broker: its nodes move to the other one, and back.
		if err := site.Kill("broker1"); err != nil {
			return err
		}
		if err := site.WaitNodes(ctx); err != nil {
			return err
		}
		if err := site.Restart("broker1"); err != nil {
			return err
		}
		if err := site.WaitBrokers(ctx); err != nil {
			return err
		}

		if err := site.StopNodes(); err != nil {
			return err
		}
		s := ask(t, c, client.Request{Agent: "rpcutil", Action: "ping", Nodes: site.Nodes[:3]})
		if !slices.Equal(s.Absent, site.Nodes[:3]) {
			t.Errorf("absent nodes are %v; want %v", s.Absent, site.Nodes[:3])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Without TLS nothing is encrypted, all else works, and the log says so.
func TestWithoutTLS(t *testing.T) {
	n := &lab.Network{Nodes: 30, NoTLS: true, Bin: labtest.Binaries(t), Dir: filepath.Join(t.TempDir(), "lab")}
	err := n.Run(t.Context(), func(ctx context.Context, site *lab.Site) error {
		c := open(t, site)
		if s := ask(t, c, client.Request{Agent: "rpcutil", Action: "ping", Nodes: site.Nodes}); s.OK != len(site.Nodes) {
			t.Errorf("%d of %d nodes replied", s.OK, len(site.Nodes))
		}
		info := welcome(t, site.Brokers[0])
		if info.TLSRequired {
			t.Error("the broker asks for TLS")
		}
		for _, name := range []string{"broker1.log", "nodes1.out"} {
			text, err := os.ReadFile(filepath.Join(site.Dir, "log", name))
			if err != nil {
				return err
			}
			if !strings.Contains(string(text), "TLS is off") {
				t.Errorf("%s does not warn that TLS is off", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// welcome returns what a broker says first.
func welcome(t *testing.T, address string) (info struct {
	TLSRequired bool `json:"tls_required"`
}) {
	t.Helper()
	line := firstLine(t, address)
	text, ok := strings.CutPrefix(line, "INFO ")
	if !ok {
		t.Fatalf("the broker says %q", line)
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// More nodes than the brokers can have open files for are refused before anything is started.
func TestTooManyNodes(t *testing.T) {
	n := &lab.Network{Nodes: 10_000_000, Bin: labtest.Binaries(t)}
	err := n.Run(t.Context(), func(context.Context, *lab.Site) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "10000000 nodes on 1 broker(s): each process may open") {
		t.Errorf("error is %v; want one that names the limit", err)
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.HasPrefix(hinted.Hint(), "--brokers ") {
		t.Errorf("%v has no hint about the number of brokers", err)
	}
}
