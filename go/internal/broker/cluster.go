package broker

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

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
	routes, self, err := b.routes(peers, port)
	if err != nil {
		return err
	}
	b.opts.Routes = routes
	b.size = len(routes) + 1
	c := &b.opts.Cluster
	c.Host = b.cfg.ListenAddress
	c.Port = port
	// Brokers tell each other of all the others. By its name on the list each is known already; by its
	// address it would be tried once more, and its certificate is not for that.
	c.Advertise = self
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

// routes returns the URLs of the other brokers. A list that all brokers share names this one too: self
// is its name and port there, empty when it is not on the list by a name.
func (b *Broker) routes(peers []string, port int) (routes []*url.URL, self string, err error) {
	own := b.ownHosts()
	for _, p := range peers {
		u, err := url.Parse(p)
		if err != nil {
			return nil, "", errors.New("plugin.choria.network.peers: not a list of addresses") // checked before
		}
		if u.Port() == strconv.Itoa(port) && own[strings.ToLower(u.Hostname())] {
			if name := u.Hostname(); net.ParseIP(name) == nil && name != "localhost" {
				self = u.Host
			}
			continue
		}
		route := &url.URL{Scheme: "nats-route", Host: u.Host, User: u.User}
		if b.cfg.PeerUser != "" {
			route.User = url.UserPassword(b.cfg.PeerUser, b.cfg.PeerPassword)
		}
		routes = append(routes, route)
	}
	return routes, self, nil
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
