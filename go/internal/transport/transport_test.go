package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/transport"
)

// patience is how long anything may take on a busy machine before a test gives up on it.
const patience = time.Minute

func context1(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// connect connects until the test ends.
func connect(t testing.TB, o transport.Options) *transport.Conn {
	t.Helper()
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 30 * time.Second
	}
	c, err := transport.Connect(context1(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing received within %v", patience)
		panic("unreachable")
	}
}

func TestSubscriptionsDeliverInOrder(t *testing.T) {
	for _, pending := range []int{0, 64, 65, 5000} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}})
			const n = 200
			got := make(chan string, n)
			var running atomic.Int32
			sub, err := c.Subscribe("a.>", "", pending, func(m transport.Msg) {
				if running.Add(1) != 1 {
					t.Error("two messages are handled at the same time")
				}
				got <- m.Subject + " " + m.Reply + " " + string(m.Data)
				running.Add(-1)
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := c.PublishRequest(fmt.Sprintf("a.%d", i), "r", fmt.Appendf(nil, "%d", i)); err != nil {
					t.Fatal(err)
				}
				if want, msg := fmt.Sprintf("a.%d r %d", i, i), receive(t, got); msg != want {
					t.Fatalf("message %d is %q; want %q", i, msg, want)
				}
			}
			if d := sub.Dropped(); d != 0 {
				t.Errorf("%d messages dropped", d)
			}
			s := c.Stats()
			if s.InMsgs != n || s.OutMsgs != n || s.InBytes == 0 || s.OutBytes == 0 {
				t.Errorf("Stats() = %+v; want %d messages each way", s, n)
			}
		})
	}
}

func TestQueueGroupSharesMessages(t *testing.T) {
	url := labtest.Broker(t)
	var total, most atomic.Int64
	for range 3 {
		c := connect(t, transport.Options{Servers: []string{url}})
		for _, pending := range []int{0, 100} {
			var mine atomic.Int64
			if _, err := c.Subscribe("work", "workers", pending, func(transport.Msg) {
				total.Add(1)
				most.Store(max(most.Load(), mine.Add(1)))
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Flush(context1(t)); err != nil {
			t.Fatal(err)
		}
	}
	c := connect(t, transport.Options{Servers: []string{url}})
	for i := int64(1); i <= 60; i++ {
		if err := c.Publish("work", nil); err != nil {
			t.Fatal(err)
		}
		until(t, "message handled", func() bool { return total.Load() == i })
	}
	if most.Load() == 60 {
		t.Error("one member of the queue group got all messages")
	}
}

func TestSlowSubscriptionDropsTheNewest(t *testing.T) {
	for _, pending := range []int{3, 70} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			reg := metrics.New()
			c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}, Metrics: reg})
			gate := make(chan struct{})
			started := make(chan struct{}, 1)
			var mu sync.Mutex
			var got []string
			sub, err := c.Subscribe("a", "", pending, func(m transport.Msg) {
				select {
				case started <- struct{}{}:
				default:
				}
				<-gate
				mu.Lock()
				defer mu.Unlock()
				got = append(got, string(m.Data))
			})
			if err != nil {
				t.Fatal(err)
			}
			fast := make(chan struct{}, 200) // another subscription is not held up
			if _, err := c.Subscribe("b", "", 0, func(transport.Msg) { fast <- struct{}{} }); err != nil {
				t.Fatal(err)
			}
			publish := func(i int) {
				if err := c.Publish("a", fmt.Appendf(nil, "%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			publish(0)
			receive(t, started)
			for i := 1; i <= pending+5; i++ {
				publish(i)
			}
			if err := c.Publish("b", nil); err != nil {
				t.Fatal(err)
			}
			receive(t, fast)
			// The library counts the message in hand as pending, our queue does not.
			until(t, "messages dropped", func() bool { d := sub.Dropped(); return d == 5 || d == 6 })
			close(gate)
			kept := pending + 6 - sub.Dropped()
			until(t, "kept messages handled", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(got) == kept
			})
			for i, text := range got {
				if text != fmt.Sprint(i) {
					t.Fatalf("handled %v; want the oldest in order", got)
				}
			}
			if n := reg.Counter("choria_connector_errors", "").Value(); n == 0 {
				t.Error("choria_connector_errors is 0 after messages were dropped")
			}
		})
	}
}

func TestLimitBytes(t *testing.T) {
	c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}})
	gate, started := make(chan struct{}), make(chan struct{}, 100)
	sub, err := c.Subscribe("a", "", 1000, func(transport.Msg) { started <- struct{}{}; <-gate })
	if err != nil {
		t.Fatal(err)
	}
	defer close(gate)
	if err := sub.LimitBytes(3000); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := c.Publish("a", make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			receive(t, started)
		}
	}
	until(t, "messages dropped", func() bool { return sub.Dropped() >= 6 })
	if n := sub.Dropped(); n > 7 {
		t.Errorf("%d of 10 messages of 1000 bytes dropped; want three to be kept beside the one in hand", n)
	}
}

func TestNoResponders(t *testing.T) {
	c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}})
	for _, pending := range []int{0, 100} {
		got := make(chan transport.Msg, 1)
		sub, err := c.Subscribe("reply", "", pending, func(m transport.Msg) { got <- m })
		if err != nil {
			t.Fatal(err)
		}
		if err := c.PublishRequest("nobody", "reply", []byte("hello?")); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, got); !m.NoResponders || m.Subject != "reply" {
			t.Errorf("got %+v; want NoResponders", m)
		}
		if err := c.Publish("reply", nil); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, got); m.NoResponders {
			t.Errorf("an empty message came as %+v; want no NoResponders", m)
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	for _, pending := range []int{0, 100} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}})
			gate, started := make(chan struct{}), make(chan struct{}, 1)
			var n atomic.Int32
			sub, err := c.Subscribe("a", "", pending, func(transport.Msg) {
				n.Add(1)
				select {
				case started <- struct{}{}:
				default:
				}
				<-gate
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if err := c.Publish("a", nil); err != nil {
					t.Fatal(err)
				}
			}
			receive(t, started)
			if err := sub.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
			close(gate)
			if err := sub.Unsubscribe(); err != nil {
				t.Errorf("second Unsubscribe: %v", err)
			}
			// A message that comes after all else shows that nothing else will.
			last := make(chan struct{}, 1)
			if _, err := c.Subscribe("a", "", pending, func(transport.Msg) { last <- struct{}{} }); err != nil {
				t.Fatal(err)
			}
			if err := c.Publish("a", nil); err != nil {
				t.Fatal(err)
			}
			receive(t, last)
			if n.Load() != 1 {
				t.Errorf("%d messages handled; want the one that was in hand", n.Load())
			}
		})
	}
}

func TestDrainHandlesWhatHasArrived(t *testing.T) {
	for _, pending := range []int{0, 100} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}})
			gate := make(chan struct{})
			var n atomic.Int32
			sub, err := c.Subscribe("a", "", pending, func(transport.Msg) {
				<-gate
				n.Add(1)
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if err := c.Publish("a", nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Flush(context1(t)); err != nil {
				t.Fatal(err)
			}
			if err := sub.Drain(); err != nil {
				t.Fatal(err)
			}
			close(gate)
			until(t, "all messages handled", func() bool { return n.Load() == 5 })
		})
	}
}

// TestClose publishes replies from handlers that are still at work when Close is called.
func TestClose(t *testing.T) {
	for _, pending := range []int{0, 100} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			url := labtest.Broker(t)
			asker := connect(t, transport.Options{Servers: []string{url}})
			replies := make(chan string, 10)
			if _, err := asker.Subscribe("reply", "", 100, func(m transport.Msg) { replies <- string(m.Data) }); err != nil {
				t.Fatal(err)
			}
			if err := asker.Flush(context1(t)); err != nil {
				t.Fatal(err)
			}

			c, err := transport.Connect(context1(t), transport.Options{Servers: []string{url}})
			if err != nil {
				t.Fatal(err)
			}
			gate, started := make(chan struct{}), make(chan struct{}, 10)
			if _, err := c.Subscribe("ask", "", pending, func(m transport.Msg) {
				started <- struct{}{}
				<-gate
				if err := c.Publish("reply", m.Data); err != nil {
					t.Errorf("reply: %v", err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := c.Flush(context1(t)); err != nil {
				t.Fatal(err)
			}
			for i := range 5 {
				if err := asker.Publish("ask", fmt.Appendf(nil, "%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			for _, conn := range []*transport.Conn{asker, c} { // all five are on our side now
				if err := conn.Flush(context1(t)); err != nil {
					t.Fatal(err)
				}
			}
			receive(t, started)
			closed := make(chan error, 1)
			go func() { closed <- c.Close(context1(t)) }()
			close(gate)
			for i := range 5 {
				if got := receive(t, replies); got != fmt.Sprint(i) {
					t.Errorf("reply %d is %q", i, got)
				}
			}
			if err := receive(t, closed); err != nil {
				t.Error(err)
			}
			if err := c.Close(context1(t)); err != nil {
				t.Errorf("second Close: %v", err)
			}
			if err := c.Publish("reply", nil); err == nil {
				t.Error("Publish after Close succeeded")
			}
			if _, err := c.Subscribe("x", "", 0, func(transport.Msg) {}); err == nil {
				t.Error("Subscribe after Close succeeded")
			}
			if c.Server() != "" {
				t.Errorf("Server() = %q after Close", c.Server())
			}
		})
	}
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	c, err := transport.Connect(context1(t), transport.Options{Servers: []string{labtest.Broker(t)}})
	if err != nil {
		t.Fatal(err)
	}
	gate, started := make(chan struct{}), make(chan struct{}, 1)
	defer close(gate)
	if _, err := c.Subscribe("a", "", 0, func(transport.Msg) { started <- struct{}{}; <-gate }); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish("a", nil); err != nil {
		t.Fatal(err)
	}
	receive(t, started)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v; want %v", err, context.Canceled)
	}
}

// A connection that is lost while Close drains it ends that, whatever patience the caller has.
func TestCloseOfConnectionThatIsLost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"max_payload\":1048576,\"headers\":true}\r\n")
		in, unsubscribed := bufio.NewScanner(conn), false
		for in.Scan() {
			switch f := strings.Fields(in.Text()); f[0] {
			case "SUB":
				fmt.Fprintf(conn, "MSG a %s 2\r\nhi\r\n", f[2])
			case "UNSUB":
				unsubscribed = true
			case "PING":
				fmt.Fprint(conn, "PONG\r\n")
				if unsubscribed { // the first flush of Close: the next is after the handler
					l.Close()
					return
				}
			}
		}
	}()
	c, err := transport.Connect(context1(t), transport.Options{Servers: []string{"nats://" + l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	gate, started := make(chan struct{}), make(chan struct{}, 1)
	if _, err := c.Subscribe("a", "", 0, func(transport.Msg) { started <- struct{}{}; <-gate }); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(context1(t)); err != nil {
		t.Fatal(err)
	}
	receive(t, started)
	closed := make(chan error, 1)
	go func() { closed <- c.Close(context.Background()) }()
	until(t, "loss of the connection", func() bool { return c.Server() == "" })
	close(gate)
	if err := receive(t, closed); err == nil || !strings.Contains(err.Error(), "it was lost before all was sent") {
		t.Errorf("Close = %v; want that the connection was lost", err)
	}
}

func TestMessageTooLarge(t *testing.T) {
	c := connect(t, transport.Options{Servers: []string{labtest.Broker(t)}})
	err := c.Publish("a", make([]byte, 1<<20+1))
	if want := "publish to a: message too large: 1048577 bytes are more than the 1048576 that the broker accepts"; err == nil || err.Error() != want {
		t.Errorf("Publish = %v; want %s", err, want)
	}
	if !errors.Is(err, transport.ErrTooLarge) {
		t.Errorf("%v is not ErrTooLarge", err)
	}
}

// deafPort returns a loopback address that refuses connections.
func deafPort(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(labtest.Port(t)))
}

func TestConnectTriesAllServersInOrder(t *testing.T) {
	a, b := labtest.Broker(t), labtest.Broker(t)
	for _, servers := range [][]string{{a, b}, {b, a}, {"nats://" + deafPort(t), a, b}} {
		c := connect(t, transport.Options{Servers: servers})
		want := servers[0]
		if len(servers) == 3 {
			want = a
		}
		if c.Server() != want {
			t.Errorf("connected to %s; want %s of %v", c.Server(), want, servers)
		}
	}
}

func TestServerHidesThePassword(t *testing.T) {
	url := labtest.Broker(t)
	c := connect(t, transport.Options{Servers: []string{strings.Replace(url, "nats://", "nats://me:secret@", 1)}})
	if c.Server() != url {
		t.Errorf("Server() = %q; want %q", c.Server(), url)
	}
}

func TestConnectFirstInVain(t *testing.T) {
	addr := deafPort(t)
	reg := metrics.New()
	attempts := reg.Counter("choria_connector_initial_connection_attempts", "")
	connected := make(chan *transport.Conn, 1)
	go func() {
		c, err := transport.Connect(context1(t), transport.Options{Servers: []string{"nats://" + addr}, Metrics: reg, ConnectTimeout: 30 * time.Second})
		if err != nil {
			t.Error(err)
		}
		connected <- c
	}()
	until(t, "an attempt", func() bool { return attempts.Value() > 0 })
	startAt(t, addr)
	if c := receive(t, connected); c != nil {
		c.Close(context1(t))
	}
}

// startAt runs a plain broker at an address; the returned function stops it.
func startAt(t testing.TB, addr string) (stop func()) {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	_, stop = labtest.StartBroker(t, labtest.BrokerConfig(t, "plugin.choria.network.client_port", port), broker.Options{})
	t.Cleanup(stop)
	return stop
}

func TestReconnect(t *testing.T) {
	addr := deafPort(t)
	stop := startAt(t, addr)
	reg := metrics.New()
	back := make(chan string, 10)
	lost := make(chan struct{}, 10)
	c := connect(t, transport.Options{Servers: []string{"nats://" + addr}, Metrics: reg,
		OnReconnect: func(s string) { back <- s }, OnDisconnect: func() { lost <- struct{}{} }})
	got := make(chan string, 10)
	for _, pending := range []int{0, 100} {
		if _, err := c.Subscribe("a", "", pending, func(m transport.Msg) { got <- string(m.Data) }); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	receive(t, lost)
	if s := c.Server(); s != "" {
		t.Errorf("Server() = %q when the connection is lost", s)
	}
	if err := c.Publish("a", []byte("kept")); err != nil {
		t.Errorf("publish while disconnected: %v", err)
	}
	var err error
	for range 12 {
		if err = c.Publish("b", make([]byte, 1000)); err != nil {
			break
		}
	}
	if !errors.Is(err, transport.ErrBufferFull) {
		t.Errorf("publishing 12 kB while disconnected: %v; want %v", err, transport.ErrBufferFull)
	}
	startAt(t, addr)
	if s := receive(t, back); s != "nats://"+addr {
		t.Errorf("reconnected to %q; want nats://%s", s, addr)
	}
	for range 2 {
		if m := receive(t, got); m != "kept" {
			t.Errorf("received %q; want the message published while disconnected", m)
		}
	}
	if n := reg.Counter("choria_connector_reconnections", "").Value(); n != 1 {
		t.Errorf("choria_connector_reconnections = %d; want 1", n)
	}
	if s := c.Stats(); s.Reconnects == 0 {
		t.Errorf("Stats() = %+v; want a reconnection", s)
	}
	if err := c.Close(context1(t)); err != nil { // before the broker goes
		t.Error(err)
	}
}

func TestReconnectLooksServersUpAgain(t *testing.T) {
	first, second := deafPort(t), deafPort(t)
	stop := startAt(t, first)
	var now atomic.Pointer[[]string]
	now.Store(&[]string{"nats://" + first})
	back := make(chan string, 10)
	c := connect(t, transport.Options{
		Lookup:      func(context.Context) ([]string, error) { return *now.Load(), nil },
		OnReconnect: func(s string) { back <- s },
	})
	startAt(t, second)
	now.Store(&[]string{"nats://" + second})
	stop()
	if s := receive(t, back); s != "nats://"+second {
		t.Errorf("reconnected to %s; want %s", s, second)
	}
	if err := c.Close(context1(t)); err != nil { // before the broker goes
		t.Error(err)
	}
}

// TestBrokerWithUnknownError is about an error that makes the library give up for good, for which
// every one that it does not know will do.
func TestBrokerWithUnknownError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	subscribed := make(chan string, 10)
	go func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go strangeBroker(conn, n, subscribed)
		}
	}()
	reg := metrics.New()
	back := make(chan string, 10)
	c := connect(t, transport.Options{Servers: []string{"nats://" + l.Addr().String()}, Metrics: reg, OnReconnect: func(s string) { back <- s }})
	got := make(chan string, 10)
	for i, pending := range []int{0, 100} {
		if _, err := c.Subscribe(fmt.Sprintf("a%d", i), "q", pending, func(m transport.Msg) { got <- m.Subject }); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, back)
	var subjects []string
	for range 2 {
		subjects = append(subjects, receive(t, got))
	}
	slices.Sort(subjects)
	if want := []string{"a0", "a1"}; !slices.Equal(subjects, want) {
		t.Errorf("after the new connection received on %v; want %v", subjects, want)
	}
	if n := reg.Counter("choria_connector_connection_closed", "").Value(); n != 1 {
		t.Errorf("choria_connector_connection_closed = %d; want 1", n)
	}
}

// strangeBroker speaks just enough of the protocol. The first connection ends with an error after
// two subscriptions, the next ones get a message for each.
func strangeBroker(conn net.Conn, n int, subscribed chan<- string) {
	defer conn.Close()
	fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"max_payload\":1048576,\"headers\":true}\r\n")
	subs := 0
	in := bufio.NewScanner(conn)
	for in.Scan() {
		f := strings.Fields(in.Text())
		switch {
		case len(f) > 0 && f[0] == "PING":
			fmt.Fprint(conn, "PONG\r\n")
		case len(f) == 4 && f[0] == "SUB":
			subs++
			if n > 1 {
				fmt.Fprintf(conn, "MSG %s %s 2\r\nhi\r\n", f[1], f[3])
			} else if subs == 2 {
				fmt.Fprint(conn, "-ERR 'Something Strange'\r\n")
			}
		}
	}
}

func TestInProcess(t *testing.T) {
	site := labtest.TLSBroker(t)
	c := connect(t, transport.Options{InProcess: site.Broker.InProcess})
	got := make(chan string, 1)
	if _, err := c.Subscribe("a", "", 0, func(m transport.Msg) { got <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish("a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, got); m != "x" {
		t.Errorf("received %q", m)
	}
}

func TestConnectWithoutServers(t *testing.T) {
	for _, tt := range []struct {
		o   transport.Options
		err string
	}{
		{transport.Options{}, "connect to a broker: no server is known"},
		{transport.Options{Servers: []string{"nats://u:p@a:1", "wss://b:2"}}, "connect to a broker: wss and other schemes cannot be mixed in one list: nats://a:1, wss://b:2"},
	} {
		if _, err := transport.Connect(context1(t), tt.o); err == nil || err.Error() != tt.err {
			t.Errorf("Connect(%v) = %v; want %s", tt.o.Servers, err, tt.err)
		}
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	// A broker that says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			accepted <- conn
		}
		cancel()
	}()
	start := time.Now()
	_, err = transport.Connect(ctx, transport.Options{Servers: []string{"nats://" + l.Addr().String()}, ConnectTimeout: 2 * patience, Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Connect = %v; want %v", err, context.Canceled)
	}
	if d := time.Since(start); d > patience {
		t.Errorf("Connect took %v after its context had ended", d)
	}
	(<-accepted).Close()
}
