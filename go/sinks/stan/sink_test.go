package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	streaming "github.com/nats-io/nats-streaming-server/server"
	"github.com/nats-io/nats-streaming-server/stores"
	"github.com/nats-io/stan.go"
)

const patience = time.Minute

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A cluster is a real server, the last that there was, with its messages in files.
type cluster struct {
	t      *testing.T
	dir    string
	port   int
	server *streaming.StanServer
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	c.start()
	t.Cleanup(func() { c.server.Shutdown() })
	return c
}

func (c *cluster) start() {
	c.t.Helper()
	options := streaming.GetDefaultOptions().Clone()
	options.ID, options.StoreType, options.FilestoreDir = "test", stores.TypeFile, c.dir
	var err error
	c.server, err = streaming.RunServerWithOpts(options, &natsd.Options{
		Host: "127.0.0.1", Port: c.port, NoLog: true, NoSigs: true, Username: "choria", Password: "secret",
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", c.port) }

// messages returns all that were published, once there are n.
func (c *cluster) messages(n int) []string {
	c.t.Helper()
	conn, err := stan.Connect("test", "reader", stan.NatsURL(strings.Replace(c.url(), "//", "//choria:secret@", 1)))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	var mu sync.Mutex
	var all []string
	if _, err := conn.Subscribe("nodes", func(m *stan.Msg) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, string(m.Data))
	}, stan.DeliverAllAvailable()); err != nil {
		c.t.Fatal(err)
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
	until(c.t, fmt.Sprintf("%d messages", n), func() bool { return count() >= n })
	mu.Lock()
	defer mu.Unlock()
	return all
}

// A driver is the other side of a sink.
type driver struct {
	t     *testing.T
	in    *io.PipeWriter
	out   *bufio.Scanner
	ended chan error
	n     uint64
}

func newDriver(t *testing.T, s Settings) *driver {
	t.Helper()
	in, toSink := io.Pipe()
	fromSink, out := io.Pipe()
	d := &driver{t: t, in: toSink, out: bufio.NewScanner(fromSink), ended: make(chan error, 1)}
	go func() {
		err := run(in, out)
		out.Close()
		d.ended <- err
	}()
	t.Cleanup(func() { toSink.Close(); fromSink.Close() })
	d.write(s)
	return d
}

func (d *driver) write(v any) {
	d.t.Helper()
	if err := json.NewEncoder(d.in).Encode(v); err != nil {
		d.t.Fatal(err)
	}
}

// publish hands over one message and returns its answer.
func (d *driver) publish(data string) answer {
	d.t.Helper()
	d.n++
	d.write(map[string]any{"n": d.n, "id": "x", "sender": "n1", "data": json.RawMessage(data)})
	if !d.out.Scan() {
		d.t.Fatalf("no answer: %v", d.out.Err())
	}
	var a answer
	if err := json.Unmarshal(d.out.Bytes(), &a); err != nil || a.N != d.n {
		d.t.Fatalf("answer %s: %v", d.out.Bytes(), err)
	}
	return a
}

func settings(c *cluster) Settings {
	return Settings{Servers: []string{c.url()}, Cluster: "test", Client: "inventory_0-1", Topic: "nodes", User: "choria", Password: "secret"}
}

// TestSink publishes, also after the server was away.
func TestSink(t *testing.T) {
	c := newCluster(t)
	d := newDriver(t, settings(c))
	good := func(data string) func() bool { return func() bool { return d.publish(data).Error == "" } }
	until(t, "the first is taken", good(`{"n":1}`))
	for range 10 {
		if a := d.publish(`{"n":2}`); a.Error != "" {
			t.Errorf("%+v", a)
		}
	}
	large := fmt.Sprintf(`{"fill":%q}`, bytes.Repeat([]byte("x"), 2<<20))
	if a := d.publish(large); !a.Refused || !strings.Contains(a.Error, "maximum payload") {
		t.Errorf("a large message: %+v", a)
	}

	c.server.Shutdown()
	until(t, "it says that the server is away", func() bool {
		a := d.publish(`{"n":3}`)
		if a.Refused {
			t.Fatalf("%+v", a)
		}
		return a.Error != ""
	})
	c.start()
	until(t, "it is taken when the server is back", good(`{"n":4}`))

	d.in.Close()
	if err := <-d.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	seen := map[string]int{}
	for _, m := range c.messages(12) {
		seen[m]++
	}
	if seen[`{"n":1}`] == 0 || seen[`{"n":2}`] != 10 || seen[`{"n":4}`] == 0 {
		t.Errorf("%v", seen)
	}
}

// TestErrors holds that what is wrong is said, without the password.
func TestErrors(t *testing.T) {
	c := newCluster(t)
	for _, tt := range []struct {
		change func(*Settings)
		want   string
	}{
		{func(s *Settings) { s.Password = "other" }, "connect to nats://127.0.0.1"},
		{func(s *Settings) { s.Cluster = "other" }, `cluster "other": stan: connect request timeout`},
		{func(s *Settings) { s.Servers = []string{"nats://127.0.0.1:1"} }, "connect to nats://127.0.0.1:1: nats: no servers available"},
	} {
		s := settings(c)
		tt.change(&s)
		d := newDriver(t, s)
		if a := d.publish(`{}`); a.Refused || !strings.Contains(a.Error, tt.want) || strings.Contains(a.Error, s.Password) {
			t.Errorf("%+v; want %s", a, tt.want)
		}
		d.in.Close()
		if err := <-d.ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	for input, want := range map[string]string{
		"":                                    "no settings in the input",
		"x\n":                                 "settings: invalid character",
		"{}\nx\n":                             "message: invalid character",
		`{"tls":true,"ca":"/no/such"}` + "\n": "open /no/such",
		`{"tls":true,"certificate":"/no/such","key":"/no/such"}` + "\n": "open /no/such",
	} {
		if err := run(strings.NewReader(input), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", input, err, want)
		}
	}
}

// TestInput reads what the other side writes: its tests hold it against the same file.
func TestInput(t *testing.T) {
	data, err := os.ReadFile("testdata/input.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	in := json.NewDecoder(bytes.NewReader(data))
	var s Settings
	var m message
	for _, line := range []any{&s, &m} {
		if err := in.Decode(line); err != nil {
			t.Fatal(err)
		}
	}
	want := Settings{
		Servers: []string{"nats://stan1:4222", "tls://stan2:4222"}, Cluster: "test", Client: "inventory_0-1", Topic: "nodes", User: "choria",
		Password: "secret", TLS: true, CA: "/ca.pem", Certificate: "/cert.pem", Key: "/key.pem",
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v; want %+v", s, want)
	}
	if m.N != 7 || string(m.Data) != `{"protocol":"choria:adapters:natsstream:output:1"}` {
		t.Errorf("%+v", m)
	}
}
