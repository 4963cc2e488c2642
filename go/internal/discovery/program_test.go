package discovery

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/filter"
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

func TestPrograms(t *testing.T) {
	t.Parallel()
	list := script(t, `printf '%s\n' "$@"`)
	// A stand-in for Terraform, which cannot be had where this is built: it prints what the state file holds.
	terraform := script(t, `[ "$1 $2 $4 $5" = "output -state -json hosts" ] && cat "$3"`)
	state := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(state, []byte(`["web1","db1"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	web := filter.Filter{Identity: []string{"/^web/"}}
	class := filter.Filter{Class: []string{"x"}}
	agent := filter.Filter{Agent: []string{"rpcutil"}}
	tests := []struct {
		method    string
		options   string // separated by |
		f         filter.Filter
		want, err string
	}{
		{"shell", "script=" + list + " web1 'db1' web1", agent, "web1 db1", ""},
		{"shell", "script=" + list + " web1 db1", web, "web1", ""},
		{"shell", "script=" + list + " web1 db1", class, "", "only identity filters can be applied"},
		{"shell", "script=" + script(t, "exit 0"), agent, "", ""},
		{"shell", "script=" + script(t, "echo $FROM"), agent, "outside", ""},
		{"shell", "script=" + script(t, "echo why >&2; exit 3"), agent, "", "exit status 3"},
		{"shell", "script=" + script(t, "sleep 600") + "|timeout=0.1", agent, "", "not done after 100ms"},
		{"shell", "script=" + list + "|timeout=soon", agent, "", `timeout "soon": want a number of seconds`},
		{"shell", "script=" + list + "|timeout=NaN", agent, "", `timeout "NaN": want a number of seconds`},
		{"shell", "script=" + list + " 'x", agent, "", "unfinished quote"},
		{"shell", "", agent, "", "no script given: want the option script=PROGRAM"},
		{"shell", "script=" + list + " a;b", agent, "", `"a;b" is no host name`},
		{"shell", "script=" + list + "|scripts=x", agent, "", `unknown option "scripts", want one of script, timeout`},
		{"terraform", "terraform=" + terraform + "|output=hosts|statefile=" + state, agent, "web1 db1", ""},
		{"terraform", "terraform=" + terraform + "|output=hosts|statefile=" + state, web, "web1", ""},
		{"terraform", "terraform=" + terraform + "|output=-x|statefile=" + state, agent, "", `"-x" is no name of an output`},
		{"terraform", "terraform=" + terraform + "|output=hosts", agent, "", "want the options statefile=PATH and output=NAME"},
		{"terraform", "terraform=/does/not/exist|output=hosts|statefile=" + state, agent, "", "no such file or directory"},
	}
	var warnings []string
	env := &Env{
		Environ: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "FROM=outside"} },
		Warn:    func(text string) { warnings = append(warnings, text) },
	}
	for _, tt := range tests {
		options := map[string]string{}
		for _, pair := range strings.FieldsFunc(tt.options, func(r rune) bool { return r == '|' }) {
			name, value, _ := strings.Cut(pair, "=")
			options[name] = value
		}
		got, err := find(t, tt.method, env, Query{Options: options, Filter: tt.f})
		if strings.Join(got, " ") != tt.want || (tt.err == "") != (err == nil) || !strings.Contains(message(err), tt.err) {
			t.Errorf("%s %s: %v, %v; want %q, %q", tt.method, tt.options, got, err, tt.want, tt.err)
		}
	}
	if len(warnings) != 1 || !strings.HasSuffix(warnings[0], ": why") {
		t.Errorf("programs complained with %q", warnings)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "groups.yaml")
	if err := os.WriteFile(path, []byte("web: [web2, web1]\nnone: []\ntext: web1\nbad: [1]\nwrong: ['a b']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		group string
		f     filter.Filter
		want  []string
		err   string
	}{
		{"web", filter.Filter{}, []string{"web2", "web1"}, ""},
		{"web", filter.Filter{Identity: []string{"/1$/"}}, []string{"web1"}, ""},
		{"web", filter.Filter{Class: []string{"x"}}, nil, "discovery method yaml: a list of names knows nothing but names: only identity filters can be applied"},
		{"none", filter.Filter{}, nil, fmt.Sprintf(`discovery method yaml: file %s: group "none" is empty`, path)},
		{"text", filter.Filter{}, nil, fmt.Sprintf(`discovery method yaml: file %s: group "text" is no list`, path)},
		{"bad", filter.Filter{}, nil, fmt.Sprintf(`discovery method yaml: file %s: group "bad": 1 is no name of a node`, path)},
		{"nope", filter.Filter{}, nil, fmt.Sprintf(`discovery method yaml: file %s has no group "nope"`, path)},
		{"wrong", filter.Filter{}, nil, `discovery method yaml: "a b" is no host name`},
		{"", filter.Filter{}, nil, "discovery method yaml: want the options source=PATH and group=NAME"},
	}
	for _, tt := range tests {
		got, err := find(t, "yaml", &Env{}, Query{Options: map[string]string{"source": path, "group": tt.group}, Filter: tt.f})
		if !slices.Equal(got, tt.want) || message(err) != tt.err {
			t.Errorf("%s %+v: %v, %v; want %v, %q", tt.group, tt.f, got, err, tt.want, tt.err)
		}
	}
}
