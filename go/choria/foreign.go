package choria

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/externalagent"
	"choria.io/choria/go/internal/hotload"
	"choria.io/choria/go/internal/node"
	"choria.io/choria/go/internal/rubyagent"
)

// refused are the names that agents on disk may not have: those of the project itself.
var refused = []string{"choria_provision", "choria_registry", "choria_util", "discovery", "rpcutil", "scout"}

// A foreign runs the agents on disk, those in Ruby and the external ones.
type foreign struct {
	watcher *hotload.Watcher
	ruby    *rubyagent.Runner
}

// newForeign returns what runs the agents of the library directories, nil when none are configured.
func newForeign(cfg *config.Config, n *node.Node, log *slog.Logger) (*foreign, error) {
	if len(cfg.RubyLibDirs) == 0 {
		return nil, nil
	}
	ruby, err := rubyagent.New(cfg, log)
	if err != nil {
		return nil, err
	}
	external := &externalagent.Runner{ConfigFile: cfg.File(), Facts: n.Facts, Log: log}
	return &foreign{ruby: ruby, watcher: &hotload.Watcher{
		Dirs:      cfg.RubyLibDirs,
		Providers: []hotload.Provider{ruby, external},
		Host:      preferring{n, cfg.NativeAgents},
		Convert:   ruby.Converted,
		Refused:   refused,
		Log:       log,
	}}, nil
}

// run keeps the agents in step with the disk while the node runs, and ends them after it.
func (f *foreign) run(ctx context.Context, n *node.Node) error {
	if f == nil {
		return n.Run(ctx)
	}
	return f.watch(ctx, n)
}

func (f *foreign) watch(ctx context.Context, n *node.Node) error {
	defer f.ruby.Close()
	f.watcher.Scan(ctx) // so that the node has its agents from the first request on
	watching, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1) // holds the one result, so that the goroutine ends
	go func() { ended <- f.watcher.Run(watching) }()
	err := n.Run(ctx)
	cancel()
	if err2 := <-ended; err == nil {
		err = err2
	}
	return err
}

// preferring installs agents unless the one of that name that is built in is preferred.
type preferring struct {
	node   *node.Node
	native []string
}

func (p preferring) Install(a *agent.Agent) error {
	name := a.DDL.Metadata.Name
	if slices.Contains(p.native, name) && p.node.Builtin(name) {
		return fmt.Errorf("%w: plugin.choria.agent_provider.native names the one that is built in", hotload.ErrDeclined)
	}
	err := p.node.Install(a)
	if errors.Is(err, node.ErrInactive) {
		return fmt.Errorf("%w: %w", hotload.ErrDeclined, err)
	}
	return err
}

func (p preferring) InstallData(d *agent.DataPlugin) error { return p.node.InstallData(d) }
func (p preferring) UninstallData(name string)             { p.node.UninstallData(name) }

func (p preferring) Uninstall(name string) { p.node.Uninstall(name) }
