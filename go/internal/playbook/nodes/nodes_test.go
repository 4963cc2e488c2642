package nodes_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook/nodes"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

func discover(t testing.TB, n task.Network, source, text string) ([]string, *tasktest.Log, error) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var properties map[string]any
	if err := d.Decode(&properties); err != nil {
		t.Fatal(err)
	}
	log := &tasktest.Log{}
	found, err := nodes.Discover(t.Context(), &task.Env{Network: n, Log: log, Environ: os.Environ}, source, properties)
	return found, log, err
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCommonProperties(t *testing.T) {
	tests := []struct {
		found      []string
		properties string
		want       string
		err        string
	}{
		{[]string{"c", "a", "c", "b"}, `{}`, "c a b", ""},
		{[]string{"c", "a", "b"}, `{"sort":true}`, "a b c", ""},
		{[]string{"c", "a", "b"}, `{"limit":2}`, "c a", ""},
		{[]string{"c", "a", "b"}, `{"limit":"2"}`, "c a", ""},
		{[]string{"c", "a", "b"}, `{"limit":"67%"}`, "c a", ""},
		{[]string{"c", "a", "b"}, `{"limit":20}`, "c a b", ""},
		{[]string{"c", "a", "b"}, `{"limit":2,"at_least":3}`, "", "found 2 nodes, want at least 3"},
		{[]string{"c"}, `{"at_least":2,"empty_ok":true}`, "c", ""},
		{[]string{"c"}, `{"limit":"50%"}`, "", "the limit leaves none of 1 node"},
		{nil, `{}`, "", "no nodes found with source mcollective"},
		{nil, `{"when_empty":"nobody there"}`, "", "nobody there"},
		{nil, `{"empty_ok":true,"at_least":5,"test":true}`, "", ""},
		{nil, `{"limit":"x"}`, "", `property "limit" of the mcollective source of nodes: want a number or a percentage, got "x"`},
		{nil, `{"limit_method":"last"}`, "", `property "limit_method" of the mcollective source of nodes: want first or random, got "last"`},
		{nil, `{"facts":["country"]}`, "", `property "facts" of the mcollective source of nodes: `},
		{nil, `{"uses":{"puppet":"not a version"}}`, "", `property "uses" of the mcollective source of nodes: agent puppet: version range "not a version": `},
	}
	for _, tt := range tests {
		got, _, err := discover(t, &tasktest.Network{Nodes: tt.found}, "mcollective", tt.properties)
		if strings.Join(got, " ") != tt.want || !strings.HasPrefix(message(err), tt.err) || (err == nil) != (tt.err == "") {
			t.Errorf("%v %s: %q, %v; want %q, %q", tt.found, tt.properties, got, err, tt.want, tt.err)
		}
	}
	if got, _, err := discover(t, &tasktest.Network{}, "mcollective", `{"empty_ok":true}`); got == nil || err != nil {
		t.Errorf("no nodes: %v, %v; want an empty list, which is not null in JSON", got, err)
	}
}

func TestRandomLimit(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	n := &tasktest.Network{Nodes: all}
	const properties = `{"limit":3,"limit_method":"random","limit_seed":7}`
	first, _, err := discover(t, n, "mcollective", properties)
	if err != nil || len(first) != 3 {
		t.Fatalf("%v, %v; want three", first, err)
	}
	again, _, err := discover(t, n, "mcollective", properties)
	if err != nil || !slices.Equal(first, again) {
		t.Errorf("the same seed gave %v, then %v, %v", first, again, err)
	}
}

func TestNetworkFilter(t *testing.T) {
	n := &tasktest.Network{Nodes: []string{"a"}}
	_, log, err := discover(t, n, "mcollective", `{"discovery_method":"choria","agents":["puppet"],"classes":["apache","/x/"],
		"facts":["country=uk"],"identities":["/web/"],"collective":"uk","federations":["london"],"discovery_timeout":3,"discovery_options":{"n":1},"mistake":1}`)
	if err != nil {
		t.Fatal(err)
	}
	d := n.Discoveries()[0]
	if d.Method != "choria" || d.Collective != "uk" || d.Timeout.Seconds() != 3 || d.Options["n"] != "1" || !slices.Equal(d.Federations, []string{"london"}) {
		t.Errorf("discovery %+v", d)
	}
	f, err := json.Marshal(d.Filter)
	want := `{"fact":[{"fact":"country","operator":"==","value":"uk"}],"cf_class":["apache","/x/"],"agent":["puppet"],"identity":["/web/"],"compound":[]}`
	if err != nil || string(f) != want {
		t.Errorf("filter %s, %v; want %s", f, err, want)
	}
	if !slices.Contains(log.Lines(), `warning: The mcollective source of nodes has no property "mistake": it is ignored`) {
		t.Errorf("log %q", log.Lines())
	}

	if _, _, err := discover(t, n, "mcollective", `{"discovery_method":"choria","compound":"with('x')"}`); err != nil {
		t.Fatal(err)
	}
	d = n.Discoveries()[1]
	if d.Method != "mc" || d.Filter.Compound[0].Expr != "with('x')" || !slices.Equal(d.Filter.Agent, []string{"rpcutil"}) {
		t.Errorf("discovery %+v; compound filters are for mc", d)
	}
}

func TestReach(t *testing.T) {
	n := &tasktest.Network{Nodes: []string{"a", "b"}}
	_, log, err := discover(t, n, "mcollective", `{"test":true}`)
	if err != nil {
		t.Fatal(err)
	}
	if r := n.Requests(); len(r) != 1 || r[0].Agent != "rpcutil" || r[0].Action != "ping" || !slices.Equal(r[0].Nodes, n.Nodes) {
		t.Errorf("requests %+v", r)
	}
	if !slices.Contains(log.Lines(), "notice: All of 2 nodes can be reached") {
		t.Errorf("log %q", log.Lines())
	}
	n.Answer = func(node string, _ client.Request) (client.Reply, bool) {
		if node == "a" {
			return tasktest.OK("{}")
		}
		return client.Reply{}, false
	}
	if _, _, err := discover(t, n, "mcollective", `{"test":true}`); message(err) != "connectivity test: rpcutil#ping: no response from b" {
		t.Errorf("error %v", err)
	}
	n.Answer = func(string, client.Request) (client.Reply, bool) { return tasktest.Failed("denied") }
	if _, _, err := discover(t, n, "mcollective", `{"test":true}`); message(err) != "connectivity test: rpcutil#ping failed on a, b" {
		t.Errorf("error %v", err)
	}
	n.Err = errors.New("no broker")
	if _, _, err := discover(t, n, "mcollective", `{}`); message(err) != "find nodes with source mcollective: no broker" {
		t.Errorf("error %v", err)
	}
}

func TestUses(t *testing.T) {
	n := &tasktest.Network{Nodes: []string{"a", "b"}, Answer: func(node string, _ client.Request) (client.Reply, bool) {
		if node == "a" {
			return tasktest.OK(`{"agents":[{"agent":"puppet","version":"1.15"},{"agent":"shell","version":"1.1.0"}]}`)
		}
		return tasktest.OK(`{"agents":[{"agent":"puppet","version":"2.5.1"}]}`)
	}}
	tests := []struct {
		uses string
		err  string
		want []string // warnings
	}{
		{`{"puppet":">= 1.0.0 < 3.0.0"}`, "", nil},
		{`{"puppet":">=1.15.0"}`, "", nil},
		{`{"puppet":"~ 2.5"}`, "agents of nodes do not fit: 1 problems", []string{"warning: a has agent puppet version 1.15, want ~ 2.5"}},
		{`{"puppet":"2.x","shell":"1.x"}`, "agents of nodes do not fit: 2 problems",
			[]string{"warning: a has agent puppet version 1.15, want 2.x", "warning: b does not have agent shell"}},
	}
	for _, tt := range tests {
		_, log, err := discover(t, n, "mcollective", `{"uses":`+tt.uses+`}`)
		warnings := slices.DeleteFunc(log.Lines(), func(line string) bool { return !strings.HasPrefix(line, "warning") })
		if message(err) != tt.err || !slices.Equal(warnings, tt.want) && len(warnings)+len(tt.want) > 0 {
			t.Errorf("%s: %v, %q; want %q, %q", tt.uses, err, warnings, tt.err, tt.want)
		}
	}
}

func TestYAML(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nodes.yaml")
	const groups = "web: [b, a, b]\nnone: []\ntext: x\nnumbers: [1]\n"
	if err := os.WriteFile(path, []byte(groups), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("- a\n- b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ source, group, want, err string }{
		{path, "web", "b a", ""},
		{path, "none", "", "find nodes with source yaml: discovery method yaml: file " + path + `: group "none" is empty`},
		{path, "text", "", "find nodes with source yaml: discovery method yaml: file " + path + `: group "text" is no list`},
		{path, "numbers", "", "find nodes with source yaml: discovery method yaml: file " + path + `: group "numbers": 1 is no name of a node`},
		{path, "nope", "", "find nodes with source yaml: discovery method yaml: file " + path + ` has no group "nope"`},
		{path, "", "", `property "group" of the yaml source of nodes: is required`},
		{broken, "web", "", "find nodes with source yaml: discovery method yaml: file " + broken + ": want groups of nodes: "},
		{"/does/not/exist", "web", "", "find nodes with source yaml: discovery method yaml: open /does/not/exist: no such file or directory"},
	}
	for _, tt := range tests {
		properties, _ := json.Marshal(map[string]string{"source": tt.source, "group": tt.group})
		got, _, err := discover(t, nil, "yaml", string(properties))
		if strings.Join(got, " ") != tt.want || !strings.HasPrefix(message(err), tt.err) || (err == nil) != (tt.err == "") {
			t.Errorf("%s: %q, %v; want %q, %q", properties, got, err, tt.want, tt.err)
		}
	}
	if _, _, err := discover(t, nil, "carrier-pigeon", `{}`); message(err) != `unknown source of nodes "carrier-pigeon": want broadcast, choria, external, flatfile, inventory, mcollective, pql, shell, terraform, yaml, or one of a module such as acme::hosts` {
		t.Errorf("error %v", err)
	}
}
