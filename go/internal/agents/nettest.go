package agents

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"choria.io/choria/go/agent"
)

// A nettest is the agent nettest.
type nettest struct {
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)

	// How long each step may take at most.
	resolveTimeout, connectTimeout, pingTimeout time.Duration
}

// Nettest returns the agent nettest, which tests the network from the node to other machines.
func Nettest() *agent.Agent {
	return newNettest(&nettest{
		resolve:        net.DefaultResolver.LookupNetIP,
		resolveTimeout: 5 * time.Second,
		connectTimeout: 2 * time.Second, // as in the Ruby agent
		pingTimeout:    5 * time.Second, // as in the Ruby agent
	})
}

func newNettest(n *nettest) *agent.Agent {
	return newAgent("nettest", map[string]agent.Action{"connect": n.connect, "ping": n.ping})
}

// addresses returns the addresses of a host, IPv4 and IPv6, in the order of the resolver.
func (n *nettest) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, n.resolveTimeout)
	defer cancel()
	addrs, err := n.resolve(ctx, "ip", host)
	if err == nil && len(addrs) == 0 {
		err = errors.New("no addresses")
	}
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			err = errors.New(dns.Err) // the name is in the message already
		}
		return nil, agent.Errorf(agent.Aborted, "host name %q: does not resolve: %v", host, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// A connectResult is the data of the action connect. The first two texts of the status are those of
// the Ruby agent, which has the second for all that is not a timeout.
type connectResult struct {
	Connect bool     `json:"connect"`
	Status  string   `json:"connect_status"`
	Time    *float64 `json:"connect_time"` // seconds; null when there was no connection
}

// connect tells of a connection that could not be made in its data: the action itself succeeded.
func (n *nettest) connect(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Host string `json:"fqdn"`
		Port int    `json:"port"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	if in.Port < 1 || in.Port > 65535 {
		return agent.Errorf(agent.InvalidData, "input \"port\" of nettest#connect: %d is not from 1 to 65535", in.Port)
	}
	addrs, err := n.addresses(ctx, in.Host)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, n.connectTimeout)
	defer cancel()
	for i, addr := range addrs {
		var took time.Duration
		took, err = dial(limited, attemptEnd(limited, len(addrs)-i), netip.AddrPortFrom(addr, uint16(in.Port)))
		if err == nil {
			seconds := took.Seconds()
			reply.Data = &connectResult{Connect: true, Status: "Connected", Time: &seconds}
			return nil
		}
		if ctx.Err() != nil {
			return agent.Errorf(agent.Aborted, "connect to %s: %v", net.JoinHostPort(in.Host, strconv.Itoa(in.Port)), ctx.Err())
		}
	}
	reply.Data = &connectResult{Status: connectStatus(err)}
	return nil
}

// attemptEnd returns when the next of several attempts has to end for all to get an equal part of
// the time until the deadline of ctx.
func attemptEnd(ctx context.Context, attempts int) time.Time {
	end, _ := ctx.Deadline()
	return time.Now().Add(time.Until(end) / time.Duration(attempts))
}

// dial connects, says how long that took, and hangs up.
func dial(ctx context.Context, end time.Time, to netip.AddrPort) (time.Duration, error) {
	d := net.Dialer{Deadline: end}
	start := time.Now()
	conn, err := d.DialContext(ctx, "tcp", to.String())
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	conn.Close()
	return took, nil
}

func connectStatus(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "Host Unreachable"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return "Network Unreachable"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "Connection Timeout"
	}
	return "Connection Refused"
}

func (n *nettest) ping(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Host string `json:"fqdn"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	addrs, err := n.addresses(ctx, in.Host)
	if err != nil {
		return err
	}
	reply.Data = map[string]any{"rtt": nil}
	limited, cancel := context.WithTimeout(ctx, n.pingTimeout)
	defer cancel()
	var errs []error
	for i, addr := range addrs {
		rtt, err := ping(limited, attemptEnd(limited, len(addrs)-i), addr)
		if err == nil {
			reply.Data = map[string]any{"rtt": float64(rtt) / float64(time.Millisecond)}
			return nil
		}
		errs = append(errs, fmt.Errorf("ping %s: %w", addr, err))
		if ctx.Err() != nil {
			break
		}
	}
	return aborted(errors.Join(errs...))
}
