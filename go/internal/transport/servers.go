package transport

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"choria.io/choria/go/internal/config"
)

// Keys that name brokers, for messages.
const (
	keyMiddleware = "plugin.choria.middleware_hosts"
	keyFederation = "plugin.choria.federation_middleware_hosts"
	keyPeers      = "plugin.choria.network.peers"
)

// defaultServer is where a broker is looked for when nothing says otherwise.
const defaultServer = "nats://puppet:4222"

// SRV names, of which the first with an answer wins. Source: protocol section 9.4.
var (
	middlewareSRV = []string{"_mcollective-server._tcp", "_x-puppet-mcollective._tcp"}
	federationSRV = []string{"_mcollective-federation_server._tcp", "_x-puppet-mcollective_federation._tcp"}
	peersSRV      = []string{"_mcollective-broker._tcp"}
)

// Servers returns where cfg says brokers are: middleware_hosts, else SRV, else nats://puppet:4222
// (protocol section 9.4). A client that is configured for a federation gets the federation brokers
// (9.5). Whoever asks more than once, or wants the lookups counted, uses a Finder.
func Servers(ctx context.Context, cfg *config.Config, client bool) ([]string, error) {
	f := &Finder{Config: cfg}
	if client && len(cfg.FederationCollectives) > 0 {
		return f.Federation(ctx)
	}
	return f.Middleware(ctx)
}

// Middleware returns the brokers of nodes and ordinary clients.
func (f *Finder) Middleware(ctx context.Context) ([]string, error) {
	if len(f.Config.MiddlewareHosts) > 0 {
		return serverURLs(keyMiddleware, f.Config.MiddlewareHosts)
	}
	found, err := f.srv(ctx, middlewareSRV)
	if err != nil {
		f.warn("SRV records of brokers were not found, using the default", err)
	}
	if len(found) > 0 {
		return found, nil
	}
	return []string{defaultServer}, nil
}

// Federation returns the brokers that join the sites of a federation.
func (f *Finder) Federation(ctx context.Context) ([]string, error) {
	if len(f.Config.FederationHosts) > 0 {
		return serverURLs(keyFederation, f.Config.FederationHosts)
	}
	if !f.Config.UseSRV {
		return nil, fmt.Errorf("find federation brokers: %s is not set, and plugin.choria.use_srv is off", keyFederation)
	}
	found, err := f.srv(ctx, federationSRV)
	if err != nil {
		return nil, fmt.Errorf("find federation brokers: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("find federation brokers: %s is not set, and there is no SRV record %s", keyFederation, strings.Join(federationSRV, " or "))
	}
	return found, nil
}

// Peers returns the brokers that form a cluster with this one, none when it stands alone. For these
// alone SRV records come before the configuration.
func (f *Finder) Peers(ctx context.Context) ([]string, error) {
	found, err := f.srv(ctx, peersSRV)
	if err != nil {
		f.warn("SRV records of the other brokers were not found, using "+keyPeers, err)
	}
	if len(found) > 0 {
		return found, nil
	}
	return serverURLs(keyPeers, f.Config.Peers)
}

func (f *Finder) warn(text string, err error) {
	if f.Log != nil {
		f.Log.Warn(text, "err", err)
	}
}

// serverURLs makes URLs of the items of a list: host:port or scheme://host:port.
func serverURLs(key string, items []string) ([]string, error) {
	var urls []string
	for _, item := range items {
		item = strings.TrimSpace(item)
		u, err := config.ParseHost(item)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", key, hidePassword(item), err)
		}
		urls = append(urls, u.String())
	}
	return urls, nil
}

// hidePassword hides what stands before an @, in text that need not be a URL.
func hidePassword(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	start := 0
	if i := strings.Index(text[:at], "://"); i >= 0 {
		start = i + len("://")
	}
	return text[:start] + "xxxxx" + text[at:]
}

// redact removes the user and the password from the URL of a broker.
func redact(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return hidePassword(server)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

func redactAll(servers []string) []string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = redact(s)
	}
	return list
}

// checkServers refuses lists that the library would refuse in the middle of connecting.
func checkServers(servers []string) error {
	if len(servers) == 0 {
		return errors.New("no server is known")
	}
	ws := 0
	for _, s := range servers {
		if strings.HasPrefix(s, "ws://") || strings.HasPrefix(s, "wss://") {
			ws++
		}
	}
	if ws != 0 && ws != len(servers) {
		return fmt.Errorf("wss and other schemes cannot be mixed in one list: %s", strings.Join(redactAll(servers), ", "))
	}
	return nil
}
