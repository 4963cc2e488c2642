package transport_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/transport"
)

// connections is how many the budget is measured with.
const connections = 500

// connBudget is what a connection with the subscriptions of a node may cost in a process that has
// thousands, TLS off: part of the 80 kB for a whole node. 32 KiB of it are the read buffer of the
// library, of which the machine provides only the pages that were used; BenchmarkConnections prints
// what becomes resident, about 32 kB.
const connBudget = 68 << 10

// memory returns the bytes in use by heap and stacks after a collection.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// quietBroker is on the other side of all connections, in little memory of its own: it says
// welcome and nothing more, without a goroutine or a buffer for each.
func quietBroker(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 8192)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, conn)
			if _, err := fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"max_payload\":1048576,\"headers\":true}\r\n"); err != nil {
				return
			}
			if _, err := conn.Read(buf); err != nil {
				return
			}
			if _, err := fmt.Fprint(conn, "PONG\r\n"); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range held {
			c.Close()
		}
	})
	return "nats://" + l.Addr().String()
}

// TestMemoryOfAConnection holds the budget, goroutines included.
func TestMemoryOfAConnection(t *testing.T) {
	bytes, goroutines := measure(t, quietBroker(t), connections)
	t.Logf("%d connections with 10 subscriptions: %d bytes and %.1f goroutines each", connections, bytes, goroutines)
	if bytes > connBudget+overhead {
		t.Errorf("a connection takes %d bytes; the budget is %d", bytes, connBudget)
	}
	if goroutines > 4.1 {
		t.Errorf("a connection has %.1f goroutines; want the 3 of the library and 1 of ours", goroutines)
	}
}

// measure returns what each of n connections with 10 subscriptions costs.
func measure(t testing.TB, url string, n int) (bytes int, goroutines float64) {
	t.Helper()
	conns := make([]*transport.Conn, 0, n)
	before, beforeG := memory(), runtime.NumGoroutine()
	for i := range n {
		c, err := transport.Connect(context1(t), transport.Options{Servers: []string{url}, Name: fmt.Sprintf("n%d", i), ConnectTimeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		for s := range 10 {
			if _, err := c.Subscribe(transport.BroadcastSubject("mcollective", fmt.Sprintf("agent%d", s)), "", 0, func(transport.Msg) {}); err != nil {
				t.Fatal(err)
			}
		}
		conns = append(conns, c)
	}
	bytes = int(memory()-before) / n
	goroutines = float64(runtime.NumGoroutine()-beforeG) / float64(n)
	// That broker answers no more pings, hence nothing can be drained.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range conns {
		_ = c.Close(ctx)
	}
	return bytes, goroutines
}

// resident returns the resident memory of this process in bytes.
func resident(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// BenchmarkConnections prints what each of 2000 connections costs.
func BenchmarkConnections(b *testing.B) {
	const n = 2000
	for b.Loop() {
		url := quietBroker(b)
		before := resident(b)
		bytes, goroutines := measure(b, url, n)
		b.ReportMetric(float64(resident(b)-before)/n, "resident/conn") // what was used is not given back at once
		b.ReportMetric(float64(bytes), "bytes/conn")
		b.ReportMetric(goroutines, "goroutines/conn")
	}
}

// BenchmarkReceive measures one subscription of each kind at full speed.
func BenchmarkReceive(b *testing.B) {
	for _, pending := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			b.ReportAllocs()
			url := labtest.Broker(b)
			in, out := connect(b, transport.Options{Servers: []string{url}}), connect(b, transport.Options{Servers: []string{url}})
			got := make(chan struct{}, 100)
			if _, err := in.Subscribe("a", "", pending, func(transport.Msg) { got <- struct{}{} }); err != nil {
				b.Fatal(err)
			}
			if err := in.Flush(context1(b)); err != nil {
				b.Fatal(err)
			}
			data := make([]byte, 500)
			for b.Loop() {
				const batch = 8 // less than the short queue holds
				for range batch {
					if err := out.Publish("a", data); err != nil {
						b.Fatal(err)
					}
				}
				for range batch {
					<-got
				}
			}
		})
	}
}
