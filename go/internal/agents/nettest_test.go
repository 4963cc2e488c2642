package agents

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"choria.io/choria/go/agent"
)

// quick is the agent with a resolver that knows some names, and little patience.
func quick(hosts map[string][]string) *agent.Agent {
	return newNettest(&nettest{resolve: resolver(hosts), resolveTimeout: 200 * time.Millisecond, connectTimeout: 500 * time.Millisecond, pingTimeout: 500 * time.Millisecond})
}

// patient is the same with much patience.
func patient(hosts map[string][]string) *agent.Agent {
	return newNettest(&nettest{resolve: resolver(hosts), resolveTimeout: time.Minute, connectTimeout: time.Minute, pingTimeout: time.Minute})
}

// resolver knows hosts, and a slow one.
func resolver(hosts map[string][]string) func(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		if addr, err := netip.ParseAddr(host); err == nil {
			return []netip.Addr{addr}, nil
		}
		if host == "slow.example.net" {
			<-ctx.Done()
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		}
		var addrs []netip.Addr
		for _, a := range hosts[host] {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if addrs == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return addrs, nil
	}
}

func listen(t *testing.T, address string) (l net.Listener, port int) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().(*net.TCPAddr).Port
}

func TestConnect(t *testing.T) {
	_, port := listen(t, "127.0.0.1:0")
	for name, a := range map[string]*agent.Agent{
		"127.0.0.1": Nettest(), "localhost": Nettest(), "n1.example.net": patient(map[string][]string{"n1.example.net": {"127.0.0.1"}}),
		"::ffff:127.0.0.1": Nettest(),
	} {
		got := mustCall(t, a, "connect", in{"fqdn": name, "port": port})
		if seconds, ok := got["connect_time"].(float64); got["connect"] != true || got["connect_status"] != "Connected" || !ok || seconds <= 0 || seconds > 2 {
			t.Errorf("connect to %s = %v", name, got)
		}
	}
	// A port of JSON numbers in other writings.
	if got := mustCall(t, Nettest(), "connect", in{"fqdn": "127.0.0.1", "port": float64(port)}); got["connect"] != true {
		t.Errorf("connect = %v", got)
	}
}

func TestConnectIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		// Without IPv6 there is one way only: saying so.
		got := mustCall(t, Nettest(), "connect", in{"fqdn": "::1", "port": 1})
		if got["connect"] != false {
			t.Errorf("connect without IPv6 = %v", got)
		}
		return
	}
	defer l.Close()
	got := mustCall(t, Nettest(), "connect", in{"fqdn": "::1", "port": l.Addr().(*net.TCPAddr).Port})
	if got["connect"] != true {
		t.Errorf("connect = %v", got)
	}
}

func TestConnectRefused(t *testing.T) {
	l, port := listen(t, "127.0.0.1:0")
	l.Close()
	got := mustCall(t, Nettest(), "connect", in{"fqdn": "127.0.0.1", "port": port})
	if want := fmt.Sprint(map[string]any{"connect": false, "connect_status": "Connection Refused", "connect_time": nil}); fmt.Sprint(got) != want {
		t.Errorf("connect = %v; want %s", got, want)
	}
}

// A host of several addresses is reached when one of them answers.
func TestConnectSecondAddress(t *testing.T) {
	_, port := listen(t, "127.0.0.2:0")
	a := patient(map[string][]string{"n1.example.net": {"127.0.0.1", "127.0.0.2"}})
	if got := mustCall(t, a, "connect", in{"fqdn": "n1.example.net", "port": port}); got["connect"] != true {
		t.Errorf("connect = %v", got)
	}
}

// A listener whose queue is full answers no more, as a host behind a firewall that drops does.
func TestConnectTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := sa.(*unix.SockaddrInet4).Port
	for range 50 { // until the queue is full
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 300*time.Millisecond)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	start := time.Now()
	got := mustCall(t, quick(nil), "connect", in{"fqdn": "127.0.0.1", "port": port})
	if got["connect"] != false || got["connect_status"] != "Connection Timeout" || got["connect_time"] != nil || time.Since(start) < 400*time.Millisecond {
		t.Errorf("connect = %v after %v", got, time.Since(start))
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	_, status, msg := call(t, ctx, patient(nil), "connect", in{"fqdn": "127.0.0.1", "port": port})
	if want := fmt.Sprintf("connect to 127.0.0.1:%d: context canceled", port); status != agent.Aborted || msg != want {
		t.Errorf("cancelled: status %d, %s; want 1, %s", status, msg, want)
	}
}

func TestConnectStatus(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{os.NewSyscallError("connect", syscall.ECONNREFUSED), "Connection Refused"},
		{os.NewSyscallError("connect", syscall.ECONNRESET), "Connection Refused"},
		{os.NewSyscallError("connect", syscall.EHOSTUNREACH), "Host Unreachable"},
		{os.NewSyscallError("connect", syscall.ENETUNREACH), "Network Unreachable"},
		{os.NewSyscallError("connect", syscall.EADDRNOTAVAIL), "Network Unreachable"},
		{os.NewSyscallError("connect", syscall.ETIMEDOUT), "Connection Timeout"},
		{context.DeadlineExceeded, "Connection Timeout"},
		{os.ErrDeadlineExceeded, "Connection Timeout"},
	}
	for _, tt := range tests {
		if got := connectStatus(&net.OpError{Op: "dial", Err: tt.err}); got != tt.want {
			t.Errorf("%v: %s; want %s", tt.err, got, tt.want)
		}
	}
}

func TestUnresolved(t *testing.T) {
	for _, tt := range []struct {
		action string
		inputs in
		msg    string
	}{
		{"connect", in{"fqdn": "nope.example.net", "port": 80}, `host name "nope.example.net": does not resolve: no such host`},
		{"ping", in{"fqdn": "nope.example.net"}, `host name "nope.example.net": does not resolve: no such host`},
		{"ping", in{"fqdn": "slow.example.net"}, `host name "slow.example.net": does not resolve: i/o timeout`},
	} {
		if _, status, msg := call(t, t.Context(), quick(nil), tt.action, tt.inputs); status != agent.Aborted || msg != tt.msg {
			t.Errorf("%s: status %d, %s; want 1, %s", tt.action, status, msg, tt.msg)
		}
	}
}

// Whether this machine lets us ping is its business: the agent must do it or say why not.
func TestPing(t *testing.T) {
	conn, _, err := pingSocket(netip.MustParseAddr("127.0.0.1"))
	if errors.Is(err, errPermission) {
		_, status, msg := call(t, t.Context(), Nettest(), "ping", in{"fqdn": "127.0.0.1"})
		if status != agent.Aborted || !strings.Contains(msg, "ping_group_range") || !strings.Contains(msg, "CAP_NET_RAW") {
			t.Errorf("ping without permission: status %d, %s", status, msg)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1"} {
		got := mustCall(t, Nettest(), "ping", in{"fqdn": host})
		if ms, ok := got["rtt"].(float64); !ok || ms <= 0 || ms > 5000 {
			t.Errorf("ping %s = %v", host, got)
		}
	}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil { // there is IPv6
		l.Close()
		got := mustCall(t, Nettest(), "ping", in{"fqdn": "::1"})
		if ms, ok := got["rtt"].(float64); !ok || ms <= 0 || ms > 5000 {
			t.Errorf("ping ::1 = %v", got)
		}
	}
	// The first address does not answer, the second does.
	a := patient(map[string][]string{"n1.example.net": {"255.255.255.255", "127.0.0.1"}})
	if got := mustCall(t, a, "ping", in{"fqdn": "n1.example.net"}); got["rtt"] == nil {
		t.Errorf("ping of two addresses = %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, status, msg := call(t, ctx, Nettest(), "ping", in{"fqdn": "127.0.0.1"}); status == agent.OK || got["rtt"] != nil {
		t.Errorf("cancelled: status %d, %s, %v", status, msg, got)
	}
}

// The pinger against a peer that answers wrongly first.
func TestPinger(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p := newPinger(v6)
		request := p.request()
		second := p.request()
		if len(p.sent) != 2 || request[7] != 0 || second[7] != 1 {
			t.Errorf("sequence numbers %d and %d", request[7], second[7])
		}
		if !v6 && checksum(request) != 0 {
			t.Errorf("checksum of a request with its checksum is %#x; want 0", checksum(request))
		}
		answer := append([]byte{}, second...)
		answer[0] = echoReply4
		if v6 {
			answer[0] = echoReply6
		}
		if _, ok := p.answer(answer); !ok {
			t.Error("an answer is not taken")
		}
		other := newPinger(v6)
		other.request()
		if _, ok := other.answer(answer); ok {
			t.Error("an answer to somebody else is taken")
		}
		for i, change := range []func([]byte) []byte{
			func(b []byte) []byte { return b[:10] },
			func(b []byte) []byte { b[0]++; return b },
			func(b []byte) []byte { b[1] = 1; return b },
			func(b []byte) []byte { b[7] = 9; return b },
			func(b []byte) []byte { b[8] ^= 1; return b },
			func(b []byte) []byte { return nil },
			func(b []byte) []byte { return request },
		} {
			if _, ok := p.answer(change(append([]byte{}, answer...))); ok {
				t.Errorf("wrong answer number %d is taken", i)
			}
		}
	}
	if got := checksum([]byte{1, 2, 3}); got != ^uint16(0x0102+0x0300) {
		t.Errorf("checksum of an odd length = %#x", got)
	}
}

func FuzzPingAnswer(f *testing.F) {
	p := newPinger(false)
	f.Add(p.request())
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, msg []byte) { p.answer(msg) })
}
