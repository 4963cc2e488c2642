package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/daemon"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
)

// serve runs what the configuration file asks for until ctx ends.
func serve(ctx context.Context, file, pid string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	if err := check(cfg); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	log, err := daemon.OpenLog(cfg.LogFile, cfg.LogLevel)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, w := range append(cfg.Warnings(), warnUnsupported(cfg)...) {
		log.Warn("configuration", "text", w)
	}
	if err := runBroker(ctx, cfg, pid, log); err != nil {
		err = locate(cfg, err)
		log.Error("broker stopped", "err", err)
		return err
	}
	log.Info("broker stopped")
	return nil
}

// check refuses what this build does not do, rather than to leave it out in silence.
func check(cfg *config.Config) error {
	switch {
	case !cfg.BrokerNetwork && !cfg.BrokerFederation && len(cfg.Adapters) == 0:
		return &hinted{errors.New("there is nothing to run"), "plugin.choria.broker_network = true makes this a broker, plugin.choria.broker_federation = true a federation broker, plugin.choria.adapters names data adapters"}
	}
	return nil
}

// locate says where the setting stands that err is about, when it begins with one.
func locate(cfg *config.Config, err error) error {
	key, _, ok := strings.Cut(err.Error(), ":")
	if !ok || !strings.HasPrefix(key, "plugin.") || strings.Contains(key, " ") {
		return err
	}
	if _, src, ok := cfg.Raw(key); ok && src.Line > 0 {
		return fmt.Errorf("%s: %w", src, err)
	}
	return fmt.Errorf("%s: %w", cfg.File(), err)
}

// hinted is an error with its cure.
type hinted struct {
	error
	cure string
}

func (h *hinted) Hint() string  { return h.cure }
func (h *hinted) Unwrap() error { return h.error }

// A part is what a process does beside being a broker of the network, or on it. It runs until its
// context ends.
type part func(context.Context) error

// runBroker runs all that is configured, and the statistics port.
func runBroker(ctx context.Context, cfg *config.Config, pid string, log *daemon.Log) error {
	id, err := security.Load(cfg, security.ForBroker, log.Logger)
	if err != nil {
		return err
	}
	expires, self := id.Expires(), id
	if cfg.NoTLS {
		log.Warn("TLS is off and anybody may connect: plugin.choria.lab.no_tls is for labs alone")
		id = nil
	}
	var reg *metrics.Registry // nil: nobody looks
	if cfg.StatsPort != 0 {
		reg = metrics.New()
	}
	stats := &daemon.Stats{
		Address: cfg.StatsAddress, Port: cfg.StatsPort,
		Identity: cfg.Identity, ConfigFile: cfg.File(),
		Metrics: reg, Expires: self.Expires, Log: log.Logger,
	}
	var b *broker.Broker // nil: none
	if cfg.BrokerNetwork {
		if b, err = broker.New(cfg, broker.Options{Security: id, Log: log.Logger, Metrics: reg}); err != nil {
			return err
		}
		stats.Other = b.Handler()
	}
	var parts []part
	if cfg.BrokerFederation {
		p, err := newFederation(ctx, cfg, id, b, reg, log.Logger)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	adapters, err := newAdapters(ctx, cfg, self, id != nil, b, reg, log.Logger)
	if err != nil {
		return err
	}
	parts = append(parts, adapters...)
	remove, err := daemon.WritePIDFile(pid)
	if err != nil {
		return err
	}
	defer remove()

	log.Info("broker starts", "version", build.Version, "identity", cfg.Identity, "config", cfg.File(), "certificate_expires", expires)
	daemon.Reopener(ctx, log)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		daemon.TrimMemory(gctx)
		return nil
	})
	// The broker ends when the parts have: they have to pass on what they hold.
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if b != nil {
		g.Go(func() error { return b.Run(last) })
	}
	g.Go(func() error {
		defer end()
		return runParts(gctx, parts)
	})
	g.Go(func() error { return stats.Run(gctx) })
	g.Go(func() error { return profile(gctx, cfg.PprofPort, log.Logger) })
	g.Go(func() error { return notify(gctx, b, log.Logger) })
	return g.Wait()
}

// runParts runs parts until ctx ends or one of them fails.
func runParts(ctx context.Context, parts []part) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range parts {
		g.Go(func() error { return p(ctx) })
	}
	<-ctx.Done()
	return g.Wait()
}

// notify tells the service manager when the broker is ready. What connects to others is at once: it
// tries for ever.
func notify(ctx context.Context, b *broker.Broker, log *slog.Logger) error {
	if b != nil {
		select {
		case <-b.Ready():
		case <-ctx.Done():
			return nil
		}
	}
	if err := daemon.Notify(daemon.Ready); err != nil {
		log.Warn("the service manager was not told that the broker is ready", "err", err)
	}
	return nil
}
