package agents

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pingInterval is the time between two echo requests to a host that does not answer.
const pingInterval = time.Second

// errNoAnswer is a host that did not answer in time.
var errNoAnswer = errors.New("no answer")

// errPermission is a node that may not send echo requests.
var errPermission = errors.New("the daemon may not send ICMP echo requests: put a group of its user into the range of the sysctl " +
	"net.ipv4.ping_group_range, or give it the capability CAP_NET_RAW")

// ICMP types, RFC 792 and RFC 4443.
const (
	echoReply4, echoRequest4 = 0, 8
	echoRequest6, echoReply6 = 128, 129
)

// ping sends echo requests to addr until one is answered or end has come, and returns the time
// that the answer took.
func ping(ctx context.Context, end time.Time, addr netip.Addr) (time.Duration, error) {
	conn, to, err := pingSocket(addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	// A deadline in the past ends a read that has begun.
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()

	p := newPinger(addr.Is6())
	buf := make([]byte, 1500)
	for {
		if _, err := conn.WriteTo(p.request(), to); err != nil {
			return 0, plainError(err)
		}
		wait := time.Now().Add(pingInterval)
		if wait.After(end) {
			wait = end
		}
		conn.SetReadDeadline(wait)
		if ctx.Err() != nil { // it may have ended before the deadline was set
			return 0, ctx.Err()
		}
		for {
			n, _, err := conn.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return 0, plainError(err)
			}
			if rtt, ok := p.answer(buf[:n]); ok {
				return rtt, nil
			}
		}
		if ctx.Err() != nil || !time.Now().Before(end) {
			return 0, errNoAnswer
		}
	}
}

// pingSocket opens a socket for echo requests. Datagram sockets need no rights where the kernel
// allows the user's group to have them, raw ones need CAP_NET_RAW.
func pingSocket(addr netip.Addr) (net.PacketConn, net.Addr, error) {
	domain, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if addr.Is6() {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	var to net.Addr = &net.UDPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|flags, protocol)
	if err != nil {
		to = &net.IPAddr{IP: addr.AsSlice(), Zone: addr.Zone()}
		fd, err = unix.Socket(domain, unix.SOCK_RAW|flags, protocol)
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, nil, errPermission
	}
	if err != nil {
		return nil, nil, fmt.Errorf("socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "icmp")
	defer file.Close()
	conn, err := net.FilePacketConn(file) // of a copy of the descriptor
	return conn, to, err
}

// plainError takes off what the net package says around an error, such as the network "udp".
func plainError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// A pinger makes echo requests and knows the answers to them by a random payload, since a raw
// socket gets the messages of everybody.
type pinger struct {
	v6    bool
	id    uint16
	token [16]byte
	sent  []time.Time // when, by sequence number
}

func newPinger(v6 bool) *pinger {
	p := &pinger{v6: v6, id: uint16(os.Getpid())}
	rand.Read(p.token[:])
	return p
}

const echoHeader = 8 // bytes: type, code, checksum, identifier, sequence number

// request returns the next echo request.
func (p *pinger) request() []byte {
	msg := make([]byte, echoHeader+56)
	msg[0] = echoRequest4
	if p.v6 {
		msg[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(msg[4:], p.id)
	binary.BigEndian.PutUint16(msg[6:], uint16(len(p.sent)))
	copy(msg[echoHeader:], p.token[:])
	if !p.v6 { // of v6 the kernel does it, as the addresses are in it
		binary.BigEndian.PutUint16(msg[2:], checksum(msg))
	}
	p.sent = append(p.sent, time.Now())
	return msg
}

// answer returns how long an answer took, when msg is an answer to a request of ours.
func (p *pinger) answer(msg []byte) (time.Duration, bool) {
	want := byte(echoReply4)
	if p.v6 {
		want = echoReply6
	}
	if len(msg) < echoHeader+len(p.token) || msg[0] != want || msg[1] != 0 ||
		!bytes.Equal(msg[echoHeader:echoHeader+len(p.token)], p.token[:]) {
		return 0, false
	}
	seq := int(binary.BigEndian.Uint16(msg[6:]))
	if seq >= len(p.sent) {
		return 0, false
	}
	return time.Since(p.sent[seq]), true
}

// checksum is the Internet checksum of RFC 1071.
func checksum(msg []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(msg); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(msg[i:]))
	}
	if len(msg)%2 == 1 {
		sum += uint32(msg[len(msg)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
