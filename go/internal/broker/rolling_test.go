package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// A cluster of three brokers with streams, each of which can be restarted.
type cluster struct {
	site    *labtest.Site
	servers []string // host:port
	brokers [3]*broker.Broker
	stop    [3]func()
	start   func(i int)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{site: labtest.NewSite(t)}
	var ports []int
	for range 6 {
		ports = append(ports, labtest.Port(t))
	}
	peers := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", ports[0], ports[1], ports[2])
	stores := [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	c.start = func(i int) {
		name := fmt.Sprintf("b%d.example.net", i)
		c.brokers[i], c.stop[i] = labtest.StartBroker(t, labtest.BrokerConfig(t, "identity", name,
			network+"peers", peers, network+"peer_port", strconv.Itoa(ports[i]), network+"client_port", strconv.Itoa(ports[3+i]),
			storeKey, stores[i], network+"soft_shutdown_timeout", "5"),
			broker.Options{Security: c.site.Load(t, name, security.ForBroker)})
	}
	for i := range c.brokers {
		c.site.Issue(t, pki.Request{Name: fmt.Sprintf("b%d.example.net", i), IPs: []string{"127.0.0.1"}})
		c.start(i)
		c.servers = append(c.servers, fmt.Sprintf("127.0.0.1:%d", ports[3+i]))
	}
	t.Cleanup(func() {
		for _, stop := range c.stop {
			stop()
		}
	})
	c.whole(t)
	return c
}

// whole waits until all brokers are connected to one another, and their streams up to date: what
// the page healthz says, and what whoever restarts brokers has to wait for before the next one.
func (c *cluster) whole(t *testing.T) {
	t.Helper()
	for i, b := range c.brokers {
		until(t, fmt.Sprintf("broker %d has two peers", i), func() bool { return b.Peers() == 2 })
		until(t, fmt.Sprintf("broker %d is healthy", i), func() bool {
			page := httptest.NewRecorder()
			b.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/healthz", nil))
			return page.Code == http.StatusOK
		})
	}
}

// nodes runs n nodes until the test ends, spread over the brokers.
func (c *cluster) nodes(t *testing.T, n int) (names []string) {
	t.Helper()
	ready := make(chan struct{}, n)
	for i := range n {
		name := fmt.Sprintf("n%d.example.net", i)
		names = append(names, name)
		c.site.Issue(t, pki.Request{Name: name})
		node := &choria.Server{
			Identity: name,
			Brokers:  slices.Concat(c.servers[i%3:], c.servers[:i%3]),
			TLS: &choria.TLS{
				CA: filepath.Join(c.site.Dir, "ca.pem"), Certificate: filepath.Join(c.site.Dir, name+".pem"), Key: filepath.Join(c.site.Dir, name+".key"),
			},
			Settings:  map[string]string{"plugin.choria.network.connect_timeout": "30s"},
			Authorize: func(*agent.Request) bool { return true },
			Ready:     func() { ready <- struct{}{} },
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- node.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for range n {
		select {
		case <-ready:
		case <-time.After(patience):
			t.Fatal("the nodes are not ready")
		}
	}
	return names
}

// client returns a client of the cluster.
func (c *cluster) client(t *testing.T) *client.Client {
	t.Helper()
	const name = "alice.mcollective"
	t.Setenv("MCOLLECTIVE_CERTNAME", name)
	c.site.Issue(t, pki.Request{Name: name, RSA: true})
	file := filepath.Join(t.TempDir(), "client.conf")
	text := strings.Join([]string{
		"identity = workstation.example.net", "plugin.choria.middleware_hosts = " + strings.Join(c.servers, ","),
		"plugin.choria.use_srv = false", "plugin.choria.network.connect_timeout = 30s", "plugin.security.provider = file",
		"plugin.security.file.certificate = " + filepath.Join(c.site.Dir, name+".pem"),
		"plugin.security.file.key = " + filepath.Join(c.site.Dir, name+".key"),
		"plugin.security.file.ca = " + filepath.Join(c.site.Dir, "ca.pem"),
	}, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cl, err := client.Open(t.Context(), client.Options{Config: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

// ask sends one request to nodes, and returns those that did not answer it.
func ask(ctx context.Context, cl *client.Client, nodes []string, timeout time.Duration) (silent []string, err error) {
	run, err := cl.Start(ctx, client.Request{Agent: "rpcutil", Action: "ping", Nodes: nodes, Timeout: timeout})
	if err != nil {
		return nodes, err
	}
	for reply := range run.Replies() {
		if reply.Status != agent.OK {
			return nil, fmt.Errorf("%s: %s", reply.Sender, reply.Message)
		}
	}
	if err := run.Err(); err != nil && !errors.Is(err, client.ErrConnectionLost) {
		return nil, err
	}
	return run.Stats().NoResponse, nil
}

// TestRollingRestart restarts the brokers of a cluster one after the other, while a client asks all
// nodes without a pause and another one writes into a bucket: in the end every node has answered
// every request, and every value is there. What is tried again is tried at once, so that how often says
// how long a node was without a broker, and how fast the machine is.
func TestRollingRestart(t *testing.T) {
	c := newCluster(t)
	nodes := c.nodes(t, 12)
	cl := c.client(t)
	s := streams.On(connect(t, transport.Options{
		Servers: []string{"nats://" + c.servers[1], "nats://" + c.servers[2], "nats://" + c.servers[0]},
		TLS:     c.site.Identity(t, "writer.example.net", security.ForServer).ClientTLS(),
	}))
	var bucket *streams.Bucket
	until(t, "a bucket with three copies", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var err error
		bucket, err = s.CreateBucket(ctx, streams.BucketConfig{Name: "kept", Replicas: 3})
		return err == nil
	})

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	var requests, written atomic.Int64 // that are over
	repeated, most := 0, 0             // requests once more, and attempts that one took
	wg.Go(func() {
		for ; ctx.Err() == nil; requests.Add(1) {
			missing, deadline := nodes, time.Now().Add(patience)
			for attempt := 1; len(missing) > 0; attempt++ {
				if attempt > 1 && time.Now().After(deadline) {
					t.Errorf("request %d: no answer from %v within %v, in %d attempts", requests.Load(), missing, patience, attempt-1)
					return
				}
				if attempt > 1 {
					repeated++
				}
				most = max(most, attempt)
				var err error
				// The whole of ctx must not cut a request short that is nearly there.
				if missing, err = ask(context.WithoutCancel(ctx), cl, missing, 5*time.Second); err != nil {
					t.Errorf("request %d: %v", requests.Load(), err)
					return
				}
			}
		}
	})
	wg.Go(func() {
		for ; ctx.Err() == nil; written.Add(1) {
			key, deadline := fmt.Sprintf("k%d", written.Load()), time.Now().Add(patience)
			for {
				attempt, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				_, err := bucket.Put(attempt, key, []byte(key))
				stop()
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%s: not written within %v: %v", key, patience, err)
					return
				}
			}
		}
	})

	start := time.Now()
	for i := range c.brokers {
		c.stop[i]()
		c.start(i)
		c.whole(t)
		// Whatever the speed of the machine, there is load while each broker is away, and after it.
		r, w := requests.Load(), written.Load()
		until(t, "a request and a value after the restart", func() bool { return t.Failed() || requests.Load() > r && written.Load() > w })
	}
	cancel()
	wg.Wait()
	t.Logf("in %v %d requests to %d nodes, %d repeated, at most %d attempts at one; %d values written",
		time.Since(start).Round(time.Millisecond), requests.Load(), len(nodes), repeated, most, written.Load())
	until(t, "all values are there", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		keys, err := bucket.Keys(ctx, "")
		return err == nil && len(keys) == int(written.Load())
	})
}
