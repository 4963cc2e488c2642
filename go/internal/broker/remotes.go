package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/security"
)

// A remote is a broker or cluster that this broker connects to besides its own cluster, by its name
// in the configuration. prefix is plugin.choria.network.leafnode_remote.NAME, say.
type remote struct {
	cfg    *config.Config
	prefix string
}

func (r remote) key(name string) string { return r.prefix + "." + name }

func (r remote) text(name string) string {
	v, _, _ := r.cfg.Value(r.key(name))
	text, _ := v.(string)
	return text
}

func (r remote) bool(name string) bool {
	v, _, _ := r.cfg.Value(r.key(name))
	on, _ := v.(bool)
	return on
}

func (r remote) list(name string) []string {
	v, _, _ := r.cfg.Value(r.key(name))
	list, _ := v.([]string)
	return list
}

// remoteName is what remotes may be called: their names are parts of keys.
var remoteName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func checkRemoteName(key, name string) error {
	if !remoteName.MatchString(name) {
		return fmt.Errorf("%s: %q: want a name of letters, digits, - and _", key, name)
	}
	return nil
}

// address parses one address of a remote.
func (r remote) address(name, text string) (*url.URL, error) {
	u, err := config.ParseHost(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.key(name), err) // the text may hold a password
	}
	return u, nil
}

// clientTLS returns how to connect to the remote: with its own certificate where one is configured,
// and else with that of this broker. It is nil without TLS.
func (b *Broker) remoteTLS(r remote) (*tls.Config, error) {
	if r.bool("tls.disable") {
		return nil, nil
	}
	id := b.o.Security
	cert, key, ca := r.text("tls.cert"), r.text("tls.key"), r.text("tls.ca")
	if cert+key+ca != "" {
		if cert == "" || key == "" || ca == "" {
			return nil, fmt.Errorf("%s: tls.cert, tls.key and tls.ca belong together: set all of them, or none to use those of this broker", r.prefix)
		}
		var err error
		id, err = security.New(security.Options{For: security.ForBroker, Name: b.cfg.Identity, Certificate: cert, Key: key, CA: ca, Log: b.log})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.prefix, err)
		}
	}
	if id == nil {
		return nil, nil
	}
	c := id.ClientTLS()
	if !r.bool("tls.verify") {
		b.log.Warn("the certificate of a remote broker is not verified", "key", r.key("tls.verify"))
		c.InsecureSkipVerify = true
		c.VerifyConnection = nil
	}
	return c, nil
}

// leafnodeOptions sets what leafnodes connect to, and what this broker connects to as one.
func (b *Broker) leafnodeOptions(o *server.Options) error {
	cfg := b.cfg
	if cfg.LeafnodePort > 0 {
		o.LeafNode.Host, o.LeafNode.Port = cfg.ListenAddress, cfg.LeafnodePort
		o.LeafNode.AuthTimeout, o.LeafNode.TLSTimeout = cfg.AuthTimeout.Seconds(), cfg.TLSTimeout.Seconds()
		o.LeafNode.NoAdvertise = true // those who connect know the brokers by configuration
		if b.o.Security != nil {
			o.LeafNode.TLSConfig = clientTLS(b.o.Security)
		}
	}
	for _, name := range cfg.LeafnodeRemotes {
		if err := checkRemoteName("plugin.choria.network.leafnode_remotes", name); err != nil {
			return err
		}
		r := remote{cfg, "plugin.choria.network.leafnode_remote." + name}
		if r.text("url") == "" {
			return fmt.Errorf("%s: not set", r.key("url"))
		}
		u, err := r.address("url", r.text("url"))
		if err != nil {
			return err
		}
		account := r.text("account")
		if account != mainAccount && account != systemAccount {
			return fmt.Errorf("%s: %q: want %s or %s", r.key("account"), account, mainAccount, systemAccount)
		}
		tls, err := b.remoteTLS(r)
		if err != nil {
			return err
		}
		if file := r.text("credentials"); file != "" { // which the server reads when it connects, and goes on without
			f, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("%s: %w", r.key("credentials"), err)
			}
			f.Close()
		}
		o.LeafNode.Remotes = append(o.LeafNode.Remotes, &server.RemoteLeafOpts{
			LocalAccount: account, URLs: []*url.URL{u}, Credentials: r.text("credentials"),
			TLS: tls != nil, TLSConfig: tls, TLSTimeout: cfg.TLSTimeout.Seconds(),
		})
	}
	return nil
}

// gatewayOptions connects this cluster to others. Only those that are configured may connect.
func (b *Broker) gatewayOptions(o *server.Options) error {
	cfg := b.cfg
	if cfg.GatewayPort == 0 {
		if len(cfg.GatewayRemotes) > 0 {
			return errors.New("plugin.choria.network.gateway_remotes: plugin.choria.network.gateway_port is not set")
		}
		return nil
	}
	g := &o.Gateway
	g.Name, g.Host, g.Port, g.RejectUnknown = cfg.ClusterName, cfg.ListenAddress, cfg.GatewayPort, true
	g.AuthTimeout, g.TLSTimeout = cfg.AuthTimeout.Seconds(), cfg.TLSTimeout.Seconds()
	names := map[string]bool{}
	for _, name := range cfg.GatewayRemotes {
		if err := checkRemoteName("plugin.choria.network.gateway_remotes", name); err != nil {
			return err
		}
		if name == cfg.ClusterName {
			continue // a list that all clusters share names this one too
		}
		r := remote{cfg, "plugin.choria.network.gateway_remote." + name}
		if len(r.list("urls")) == 0 {
			return fmt.Errorf("%s: not set", r.key("urls"))
		}
		tls, err := b.remoteTLS(r)
		if err != nil {
			return err
		}
		gw := &server.RemoteGatewayOpts{Name: name, TLSConfig: tls, TLSTimeout: cfg.TLSTimeout.Seconds()}
		for _, text := range r.list("urls") {
			u, err := r.address("urls", text)
			if err != nil {
				return err
			}
			names[strings.ToLower(u.Hostname())] = true
			gw.URLs = append(gw.URLs, u)
		}
		g.Gateways = append(g.Gateways, gw)
	}
	if b.o.Security != nil {
		// All nodes have certificates of the CA that brokers trust, and a gateway sees and may do
		// everything.
		g.TLSConfig = peerTLS(b.o.Security)
		g.TLSConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s := b.o.Security.ServerTLS()
			s.ClientAuth = tls.RequireAndVerifyClientCert
			verify := s.VerifyConnection
			s.VerifyConnection = func(state tls.ConnectionState) error {
				if err := verify(state); err != nil {
					return err
				}
				if cert := verified(&state); cert == nil || !certFor(cert, names) {
					return fmt.Errorf("the certificate %q is not that of a broker in plugin.choria.network.gateway_remotes", certName(cert))
				}
				return nil
			}
			return s, nil
		}
	}
	return nil
}

// websocketOptions lets clients connect through what speaks HTTP alone.
func (b *Broker) websocketOptions(o *server.Options) error {
	cfg := b.cfg
	if cfg.WebsocketPort == 0 {
		return nil
	}
	if a := cfg.WebsocketAdvertise; a != "" {
		_, err := config.ParseHost(a)
		if err != nil && !strings.Contains(a, ":") { // the server adds the port
			_, err = config.ParseHost(a + ":1")
		}
		if err != nil {
			return fmt.Errorf("plugin.choria.network.websocket_advertise: %q: want a host, or host:port", a)
		}
	}
	w := &o.Websocket
	w.Host, w.Port, w.Advertise, w.Compression = cfg.ListenAddress, cfg.WebsocketPort, cfg.WebsocketAdvertise, true
	w.HandshakeTimeout, w.AuthTimeout = cfg.TLSTimeout, cfg.AuthTimeout.Seconds()
	w.NoTLS = b.o.Security == nil
	if b.o.Security != nil {
		w.TLSConfig = clientTLS(b.o.Security)
	}
	return nil
}

// addMappings maps subjects to others, in the account of nodes and clients.
func (b *Broker) addMappings() error {
	for _, name := range b.cfg.MappingNames {
		if err := checkRemoteName("plugin.choria.network.mapping.names", name); err != nil {
			return err
		}
		r := remote{b.cfg, "plugin.choria.network.mapping." + name}
		for _, key := range []string{"source", "destination"} {
			if r.text(key) == "" {
				return fmt.Errorf("%s: not set", r.key(key))
			}
		}
		if err := b.auth.main.AddMapping(r.text("source"), r.text("destination")); err != nil {
			return fmt.Errorf("%s: %s to %s: %w", r.prefix, r.text("source"), r.text("destination"), err)
		}
	}
	return nil
}
