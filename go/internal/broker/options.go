package broker

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/nats-io/nats-server/v2/server"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/security"
)

// serverOptions translates the configuration. The cluster is added when the peers are known.
func (b *Broker) serverOptions() (*server.Options, error) {
	cfg := b.cfg
	o := &server.Options{
		ServerName:    cfg.Identity,
		Host:          cfg.ListenAddress,
		Port:          cfg.ClientPort,
		MaxConn:       b.o.MaxConnections,
		WriteDeadline: cfg.WriteDeadline,
		TLSTimeout:    cfg.TLSTimeout.Seconds(),
		AuthTimeout:   cfg.AuthTimeout.Seconds(),
		NoSigs:        true, // signals are for the process

		Accounts:      []*server.Account{server.NewAccount(mainAccount), server.NewAccount(systemAccount)},
		SystemAccount: systemAccount,

		// With an authenticator the server advertises that authentication is required, and insists
		// on a CONNECT before anything else. Other brokers do not advertise it; clients that have
		// nothing but a certificate ignore it.
		CustomClientAuthentication: b.auth,
		CustomRouterAuthentication: b.auth,
	}
	if strings.ContainsFunc(cfg.ClusterName, unicode.IsSpace) {
		return nil, fmt.Errorf("plugin.choria.network.gateway_name: %q: want a name without spaces", cfg.ClusterName)
	}
	o.Cluster.Name = cfg.ClusterName
	// Every attempt to reach another broker goes to our logger, which says it once.
	o.ConnectErrorReports, o.ReconnectErrorReports = 1, 1
	if cfg.ClientPort == 0 {
		return nil, fmt.Errorf("plugin.choria.network.client_port: want a port, or -1 for any that is free")
	}
	advertise, err := clientAdvertise(cfg)
	if err != nil {
		return nil, err
	}
	o.ClientAdvertise = advertise
	if err := streamOptions(cfg, o); err != nil {
		return nil, err
	}
	if err := b.leafnodeOptions(o); err != nil {
		return nil, err
	}
	if err := b.gatewayOptions(o); err != nil {
		return nil, err
	}
	if err := b.websocketOptions(o); err != nil {
		return nil, err
	}
	if b.o.Security != nil {
		o.TLS = true
		o.TLSConfig = clientTLS(b.o.Security)
	}
	return o, nil
}

// clientAdvertise returns where clients are told to connect to: public_url, else the identity and
// the client port. Empty leaves it to the server.
func clientAdvertise(cfg *config.Config) (string, error) {
	if cfg.PublicURL == "" {
		if cfg.Identity == "" || cfg.ClientPort < 0 {
			return "", nil
		}
		return net.JoinHostPort(cfg.Identity, strconv.Itoa(cfg.ClientPort)), nil
	}
	u, err := config.ParseHost(cfg.PublicURL)
	if err != nil && !strings.Contains(cfg.PublicURL, "://") {
		u, err = config.ParseHost(net.JoinHostPort(cfg.PublicURL, strconv.Itoa(cfg.ClientPort)))
	}
	if err != nil {
		return "", fmt.Errorf("plugin.choria.network.public_url: %q: %w", cfg.PublicURL, err)
	}
	return u.Host, nil
}

// clientTLS is for accepting nodes and clients. Certificates are asked for, and whether one is
// needed is decided by the authenticator, which knows who connects.
func clientTLS(id *security.Identity) *tls.Config {
	c := id.ServerTLS()
	g := newGate(maxHandshakes)
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if err := g.enter(hello); err != nil {
			return nil, err
		}
		return id.ServerTLSFor(hello), nil // another CA file may be in force by now
	}
	return c
}

// peerTLS is for the connections between brokers, in both directions.
func peerTLS(id *security.Identity) *tls.Config {
	c := id.ClientTLS()
	c.ClientAuth = tls.RequireAndVerifyClientCert // which the server looks at to describe itself
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s := id.ServerTLS()
		s.ClientAuth = tls.RequireAndVerifyClientCert
		return s, nil
	}
	return c
}
