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

// The kinds of plugins.
const (
	Agent = "agent"
	Data  = "data"
)

// A File is the description of an agent or of a data plugin on disk.
type File struct {
	Kind  string
	Name  string // of the plugin: that of the file without its extension and, for data, without _data
	Path  string
	Depth int // directories between the file and that of the agents of a library directory
}

// A Provider runs the agents of one sort.
type Provider interface {
	// Agent returns the agent of a description, nil when it is not of this sort or not all of it is
	// there yet. It may take a while.
	Agent(ctx context.Context, f File, d *ddl.Agent) (*agent.Agent, error)

	// Beside says what files of a plugin are there besides its description, cheaply: it is called at
	// each look at the directories. When it says something else the provider is asked for the plugin again.
	Beside(f File) string
}

// A DataProvider is a Provider that runs data plugins too.
type DataProvider interface {
	Data(ctx context.Context, f File, d *ddl.Data) (*agent.DataPlugin, error)
}

// A Host has agents and data plugins. It is usually a *node.Node.
type Host interface {
	Install(*agent.Agent) error
	Uninstall(name string)
	InstallData(*agent.DataPlugin) error
	UninstallData(name string)
}

// How often the directories are looked at: at once, then more and more seldom while nothing changes.
// Looking at a hundred agents takes some 2 ms.
const (
	firstInterval   = 750 * time.Millisecond
	longestInterval = 10 * time.Second
)

// longestRetry is the longest time between two attempts to load a plugin that was put off, see ErrLater.
const longestRetry = 10 * time.Minute

// maxSize is the largest description that is read, in bytes.
const maxSize = 1 << 20

// A Watcher installs the agents that it finds on disk. Set its fields, then call Run.
type Watcher struct {
	Dirs      []string   // library directories, plugins being in mcollective/agent and mcollective/data below; of two of one name the later counts
	Providers []Provider // asked in this order
	Host      Host

	// Convert turns descriptions in Ruby into JSON; what it returns is by path. Nil: they are not read.
	Convert func(ctx context.Context, kind string, paths []string) map[string]Converted

	// Refused are names that agents on disk may not have.
	Refused []string

	// Interval is the longest time between two looks at the directories. Zero means 10 s.
	Interval time.Duration

	Log *slog.Logger // nil discards

	loaded map[string]*loaded // by kind/name
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

	again time.Time     // when to try again; zero: when it changes
	delay time.Duration // until then, from the last attempt
}

// due reports whether to try again with a plugin that has not changed.
func (f *loaded) due() bool { return !f.again.IsZero() && !time.Now().Before(f.again) }

func (f *loaded) key() string  { return f.file.Kind + "/" + f.file.Name }
func (f *loaded) inRuby() bool { return strings.HasSuffix(f.file.Path, ".ddl") }

// Run watches until ctx ends. The agents stay installed.
func (w *Watcher) Run(ctx context.Context) error {
	longest := w.longest()
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

// longest returns the longest time between two looks.
func (w *Watcher) longest() time.Duration {
	if w.Interval <= 0 {
		return longestInterval
	}
	return w.Interval
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
	for _, key := range slices.Sorted(maps.Keys(w.loaded)) {
		if _, there := found[key]; !there {
			w.remove(key)
			changed = true
		}
	}
	var news []*loaded
	inRuby := make(map[string][]string) // paths by kind
	for _, key := range slices.Sorted(maps.Keys(found)) {
		f := found[key]
		old := w.loaded[key]
		switch {
		case old == nil || old.stamp != f.stamp:
			changed = true
		case !old.due():
			continue
		default:
			f.delay = old.delay
		}
		news = append(news, f)
		if f.inRuby() {
			inRuby[f.file.Kind] = append(inRuby[f.file.Kind], f.file.Path)
		}
	}
	converted := make(map[string]Converted)
	for kind, paths := range inRuby {
		maps.Copy(converted, w.Convert(ctx, kind, paths))
	}
	for _, f := range news {
		if ctx.Err() != nil {
			return true
		}
		w.load(ctx, f, converted)
	}
	return changed
}

// remove takes a plugin away that has vanished from disk.
func (w *Watcher) remove(key string) {
	w.uninstall(w.loaded[key])
	delete(w.loaded, key)
}

func (w *Watcher) uninstall(f *loaded) {
	if !f.on {
		return
	}
	if f.file.Kind == Data {
		w.Host.UninstallData(f.file.Name)
	} else {
		w.Host.Uninstall(f.file.Name)
	}
	w.Log.Info("plugin removed", f.file.Kind, f.file.Name, "file", f.file.Path)
}

// load installs the plugin of a description that is new or has changed. Whatever comes of it is
// remembered, so that one that is wrong is told of once.
func (w *Watcher) load(ctx context.Context, f *loaded, converted map[string]Converted) {
	old := w.loaded[f.key()]
	w.loaded[f.key()] = f
	install := w.agent
	if f.file.Kind == Data {
		install = w.data
	}
	text, err := content(f, converted)
	if err == nil && text != nil {
		f.on, err = install(ctx, f.file, text)
	}
	switch {
	case f.on:
		w.Log.Info("plugin loaded", f.file.Kind, f.file.Name, "file", f.file.Path)
		return
	case errors.Is(err, ddl.ErrNoMetadata): // some other JSON that an agent came with
	case errors.Is(err, ErrLater):
		f.delay = min(max(2*f.delay, w.longest()), longestRetry)
		f.again = time.Now().Add(f.delay)
		w.Log.Warn("plugin not loaded, it will be tried again", f.file.Kind, f.file.Name, "file", f.file.Path, "err", err, "after", f.delay)
	case errors.Is(err, ErrDeclined):
		w.Log.Info("plugin not loaded", f.file.Kind, f.file.Name, "file", f.file.Path, "reason", err)
	case err != nil:
		w.Log.Warn("plugin not loaded", f.file.Kind, f.file.Name, "file", f.file.Path, "err", err)
	}
	if old != nil {
		w.uninstall(old)
	}
}

// ErrDeclined is what a Host returns for an agent that it is configured not to have.
var ErrDeclined = errors.New("agent is not wanted")

// ErrLater is what a Provider returns for a plugin that may load at another time, without a change on disk.
var ErrLater = errors.New("not now")

// content returns the JSON of a description, nil when it is gone.
func content(f *loaded, converted map[string]Converted) ([]byte, error) {
	if f.inRuby() {
		c := converted[f.file.Path]
		return c.JSON, c.Err
	}
	text, err := read(f.file.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the next look sees that
	}
	return text, err
}

// agent installs the agent of a description, if it is one of a provider's.
func (w *Watcher) agent(ctx context.Context, f File, text []byte) (on bool, err error) {
	if slices.Contains(w.Refused, f.Name) {
		return false, fmt.Errorf("the name %s is that of an agent of the server itself", f.Name)
	}
	d, err := ddl.Parse(text)
	switch {
	case err != nil:
		return false, err
	case d.Metadata.Name != f.Name:
		return false, fmt.Errorf("describes %q, want %q as the file is named", d.Metadata.Name, f.Name)
	case d.Metadata.Timeout < 1:
		return false, errors.New("timeout: want at least one second")
	}
	for _, p := range w.Providers {
		a, err := p.Agent(ctx, f, d)
		if err != nil {
			return false, err
		}
		if a != nil {
			err := w.Host.Install(a)
			return err == nil, err
		}
	}
	return false, nil
}

// data installs the data plugin of a description.
func (w *Watcher) data(ctx context.Context, f File, text []byte) (on bool, err error) {
	d, err := ddl.ParseData(text)
	switch {
	case err != nil:
		return false, err
	case d.Metadata.Name != f.Name && d.Metadata.Name != f.Name+"_data":
		return false, fmt.Errorf("describes %q, want %q as the file is named", d.Metadata.Name, f.Name)
	}
	d.Metadata.Name = f.Name
	for _, p := range w.Providers {
		provider, is := p.(DataProvider)
		if !is {
			continue
		}
		plugin, err := provider.Data(ctx, f, d)
		if err != nil {
			return false, err
		}
		if plugin != nil {
			err := w.Host.InstallData(plugin)
			return err == nil, err
		}
	}
	return false, nil
}
