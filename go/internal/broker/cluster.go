package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"

	"choria.io/choria/go/internal/transport"
)

// findPeers adds the cluster to the options, when there are other brokers.
func (b *Broker) findPeers(ctx context.Context) error {
	f := &transport.Finder{Config: b.cfg, Resolver: b.o.Resolver, Metrics: b.o.Metrics, Log: b.log}
	peers, err := f.Peers(ctx)
	if err != nil {
		return err
	}
	if len(peers) == 0 {
		b.opts.Cluster.Name = "" // a server that stands alone has none
		return nil
	}
	port := b.cfg.PeerPort
	if port == 0 {
		port = defaultPeerPort
	}
	routes, err := b.routes(peers, port)
	if err != nil {
		return err
	}
	b.opts.Routes = routes
	b.size = len(routes) + 1
	c := &b.opts.Cluster
	c.Host = b.cfg.ListenAddress
	c.Port = port
	c.NoAdvertise = true // clients know the brokers by configuration or DNS
	c.Username = b.cfg.PeerUser
	c.Password = b.cfg.PeerPassword
	c.AuthTimeout = b.cfg.AuthTimeout.Seconds()
	c.TLSTimeout = b.cfg.TLSTimeout.Seconds()
	if b.o.Security != nil && b.cfg.PeerTLS {
		c.TLSConfig = peerTLS(b.o.Security)
	}
	b.auth.peers(peers, c.TLSConfig != nil)
	return nil
}

// routes returns the URLs of the other brokers. A list that all brokers share names this one too.
func (b *Broker) routes(peers []string, port int) ([]*url.URL, error) {
	own := b.ownHosts()
	var routes []*url.URL
	for _, p := range peers {
		u, err := url.Parse(p)
		if err != nil {
			return nil, errors.New("plugin.choria.network.peers: not a list of addresses") // checked before
		}
		if u.Port() == strconv.Itoa(port) && own[strings.ToLower(u.Hostname())] {
			continue
		}
		route := &url.URL{Scheme: "nats-route", Host: u.Host, User: u.User}
		if b.cfg.PeerUser != "" {
			route.User = url.UserPassword(b.cfg.PeerUser, b.cfg.PeerPassword)
		}
		routes = append(routes, route)
	}
	return routes, nil
}

// ownHosts returns the names and addresses of this machine. Another name of it among the peers does
// no harm: the server notices that it has connected to itself, and lets go.
func (b *Broker) ownHosts() map[string]bool {
	own := map[string]bool{strings.ToLower(b.cfg.Identity): true, "localhost": true}
	if name, err := os.Hostname(); err == nil {
		own[strings.ToLower(name)] = true
	}
	if ip := net.ParseIP(b.cfg.ListenAddress); ip != nil && !ip.IsUnspecified() {
		own[ip.String()] = true
		return own // other addresses of the machine may be other brokers
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return own
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			own[n.IP.String()] = true
		}
	}
	return own
}

// checkPorts finds out whether the ports can be had, since the server itself only logs it.
func (b *Broker) checkPorts() error {
	host, err := checkPort("plugin.choria.network.client_port", b.opts.Host, b.opts.Port)
	if err != nil {
		return err
	}
	if host != b.opts.Host {
		b.log.Warn("there is no IPv6 on this machine, listening on IPv4 alone")
		b.opts.Host = host
	}
	for _, l := range []struct {
		key  string
		host *string
		port int
	}{
		{"plugin.choria.network.peer_port", &b.opts.Cluster.Host, b.opts.Cluster.Port},
		{"plugin.choria.network.leafnode_port", &b.opts.LeafNode.Host, b.opts.LeafNode.Port},
		{"plugin.choria.network.gateway_port", &b.opts.Gateway.Host, b.opts.Gateway.Port},
		{"plugin.choria.network.websocket_port", &b.opts.Websocket.Host, b.opts.Websocket.Port},
	} {
		if l.port == 0 {
			continue
		}
		if *l.host, err = checkPort(l.key, *l.host, l.port); err != nil {
			return err
		}
	}
	return nil
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
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "plugin.choria.network.listen_address must be an address of this machine"
	}
	return ""
}
