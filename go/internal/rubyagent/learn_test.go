package rubyagent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeLib writes files below mcollective of a library directory.
func writeLib(t *testing.T, lib string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(lib, "mcollective", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const anyAgent = `{"metadata":{"name":"NAME","description":"d","author":"a","license":"l","version":"1.0","url":"u","timeout":60},
	"actions":[{"action":"go","description":"d","input":{},"output":{}}]}`

// What an action requires is loaded for the next one although the first was killed while it loaded, and
// the process is left alone while it does that, however many requests end meanwhile.
func TestKilledWhileLoading(t *testing.T) {
	t.Parallel()
	lib := t.TempDir()
	begun, open := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "open")
	writeLib(t, lib, map[string]string{
		"util/heavy.rb":    fmt.Sprintf("File.write(%q, $$)\nsleep 0.02 until File.exist?(%q)\n", begun, open),
		"agent/heavy.rb":   `module MCollective; module Agent; class Heavy < RPC::Agent; action("go") { reply[:loaded] = require("mcollective/util/heavy"); reply[:ppid] = Process.ppid }; end; end; end`,
		"agent/heavy.json": strings.ReplaceAll(anyAgent, "NAME", "heavy"),
	})
	r := newRig(t, lib)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	request := []byte(`{"agent":"heavy","body":{"agent":"heavy","action":"go","data":{}}}`)
	go func() {
		_, err := r.run(ctx, "heavy", request, r.Runner.log)
		ended <- err
	}()
	first := pids(t, begun, 1)[0]
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the killed one: %v", err)
	}
	// Now its parent loads.
	await(t, "the parent to load", func() bool { text, _ := os.ReadFile(begun); return string(text) != fmt.Sprint(first) && len(text) > 0 })
	parent := pids(t, begun, 1)[0]
	// It is asked to kill an action meanwhile, which it cannot do in the time that it has for that.
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, _ = r.run(ctx, "heavy", request, r.Runner.log)
		close(ended)
	}()
	r.pool.mu.Lock()
	gone := r.pool.parents["heavy"].gone
	r.pool.mu.Unlock()
	select {
	case <-gone:
		t.Fatalf("the process was killed while it loads\n%s", r.log)
	case <-time.After(stopPatience + time.Second/2):
	}
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-ended
	_, _, fields := r.answer("heavy", "go", "{}")
	if fields["loaded"] != false || fields["ppid"] != float64(parent) {
		t.Errorf("%v; want what is loaded already in process %d", fields, parent)
	}
}

// A data plugin has a second, and libraries may take longer to load; agents are there for it too.
func TestDataPluginLoads(t *testing.T) {
	t.Parallel()
	lib := t.TempDir()
	description := strings.Replace(`metadata :name => "NAME", :description => "d", :author => "a", :license => "l", :version => "1", :url => "u", :timeout => 3
dataquery :description => "d" do
  input :query, :prompt => "p", :description => "d", :type => :string, :validation => ".", :optional => true, :maxlength => 10
  output :x, :description => "d", :display_as => "X"
end
`, "NAME", "heavy", 1)
	writeLib(t, lib, map[string]string{
		"util/heavy.rb":       "sleep 3.5\n",
		"agent/heavy.rb":      `module MCollective; module Agent; class Heavy < RPC::Agent; def self.twice(n) n * 2; end; end; end; end`,
		"agent/heavy.json":    strings.ReplaceAll(anyAgent, "NAME", "heavy"),
		"data/heavy_data.ddl": description,
		"data/heavy_data.rb": `module MCollective; module Data; class Heavy_data < Base
  activate_when { PluginManager["heavy_agent"] }
  query do |q|
    require "mcollective/util/heavy" if q == "load"
    begin
      sleep 60 if q == "sleep"
    rescue StandardError
      raise "was told of the time in the wrong way"
    rescue Exception # as Puppet does
      raise "something else"
    end
    result[:x] = q.nil? ? "none" : Agent::Heavy.twice(q.size)
  end
end; end; end`,
		"data/other_data.ddl": strings.ReplaceAll(description, "heavy", "other"),
		"data/other_data.rb":  `module MCollective; module Data; class Other_data < Base; activate_when { PluginManager["nosuch_agent"] }; query { |q| }; end; end; end`,
	})
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, lib, "plugin.choria.ruby.mode", mode)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for query, want := range map[string]any{"": "none", "load": 8.0} {
				if got, err := r.data["heavy"].Ask(ctx, query); err != nil || got["x"] != want {
					t.Errorf("%q: %v, %v; want %v", query, got, err, want)
				}
			}
			if got, err := r.data["heavy"].Ask(ctx, "sleep"); err == nil || !strings.Contains(err.Error(), "took more than 3 seconds") {
				t.Errorf("too slow: %v, %v", got, err)
			}
			if got, err := r.data["other"].Ask(ctx, ""); err == nil || !strings.Contains(err.Error(), "no such plugin") {
				t.Errorf("one that needs another agent: %v, %v", got, err)
			}
		})
	}
}

// The types of Puppet that an action has used are there for the next one.
func TestPuppetTypes(t *testing.T) {
	t.Parallel()
	lib := t.TempDir()
	writeLib(t, lib, map[string]string{
		"agent/typed.json": strings.ReplaceAll(anyAgent, "NAME", "typed"),
		"agent/typed.rb": `module MCollective; module Agent; class Typed < RPC::Agent
  action("go") do
    require "puppet"
    known = []
    begin
      ::Puppet::Type.eachtype { |type| known << type.name.to_s }
    rescue NoMethodError
      nil # Puppet 5 does that while it has no type at all
    end
    reply[:known] = known.include?("notify")
    reply[:path] = ::Puppet::Type.type(:notify).new(:name => "x").path
    reply[:ppid] = Process.ppid
  end
end; end; end`,
	})
	r := newRig(t, lib)
	_, message, first := r.answer("typed", "go", "{}")
	_, _, second := r.answer("typed", "go", "{}")
	if first["known"] != false || second["known"] != true || first["path"] != "/Notify[x]" || second["path"] != "/Notify[x]" || first["ppid"] != second["ppid"] {
		t.Errorf("%v (%s), then %v; want the type to be known the second time\n%s", first, message, second, r.log)
	}
}
