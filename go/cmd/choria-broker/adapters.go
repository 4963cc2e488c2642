package main

import (
	"context"
	"fmt"
	"log/slog"

	"choria.io/choria/go/internal/adapter"
	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// newAdapters makes the data adapters that cfg describes. b is the network broker in the same process,
// nil when there is none. id is who this process is, tls whether it connects with that.
func newAdapters(ctx context.Context, cfg *config.Config, id *security.Identity, tls bool, b *broker.Broker, reg *metrics.Registry, log *slog.Logger) ([]part, error) {
	all, err := adapter.Load(cfg)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	finder := &transport.Finder{Config: cfg, Log: log}
	if b == nil && len(cfg.MiddlewareHosts) > 0 { // what cannot get better is an error now
		if _, err := finder.Middleware(ctx); err != nil {
			return nil, err
		}
	}
	remote := transport.Options{
		User: cfg.NATSUser, Password: cfg.NATSPassword, CredentialsFile: cfg.NATSCredentials,
		ConnectTimeout: cfg.ConnectTimeout, Metrics: reg,
	}
	if tls {
		remote.TLS = id.ClientTLS()
	}
	proof, err := newProof(cfg, id, log)
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, s := range all {
		for _, w := range s.Warnings {
			log.Warn("configuration", "text", w)
		}
		a := s.Adapter
		a.Log, a.Metrics = log, reg
		if s.Verify && a.Kind == adapter.Requests {
			a.Proof = proof
		}
		a.Ingest = remote
		a.Ingest.Lookup = finder.Middleware
		if b != nil {
			a.Ingest = transport.Options{InProcess: b.InProcess}
		}
		sink := a.Ingest
		if len(s.Servers) > 0 {
			sink = remote
			sink.Servers = s.Servers
		}
		sink.Metrics = reg
		sink.Log = log.With("adapter", a.Name, "side", "sink")
		a.Open = s.Sink(sink)
		parts = append(parts, func(ctx context.Context) error {
			if b != nil {
				select {
				case <-b.Ready():
				case <-ctx.Done():
					return nil
				}
			}
			return a.Run(ctx)
		})
	}
	return parts, nil
}

// knownNodes is how many certificates of nodes are kept once they are verified, at most some 32 MB. The
// nodes of a larger network are heard often enough to matter, but not to be worth more.
const knownNodes = 16384

// newProof returns who is believed. What nodes say about themselves is signed with certificates that
// may not make requests, hence it takes an identity that knows no such rule.
func newProof(cfg *config.Config, id *security.Identity, log *slog.Logger) (*adapter.Proof, error) {
	o, err := security.Describe(cfg, security.ForBroker, "")
	if err != nil {
		return nil, err
	}
	o.Callers = []string{"."}
	o.KnownCallers = knownNodes
	o.Log = log
	all, err := security.New(o)
	if err != nil {
		return nil, fmt.Errorf("adapters: %w", err)
	}
	return &adapter.Proof{Any: all, Callers: id}, nil
}
