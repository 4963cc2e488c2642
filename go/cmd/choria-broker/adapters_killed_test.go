package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// A carrier is a process of its own, the broker with an adapter of replies, whose sink is a broker in
// the process of the test.
type carrier struct {
	t        *testing.T
	site     *labtest.Site
	conf     string
	log      string
	port     int
	stats    int
	sinkPort int
	store    string
	process  *exec.Cmd
}

func newCarrier(t *testing.T, settings ...string) *carrier {
	t.Helper()
	c := &carrier{
		t: t, site: newSite(t), log: filepath.Join(t.TempDir(), "log"), port: labtest.Port(t), stats: labtest.Port(t),
		sinkPort: labtest.Port(t), store: t.TempDir(),
	}
	c.conf = conf(t, c.site, append([]string{
		"plugin.choria.adapters = replies",
		"plugin.choria.adapter.replies.type = choria_streams",
		"plugin.choria.adapter.replies.ingest.topic = mcollective.replies.>",
		"plugin.choria.adapter.replies.stream.topic = kept.%s",
		fmt.Sprintf("plugin.choria.adapter.replies.stream.servers = 127.0.0.1:%d", c.sinkPort),
		"plugin.choria.adapter.replies.spill.directory = " + filepath.Join(t.TempDir(), "spill"),
		fmt.Sprintf("plugin.choria.network.client_port = %d", c.port),
		fmt.Sprintf("plugin.choria.stats_port = %d", c.stats),
		"logfile = " + c.log,
	}, settings...)...)
	return c
}

// start runs the process until the adapter receives.
func (c *carrier) start() {
	c.t.Helper()
	if err := os.Remove(c.log); err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	c.process = exec.Command(os.Args[0], "run", "--config", c.conf)
	c.process.Env = append(os.Environ(), runEnv+"=1")
	if err := c.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.kill)
	until(c.t, "the adapter is ready", func() bool { return strings.Contains(c.logged(), "adapter is ready") })
}

func (c *carrier) logged() string {
	data, _ := os.ReadFile(c.log)
	return string(data)
}

// kill ends the process as a loss of power would.
func (c *carrier) kill() {
	_ = c.process.Process.Kill() // one that has ended already
	_ = c.process.Wait()
}

func (c *carrier) connect(port int) *transport.Conn {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	conn, err := transport.Connect(ctx, transport.Options{
		Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}, ConnectTimeout: patience,
		TLS: c.site.Identity(c.t, "n1.example.net", security.ForClient).ClientTLS(),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what it is connected to may be gone
		_ = conn.Close(ctx)
	})
	return conn
}

// publish sends replies numbered from to below to, each of some size.
func (c *carrier) publish(conn *transport.Conn, from, to, size int) {
	c.t.Helper()
	for i := from; i < to; i++ {
		data, err := protocol.SealReply(&protocol.Reply{
			Version: protocol.V1, RequestID: fmt.Sprintf("%032x", i), Sender: "n1.example.net", Agent: "test", Time: time.Now(),
			Body: fmt.Appendf(nil, `{"n":%d,"fill":%q}`, i, strings.Repeat("x", size)),
		})
		if err != nil {
			c.t.Fatal(err)
		}
		payload, err := (&protocol.Transport{Version: protocol.V1, Sender: "n1.example.net", Data: data}).Encode()
		if err != nil {
			c.t.Fatal(err)
		}
		if err := conn.Publish("mcollective.replies.test", payload); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *carrier) flush(conn *transport.Conn) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := conn.Flush(ctx); err != nil {
		c.t.Fatal(err)
	}
}

// metric returns the sum of a metric whose labels contain label, -1 while it is not shown.
func (c *carrier) metric(name, label string) int {
	sum, found := 0.0, false
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{([^}]*)\} (\S+)$`).FindAllStringSubmatch(scrape(c.stats), -1) {
		if v, err := strconv.ParseFloat(m[2], 64); err == nil && strings.Contains(m[1], label) {
			sum += v
			found = true
		}
	}
	if !found {
		return -1
	}
	return int(sum)
}

// openSink starts the broker that the adapter publishes to, and returns how to see what is there: the
// numbers of the replies.
func (c *carrier) openSink() func() map[int]bool {
	c.t.Helper()
	b, stop := labtest.StartBroker(c.t, labtest.BrokerConfig(c.t,
		"plugin.choria.network.client_port", strconv.Itoa(c.sinkPort), "plugin.choria.network.stream.store", c.store,
		"plugin.choria.network.stream.manage_streams", "false"),
		broker.Options{Security: c.site.Load(c.t, "broker.example.net", security.ForBroker)})
	c.t.Cleanup(stop)
	<-b.Ready()
	s := streams.On(c.connect(c.sinkPort))
	limited := func() (context.Context, context.CancelFunc) { return context.WithTimeout(c.t.Context(), patience) }
	until(c.t, "a stream", func() bool {
		ctx, cancel := limited()
		defer cancel()
		return s.Create(ctx, streams.Definition{Name: "KEPT", Subjects: []string{"kept.>"}}) == nil
	})
	return func() map[int]bool {
		ctx, cancel := limited()
		defer cancel()
		all := map[int]bool{}
		for m, err := range s.Messages(ctx, "KEPT", streams.View{}) {
			if err != nil {
				c.t.Fatal(err)
			}
			var document, body struct {
				Data string
				N    int
			}
			if err := json.Unmarshal(m.Data, &document); err != nil {
				c.t.Fatalf("%s: %v", m.Data, err)
			}
			if err := json.Unmarshal([]byte(document.Data), &body); err != nil {
				c.t.Fatalf("%s: %v", document.Data, err)
			}
			all[body.N] = true
		}
		return all
	}
}

// TestAdapterKilled kills the process while its sink is away and messages arrive. What it has shown as
// waiting on disk is published by the next one.
func TestAdapterKilled(t *testing.T) {
	c := newCarrier(t)
	c.start()
	conn := c.connect(c.port)
	const known = 300
	c.publish(conn, 0, known, 100)
	c.flush(conn)
	until(t, "they wait on disk", func() bool { return c.metric("choria_adapter_spill_msgs", "") == known })

	// The process is killed while it is busy. What it shows has been written before.
	sent := known
	accepted := known
	until(t, "more wait on disk", func() bool {
		c.publish(conn, sent, sent+500, 100)
		c.flush(conn)
		sent += 500
		accepted = c.metric("choria_adapter_spill_msgs", "")
		return accepted > known
	})
	c.kill()

	c.start()
	if !strings.Contains(c.logged(), "did not end in order") {
		t.Errorf("the log does not say that the last process was killed: %s", c.logged())
	}
	if n := c.metric("choria_adapter_spill_msgs", ""); n < accepted {
		t.Errorf("%d wait after the restart; %d were shown before", n, accepted)
	}
	stored := c.openSink()
	until(t, "nothing waits", func() bool { return c.metric("choria_adapter_spill_msgs", "") == 0 })
	have := stored()
	for n := range known {
		if !have[n] {
			t.Fatalf("message %d is lost", n)
		}
	}
	if len(have) < accepted {
		t.Errorf("%d messages; %d were accepted", len(have), accepted)
	}
	if n := c.metric("choria_adapter_dropped_msgs", ""); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// TestAdapterFull fills all the room that the adapter has while its sink is away. It stays alive, counts
// what it drops, and publishes the rest.
func TestAdapterFull(t *testing.T) {
	const p = "plugin.choria.adapter.replies."
	c := newCarrier(t, p+"spill.max_size = 1048576", p+"queue_len = 10", p+"ingest.workers = 1", p+"stream.workers = 1")
	c.start()
	conn := c.connect(c.port)
	sent := 0
	dropped := func() int { return c.metric("choria_adapter_dropped_msgs", `reason="overflow"`) }
	until(t, "messages are dropped", func() bool {
		c.publish(conn, sent, sent+1000, 2000)
		c.flush(conn)
		sent += 1000
		return dropped() > 0
	})
	stored := c.openSink()
	until(t, "what was not dropped is there", func() bool { return len(stored())+dropped() == sent })
	until(t, "nothing waits", func() bool { return c.metric("choria_adapter_spill_msgs", "") == 0 })
	if !strings.Contains(c.logged(), "messages cannot wait on disk") {
		t.Error("the log does not say that there is no room")
	}
}
