package extension

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/props"
)

// script writes a program at dir/name.
func script(t testing.TB, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestFind(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	plain := script(t, first, "acme/choria/tasks/plain", "", 0o755)
	suffix := script(t, first, "acme/choria/tasks/suffix.rb", "", 0o755)
	deep := script(t, first, "acme/choria/stores/a/b", "", 0o755)
	text := script(t, first, "acme/choria/tasks/text", "", 0o644)
	twice := script(t, first, "acme/choria/tasks/twice.py", "", 0o755)
	script(t, first, "acme/choria/tasks/twice.rb", "", 0o755)
	script(t, second, "acme/choria/tasks/hidden", "", 0o755) // by the first module of that name
	other := script(t, second, "other/choria/sources/x", "", 0o755)
	tests := []struct {
		kind Kind
		name string
		want string
		err  string
	}{
		{Task, "acme::plain", plain, ""},
		{Task, "acme::suffix", suffix, ""},
		{Store, "acme::a::b", deep, ""},
		{Source, "other::x", other, ""},
		{Task, "other::x", "", fmt.Sprintf("there is no program %s/other/choria/tasks/x", second)},
		{Task, "acme::text", "", text + " cannot be run: make it executable"},
		{Task, "acme::twice", "", fmt.Sprintf("there are several programs: %s, %s", twice, strings.TrimSuffix(twice, "py")+"rb")},
		{Task, "acme::hidden", "", fmt.Sprintf("there is no program %s/acme/choria/tasks/hidden", first)},
		{Task, "nobody::x", "", `there is no module "nobody"`},
	}
	for _, tt := range tests {
		got, err := Find([]string{first, second}, tt.kind, tt.name)
		if got != tt.want || message(err) != tt.err {
			t.Errorf("%s %s: %q, %v; want %q, %q", tt.kind, tt.name, got, err, tt.want, tt.err)
		}
	}
	for name, want := range map[string]bool{"acme::page": true, "acme": false, "Acme::x": false, "a::../../x": false, "a::": false, "::a::b": false, "a::b::c": true} {
		if Qualified(name) != want {
			t.Errorf("Qualified(%q) is %v", name, !want)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want string
		err  string // behind the path of the program, when it begins with a colon
	}{
		{`echo '{"value":"x"}'`, "x", ""},
		{`cat >/dev/null; printf '  {"value":"%s"}  ' "$FROM"`, "outside", ""},
		{`grep -qF '{"action":"do","properties":{"a":[1,"s3cret"]},"protocol":"io.choria.playbook.v1.store","type":"acme::x"}' && echo '{"value":"asked"}'`, "asked", ""},
		{`echo '{"error":"no such thing"}'`, "", "no such thing"},
		{`echo '{"error":"","value":"x"}'`, "x", ""},
		{`echo '{"error":5}'`, "", ": its answer: member error: json: cannot unmarshal number into Go value of type string"},
		{`echo '{"valeu":"x"}'`, "", `: its answer: json: unknown field "valeu"`},
		{`echo '{"value":"x"}{}'`, "", ": its answer: invalid character '{' after top-level value"},
		{`echo '[]'`, "", ": its answer: json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{`echo hello`, "", ": its answer: invalid character 'h' looking for beginning of value"},
		{`true`, "", ": its answer: is empty, want one JSON object"},
		{`echo '{"value":"x"}'; exit 3`, "", ": exit status 3"},
	}
	for _, tt := range tests {
		path := script(t, t.TempDir(), "program", tt.text, 0o755)
		x := &Program{Kind: Store, Path: path, Type: "acme::x", Properties: map[string]any{"a": []any{1, "s3cret"}},
			Environ: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "FROM=outside"} }}
		var answer struct{ Value string }
		err := x.Run(t.Context(), map[string]any{"action": "do"}, &answer)
		want := tt.err
		if strings.HasPrefix(want, ":") {
			want = path + want
		}
		if answer.Value != tt.want || message(err) != want {
			t.Errorf("%s: %q, %v; want %q, %q", tt.text, answer.Value, err, tt.want, want)
		}
	}
}

// TestRunEnds holds that a program that does not answer is ended, and what it complains of is passed on.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	path := script(t, t.TempDir(), "program", "echo why >&2; exec sleep 600", 0o755)
	var complaints []string
	ctx, cancel := context.WithCancel(t.Context())
	x := &Program{Kind: Task, Path: path, Warn: func(text string) { complaints = append(complaints, text); cancel() }}
	if err := x.Run(ctx, map[string]any{}, &struct{}{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if len(complaints) != 1 || complaints[0] != "program: why" {
		t.Errorf("complaints %q", complaints)
	}
	x.Timeout = 100_000_000 // 0.1 s
	if err := x.Run(t.Context(), map[string]any{}, &struct{}{}); message(err) != path+": not done after 100ms" {
		t.Errorf("too slow: %v", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := script(t, dir, "acme/choria/tasks/page", "", 0o755)
	tests := []struct {
		name       string
		properties map[string]any
		path, args string
		rest       string
		err        string
	}{
		{"acme::page", map[string]any{"type": "acme::page", "text": "x", "_catch_errors": true, "none": nil}, path, "[]", "map[none:<nil> text:x]", ""},
		{"acme::gone", nil, "", "", "", `property "type" of the test: there is no program ` + dir + "/acme/choria/tasks/gone"},
		{"external", map[string]any{"command": []any{path, "-v"}, "a": "b"}, path, "[-v]", "map[a:b]", ""},
		{"external", map[string]any{"command": path}, path, "[]", "map[]", ""},
		{"external", nil, "", "", "", `property "command" of the test: is required`},
		{"external", map[string]any{"command": "/does/not/exist"}, "", "", "", `property "command" of the test: exec: "/does/not/exist": stat /does/not/exist: no such file or directory`},
	}
	for _, tt := range tests {
		p := props.New("the test", tt.properties)
		x := New(p, []string{dir}, Task, tt.name)
		if message(p.Err()) != tt.err {
			t.Errorf("%s %v: %v; want %q", tt.name, tt.properties, p.Err(), tt.err)
			continue
		}
		if tt.err == "" && (x.Path != tt.path || fmt.Sprint(x.Args) != tt.args || fmt.Sprint(x.Properties) != tt.rest) {
			t.Errorf("%s %v: %+v", tt.name, tt.properties, x)
		}
		if unknown := p.Unknown(); tt.err == "" && unknown != nil {
			t.Errorf("%s %v: unknown %q", tt.name, tt.properties, unknown)
		}
	}
}

// FuzzAnswer holds that no answer of a program upsets us, and that one with an error is not used.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"value":"x"}`))
	f.Add([]byte(`{"error":"x","value":1}`))
	f.Add([]byte(`{"error":null}{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var answer struct{ Value any }
		complaint, err := decode(data, &answer)
		if complaint != "" && (err != nil || answer.Value != nil) {
			t.Errorf("%q: %q, %v, %v", data, complaint, err, answer.Value)
		}
	})
}
