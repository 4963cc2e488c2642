// Package hotload keeps the agents of a node in step with the descriptions on disk.
package hotload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// A File is the description of an agent on disk.
type File struct {
	Name  string // of the agent: that of the file without its extension
	Path  string
	Depth int // directories between the file and that of the agents of a library directory

	// Beside says what files of the agent are there besides its description, so that a provider is
	// asked again when one comes, goes or changes. It is only good for being compared.
	Beside string
}

// A Provider runs the agents of one kind.
type Provider interface {
	// Agent returns the agent of a description, nil when it is not of this kind or not all of it is
	// there yet. It may take a while.
	Agent(ctx context.Context, f File, d *ddl.Agent) (*agent.Agent, error)

	// Beside stats the files that belong to an agent besides its description, cheaply.
	Beside(f File) string
}

// A Host has agents. It is usually a *node.Node.
type Host interface {
	Install(*agent.Agent) error
	Uninstall(name string)
}

// How often the directories are looked at: at once, then more and more seldom while nothing changes.
// Looking at a hundred agents takes some 2 ms.
const (
	firstInterval   = 750 * time.Millisecond
	longestInterval = 10 * time.Second
)

// maxSize is the largest description that is read, in bytes.
const maxSize = 1 << 20

// A Watcher installs the agents that it finds on disk. Set its fields, then call Run.
type Watcher struct {
	Dirs      []string   // library directories, those of agents being mcollective/agent below; of two descriptions of one name the later counts
	Providers []Provider // asked in this order
	Host      Host

	// Convert turns descriptions in Ruby into JSON; what it returns is by path. Nil: they are not read.
	Convert func(ctx context.Context, paths []string) map[string]Converted

	// Refused are names that agents on disk may not have.
	Refused []string

	// Interval is the longest time between two looks at the directories. Zero means 10 s.
	Interval time.Duration

	Log *slog.Logger // nil discards

	loaded map[string]*loaded // by name
}

// A Converted is a description made of one in Ruby, or why there is none.
type Converted struct {
	JSON []byte
	Err  error
}

// loaded is what was made of a description.
type loaded struct {
	file  File
	stamp string
	on    bool // installed
}

// Run watches until ctx ends. The agents stay installed.
func (w *Watcher) Run(ctx context.Context) error {
	longest := w.Interval
	if longest <= 0 {
		longest = longestInterval
	}
	wait := min(firstInterval, longest)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if w.Scan(ctx) {
			wait = min(firstInterval, longest)
		}
		// Not all nodes at once, should they share a file server.
		timer.Reset(wait - rand.N(wait/4+1))
		wait = min(wait*2, longest)
	}
}

// Scan looks at the directories once and reports whether anything has changed.
func (w *Watcher) Scan(ctx context.Context) (changed bool) {
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	if w.loaded == nil {
		w.loaded = make(map[string]*loaded)
	}
	found := w.find()
	for _, name := range slices.Sorted(maps.Keys(w.loaded)) {
		if _, there := found[name]; !there {
			w.remove(name)
			changed = true
		}
	}
	var news []string
	var inRuby []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		if old := w.loaded[name]; old != nil && old.stamp == f.stamp {
			continue
		}
		news = append(news, name)
		if strings.HasSuffix(f.file.Path, ".ddl") {
			inRuby = append(inRuby, f.file.Path)
		}
	}
	if len(news) == 0 {
		return changed
	}
	var converted map[string]Converted
	if len(inRuby) > 0 && w.Convert != nil {
		converted = w.Convert(ctx, inRuby)
	}
	for _, name := range news {
		if ctx.Err() != nil {
			return true
		}
		w.load(ctx, found[name], converted)
	}
	return true
}

// remove takes an agent away that has vanished from disk.
func (w *Watcher) remove(name string) {
	if w.loaded[name].on {
		w.Host.Uninstall(name)
		w.Log.Info("agent removed", "agent", name, "file", w.loaded[name].file.Path)
	}
	delete(w.loaded, name)
}

// load installs the agent of a description that is new or has changed. Whatever comes of it is
// remembered, so that one that is wrong is told of once.
func (w *Watcher) load(ctx context.Context, f *loaded, converted map[string]Converted) {
	name := f.file.Name
	old := w.loaded[name]
	w.loaded[name] = f
	a, err := w.make(ctx, f.file, converted)
	if err == nil && a != nil {
		err = w.Host.Install(a)
	}
	switch {
	case err == nil && a != nil:
		f.on = true
		w.Log.Info("agent loaded", "agent", name, "version", a.DDL.Metadata.Version, "file", f.file.Path)
		return
	case errors.Is(err, errOther):
	case errors.Is(err, ErrDeclined):
		w.Log.Info("agent not loaded", "agent", name, "file", f.file.Path, "reason", err)
	case err != nil:
		w.Log.Warn("agent not loaded", "agent", name, "file", f.file.Path, "err", err)
	}
	if old != nil && old.on {
		w.Host.Uninstall(name)
		w.Log.Info("agent removed", "agent", name, "file", old.file.Path)
	}
}

// ErrDeclined is what a Host returns for an agent that it is configured not to have.
var ErrDeclined = errors.New("agent is not wanted")

// errOther is a JSON file that describes no agent.
var errOther = errors.New("no description of an agent")

func (w *Watcher) make(ctx context.Context, f File, converted map[string]Converted) (*agent.Agent, error) {
	if slices.Contains(w.Refused, f.Name) {
		return nil, fmt.Errorf("the name %s is that of an agent of the server itself", f.Name)
	}
	var text []byte
	if strings.HasSuffix(f.Path, ".ddl") {
		c := converted[f.Path]
		if c.Err != nil || c.JSON == nil {
			return nil, c.Err
		}
		text = c.JSON
	} else {
		var err error
		if text, err = read(f.Path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil // gone since; the next look sees that
			}
			return nil, err
		}
	}
	d, err := ddl.Parse(text)
	switch {
	case errors.Is(err, ddl.ErrNoMetadata):
		return nil, errOther
	case err != nil:
		return nil, err
	case d.Metadata.Name != f.Name:
		return nil, fmt.Errorf("describes %q, want %q as the file is named", d.Metadata.Name, f.Name)
	case d.Metadata.Timeout < 1:
		return nil, errors.New("timeout: want at least one second")
	}
	for _, p := range w.Providers {
		a, err := p.Agent(ctx, f, d)
		if a != nil || err != nil {
			return a, err
		}
	}
	return nil, nil
}
