package hotload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/hotload"
)

// A host notes what is installed, and a provider what it is asked for.
type host struct {
	t    *testing.T
	lib  string
	log  bytes.Buffer
	w    *hotload.Watcher
	mu   sync.Mutex
	have map[string]string // version by agent or data/plugin
	made []string
	fail map[string]error // by agent: what Install returns
}

func newHost(t *testing.T) *host {
	h := &host{t: t, lib: t.TempDir(), have: make(map[string]string), fail: make(map[string]error)}
	h.w = &hotload.Watcher{
		Dirs: []string{filepath.Join(h.lib, "a"), filepath.Join(h.lib, "b")}, Host: h, Providers: []hotload.Provider{h},
		Log: slog.New(slog.NewTextHandler(&h.log, nil)), Interval: 10 * time.Millisecond,
	}
	return h
}

func (h *host) Install(a *agent.Agent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fail[a.DDL.Metadata.Name]; err != nil {
		return err
	}
	h.have[a.DDL.Metadata.Name] = a.DDL.Metadata.Version
	return nil
}

func (h *host) Uninstall(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.have[name] == "" {
		h.t.Errorf("uninstalled %s, which was not there", name)
	}
	delete(h.have, name)
}

func (h *host) InstallData(p *agent.DataPlugin) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.have["data/"+p.DDL.Metadata.Name] = p.DDL.Metadata.Version
	return nil
}

func (h *host) UninstallData(name string) { h.Uninstall("data/" + name) }

func (h *host) Agent(_ context.Context, f hotload.File, d *ddl.Agent) (*agent.Agent, error) {
	h.made = append(h.made, f.Name)
	switch d.Metadata.Provider {
	case "broken":
		return nil, errors.New("it is broken")
	case "other":
		return nil, nil
	}
	return &agent.Agent{DDL: d}, nil
}

func (h *host) Data(_ context.Context, f hotload.File, d *ddl.Data) (*agent.DataPlugin, error) {
	return &agent.DataPlugin{DDL: d}, nil
}

func (h *host) Beside(f hotload.File) string {
	return hotload.StampOf(strings.TrimSuffix(f.Path, filepath.Ext(f.Path)) + ".rb")
}

func (h *host) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.lib, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) remove(name string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.lib, name)); err != nil {
		h.t.Fatal(err)
	}
}

// is scans and says what is wrong with what is installed after it.
func (h *host) is(what string, changed bool, want ...string) {
	h.t.Helper()
	if got := h.w.Scan(h.t.Context()); got != changed {
		h.t.Errorf("%s: changed %v, want %v", what, got, changed)
	}
	if got := h.installed(); !slices.Equal(got, want) {
		h.t.Errorf("%s: installed %q, want %q\n%s", what, got, want, &h.log)
	}
}

func (h *host) installed() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var got []string
	for _, name := range slices.Sorted(maps.Keys(h.have)) {
		got = append(got, name+" "+h.have[name])
	}
	return got
}

func describe(name, version, provider string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"description":"d","author":"a","license":"l","version":%q,"url":"u","timeout":5,"provider":%q},"actions":[]}`, name, version, provider)
}

func TestComeChangeGo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.is("nothing there", false)
	h.write("a/mcollective/agent/one.json", describe("one", "1.0", ""))
	h.write("a/mcollective/agent/sub/two.json", describe("two", "1.0", ""))
	h.is("come", true, "one 1.0", "two 1.0")
	h.is("the same", false, "one 1.0", "two 1.0")
	h.write("a/mcollective/agent/one.json", describe("one", "1.1", ""))
	h.is("changed", true, "one 1.1", "two 1.0")
	made := len(h.made)
	h.write("a/mcollective/agent/one.rb", "")
	h.is("other file", true, "one 1.1", "two 1.0")
	if len(h.made) != made+1 {
		t.Error("the provider was not asked again for an agent whose other file has come")
	}
	h.write("b/mcollective/agent/one.json", describe("one", "2.0", ""))
	h.is("later directory", true, "one 2.0", "two 1.0")
	h.remove("b/mcollective/agent/one.json")
	h.is("later directory without it", true, "one 1.1", "two 1.0")
	h.write("a/mcollective/agent/one.json", describe("one", "1.2", "")[:50])
	h.is("half written", true, "two 1.0")
	h.is("and still", false, "two 1.0")
	h.write("a/mcollective/agent/one.json", describe("one", "1.2", ""))
	h.is("whole again", true, "one 1.2", "two 1.0")
	h.write("a/mcollective/data/fact_data.json", `{"metadata":{"name":"fact","description":"d","author":"a","license":"l","version":"3","url":"u","timeout":1},"output":{}}`)
	h.is("data plugin", true, "data/fact 3", "one 1.2", "two 1.0")
	h.remove("a")
	h.is("all gone", true)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.w.Refused = []string{"rpcutil"}
	h.fail["unwanted"] = fmt.Errorf("%w: says the test", hotload.ErrDeclined)
	h.fail["failing"] = errors.New("no room")
	for file, text := range map[string]string{
		"rpcutil": describe("rpcutil", "1", ""), "misnamed": describe("another", "1", ""), "notjson": "{",
		"settings": "{}", "broken": describe("broken", "1", "broken"), "other": describe("other", "1", "other"),
		"unwanted": describe("unwanted", "1", ""), "failing": describe("failing", "1", ""),
		"Capital": describe("capital", "1", ""), "hasty": strings.Replace(describe("hasty", "1", ""), `"timeout":5`, `"timeout":0`, 1),
	} {
		h.write("a/mcollective/agent/"+file+".json", text)
	}
	h.write("a/mcollective/agent/inruby.ddl", "metadata :name => 'inruby'")
	// A loop of links ends.
	if err := os.Symlink(filepath.Join(h.lib, "a/mcollective/agent"), filepath.Join(h.lib, "a/mcollective/agent/loop")); err != nil {
		t.Fatal(err)
	}
	h.is("all wrong", true)
	log := h.log.String()
	for _, want := range []string{
		"the name rpcutil is that of an agent of the server itself", `describes \"another\", want \"misnamed\"`,
		"agent=notjson", "it is broken", "reason=\"agent is not wanted: says the test\"", "no room", "at least one second",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, "settings") {
		t.Errorf("log tells of a file that describes nothing:\n%s", log)
	}
	h.log.Reset()
	h.is("told once", false)
	if h.log.Len() > 0 {
		t.Errorf("told again:\n%s", &h.log)
	}
}

func TestConverted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var asked []string
	h.w.Convert = func(_ context.Context, kind string, paths []string) map[string]hotload.Converted {
		done := make(map[string]hotload.Converted)
		for _, path := range paths {
			name := strings.TrimSuffix(filepath.Base(path), ".ddl")
			asked = append(asked, kind+"/"+name)
			done[path] = hotload.Converted{JSON: []byte(describe(strings.TrimSuffix(name, "_data"), "1", ""))}
			if name == "bad" {
				done[path] = hotload.Converted{Err: errors.New("not Ruby")}
			}
		}
		return done
	}
	h.write("a/mcollective/agent/inruby.ddl", "x")
	h.write("a/mcollective/agent/bad.ddl", "x")
	h.write("a/mcollective/agent/both.ddl", "x")
	h.write("b/mcollective/agent/both.json", describe("both", "2", ""))
	h.write("a/mcollective/data/fact_data.ddl", "x")
	h.is("converted", true, "both 2", "data/fact 1", "inruby 1")
	slices.Sort(asked)
	if want := []string{"agent/bad", "agent/inruby", "data/fact_data"}; !slices.Equal(asked, want) {
		t.Errorf("converted %q, want %q: one in JSON needs none", asked, want)
	}
	h.is("the same", false, "both 2", "data/fact 1", "inruby 1")
	h.remove("b/mcollective/agent/both.json")
	h.is("without JSON", true, "both 1", "data/fact 1", "inruby 1")
}

// Run notices changes by itself, and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.w.Run(ctx) }()
	await := func(want ...string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !slices.Equal(h.installed(), want); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("installed %q, want %q", h.installed(), want)
			}
		}
	}
	h.write("a/mcollective/agent/one.json", describe("one", "1.0", ""))
	await("one 1.0")
	h.write("a/mcollective/agent/one.json", describe("one", "1.1", ""))
	await("one 1.1")
	h.remove("a/mcollective/agent/one.json")
	await()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A look at a hundred agents that have not changed.
func BenchmarkScan(b *testing.B) {
	h := newHost(&testing.T{})
	h.lib = b.TempDir()
	h.w.Dirs = []string{filepath.Join(h.lib, "a")}
	dir := filepath.Join(h.lib, "a/mcollective/agent")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		name := fmt.Sprintf("agent%d", i)
		for ext, text := range map[string]string{".json": describe(name, "1.0", ""), ".rb": "", ".ddl": ""} {
			if err := os.WriteFile(filepath.Join(dir, name+ext), []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	h.w.Scan(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		if h.w.Scan(b.Context()) {
			b.Fatal("something has changed")
		}
	}
}
