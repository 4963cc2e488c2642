package broker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// checkPorts finds out whether the ports can be had, since the server itself only logs it.
func (b *Broker) checkPorts() error {
	const clientPort = "plugin.choria.network.client_port"
	ports := []struct {
		key  string
		host *string
		port int
	}{
		{clientPort, &b.opts.Host, b.opts.Port},
		{"plugin.choria.network.peer_port", &b.opts.Cluster.Host, b.opts.Cluster.Port},
		{"plugin.choria.network.leafnode_port", &b.opts.LeafNode.Host, b.opts.LeafNode.Port},
		{"plugin.choria.network.gateway_port", &b.opts.Gateway.Host, b.opts.Gateway.Port},
		{"plugin.choria.network.websocket_port", &b.opts.Websocket.Host, b.opts.Websocket.Port},
	}
	// Each by itself is free, and so is what the statistics are about to be served on.
	keys := map[int]string{}
	for _, p := range ports {
		if first, ok := keys[p.port]; ok && p.port > 0 {
			return &PortError{Key: p.key, Host: *p.host, Port: p.port, Err: fmt.Errorf("it is %s too", first)}
		}
		keys[p.port] = p.key
	}
	if first, ok := keys[b.cfg.StatsPort]; ok && b.cfg.StatsPort > 0 && overlap(b.cfg.StatsAddress, b.cfg.ListenAddress) {
		return &PortError{Key: "plugin.choria.stats_port", Host: b.cfg.StatsAddress, Port: b.cfg.StatsPort, Err: fmt.Errorf("it is %s too", first)}
	}
	for _, p := range ports {
		if p.port == 0 {
			continue
		}
		host, err := checkPort(p.key, *p.host, p.port)
		if err != nil {
			return err
		}
		if host != *p.host && p.key == clientPort {
			b.log.Warn("there is no IPv6 on this machine, listening on IPv4 alone")
		}
		*p.host = host
	}
	return nil
}

// overlap reports whether what listens on one address takes ports of the other.
func overlap(a, b string) bool {
	all := func(text string) bool {
		ip := net.ParseIP(text)
		return ip != nil && ip.IsUnspecified()
	}
	return a == b || all(a) || all(b)
}

// checkPort listens on a port and stops at once. It returns the host to listen on: where a machine
// has no IPv6, all addresses are those of IPv4.
func checkPort(key, host string, port int) (string, error) {
	if port < 0 {
		port = 0
	}
	listen := func(host string) error {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			l.Close()
		}
		return err
	}
	err := listen(host)
	if err != nil && host == "::" && !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
		if listen("0.0.0.0") == nil {
			return "0.0.0.0", nil
		}
	}
	if err == nil {
		return host, nil
	}
	return "", &PortError{Key: key, Host: host, Port: port, Err: err}
}

// A PortError says why a port cannot be listened on.
type PortError struct {
	Key  string
	Host string
	Port int
	Err  error
}

func (e *PortError) Error() string {
	why := e.Err.Error()
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		why = errno.Error()
	}
	var dns *net.DNSError
	if errors.As(e.Err, &dns) {
		why = fmt.Sprintf("the host name %q is not known", dns.Name)
	}
	return fmt.Sprintf("%s: listen on %s: %s", e.Key, net.JoinHostPort(e.Host, strconv.Itoa(e.Port)), why)
}

func (e *PortError) Unwrap() error { return e.Err }

// Hint returns what to do about it.
func (e *PortError) Hint() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("another program has the port, perhaps another broker; \"ss -ltnp sport = :%d\" shows which", e.Port)
	case errors.Is(e.Err, syscall.EACCES):
		return "ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL), errors.As(e.Err, new(*net.DNSError)):
		return "plugin.choria.network.listen_address must be an address of this machine"
	}
	return ""
}
