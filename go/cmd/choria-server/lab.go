package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"choria.io/choria/go/internal/daemon"
	"choria.io/choria/go/internal/lab/host"
)

// labCommand is what "choria lab" calls to have many nodes in one process. It is not in the usage,
// since nobody else has a file for it.
const labCommand = "lab"

// serveLab runs the nodes that a file of the lab describes.
func serveLab(ctx context.Context, spec, pid string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	remove, err := daemon.WritePIDFile(pid)
	if err != nil {
		return err
	}
	defer remove()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return host.Run(ctx, spec, os.Stdout, log)
}
