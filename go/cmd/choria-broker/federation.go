package main

import (
	"context"
	"log/slog"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/federation"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// newFederation makes the federation broker that cfg describes. b is the network broker in the same
// process, nil when there is none. id is nil without TLS.
func newFederation(ctx context.Context, cfg *config.Config, id *security.Identity, b *broker.Broker, reg *metrics.Registry, log *slog.Logger) (part, error) {
	finder := &transport.Finder{Config: cfg, Log: log}
	if len(cfg.FederationHosts) > 0 || !cfg.UseSRV { // what cannot get better is an error now
		if _, err := finder.Federation(ctx); err != nil {
			return nil, err
		}
	}
	if len(cfg.MiddlewareHosts) > 0 {
		if _, err := finder.Middleware(ctx); err != nil {
			return nil, err
		}
	}
	side := func(lookup func(context.Context) ([]string, error)) federation.Side {
		o := transport.Options{
			Lookup:          lookup,
			User:            cfg.NATSUser,
			Password:        cfg.NATSPassword,
			CredentialsFile: cfg.NATSCredentials,
			ConnectTimeout:  cfg.ConnectTimeout,
		}
		if id != nil {
			o.TLS = id.ClientTLS()
		}
		return federation.Side{Options: o}
	}
	f := &federation.Broker{
		Site: cfg.FederationCluster, Identity: cfg.Identity,
		Federation: side(finder.Federation),
		Collective: side(finder.Middleware),
		Log:        log, Metrics: reg,
	}
	return func(ctx context.Context) error {
		// A network broker in this process is the site, unless the configuration names another one.
		if b != nil && len(cfg.MiddlewareHosts) == 0 {
			select {
			case <-b.Ready():
			case <-ctx.Done():
				return nil
			}
			f.Collective = federation.Side{Options: transport.Options{InProcess: b.InProcess}, URL: b.URL()}
		}
		return f.Run(ctx)
	}, nil
}
