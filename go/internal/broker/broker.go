// Package broker runs the NATS server that nodes and clients connect to.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// Names and sizes. Source: protocol section 10.1.
const (
	// MaxConnections is how many nodes and clients a broker accepts.
	MaxConnections = 50_000

	mainAccount   = "choria" // of all nodes and clients; brokers of a cluster must agree on it
	systemAccount = "system"

	defaultPeerPort = 5222
)

// startTimeout is how long the server may take to listen. Nothing in it waits for others, so that
// only a machine that is starved of CPU needs more than an instant.
const startTimeout = 60 * time.Second

// Options are what a broker needs besides its configuration.
type Options struct {
	Security *security.Identity // nil: no TLS, only for the lab and tests
	Log      *slog.Logger       // nil discards
	Metrics  *metrics.Registry  // nil: not shown

	// MaxConnections is how many connections are accepted. Zero means 50 000.
	MaxConnections int

	// RevocationInterval is how often connections are held against the revocation lists, so that a
	// client that was revoked loses the connection it has. Zero means 60 s.
	RevocationInterval time.Duration

	// Resolver looks up the SRV records of the other brokers; nil is that of the machine.
	Resolver transport.Resolver
}

// A Broker is one broker of a network.
type Broker struct {
	cfg  *config.Config
	o    Options
	log  *slog.Logger
	opts *server.Options
	auth *authenticator
	size int // brokers of the cluster with this one, as configured; set by findPeers

	storeCheck   time.Duration // see storeCheck
	leafInterval time.Duration // see leafInterval
	storeBroken  atomic.Bool   // streams do not work

	srv   atomic.Pointer[server.Server] // nil until it listens
	ready chan struct{}
}

// New makes the broker that cfg describes. A client_port of -1 picks a free port.
func New(cfg *config.Config, o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = MaxConnections
	}
	if o.RevocationInterval == 0 {
		o.RevocationInterval = time.Minute
	}
	if o.Security == nil && cfg.ForceClientTLS {
		return nil, errors.New("plugin.choria.network.client_tls_force_required: there is no certificate, TLS is off")
	}
	b := &Broker{cfg: cfg, o: o, log: o.Log, ready: make(chan struct{}), storeCheck: storeCheck, leafInterval: leafInterval}
	var err error
	if b.auth, err = newAuthenticator(cfg, o.Security, o.Log); err != nil {
		return nil, err
	}
	if b.opts, err = b.serverOptions(); err != nil {
		return nil, err
	}
	b.describe(o.Metrics)
	return b, nil
}

// Run serves until ctx ends, then drains: the other brokers of a cluster get its clients little by
// little, within plugin.choria.network.soft_shutdown_timeout. Clients of one that stands alone are told.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.findPeers(ctx); err != nil {
		return err
	}
	if b.opts.Gateway.Port != 0 && b.opts.JetStream && b.size == 0 {
		return errLoneGateway{}
	}
	if err := b.checkPorts(); err != nil {
		return err
	}
	b.warnOpenFiles()

	srv, err := server.NewServer(b.opts)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	logger := newNATSLogger(b.log)
	srv.SetLoggerV2(logger, b.log.Enabled(ctx, slog.LevelDebug), false, false)
	if err := b.auth.start(srv); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := b.addMappings(); err != nil {
		return err
	}
	srv.Start()
	defer func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	if err := waitListening(srv, logger.fatal); err != nil {
		return err
	}
	b.srv.Store(srv)
	close(b.ready)
	b.log.Info("broker is ready", "url", b.URL(), "cluster", b.opts.Cluster.Port != 0, "tls", b.o.Security != nil)

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.auth.dropRevoked(gctx, b.o.RevocationInterval) })
	g.Go(func() error { return b.streams(gctx, srv) })
	g.Go(func() error { return b.answerAbout(gctx) })
	g.Go(func() error { return b.countLeafnodes(gctx, srv) })
	g.Go(func() error { return b.countEvents(gctx) })
	g.Go(func() error {
		select {
		case <-gctx.Done():
			return nil
		case text := <-logger.fatal:
			return fmt.Errorf("broker: %s", text)
		}
	})
	err = g.Wait()
	b.drain(srv)
	return err
}

// errLoneGateway says what the server does not do.
type errLoneGateway struct{}

func (errLoneGateway) Error() string {
	return "plugin.choria.network.gateway_port: a broker with gateways keeps streams in a cluster alone"
}

// Hint returns what to do about it.
func (errLoneGateway) Hint() string {
	return "set plugin.choria.network.peers, or leave out " + storeKey
}

// waitListening returns when srv accepts connections.
func waitListening(srv *server.Server, fatal <-chan string) error {
	deadline := time.Now().Add(startTimeout)
	for {
		select {
		case text := <-fatal:
			return fmt.Errorf("broker: %s", text)
		default:
		}
		// The wait of the server is a poll as well.
		if srv.ReadyForConnections(50 * time.Millisecond) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("broker: not accepting connections within %v", startTimeout)
		}
	}
}

// Times of stopping.
const (
	// drainEach is the time given to each client to find another broker before the next one has to.
	// With it 500 a second arrive elsewhere, which the TLS handshakes of one core can follow.
	drainEach = 2 * time.Millisecond
	drainLong = 10 * time.Second

	// drainAlone is the time over which a broker that stands alone closes connections, once it has told
	// their clients.
	drainAlone = 20 * time.Millisecond
)

// drain moves clients to the other brokers. Without any there is nowhere to go: they are told, and their
// connections closed at once.
func (b *Broker) drain(srv *server.Server) {
	alone := srv.NumRoutes() == 0
	if srv.NumClients() == 0 && (alone || !srv.JetStreamIsClustered()) {
		return // streams get another leader, which without being told takes many seconds
	}
	limit := min(b.cfg.BrokerShutdownTimeout, drainLong)
	if limit < time.Second {
		return
	}
	spread := min(max(time.Duration(srv.NumClients())*drainEach, 100*time.Millisecond), limit)
	if alone {
		spread = drainAlone
		b.log.Info("telling clients that the broker stops", "clients", srv.NumClients())
	} else {
		b.log.Info("moving clients to other brokers", "clients", srv.NumClients(), "within", spread)
	}
	// The server reads these when it starts to move clients, and not before.
	b.opts.LameDuckDuration = spread
	b.opts.LameDuckGracePeriod = 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.LameDuckShutdown()
	}()
	select {
	case <-done:
	case <-time.After(limit + time.Second):
		srv.Shutdown() // which ends the other as well
		<-done
	}
}

// Ready is closed when the broker accepts connections.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// URL returns where clients connect to, nats://host:port: the address it listens on, or when that is
// all addresses its identity. It may be called when Ready is closed.
func (b *Broker) URL() string {
	srv := b.srv.Load()
	if srv == nil {
		return ""
	}
	host := b.opts.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = b.cfg.Identity
	}
	_, port, err := net.SplitHostPort(srv.Addr().String())
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: "nats", Host: net.JoinHostPort(host, port)}).String()
}

// PeerAddress returns where other brokers of the cluster connect to, host:port, empty when there is
// no cluster. It may be called when Ready is closed.
func (b *Broker) PeerAddress() string {
	srv := b.srv.Load()
	if srv == nil || srv.ClusterAddr() == nil {
		return ""
	}
	return net.JoinHostPort(b.opts.Cluster.Host, strconv.Itoa(srv.ClusterAddr().Port))
}

// InProcess makes a connection from within the process, without a port and TLS. It may do everything
// in the account of nodes and clients. It may be called when Ready is closed.
func (b *Broker) InProcess() (net.Conn, error) {
	srv := b.srv.Load()
	if srv == nil {
		return nil, errors.New("broker: not ready")
	}
	return srv.InProcessConn()
}

// Peers returns how many other brokers of the cluster this one is connected to.
func (b *Broker) Peers() int {
	if srv := b.srv.Load(); srv != nil {
		return srv.NumRemotes()
	}
	return 0
}

// Clients returns how many nodes and clients are connected.
func (b *Broker) Clients() int {
	if srv := b.srv.Load(); srv != nil {
		return srv.NumClients()
	}
	return 0
}

// Handler serves the monitoring endpoints of the NATS server: /varz, /connz and so on.
func (b *Broker) Handler() http.Handler { return http.HandlerFunc(b.monitor) }
