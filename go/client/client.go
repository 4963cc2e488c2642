// Package client discovers nodes, sends them requests and iterates their replies.
package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/rubyagent"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// Options say how to open a client. The zero value uses the configuration of the user.
type Options struct {
	Config string       // client configuration file; empty searches the usual places
	Log    *slog.Logger // nil discards

	// ConnectTimeout is how long to try to reach a broker. Zero means 20 s.
	ConnectTimeout time.Duration

	// Set overrides configuration keys.
	Set map[string]string

	// Stdin is what the file name - stands for in the options of discovery methods; nil: nothing.
	Stdin io.Reader
}

// connectTimeout is how long a person waits for a broker: long enough for one that restarts.
const connectTimeout = 20 * time.Second

// A Client sends requests. It connects when it is first used. Its methods may be called concurrently.
type Client struct {
	cfg     *config.Config
	caller  string
	signer  protocol.Signer
	finder  *ddl.Finder
	log     *slog.Logger
	stdin   io.Reader
	connect func(context.Context) (*transport.Conn, error)

	sites []string // of the federation; empty: there is none

	puppetDB   func(context.Context) discovery.PuppetDB // nil: there is none
	serviceTLS func(host string) *tls.Config            // for services of the site

	dialing chan struct{} // holds one token, taken by who connects

	mu   sync.Mutex
	conn *transport.Conn // nil until first used

	// restored is closed, and replaced, at each reconnection.
	restored chan struct{}
	losses   int // how many times the connection was restored
}

// Open reads configuration and keys. It does not wait for a connection.
func Open(ctx context.Context, o Options) (*Client, error) {
	cfg, err := config.LoadClient(o.Config)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(o.Set)) {
		if err := cfg.Set(key, o.Set[key]); err != nil {
			return nil, err
		}
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for _, w := range cfg.Warnings() {
		log.Warn("configuration", "warning", w)
	}
	id, err := security.Load(cfg, security.ForClient, log)
	if err != nil {
		return nil, err
	}
	sites, err := federatedSites(cfg.FederationCollectives)
	if err != nil {
		return nil, err
	}
	c := newClient(cfg, id.Caller(), id, log)
	c.sites = sites
	c.stdin = o.Stdin
	c.serviceTLS = id.ServiceTLS
	c.puppetDB = func(ctx context.Context) discovery.PuppetDB {
		f := &transport.Finder{Config: cfg, Log: log}
		return discovery.PuppetDB{Servers: f.PuppetDB(ctx), TLS: id.ServiceTLS}
	}
	wait := o.ConnectTimeout
	if wait == 0 {
		wait = connectTimeout
	}
	c.connect = func(ctx context.Context) (*transport.Conn, error) { return c.dial(ctx, id.ClientTLS(), wait) }
	return c, nil
}

func newClient(cfg *config.Config, caller string, signer protocol.Signer, log *slog.Logger) *Client {
	return &Client{
		cfg:      cfg,
		caller:   caller,
		signer:   signer,
		finder:   rubyagent.Finder(cfg, log),
		log:      log,
		dialing:  make(chan struct{}, 1),
		restored: make(chan struct{}),
	}
}

// dial connects to a broker.
func (c *Client) dial(ctx context.Context, config *tls.Config, wait time.Duration) (*transport.Conn, error) {
	o, err := transport.ClientOptions(ctx, c.cfg, c.caller, config, wait, c.log)
	if err != nil {
		return nil, err
	}
	o.OnReconnect = c.reconnected
	conn, err := transport.Connect(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &UnreachableError{err}
	}
	return conn, nil
}

// reconnected wakes up who waits for the connection to be restored.
func (c *Client) reconnected(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.restored)
	c.restored = make(chan struct{})
	c.losses++
}

// restoration returns a channel that is closed at the next reconnection, and how many there were.
func (c *Client) restoration() (<-chan struct{}, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restored, c.losses
}

// connection returns the connection, making it when there is none.
func (c *Client) connection(ctx context.Context) (*transport.Conn, error) {
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	return conn, nil
}

// Connect connects now instead of at the first request, for programs that want to know early.
func (c *Client) Connect(ctx context.Context) error {
	_, err := c.connection(ctx)
	return err
}

// Close ends the connections.
func (c *Client) Close() error {
	c.mu.Lock()
	conn := c.conn
	c.conn = nil
	c.mu.Unlock()
	if conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return conn.Close(ctx)
}

// Caller returns the caller id of the client's requests.
func (c *Client) Caller() string { return c.caller }

// Identity returns the identity of the machine the client runs on.
func (c *Client) Identity() string { return c.cfg.Identity }

// Collectives returns the collectives the client may use, the main one first.
func (c *Client) Collectives() []string {
	all := []string{c.cfg.MainCollective}
	for _, name := range c.cfg.Collectives {
		if name != c.cfg.MainCollective {
			all = append(all, name)
		}
	}
	return all
}

// collective returns the collective that name stands for, empty being the main one.
func (c *Client) collective(name string) (string, error) {
	if name == "" {
		return c.cfg.MainCollective, nil
	}
	if known := c.Collectives(); !slices.Contains(known, name) {
		return "", &UnknownCollectiveError{Collective: name, Known: known}
	}
	return name, nil
}

// Setting returns the configured value of key, as written.
func (c *Client) Setting(key string) (value string, ok bool) {
	value, _, ok = c.cfg.Raw(key)
	return value, ok
}

// PuppetServer returns where the Puppet Server of the configuration is, as host:port, and how it is spoken to.
func (c *Client) PuppetServer() (address string, config *tls.Config) {
	host := c.cfg.PuppetServerHost
	return net.JoinHostPort(host, strconv.Itoa(c.cfg.PuppetServerPort)), c.serviceTLS(host)
}

// ConfigFile returns the path of the configuration file, empty when there is none.
func (c *Client) ConfigFile() string { return c.cfg.File() }

// DDL finds the description of an agent.
func (c *Client) DDL(agent string) (*ddl.Agent, error) { return c.finder.Agent(agent) }

// DDLs returns all descriptions that can be found, sorted by name.
func (c *Client) DDLs() ([]*ddl.Agent, error) { return c.finder.Agents() }

// seal encodes and signs a request, whose replies are to go to the subject reply. The result is the
// same for all nodes that it is sent to.
func (c *Client) seal(r *protocol.Request, reply string) (*sealed, error) {
	r.Version = protocol.V1
	r.Sender = c.cfg.Identity
	r.Caller = c.caller
	r.Time = time.Now()
	data, err := protocol.SealRequest(r, c.signer)
	if err != nil {
		return nil, fmt.Errorf("request to agent %q: %w", r.Agent, err)
	}
	return &sealed{version: r.Version, id: r.ID, reply: reply, data: data}, nil
}

// open returns the reply in the payload of a broker message.
func open(payload []byte) (*protocol.Reply, error) {
	t, err := protocol.DecodeTransport(payload)
	if err != nil {
		return nil, err
	}
	return protocol.OpenReply(t)
}

// DiscoveryTimeout returns the configured discovery timeout.
func (c *Client) DiscoveryTimeout() time.Duration { return c.cfg.DiscoveryTimeout }
