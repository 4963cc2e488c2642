package broker_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// holdEnv makes the test binary hold connections for a benchmark: "url n", and "cert key ca" for TLS.
const holdEnv = "CHORIA_TEST_HOLD_CONNECTIONS"

func TestMain(m *testing.M) {
	if spec := os.Getenv(holdEnv); spec != "" {
		if err := hold(strings.Fields(spec)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hold makes connections as a node has them, says ready, and keeps them until standard input ends.
func hold(spec []string) error {
	u, err := url.Parse(spec[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(spec[1])
	if err != nil {
		return err
	}
	var config *tls.Config
	if len(spec) > 2 {
		cert, err := tls.LoadX509KeyPair(spec[2], spec[3])
		if err != nil {
			return err
		}
		config = &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true} // a benchmark of the other side
	}
	conns := make([]net.Conn, 0, n)
	for i := range n {
		conn, err := dialNode(u.Host, config, i)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		conns = append(conns, conn)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.Close()
	}
	return err
}

// dialNode connects and subscribes as a node with eight agents does.
func dialNode(addr string, config *tls.Config, i int) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := readLine(conn); err != nil { // INFO
		return nil, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"version\":\"1\",\"protocol\":1,\"headers\":true,\"no_responders\":true,\"name\":\"n%d.example.net\"}\r\n", i)
	fmt.Fprintf(&b, "SUB %s 1\r\n", transport.NodeSubject("mcollective", fmt.Sprintf("n%d.example.net", i)))
	for a := range 8 {
		fmt.Fprintf(&b, "SUB %s %d\r\n", transport.BroadcastSubject("mcollective", fmt.Sprintf("agent%d", a)), a+2)
	}
	b.WriteString("PING\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	for {
		line, err := readLine(conn)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(line, "PONG") {
			return conn, nil
		}
	}
}

// readLine reads without a buffer that would stay with the connection.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
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

// A cost is memory for one connected node, in bytes.
type cost struct {
	inUse    int // by heap and stacks
	needed   int // resident after the runtime has given back what it can
	resident int // resident before; depends on GOGC and on how fast they connected
}

// perConnection returns what a connected node costs the broker.
func perConnection(t testing.TB, n int, secure bool) cost {
	t.Helper()
	var o broker.Options
	site := labtest.NewSite(t)
	spec := []string{"", strconv.Itoa(n)}
	if secure {
		o.Security = site.Identity(t, "b.example.net", security.ForBroker)
		site.Identity(t, "n.example.net", security.ForServer)
		spec = append(spec, site.Dir+"/n.example.net.pem", site.Dir+"/n.example.net.key")
	}
	b, stop := labtest.StartBroker(t, labtest.BrokerConfig(t, "identity", "b.example.net"), o)
	defer stop()
	spec[0] = b.URL()

	measure := func() (c cost) {
		runtime.GC()
		c.resident = resident(t)
		debug.FreeOSMemory()
		c.needed = resident(t)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.inUse = int(m.HeapInuse + m.StackInuse)
		return c
	}
	before := measure()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+strings.Join(spec, " "))
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
	defer func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("holding connections: %v", err)
		}
	}()
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("holding connections: %s", line)
	}
	until(t, "all connected", func() bool { return b.Clients() == n })
	time.Sleep(3 * time.Second) // the first pings of the server, after 2 s, are part of it
	after := measure()
	return cost{(after.inUse - before.inUse) / n, (after.needed - before.needed) / n, (after.resident - before.resident) / n}
}

// BenchmarkConnection prints what each of 4000 connected nodes costs. The budget is 30 kB, 45 kB with
// TLS.
func BenchmarkConnection(b *testing.B) {
	for _, secure := range []bool{false, true} {
		b.Run(fmt.Sprintf("tls=%v", secure), func(b *testing.B) {
			for b.Loop() {
				c := perConnection(b, 4000, secure)
				b.ReportMetric(float64(c.inUse), "bytes/conn")
				b.ReportMetric(float64(c.needed), "needed/conn")
				b.ReportMetric(float64(c.resident), "resident/conn")
			}
		})
	}
}
