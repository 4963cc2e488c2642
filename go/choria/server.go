// Package choria embeds a Choria node in a Go program: the program joins a network and answers
// requests with agents of its own.
package choria

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/agents"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/daemon"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/node"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// A Server is one node of a Choria network. Set its fields, then call Run. It has the agents
// discovery, rpcutil and choria_util besides those that are given.
//
// Requests are authorized by the action policies in the directory policies beside ConfigFile, and
// everything is denied where there are none. Without a ConfigFile set Authorize, or the setting
// rpcauthorization to false.
type Server struct {
	// ConfigFile is a configuration file, /etc/choria/server.conf say. Empty means none: defaults,
	// and what the fields below say.
	ConfigFile string

	// Settings are values of configuration keys, as they would stand in the file. They win over it,
	// and the fields below win over them.
	Settings map[string]string

	Identity    string   // name of the node. Empty: that of the configuration, else the full host name
	Collectives []string // collectives to join, the first being the main one. Empty: those of the configuration
	Brokers     []string // host:port of brokers. Empty: those of the configuration, else SRV records
	TLS         *TLS     // nil: the security provider of the configuration

	// Dial, when set, makes the connections to brokers: through a proxy, say, or from one of several
	// addresses of the machine. TLS is on top of what it returns.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Agents are the agents of this program.
	Agents []*agent.Agent

	// Data are the data plugins of this program, which compound filters can ask.
	Data []*agent.DataPlugin

	// Standard adds the agents that every packaged server has, filemgr and shell among them, and the
	// data plugin fstat. They act with the rights of this program.
	Standard bool

	// Facts and Classes say what filters are matched against. Nil means the files of the settings
	// plugin.yaml and classesfile. They may be called concurrently, for every request that needs
	// them, and should be quick. Facts returns one JSON object.
	Facts   func() json.RawMessage
	Classes func() []string

	// Authorize, when set, decides about every request in place of action policies.
	Authorize func(*agent.Request) bool

	// Component is the name of the program in the events that it publishes. Empty means server.
	Component string

	// Connecting, when set, is called when all settings and keys are good and the node begins to look for
	// a broker, which may take any time.
	Connecting func()

	// Ready, when set, is called when the node is connected and answers.
	Ready func()

	// Stopping, when set, is called when the node takes no more requests, while those in progress finish.
	// It is not called when Ready was not.
	Stopping func()

	// Registrations are what this program says about itself from time to time.
	Registrations []Registration

	// Log gets what the node has to say. Nil means the setting logfile when there is a ConfigFile,
	// and nothing is logged when there is none.
	Log *slog.Logger

	mu     sync.Mutex
	reopen []func() error // while Run runs
}

// A Registration is published from time to time, signed by the node, for whoever collects such messages.
type Registration struct {
	Name string // for the log

	// Subject is where it is published. Empty means the agent registration of the main collective, or of
	// the setting registration_collective.
	Subject string

	// Interval is the time between publications. Zero means the setting registerinterval, 300 s. The first
	// one is after some seconds.
	Interval time.Duration

	// Collect returns what to publish, usually JSON, and nil for nothing this time. It should be quick.
	Collect func() ([]byte, error)
}

// TLS are PEM files that say who this node is and whom it trusts.
type TLS struct {
	CA          string // certificates of the trusted authorities
	Certificate string // of this node, with intermediates
	Key         string // private key; may be readable by its owner only
}

// closePatience is how long the last replies and events may take to reach the broker.
const closePatience = 2 * time.Second

// Run connects, as long as that may take, and answers requests until ctx ends. Requests in progress
// then have soft_shutdown_timeout to finish. When it returns, everything it started has ended.
func (s *Server) Run(ctx context.Context) error {
	// The stack of this goroutine waits for as long as the node lives, which counts where thousands do in a
	// process. What takes room on it is therefore done by functions that return before that.
	cfg, log, closeLog, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer closeLog()
	if err = s.run(ctx, cfg, log); err != nil {
		log.Error("server failed", "err", err)
	}
	return err
}

// begin returns the configuration and the log in force.
func (s *Server) begin(ctx context.Context) (cfg *config.Config, log *slog.Logger, closeLog func(), err error) {
	if cfg, err = s.config(ctx); err != nil {
		return nil, nil, nil, err
	}
	closeLog = func() {}
	log = s.Log
	switch {
	case log != nil:
	case s.ConfigFile == "":
		log = slog.New(slog.DiscardHandler)
	default:
		l, err := daemon.OpenLog(cfg.LogFile, cfg.LogLevel)
		if err != nil {
			return nil, nil, nil, err
		}
		forget := s.onReopen(l.Reopen)
		closeLog = func() {
			forget()
			l.Close()
		}
		log = l.Logger
	}
	log.Info("server starts", "identity", cfg.Identity, "version", build.Version, "config", cfg.File())
	for _, w := range cfg.Warnings() {
		log.Warn("configuration", "err", w)
	}
	return cfg, log, closeLog, nil
}

// config returns the configuration in force.
func (s *Server) config(ctx context.Context) (*config.Config, error) {
	cfg := config.New()
	if s.ConfigFile != "" {
		var err error
		if cfg, err = config.Load(s.ConfigFile); err != nil {
			return nil, err
		}
	}
	settings := make(map[string]string, len(s.Settings)+8)
	for key, value := range s.Settings {
		settings[key] = value
	}
	if s.Identity != "" {
		settings["identity"] = s.Identity
	}
	if len(s.Collectives) > 0 {
		settings["collectives"] = strings.Join(s.Collectives, ",")
		settings["main_collective"] = s.Collectives[0]
	}
	if len(s.Brokers) > 0 {
		settings["plugin.choria.middleware_hosts"] = strings.Join(s.Brokers, ",")
	}
	if s.TLS != nil {
		settings["plugin.security.provider"] = "file"
		settings["plugin.security.file.ca"] = s.TLS.CA
		settings["plugin.security.file.certificate"] = s.TLS.Certificate
		settings["plugin.security.file.key"] = s.TLS.Key
	}
	for _, key := range sortedKeys(settings) {
		if err := cfg.Set(key, settings[key]); err != nil {
			return nil, err
		}
	}
	if err := cfg.Complete(ctx); err != nil {
		return nil, err
	}
	return cfg, nil
}

// run assembles the parts and runs them.
func (s *Server) run(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	id, err := security.Load(cfg, security.ForServer, log)
	if err != nil {
		return err
	}
	if cfg.StatsPort <= 0 {
		return s.serve(ctx, cfg, id, nil, log) // one of many in a process does without what nobody looks at
	}
	return s.runWithStats(ctx, cfg, id, log)
}

// runWithStats is run with a statistics port.
func (s *Server) runWithStats(ctx context.Context, cfg *config.Config, id *security.Identity, log *slog.Logger) error {
	registry := metrics.New()
	registry.Counter("choria_build_info", "The build that runs, always 1",
		"version", build.Version, "sha", build.Commit, "identity", cfg.Identity).Inc()
	stats := &daemon.Stats{
		Address:    cfg.StatsAddress,
		Port:       cfg.StatsPort,
		Identity:   cfg.Identity,
		ConfigFile: cfg.File(),
		Metrics:    registry,
		Expires:    id.Expires,
		Log:        log,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return stats.Run(ctx) })
	g.Go(func() error { return s.serve(ctx, cfg, id, registry, log) })
	return g.Wait()
}

// serve connects and answers until ctx ends.
func (s *Server) serve(ctx context.Context, cfg *config.Config, id *security.Identity, registry *metrics.Registry, log *slog.Logger) error {
	if s.Connecting != nil {
		s.Connecting()
	}
	m, err := s.join(ctx, cfg, id, registry, log)
	if m == nil {
		return err
	}
	defer m.leave(ctx)
	return m.disk.run(ctx, m.node.Run)
}

// A member is a node that is connected.
type member struct {
	conn   *transport.Conn
	node   *node.Node
	disk   *foreign // nil: none
	forget func()   // of Reopen
	log    *slog.Logger
}

// join connects and makes the node. It returns nothing when ctx ended first.
func (s *Server) join(ctx context.Context, cfg *config.Config, id *security.Identity, registry *metrics.Registry, log *slog.Logger) (_ *member, err error) {
	options := transport.Options{
		Lookup: func(ctx context.Context) ([]string, error) {
			return transport.Servers(ctx, cfg, false)
		},
		Name:            id.Name(),
		TLS:             id.ClientTLS(),
		User:            cfg.NATSUser,
		Password:        cfg.NATSPassword,
		CredentialsFile: cfg.NATSCredentials,
		InboxPrefix:     cfg.MainCollective + ".reply",
		ConnectTimeout:  cfg.ConnectTimeout,
		Dial:            s.Dial,
		Log:             log,
		Metrics:         registry,
	}
	if cfg.NoTLS {
		log.Warn("TLS is off: plugin.choria.lab.no_tls is for labs alone")
		options.TLS = nil
	}
	m := &member{forget: func() {}, log: log}
	if m.conn, err = transport.Connect(ctx, options); err != nil {
		if ctx.Err() != nil {
			err = nil // told to stop before there was a connection
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			m.leave(ctx)
		}
	}()
	m.node, err = node.New(node.Options{
		Config:        cfg,
		Conn:          m.conn,
		Server:        options,
		Verifier:      id,
		Signer:        id,
		Agents:        s.agents(cfg, id),
		Data:          s.data(),
		Facts:         s.Facts,
		Classes:       s.Classes,
		Authorize:     s.Authorize,
		Component:     s.Component,
		Ready:         s.Ready,
		Stopping:      s.Stopping,
		Expires:       id.Expires(),
		Log:           log,
		Metrics:       registry,
		Registrations: s.registrations(),
	})
	if err != nil {
		return nil, err
	}
	m.forget = s.onReopen(m.node.Reopen)
	m.disk, err = newForeign(cfg, m.node, log)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// leave closes the connection.
func (m *member) leave(ctx context.Context) {
	m.forget()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	if err := m.conn.Close(closing); err != nil {
		m.log.Warn("connection not closed in order", "err", err)
	}
}

// agents returns those of the program and the standard ones.
func (s *Server) agents(cfg *config.Config, id *security.Identity) []*agent.Agent {
	all := slices.Clone(s.Agents)
	if s.Standard {
		get := func(key string) (string, bool) {
			value, _, ok := cfg.Raw(key)
			return value, ok
		}
		all = append(append(all, agents.All(get)...), agents.BoltTasks(get, id.ServiceTLS))
	}
	return all
}

func (s *Server) registrations() []node.Registration {
	all := make([]node.Registration, 0, len(s.Registrations))
	for _, r := range s.Registrations {
		all = append(all, node.Registration(r))
	}
	return all
}

// data returns the data plugins of the program and the standard ones.
func (s *Server) data() []*agent.DataPlugin {
	if !s.Standard {
		return s.Data
	}
	return append(slices.Clone(s.Data), agents.Data()...)
}

// Reopen opens the log and the audit file anew, after a log rotation has renamed them.
func (s *Server) Reopen() error {
	s.mu.Lock()
	reopen := slices.Clone(s.reopen)
	s.mu.Unlock()
	var err error
	for _, f := range reopen {
		if f != nil {
			err = errors.Join(err, f())
		}
	}
	return err
}

// onReopen makes Reopen call f until the returned function is called.
func (s *Server) onReopen(f func() error) (forget func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reopen = append(s.reopen, f)
	i := len(s.reopen) - 1
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reopen = s.reopen[:i] // forgotten in reverse order, as deferred functions are
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
