package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/metrics"
)

// Bounds on one HTTP exchange. Readers are few and near; what takes longer is not one of them.
const (
	readTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = time.Minute
	shutdownTimeout = 2 * time.Second
	maxHeader       = 16 << 10
)

// maxBrokerClients is how many connections a broker accepts. Source: protocol section 10.1.
const maxBrokerClients = 50000

// Stats serves the statistics of a process over HTTP: /choria/, /choria/prometheus and
// /choria/metrics, and, when Other is set, everything else through it.
type Stats struct {
	Address    string // plugin.choria.stats_address
	Port       int    // plugin.choria.stats_port; 0: Run returns nil when ctx ends, serving nothing
	Identity   string
	ConfigFile string
	Metrics    *metrics.Registry
	Expires    func() time.Time // when the certificate of the process expires; nil: it has none
	Other      http.Handler
	Log        *slog.Logger // nil discards

	listener net.Listener // of tests
}

// A portError says that nothing can be served at an address.
type portError struct {
	addr string
	err  error
}

func (e *portError) Error() string { return fmt.Sprintf("statistics on %s: %v", e.addr, e.err) }
func (e *portError) Unwrap() error { return e.err }

// Hint returns what to do about it.
func (e *portError) Hint() string {
	if errors.Is(e.err, syscall.EADDRINUSE) {
		return "another process uses the port; set plugin.choria.stats_port to a free one, or to 0 for no statistics"
	}
	return "correct plugin.choria.stats_address and plugin.choria.stats_port"
}

// Run serves until ctx ends. It fails at once when the port cannot be had.
func (s *Stats) Run(ctx context.Context) error {
	info := s.Metrics.Counter("choria_build_info", "Build information about the running server",
		"version", build.Version, "sha", build.Commit, "identity", s.Identity)
	if info.Value() == 0 {
		info.Inc()
	}
	if s.Expires != nil {
		s.Metrics.GaugeFunc("choria_certificate_expires_timestamp_seconds", "When the certificate of this process expires, in seconds since 1970 UTC",
			func() float64 { return float64(s.Expires().Unix()) }, "identity", s.Identity)
	}
	ln := s.listener
	if ln == nil {
		if s.Port == 0 {
			<-ctx.Done()
			return nil
		}
		addr := net.JoinHostPort(s.Address, strconv.Itoa(s.Port))
		var err error
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", addr); err != nil {
			return &portError{addr, err}
		}
	}
	log := discard(s.Log)
	srv := &http.Server{
		Handler:           s.handler(time.Now()),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	log.Info("serving statistics", "address", ln.Addr().String())
	select {
	case err := <-served:
		return &portError{ln.Addr().String(), err}
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close() // a reader that is too slow; its page is of no use any more
	}
	<-served
	return nil
}

// handler returns what is served by a process that started at start.
func (s *Stats) handler(start time.Time) http.Handler {
	mux := http.NewServeMux()
	about := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.about(start)) // an error is the reader's, who has gone
	}
	page := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", metrics.ContentType)
		s.Metrics.WriteTo(w) // as above
	}
	mux.HandleFunc("GET /choria", about)
	mux.HandleFunc("GET /choria/{$}", about)
	mux.HandleFunc("GET /choria/prometheus", page)
	mux.HandleFunc("GET /choria/metrics", page)
	if s.Other != nil {
		mux.Handle("/", s.Other)
	}
	return mux
}

// about is the document at /choria/. Source: protocol section 10.1.
type about struct {
	Build struct {
		Version    string `json:"version"`
		SHA        string `json:"sha"`
		BuildDate  string `json:"build_date"` // of the commit, RFC 3339
		License    string `json:"license"`
		TLS        bool   `json:"tls"`
		Secure     bool   `json:"secure"`
		Go         string `json:"go"`
		MaxClients int    `json:"max_broker_clients"`
	} `json:"build"`
	System struct {
		RSS        int64   `json:"rss"`         // bytes
		CPUPercent float64 `json:"cpu_percent"` // of one core, since the start
		CPUCores   int     `json:"cpu_cores"`
	} `json:"system"`
	ConfigFile string `json:"config_file"`
	Identity   string `json:"identity"`
}

func (s *Stats) about(start time.Time) about {
	var a about
	a.Build.Version, a.Build.SHA = build.Version, build.Commit
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range info.Settings {
			if kv.Key == "vcs.time" {
				a.Build.BuildDate = kv.Value
			}
		}
	}
	a.Build.License = "Apache-2.0"
	a.Build.TLS, a.Build.Secure = true, true // no build is without
	a.Build.Go = runtime.Version()
	a.Build.MaxClients = maxBrokerClients

	rss, cpu := usage()
	a.System.RSS = rss
	if alive := time.Since(start); alive > 0 {
		a.System.CPUPercent = 100 * cpu.Seconds() / alive.Seconds()
	}
	a.System.CPUCores = runtime.NumCPU()
	a.ConfigFile, a.Identity = s.ConfigFile, s.Identity
	return a
}
