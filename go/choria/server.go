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

	// Shared, when set, is what the servers of this process have in common.
	Shared *Shared

	// Log gets what the node has to say. Nil means the setting logfile when there is a ConfigFile,
	// and nothing is logged when there is none.
	Log *slog.Logger

	mu     sync.Mutex
	reopen []func() error // while Run runs
}

// A Shared is for programs with many servers: what it gives to several of them is read from files once, and kept once,
// which saves some 8 kB of each. These are certificate authorities and revocation lists. Whatever a server verifies or
// decides, and whom it knows, stays its own. The zero value is ready.
type Shared struct {
	trust security.Shared
}

// identities returns what the identities of servers share, nil when that is nothing.
func (s *Shared) identities() *security.Shared {
	if s == nil {
		return nil
	}
	return &s.trust
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
//
// The stack of its goroutine waits for as long as the node lives, which counts where thousands do in a process: of
// 8 kB it becomes one of 4 when some 1.2 kB of it are in use. What takes room on it is therefore done by functions
// that return before that.
func (s *Server) Run(ctx context.Context) error {
	m := &member{forget: func() {}}
	if err := s.begin(ctx, m); err != nil {
		return err
	}
	return m.end(s.run(ctx, m))
}

// begin sets the configuration and the log in force.
func (s *Server) begin(ctx context.Context, m *member) error {
	cfg, err := s.config(ctx)
	if err != nil {
		return err
	}
	m.cfg, m.log = cfg, s.Log
	switch {
	case m.log != nil:
	case s.ConfigFile == "":
		m.log = slog.New(slog.DiscardHandler)
	default:
		l, err := daemon.OpenLog(cfg.LogFile, cfg.LogLevel)
		if err != nil {
			return err
		}
		forget := s.onReopen(l.Reopen)
		m.closeLog = func() {
			forget()
			l.Close()
		}
		m.log = l.Logger
	}
	m.log.Info("server starts", "identity", cfg.Identity, "version", build.Version, "config", cfg.File())
	for _, w := range cfg.Warnings() {
		m.log.Warn("configuration", "err", w)
	}
	return nil
}

// end says why the server ended, closes the log and returns err.
func (m *member) end(err error) error {
	if err != nil {
		m.log.Error("server failed", "err", err)
	}
	if m.closeLog != nil {
		m.closeLog()
	}
	return err
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
func (s *Server) run(ctx context.Context, m *member) (err error) {
	if m.id, err = s.Shared.identities().Load(m.cfg, security.ForServer, m.log); err != nil {
		return err
	}
	if m.cfg.StatsPort > 0 {
		return s.runWithStats(ctx, m)
	}
	return s.serve(ctx, m) // one of many in a process does without what nobody looks at
}

// runWithStats is run with a statistics port.
func (s *Server) runWithStats(ctx context.Context, m *member) error {
	m.registry = metrics.New()
	m.registry.Counter("choria_build_info", "The build that runs, always 1",
		"version", build.Version, "sha", build.Commit, "identity", m.cfg.Identity).Inc()
	stats := &daemon.Stats{
		Address:    m.cfg.StatsAddress,
		Port:       m.cfg.StatsPort,
		Identity:   m.cfg.Identity,
		ConfigFile: m.cfg.File(),
		Metrics:    m.registry,
		Expires:    m.id.Expires,
		Log:        m.log,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return stats.Run(ctx) })
	g.Go(func() error { return s.serve(ctx, m) })
	return g.Wait()
}

// serve connects and answers until ctx ends.
func (s *Server) serve(ctx context.Context, m *member) error {
	if err := s.join(ctx, m); err != nil || m.node == nil {
		return err
	}
	defer m.leave(ctx)
	return m.disk.run(ctx, m.node)
}

// A member is one run of a server.
type member struct {
	cfg      *config.Config
	log      *slog.Logger
	closeLog func() // nil: the log is that of the program
	id       *security.Identity
	registry *metrics.Registry // nil: nobody looks

	conn   *transport.Conn
	node   *node.Node // nil until it is connected
	disk   *foreign   // nil: none
	forget func()     // of Reopen
}

// join connects and makes the node. Without an error there is none when ctx ended first.
func (s *Server) join(ctx context.Context, m *member) (err error) {
	if s.Connecting != nil {
		s.Connecting()
	}
	options := transport.Options{
		Lookup: func(ctx context.Context) ([]string, error) {
			return transport.Servers(ctx, m.cfg, false)
		},
		Name:            m.id.Name(),
		TLS:             m.id.ClientTLS(),
		User:            m.cfg.NATSUser,
		Password:        m.cfg.NATSPassword,
		CredentialsFile: m.cfg.NATSCredentials,
		InboxPrefix:     m.cfg.MainCollective + ".reply",
		ConnectTimeout:  m.cfg.ConnectTimeout,
		Dial:            s.Dial,
		Log:             m.log,
		Metrics:         m.registry,
	}
	if m.cfg.NoTLS {
		m.log.Warn("TLS is off: plugin.choria.lab.no_tls is for labs alone")
		options.TLS = nil
	}
	if m.conn, err = transport.Connect(ctx, options); err != nil {
		if ctx.Err() != nil {
			err = nil // told to stop before there was a connection
		}
		return err
	}
	defer func() {
		if err != nil {
			m.leave(ctx)
		}
	}()
	n, err := node.New(node.Options{
		Config:        m.cfg,
		Conn:          m.conn,
		Server:        options,
		Verifier:      m.id,
		Signer:        m.id,
		Agents:        s.agents(m.cfg, m.id),
		Data:          s.data(),
		Facts:         s.Facts,
		Classes:       s.Classes,
		Authorize:     s.Authorize,
		Component:     s.Component,
		Ready:         s.Ready,
		Stopping:      s.Stopping,
		Expires:       m.id.Expires(),
		Log:           m.log,
		Metrics:       m.registry,
		Registrations: s.registrations(),
	})
	if err != nil {
		return err
	}
	m.forget = s.onReopen(n.Reopen)
	if m.disk, err = newForeign(m.cfg, n, m.log); err != nil {
		return err
	}
	m.node = n
	return nil
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
