package discovery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/filter"
)

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func find(t *testing.T, method string, env *Env, q Query) ([]string, error) {
	t.Helper()
	m, ok := Lookup(method)
	if !ok {
		t.Fatalf("no method %s", method)
	}
	return m.Run(t.Context(), env, q)
}

func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "n1.example.net", "web-1", "under_score", "A1", strings.Repeat("a", 255)} {
		if !ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{"", ".", "a.", ".a", "a..b", "*", ">", "a b", "a\n", "a*b", "/re/", "é", strings.Repeat("a", 256)} {
		if ValidName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

func FuzzValidName(f *testing.F) {
	for _, s := range []string{"n1.example.net", "*", "a..b", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !ValidName(s) {
			return
		}
		for _, part := range strings.Split(s, ".") {
			if part == "" || strings.ContainsAny(part, "*> \t\r\n\x00") {
				t.Errorf("%q is accepted and makes a bad subject", s)
			}
		}
	})
}

func TestLiterals(t *testing.T) {
	tests := []struct {
		f    filter.Filter
		want bool
	}{
		{filter.Filter{}, false},
		{filter.Filter{Identity: []string{"a", "b"}}, true},
		{filter.Filter{Identity: []string{"a"}, Agent: []string{"rpcutil"}}, true},
		{filter.Filter{Identity: []string{"a", "/b/"}}, false},
		{filter.Filter{Identity: []string{"a"}, Class: []string{"x"}}, false},
		{filter.Filter{Identity: []string{"a"}, Fact: []filter.Fact{{Name: "x", Operator: "==", Value: "y"}}}, false},
		{filter.Filter{Identity: []string{"a"}, Compound: []filter.Compound{{Expr: "true"}}}, false},
	}
	for _, tt := range tests {
		if _, ok := Literals(tt.f); ok != tt.want {
			t.Errorf("Literals(%+v) = %v; want %v", tt.f, ok, tt.want)
		}
	}
}

func TestFlatfile(t *testing.T) {
	tests := []struct {
		name, content string
		options       map[string]string
		want          []string
		err           string // after the path
	}{
		{"n.txt", "b\na\nb\n", nil, []string{"b", "a"}, ""},
		{"n", " a \nb", nil, []string{"a", "b"}, ""},
		{"n.txt", "a\n\nb\n", nil, nil, `line 2: "" is no host name`},
		{"n.txt", "a\nb c\n", nil, nil, `line 2: "b c" is no host name`},
		{"n.json", `["a","b"]`, nil, []string{"a", "b"}, ""},
		{"n.json", `{"x":{"y":["a"]}}`, map[string]string{"filter": "x.y"}, []string{"a"}, ""},
		{"n.json", `{"x":[{"n":"a"},{"n":"b"}]}`, map[string]string{"filter": "x.#.n"}, []string{"a", "b"}, ""},
		{"n.json", `{"x":1}`, map[string]string{"filter": "x"}, nil, `filter "x": want an array of names there`},
		{"n.json", `{"x":1}`, nil, nil, `want an array of names; the option filter finds one inside a larger document`},
		{"n.json", `["a",1]`, nil, nil, `item 2: want a name, not 1`},
		{"n.json", `["a"`, nil, nil, `no valid JSON`},
		{"n.yaml", "- a\n- b\n", nil, []string{"a", "b"}, ""},
		{"n.yml", "web:\n  - a\n", map[string]string{"filter": "web"}, []string{"a"}, ""},
		{"n.data", "- a\n", map[string]string{"format": "yaml"}, []string{"a"}, ""},
		{"r.out", `{"replies":[{"sender":"a"},{"sender":"b"}]}`, map[string]string{"format": "rpc"}, []string{"a", "b"}, ""},
		{"r.out", `{"replies":[]}`, map[string]string{"format": "choriarpc"}, nil, ""},
		{"r.txt", "a\n", map[string]string{"filter": "x"}, nil, "the option filter needs a JSON or YAML list"},
	}
	for _, tt := range tests {
		path := write(t, tt.name, tt.content, 0o600)
		options := map[string]string{"file": path}
		for k, v := range tt.options {
			options[k] = v
		}
		want := tt.err
		if want != "" {
			want = "discovery method flatfile: " + path + ": " + want
		}
		got, err := find(t, "file", &Env{}, Query{Options: options})
		if !slices.Equal(got, tt.want) || message(err) != want {
			t.Errorf("%s %q %v: %v, %q; want %v, %q", tt.name, tt.content, tt.options, got, message(err), tt.want, want)
		}
	}
}

func TestFlatfileFilters(t *testing.T) {
	env := &Env{Stdin: strings.NewReader("web1\nweb2\ndb1\n")}
	got, err := find(t, "flatfile", env, Query{Filter: filter.Filter{Identity: []string{"/^web/"}, Agent: []string{"rpcutil"}}, Options: map[string]string{"file": "-"}})
	if err != nil || !slices.Equal(got, []string{"web1", "web2"}) {
		t.Errorf("identity filter: %v, %v; want the two web nodes", got, err)
	}
	for _, list := range []string{"a\n", `["a"]`, ` {"replies":[{"sender":"a"}]}`} {
		got, err := find(t, "flatfile", &Env{Stdin: strings.NewReader(list)}, Query{Options: map[string]string{"file": "-"}})
		if err != nil || !slices.Equal(got, []string{"a"}) {
			t.Errorf("standard input %q: %v, %v; want [a]", list, got, err)
		}
	}
	_, err = find(t, "flatfile", &Env{Stdin: strings.NewReader("a\n")}, Query{Filter: filter.Filter{Class: []string{"x"}}, Options: map[string]string{"file": "-"}})
	if want := "discovery method flatfile: " + errIdentityOnly.Error(); message(err) != want {
		t.Errorf("class filter: %v; want %s", err, want)
	}
	_, err = find(t, "flatfile", &Env{}, Query{Options: map[string]string{"fiel": "x"}})
	if want := `discovery method flatfile: unknown option "fiel", want one of file, format, filter`; message(err) != want {
		t.Errorf("misspelt option: %v; want %s", err, want)
	}
	if _, err = find(t, "flatfile", &Env{}, Query{}); err == nil {
		t.Error("no file: no error")
	}
}

const inventoryYAML = `
groups:
  - name: web
    filter:
      classes: [role::web]
  - name: debian_web
    filter:
      facts: ["os=Debian"]
      compound: 'with("role::web")'
nodes:
  - name: web1
    collectives: [mcollective]
    classes: [role::web]
    agents: [rpcutil, puppet]
    facts: {os: Debian, cpus: 4}
  - name: web2
    collectives: [other]
    classes: [role::web]
    agents: [rpcutil]
    facts: {os: RedHat}
  - name: db1
    collectives: [mcollective]
    classes: [role::db]
    agents: [rpcutil]
    facts: {os: Debian}
`

func TestInventory(t *testing.T) {
	path := write(t, "inventory.yaml", inventoryYAML, 0o600)
	env := &Env{Setting: func(key string) (string, bool) {
		return path, key == "plugin.choria.discovery.inventory.source"
	}}
	fact := func(text string) filter.Fact {
		f, err := filter.ParseFact(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	tests := []struct {
		f          filter.Filter
		collective string
		want       string
		err        string
	}{
		{filter.Filter{}, "", "web1 web2 db1", ""},
		{filter.Filter{}, "mcollective", "web1 db1", ""},
		{filter.Filter{Agent: []string{"puppet"}}, "", "web1", ""},
		{filter.Filter{Fact: []filter.Fact{fact("os=debian"), fact("cpus>2")}}, "", "web1", ""},
		{filter.Filter{Compound: []filter.Compound{{Expr: `with("role::db") or with("os=RedHat")`}}}, "", "web2 db1", ""},
		{filter.Filter{Identity: []string{"group:web"}}, "mcollective", "web1 web2", ""},
		{filter.Filter{Identity: []string{"group:web"}, Agent: []string{"puppet"}}, "", "web1", ""},
		{filter.Filter{Identity: []string{"group:debian_web", "group:web"}}, "", "web1 web2", ""},
		{filter.Filter{Identity: []string{"group:nope"}}, "", "", `group "nope": not in the inventory`},
		{filter.Filter{Identity: []string{"group:web", "db1"}}, "", "", "identity group:NAME is a whole filter, which cannot be combined with others"},
		{filter.Filter{Identity: []string{"group:web"}, Class: []string{"x"}}, "", "", "identity group:NAME is a whole filter, which cannot be combined with others"},
	}
	for _, tt := range tests {
		want := tt.err
		if want != "" {
			want = "discovery method inventory: " + want
		}
		got, err := find(t, "inventory", env, Query{Filter: tt.f, Collective: tt.collective})
		if strings.Join(got, " ") != tt.want || message(err) != want {
			t.Errorf("%+v in %q: %v, %q; want %s, %q", tt.f, tt.collective, got, message(err), tt.want, want)
		}
	}
}

func TestInventoryValidates(t *testing.T) {
	tests := []struct{ content, err string }{
		{`{"nodes":[{"name":"a"},{"name":"a"}]}`, `node "a": listed twice`},
		{`{"nodes":[{"name":"a b"}]}`, `node 1: "a b" is no host name`},
		{`{"nodes":[{"name":"a","facts":[]}]}`, `node "a": facts is no map`},
		{`{"groups":[{"name":"a b"}]}`, `group 1: "a b" is no group name: want letters, digits, _ and -`},
	}
	for _, tt := range tests {
		path := write(t, "i.json", tt.content, 0o600)
		_, err := find(t, "inventory", &Env{}, Query{Options: map[string]string{"file": path}})
		if want := "discovery method inventory: " + path + ": " + tt.err; message(err) != want {
			t.Errorf("%s: %v; want %s", tt.content, err, want)
		}
	}
	path := write(t, "i.json", `{"groups":[{"name":"a b"}],"nodes":[{"name":"a"}]}`, 0o600)
	got, err := find(t, "inventory", &Env{}, Query{Options: map[string]string{"file": path, "novalidate": "1"}})
	if err != nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("novalidate: %v, %v; want [a]", got, err)
	}
}

func TestExternal(t *testing.T) {
	script := func(body string) string {
		return write(t, "discover.sh", "#!/bin/sh\n"+body+"\n", 0o700)
	}
	tests := []struct {
		name, body, args string
		want             []string
		err              string // part of it
	}{
		{"finds", `grep -q '"collective":"mcollective"' "$1" && grep -q '"name":"x"' "$1" && [ "$1" = "$CHORIA_EXTERNAL_REQUEST" ] && [ "$3" = "$CHORIA_EXTERNAL_PROTOCOL" ] || exit 9
echo '{"protocol":"io.choria.choria.discovery.v1.external_reply","nodes":["a","b"]}' > "$2"`, "", []string{"a", "b"}, ""},
		{"is told the federations", `grep -q '"federations":\["london","paris"\]' "$1" || exit 9
echo '{"protocol":"io.choria.choria.discovery.v1.external_reply","nodes":["a"]}' > "$2"`, "", []string{"a"}, ""},
		{"gets arguments", `printf '{"protocol":"io.choria.choria.discovery.v1.external_reply","nodes":["%s"]}' "$1" > "$CHORIA_EXTERNAL_REPLY"`, " 'web-1'", []string{"web-1"}, ""},
		{"reports an error", `echo '{"protocol":"io.choria.choria.discovery.v1.external_reply","error":"no database"}' > "$2"`, "", nil, ": no database"},
		{"fails", "echo broken >&2; exit 3", "", nil, "exit status 3: broken"},
		{"says nothing", "true", "", nil, "reply: unexpected end of JSON input"},
		{"speaks another protocol", `echo '{"nodes":["a"]}' > "$2"`, "", nil, `reply has protocol ""`},
		{"hangs", "sleep 60", "", nil, "not done after 1s"},
		{"finds what is no name", `echo '{"protocol":"io.choria.choria.discovery.v1.external_reply","nodes":["a b"]}' > "$2"`, "", nil, `"a b" is no host name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := find(t, "external", &Env{}, Query{Collective: "mcollective", Federations: []string{"london", "paris"}, Timeout: time.Millisecond, Options: map[string]string{"command": script(tt.body) + tt.args, "name": "x"}})
			if !slices.Equal(got, tt.want) || (tt.err == "") != (err == nil) || !strings.Contains(message(err), tt.err) {
				t.Errorf("%v, %v; want %v, %q", got, err, tt.want, tt.err)
			}
		})
	}
	if _, err := find(t, "external", &Env{}, Query{}); err == nil {
		t.Error("no command: no error")
	}
}

func TestSplitWords(t *testing.T) {
	tests := []struct {
		in   string
		want []string
		bad  bool
	}{
		{"", nil, false},
		{" a  b\tc\n", []string{"a", "b", "c"}, false},
		{`'a b' "c d" e\ f`, []string{"a b", "c d", "e f"}, false},
		{`"a\"b" 'c\d' ''`, []string{`a"b`, `c\d`, ""}, false},
		{`'open`, nil, true},
		{`open\`, nil, true},
	}
	for _, tt := range tests {
		got, err := SplitWords(tt.in)
		if !slices.Equal(got, tt.want) || (err != nil) != tt.bad {
			t.Errorf("SplitWords(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte(`["a"]`), "json", "")
	f.Add([]byte("- a\n"), "yaml", "x.y")
	f.Add([]byte(`{"replies":[{"sender":"a"}]}`), "rpc", "")
	f.Add([]byte("a\nb\n"), "txt", "")
	f.Fuzz(func(t *testing.T, data []byte, format, path string) {
		m := Method{Name: "m", Find: func(context.Context, *Env, Query) ([]string, error) { return parseList(data, format, path) }}
		names, err := m.Run(t.Context(), &Env{}, Query{})
		for _, name := range names {
			if err != nil || !ValidName(name) {
				t.Errorf("%q, %v from %q", name, err, fmt.Sprintf("%.40s", data))
			}
		}
	})
}
