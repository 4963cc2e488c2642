package nodes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/nodes"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// script writes a program.
func script(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMethods(t *testing.T) {
	tests := []struct{ source, properties, method, options, agents string }{
		{"mcollective", `{}`, "mc", "map[]", "[rpcutil]"},
		{"mcollective", `{"discovery_method":"choria","compound":"a=b"}`, "mc", "map[]", "[rpcutil]"},
		{"broadcast", `{"agents":["puppet"]}`, "mc", "map[]", "[puppet]"},
		{"choria", `{"facts":["a=b"]}`, "choria", "map[]", "[rpcutil]"},
		{"pql", `{"query":"nodes[certname] { }"}`, "choria", "map[query:nodes[certname] { }]", "[]"},
		{"inventory", `{"file":"/i.yaml","novalidate":true,"compound":"a=b"}`, "inventory", "map[file:/i.yaml novalidate:true]", "[]"},
		{"flatfile", `{"file":"/f","format":"json","filter":"a.b"}`, "flatfile", "map[file:/f filter:a.b format:json]", "[]"},
		{"external", `{"command":"/bin/x -y","discovery_options":{"z":1}}`, "external", "map[command:/bin/x -y z:1]", "[]"},
	}
	for _, tt := range tests {
		n := &tasktest.Network{Nodes: []string{"a"}}
		found, log, err := discover(t, n, tt.source, tt.properties)
		if err != nil || len(found) != 1 {
			t.Errorf("%s %s: %v, %v", tt.source, tt.properties, found, err)
			continue
		}
		d := n.Discoveries()[0]
		if d.Method != tt.method || fmt.Sprint(d.Options) != tt.options || fmt.Sprint(d.Filter.Agent) != tt.agents {
			t.Errorf("%s %s: method %s, options %v, agents %v", tt.source, tt.properties, d.Method, d.Options, d.Filter.Agent)
		}
		if text := strings.Join(log.Lines(), "\n"); strings.Contains(text, "is ignored") {
			t.Errorf("%s %s: %s", tt.source, tt.properties, text)
		}
	}
	n := &tasktest.Network{Nodes: []string{"a"}}
	if _, _, err := discover(t, n, "mcollective", `{"federations":"london"}`); err != nil {
		t.Fatal(err)
	}
	if got := n.Discoveries()[0].Federations; fmt.Sprint(got) != "[london]" {
		t.Errorf("federations %v", got)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	list := script(t, `printf '%s\n' "$@"`)
	// A stand-in for Terraform, which cannot be had where this is built: it prints what the state file holds.
	terraform := script(t, `[ "$1 $2 $4 $5" = "output -state -json hosts" ] && cat "$3"`)
	state := func(text string) string {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tf := func(text string) string {
		return fmt.Sprintf(`{"terraform":%q,"output":"hosts","statefile":%q}`, terraform, state(text))
	}
	tests := []struct{ source, properties, want, err string }{
		{"shell", fmt.Sprintf(`{"script":"%s b.example.net 'a'"}`, list), "b.example.net a", ""},
		{"shell", fmt.Sprintf(`{"script":%q}`, script(t, `printf 'a\r\nb'`)), "a b", ""},
		{"shell", fmt.Sprintf(`{"script":%q}`, script(t, `exit 0`)), "", "no nodes found with source shell"},
		{"shell", fmt.Sprintf(`{"script":%q,"empty_ok":true}`, script(t, `exit 0`)), "", ""},
		{"shell", fmt.Sprintf(`{"script":"%s 'a b'"}`, list), "", `find nodes with source shell: discovery method shell: "a b" is no host name`},
		{"shell", fmt.Sprintf(`{"script":%q}`, script(t, `echo a; exit 3`)), "", "exit status 3"},
		{"shell", fmt.Sprintf(`{"script":%q,"timeout":0.1}`, script(t, `sleep 600`)), "", "not done after 100ms"},
		{"shell", `{"script":"/does/not/exist"}`, "", "no such file or directory"},
		{"shell", `{}`, "", `property "script" of the shell source of nodes: is required`},
		{"terraform", tf(`["b","a"]`), "b a", ""},
		{"terraform", tf(`{"sensitive":false,"type":"list","value":["b","a"]}`), "b a", ""},
		{"terraform", tf(`{"type":["list","string"],"value":["c"]}`), "c", ""},
		{"terraform", tf(`"text"`), "", `output "hosts" of terraform: want a list of names`},
		{"terraform", tf(`{"value":{"a":1}}`), "", `output "hosts" of terraform: want a list of names`},
		{"terraform", tf(`["a;b"]`), "", `"a;b" is no host name`},
		{"terraform", fmt.Sprintf(`{"terraform":%q,"output":"-h","statefile":"/x"}`, terraform), "", `"-h" is no name of an output`},
		{"terraform", fmt.Sprintf(`{"terraform":%q,"output":"other","statefile":"/x"}`, terraform), "", "exit status 1"},
	}
	for _, tt := range tests {
		found, _, err := discover(t, nil, tt.source, tt.properties)
		if strings.Join(found, " ") != tt.want || (tt.err == "") != (err == nil) || !strings.Contains(message(err), tt.err) {
			t.Errorf("%s %s: %v, %v; want %q, %s", tt.source, tt.properties, found, err, tt.want, tt.err)
		}
	}
}

// TestModuleSource finds nodes with the program of a module.
func TestModuleSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "site", "choria", "sources", "x.sh")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	const text = `#!/bin/sh
case $(cat) in
'{"properties":{"role":"web"},"protocol":"io.choria.playbook.v1.source","type":"site::x"}') echo '{"nodes":["b","a","b"]}' ;;
*none*) echo '{"nodes":[]}' ;;
*bad*) echo '{"nodes":["a;b"]}' ;;
*) echo '{"error":"what role"}' ;;
esac
`
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ source, properties, want, err string }{
		{"site::x", `{"role":"web","at_least":2,"timeout":60}`, "b a", ""},
		{"site::x", `{"role":"web","sort":true,"limit":1}`, "a", ""},
		{"site::x", `{"role":"none","empty_ok":true}`, "", ""},
		{"site::x", `{"role":"none"}`, "", "no nodes found with source site::x"},
		{"site::x", `{"role":"bad"}`, "", `find nodes with source site::x: "a;b" is no host name`},
		{"site::x", `{}`, "", "find nodes with source site::x: what role"},
		{"site::y", `{}`, "", `property "type" of the site::y source of nodes: there is no program ` + filepath.Join(dir, "site/choria/sources/y")},
	}
	for _, tt := range tests {
		log := &tasktest.Log{}
		d := json.NewDecoder(strings.NewReader(tt.properties))
		d.UseNumber()
		var properties map[string]any
		if err := d.Decode(&properties); err != nil {
			t.Fatal(err)
		}
		env := &task.Env{Log: log, Environ: os.Environ, Modulepath: []string{dir}}
		found, err := nodes.Discover(t.Context(), env, tt.source, properties)
		if strings.Join(found, " ") != tt.want || message(err) != tt.err {
			t.Errorf("%s %s: %v, %v; want %q, %q", tt.source, tt.properties, found, err, tt.want, tt.err)
		}
		if lines := strings.Join(log.Lines(), "\n"); strings.Contains(lines, "is ignored") {
			t.Errorf("%s: %s", tt.properties, lines)
		}
	}
}
