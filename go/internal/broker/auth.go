package broker

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/security"
)

// provisioner is the user name that is kept for provisioning nodes.
const provisioner = "provisioner"

// An authenticator decides who may connect and what they may do. Source: protocol section 10.3, the
// part that is about certificates.
type authenticator struct {
	log         *slog.Logger
	tls         bool               // connections have to be TLS
	verify      *security.Identity // nil without TLS
	clientHosts []netip.Prefix     // empty: everybody may do everything
	denyServers bool               // who is not in clientHosts may do nothing
	systemUser  string
	systemPass  string
	peerUser    string
	peerPass    string

	main, system *server.Account // set by start

	srv *server.Server // set by start

	mu       sync.Mutex
	ids      map[uint64]struct{} // connections with a certificate, some of which may have ended
	peerTLS  bool
	peerName map[string]bool // host names and addresses of the other brokers, lower case
}

func newAuthenticator(cfg *config.Config, id *security.Identity, log *slog.Logger) (*authenticator, error) {
	a := &authenticator{
		log:         log,
		tls:         id != nil,
		verify:      id,
		denyServers: cfg.DenyServerConnections,
		systemUser:  cfg.SystemUser,
		systemPass:  cfg.SystemPassword,
		peerUser:    cfg.PeerUser,
		peerPass:    cfg.PeerPassword,
		ids:         make(map[uint64]struct{}),
	}
	if a.systemUser != "" && a.systemPass == "" {
		return nil, errors.New("plugin.choria.network.system.user: plugin.choria.network.system.password is not set")
	}
	if a.denyServers && len(cfg.ClientHosts) == 0 {
		log.Warn("plugin.choria.network.deny_server_connections has no effect, plugin.choria.network.client_hosts does not say who is not a server")
	}
	for _, item := range cfg.ClientHosts {
		p, err := parseHost(item)
		if err != nil {
			return nil, err
		}
		a.clientHosts = append(a.clientHosts, p)
	}
	return a, nil
}

// parseHost parses an item of client_hosts: an address or a network.
func parseHost(item string) (netip.Prefix, error) {
	item = strings.TrimSpace(item)
	if addr, err := netip.ParseAddr(item); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(item)
	if err != nil {
		return p, fmt.Errorf("plugin.choria.network.client_hosts: %q: want an IP address, or a network as in 192.168.0.0/24", item)
	}
	return p.Masked(), nil
}

// start completes a with what the server has made.
func (a *authenticator) start(srv *server.Server) error {
	var err error
	if a.main, err = srv.LookupAccount(mainAccount); err != nil {
		return fmt.Errorf("account %q: %w", mainAccount, err)
	}
	if a.system, err = srv.LookupAccount(systemAccount); err != nil {
		return fmt.Errorf("account %q: %w", systemAccount, err)
	}
	a.srv = srv
	return nil
}

// Check implements server.Authentication.
func (a *authenticator) Check(c server.ClientAuthentication) bool {
	var err error
	switch c.Kind() {
	case server.CLIENT, server.LEAF:
		err = a.client(c)
	case server.ROUTER:
		err = a.peer(c)
	default:
		err = errors.New("this kind of connection is not accepted")
	}
	if err != nil {
		a.log.Warn("connection refused", "peer", address(c), "name", clip(c.GetOpts().Name), "err", err)
		return false
	}
	return true
}

// client decides about a node, a client or a leafnode. An error refuses it.
func (a *authenticator) client(c server.ClientAuthentication) error {
	opts := c.GetOpts()
	state := c.GetTLSConnectionState()
	local := inProcess(c)
	cert := verified(state)
	switch {
	case a.tls && state == nil && !local:
		return errors.New("it does not use TLS")
	case opts.Username == provisioner:
		return errors.New("provisioning is not enabled")
	case a.systemUser != "" && opts.Username == a.systemUser:
		if !equal(opts.Password, a.systemPass) {
			return errors.New("wrong password for the system user")
		}
		if a.tls && cert == nil && !local {
			return errors.New("the system user has no certificate from our CA")
		}
		c.RegisterUser(&server.User{Username: a.systemUser, Account: a.system})
		a.remember(c, cert)
		return nil
	case opts.Token != "" || opts.JWT != "":
		return errors.New("it presents a token, and tokens are not accepted here")
	case a.tls && cert == nil && !local:
		return errors.New("it has no certificate from our CA")
	case c.Kind() == server.LEAF && !a.isClient(c):
		return errors.New("a leafnode may do everything, and its address is not in plugin.choria.network.client_hosts")
	}
	c.RegisterUser(&server.User{Username: certName(cert), Account: a.main, Permissions: a.permissions(c, local)})
	a.remember(c, cert)
	return nil
}

// permissions returns what an ordinary connection may do, nil for everything.
func (a *authenticator) permissions(c server.ClientAuthentication, local bool) *server.Permissions {
	if local || a.isClient(c) {
		return nil
	}
	if a.denyServers {
		a.log.Warn("connection may do nothing, its address is not in client_hosts", "peer", address(c), "name", clip(c.GetOpts().Name))
		return &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{">"}},
			Subscribe: &server.SubjectPermission{Deny: []string{">"}},
		}
	}
	return serverPermissions()
}

// isClient reports whether c is from where clients may be: anywhere, unless client_hosts says where.
func (a *authenticator) isClient(c server.ClientAuthentication) bool {
	if len(a.clientHosts) == 0 {
		return true
	}
	addr, ok := remoteAddr(c)
	return ok && slices.ContainsFunc(a.clientHosts, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// serverPermissions is what a node may do: answer, but not ask. Source: protocol section 10.3,
// "server ACL". To what is there nodes may add messages, but neither remove streams nor take locks;
// they could not hear the answers anyway.
func serverPermissions() *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{
			Allow: []string{">"},
			Deny:  []string{"*.broadcast.agent.>", "*.broadcast.service.>", "*.node.>", "choria.federation.*.federation", "$JS.API.>", "$KV.>"},
		},
		Subscribe: &server.SubjectPermission{
			Deny: []string{"*.reply.>", "choria.federation.>", "choria.lifecycle.>"},
		},
	}
}

// peers tells a who the other brokers are, and whether they have to prove it.
func (a *authenticator) peers(servers []string, tls bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peerTLS = tls
	a.peerName = make(map[string]bool)
	for _, s := range servers {
		if u, err := url.Parse(s); err == nil {
			a.peerName[strings.ToLower(u.Hostname())] = true
		}
	}
}

// peer decides about another broker. All certificates of nodes are from the CA that brokers trust,
// and a connection between brokers sees and may do everything: it has to be one of the peers.
func (a *authenticator) peer(c server.ClientAuthentication) error {
	a.mu.Lock()
	mustTLS, names := a.peerTLS, a.peerName
	a.mu.Unlock()
	if a.peerUser != "" {
		opts := c.GetOpts()
		if !equal(opts.Username, a.peerUser) || !equal(opts.Password, a.peerPass) {
			return errors.New("wrong user or password for a broker")
		}
	}
	if !mustTLS {
		return nil
	}
	cert := verified(c.GetTLSConnectionState())
	if cert == nil {
		return errors.New("a broker without a certificate from our CA")
	}
	if certFor(cert, names) {
		return nil
	}
	return fmt.Errorf("its certificate %q is not that of a broker in plugin.choria.network.peers", clip(cert.Subject.CommonName))
}

// certFor reports whether a certificate is for one of names: host names in lower case, and addresses.
func certFor(cert *x509.Certificate, names map[string]bool) bool {
	return names[strings.ToLower(cert.Subject.CommonName)] ||
		slices.ContainsFunc(cert.DNSNames, func(n string) bool { return names[strings.ToLower(n)] }) ||
		slices.ContainsFunc(cert.IPAddresses, func(ip net.IP) bool { return names[ip.String()] })
}

// verified returns the certificate of a client that crypto/tls has verified, nil when there is none.
func verified(state *tls.ConnectionState) *x509.Certificate {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return nil
	}
	return state.PeerCertificates[0]
}

// certName names the holder of a certificate in the monitoring endpoints.
func certName(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	return clip(cert.Subject.CommonName)
}

// equal compares secrets in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// inProcess reports whether c comes from within the process.
func inProcess(c server.ClientAuthentication) bool {
	addr := c.RemoteAddress()
	return addr != nil && addr.Network() == "pipe"
}

func remoteAddr(c server.ClientAuthentication) (netip.Addr, bool) {
	addr, ok := c.RemoteAddress().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(addr.IP)
	return ip.Unmap(), ok
}

func address(c server.ClientAuthentication) string {
	if addr := c.RemoteAddress(); addr != nil {
		return addr.String()
	}
	return "unknown"
}

// clip shortens text of others for the log.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
