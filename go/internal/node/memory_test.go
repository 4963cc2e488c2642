package node_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/node"
	"choria.io/choria/go/internal/transport"
)

const brokerProcess = "CHORIA_TEST_BROKER_PROCESS"

// TestBrokerProcess is no test: as a process of its own it is a broker whose memory is not that of
// the nodes.
func TestBrokerProcess(t *testing.T) {
	if os.Getenv(brokerProcess) == "" {
		return
	}
	fmt.Println("broker", labtest.Broker(t))
	io.Copy(io.Discard, os.Stdin)
}

// otherBroker runs a broker in another process until the test ends.
func otherBroker(t *testing.T) (url string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBrokerProcess$")
	cmd.Env = append(os.Environ(), brokerProcess+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if url, ok := strings.CutPrefix(strings.TrimSpace(line), "broker "); err == nil && ok {
		return url
	}
	t.Fatalf("the broker says %q, %v", line, err)
	return ""
}

// The memory of one of many idle nodes in a process, TLS off. Source: the budget of the design.
const nodeBudget = 80 << 10

// Many nodes in one process are small, and run by one goroutine.
func TestManyNodes(t *testing.T) {
	const many = 300
	url := otherBroker(t)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // what has a finalizer goes with the second one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	options(t, url, "warm.example.net") // what is shared is not counted
	before, goroutines := heap(), runtime.NumGoroutine()

	nodes := make([]*node.Node, many)
	conns := make([]*transport.Conn, many)
	ready := make(chan struct{}, many)
	for i := range nodes {
		o := options(t, url, fmt.Sprintf("n%d.example.net", i))
		o.Ready = func() { ready <- struct{}{} }
		conns[i] = o.Conn.(*transport.Conn)
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = n
	}
	connected := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx, nodes...) }()
	for range many {
		<-ready
	}
	for _, c := range conns {
		if err := c.Flush(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}

	c := newCaller(t, url)
	c.send(transport.BroadcastSubject("mcollective", "rpcutil"), rpc("rpcutil", "ping", ""))
	seen := map[string]bool{}
	for range many {
		seen[c.next().Sender] = true
	}
	if len(seen) != many {
		t.Errorf("%d of %d nodes answered", len(seen), many)
	}

	// A connection may have one more goroutine for its subscriptions; a node has none.
	await(t, "the goroutines of the request to end", func() bool {
		return runtime.NumGoroutine() <= connected+many+10
	})
	each := (heap() - before) / many
	t.Logf("%d bytes and %.1f goroutines a node", each, float64(runtime.NumGoroutine()-goroutines)/many)
	if each > nodeBudget*slack {
		t.Errorf("%d bytes a node; want at most %d", each, nodeBudget*slack)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the nodes do not stop")
	}
}
