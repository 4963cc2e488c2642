package playbook_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/nodes"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// A nodeSource is one source of nodes that finds n1, n2 and n3, nobody, or one that does not exist.
type nodeSource struct {
	name                 string
	all, none, strangers map[string]any
}

// nodeSources returns all sources of nodes but pql, which needs a PuppetDB: package discovery and the tests with a real Puppet
// Server are about that.
func nodeSources(t *testing.T, names []string) []nodeSource {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const stranger = "nobody.example.net"
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	inventory := "nodes:\n"
	for _, name := range append(slices.Clone(names), stranger) {
		inventory += fmt.Sprintf("  - name: %s\n    agents: [rpcutil]\n    facts: {known: %q}\n", name, fmt.Sprint(name != stranger))
	}
	shell := write("list", "#!/bin/sh\n[ $# = 0 ] || printf '%s\\n' \"$@\"\n")
	external := write("external", "#!/bin/sh\necho '{\"protocol\":\"io.choria.choria.discovery.v1.external_reply\",\"nodes\":'\"$1\"'}' >\"$3\"\n")
	// A stand-in for Terraform, which cannot be had where this is tested: it prints what the state file holds.
	terraform := write("terraform", "#!/bin/sh\ncat \"$3\"\n")
	state := func(name, text string) map[string]any {
		return map[string]any{"terraform": terraform, "output": "hosts", "statefile": write(name, text)}
	}
	flat := func(name, text string) map[string]any { return map[string]any{"file": write(name, text)} }
	hosts := func(role string) map[string]any {
		return map[string]any{"file": filepath.Join(dir, "hosts.txt"), "role": role}
	}
	text := ""
	for _, name := range names {
		text += name + " all\n"
	}
	write("hosts.txt", text+stranger+" strange\n")
	quick := func(p map[string]any) map[string]any { p["discovery_timeout"] = json.Number("0.5"); return p }
	return []nodeSource{
		{"mcollective", map[string]any{"facts": []any{"kernel=Linux"}}, quick(map[string]any{"classes": []any{"none"}}), map[string]any{"identities": []any{stranger}}},
		{"broadcast", map[string]any{"agents": []any{"puppet"}}, quick(map[string]any{"agents": []any{"none"}}), map[string]any{"identities": []any{stranger}}},
		{"inventory", map[string]any{"file": write("inventory.yaml", inventory), "facts": []any{"known=true"}},
			map[string]any{"file": filepath.Join(dir, "inventory.yaml"), "facts": []any{"known=perhaps"}},
			map[string]any{"file": filepath.Join(dir, "inventory.yaml"), "facts": []any{"known=false"}}},
		{"flatfile", flat("all.json", string(list)), flat("none.json", "[]"), flat("stranger.txt", stranger+"\n")},
		{"external", map[string]any{"command": external + " '" + string(list) + "'"}, map[string]any{"command": external + " []"},
			map[string]any{"command": external + ` '["` + stranger + `"]'`}},
		{"shell", map[string]any{"script": shell + " " + strings.Join(names, " ")}, map[string]any{"script": shell}, map[string]any{"script": shell + " " + stranger}},
		{"terraform", state("all.tfstate", string(list)), state("none.tfstate", `{"type":["list","string"],"value":[]}`), state("strange.tfstate", `["`+stranger+`"]`)},
		{"yaml", map[string]any{"source": write("groups.yaml", "all: "+string(list)+"\nstrange: ["+stranger+"]\n"), "group": "all"}, nil, // an empty group is an error
			map[string]any{"source": filepath.Join(dir, "groups.yaml"), "group": "strange"}},
		{"acme::hosts", hosts("all"), hosts("none"), hosts("strange")},
	}
}

// TestSources holds that all sources have the properties that all of them have, on a network of real nodes.
func TestSources(t *testing.T) {
	t.Parallel()
	names := []string{"n1.example.net", "n2.example.net", "n3.example.net"}
	config, _ := newNetwork(t, names...)
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: config})
	})
	defer closeNetwork()
	modules, err := filepath.Abs("../../../examples/playbooks/modules")
	if err != nil {
		t.Fatal(err)
	}
	type more = map[string]any
	number := func(n int) json.Number { return json.Number(fmt.Sprint(n)) }
	for _, s := range nodeSources(t, names) {
		nobody := "no nodes found with source " + s.name
		tests := []struct {
			properties, more map[string]any
			want             int
			err              string // how the error ends
		}{
			{s.all, more{}, 3, ""},
			{s.all, more{"test": true, "uses": more{"rpcutil": ">= 1.0.0", "puppet": "~ 2"}}, 3, ""},
			{s.all, more{"uses": more{"rpcutil": "< 0.1.0", "nothing": "1.x"}}, 0, "agents of nodes do not fit: 6 problems"},
			{s.all, more{"limit": number(2), "test": true}, 2, ""},
			{s.all, more{"limit": "67%"}, 2, ""},
			{s.all, more{"limit": number(2), "at_least": number(3)}, 0, "found 2 nodes, want at least 3"},
			{s.all, more{"at_least": number(4), "empty_ok": true}, 3, ""},
			{s.all, more{"at_least": number(3), "when_empty": "nobody there"}, 3, ""},
			{s.none, more{}, 0, nobody},
			{s.none, more{"when_empty": "nobody there"}, 0, "nobody there"},
			{s.none, more{"empty_ok": true, "at_least": number(2), "test": true, "uses": more{"rpcutil": "1.x"}}, 0, ""},
			{s.strangers, more{}, 1, ""},
			{s.strangers, more{"test": true}, 0, "connectivity test: rpcutil#ping: no response from nobody.example.net"},
			{s.strangers, more{"uses": more{"rpcutil": ">= 1"}}, 0, "inventory of agents: rpcutil#agent_inventory: no response from nobody.example.net"},
		}
		for _, tt := range tests {
			if tt.properties == nil {
				continue
			}
			properties := maps.Clone(tt.properties)
			maps.Copy(properties, tt.more)
			log := &tasktest.Log{}
			env := &task.Env{Network: network, Log: log, Environ: os.Environ, Modulepath: []string{modules}}
			found, err := nodes.Discover(t.Context(), env, s.name, properties)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if len(found) != tt.want || (err == nil) != (tt.err == "") || !strings.HasSuffix(message, tt.err) {
				t.Errorf("%s %v: %v, %v; want %d, %q", s.name, properties, found, err, tt.want, tt.err)
			}
			if lines := strings.Join(log.Lines(), "\n"); strings.Contains(lines, "is ignored") {
				t.Errorf("%s %v: %s", s.name, properties, lines)
			}
		}
	}
}
