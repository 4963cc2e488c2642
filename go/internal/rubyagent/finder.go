package rubyagent

import (
	"context"
	"log/slog"
	"slices"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
)

// Finder returns where a client finds descriptions, those in Ruby too. A nil log discards.
func Finder(cfg *config.Config, log *slog.Logger) *ddl.Finder {
	c := &Converter{Config: cfg, Log: log}
	return &ddl.Finder{
		Builtin: ddl.Builtin(),
		Dirs:    slices.Concat(cfg.LibDirs, cfg.RubyLibDirs),
		Convert: func(path, kind string) ([]byte, error) { return c.Convert(context.Background(), path, kind) },
	}
}
