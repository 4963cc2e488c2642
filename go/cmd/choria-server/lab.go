package main

import (
	"context"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"choria.io/choria/go/internal/daemon"
	"choria.io/choria/go/internal/lab/host"
)

// labCommand is what "choria lab" calls to have many nodes in one process. It is not in the usage,
// since nobody else has a file for it.
const labCommand = "lab"

// serveLab runs the nodes that a file of the lab describes.
func serveLab(ctx context.Context, spec, pid string) error {
	remove, err := daemon.WritePIDFile(pid)
	if err != nil {
		return err
	}
	defer remove()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		daemon.TrimMemory(gctx)
		return nil
	})
	g.Go(func() error { return host.Run(gctx, spec, os.Stdout, log) })
	return g.Wait()
}
