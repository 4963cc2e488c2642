package node

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFacts(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"a.yaml":    "country: mt\nos:\n  family: RedHat\n  release: {major: \"9\"}\nload: 1.5\nn: 4\nvirtual: true\nnothing: ~\nports: [1, 2]\n",
		"b.json":    `{"country":"uk","os":{"name":"Debian"},"big":12345678901234567890,"nested":{"a":[{"b":1}]}}`,
		"c.yml":     "site: x\n8: eight\n",
		"facts":     `{"plain":true}`,
		"myyaml":    "suffix: true\n",
		"broken.js": `{"a":`,
		"list.json": `[1]`,
		"bad.yaml":  "a: [1\nb: }",
		"empty.yml": "",
		"nan.yaml":  "good: 1\nbad: .nan\n",
	}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	tests := []struct {
		files string
		want  string
	}{
		{"", `{}`},
		{"missing.yaml", `{}`},
		{"a.yaml", `{"country":"mt","os":{"family":"RedHat","release":{"major":"9"}},"load":1.5,"n":4,"virtual":true,"nothing":null,"ports":[1,2]}`},
		{"a.yaml b.json", `{"country":"uk","os":{"name":"Debian"},"load":1.5,"n":4,"virtual":true,"nothing":null,"ports":[1,2],"big":12345678901234567890,"nested":{"a":[{"b":1}]}}`},
		{"c.yml", `{"site":"x","8":"eight"}`},
		{"facts myyaml", `{"plain":true,"suffix":true}`},
		{"broken.js list.json bad.yaml empty.yml c.yml", `{"site":"x","8":"eight"}`},
		{"nan.yaml", `{}`},
	}
	for _, tt := range tests {
		f := &factFiles{log: slog.New(slog.DiscardHandler)}
		for name := range strings.FieldsSeq(tt.files) {
			f.paths = append(f.paths, filepath.Join(dir, name))
		}
		got := f.read()
		if !reflect.DeepEqual(decode(t, got), decode(t, []byte(tt.want))) {
			t.Errorf("facts of %q = %s; want %s", tt.files, got, tt.want)
		}
	}
}

func decode(t testing.TB, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

func TestFactsReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "facts.yaml")
	var log bytes.Buffer
	f := &factFiles{paths: []string{path}, log: slog.New(slog.NewTextHandler(&log, nil))}
	check := func(want string) {
		t.Helper()
		if got := string(f.read()); got != want {
			t.Errorf("facts = %s; want %s", got, want)
		}
	}
	check(`{}`)
	check(`{}`)
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings about a missing file; want 1:\n%s", n, &log)
	}
	writeFile(t, path, "a: 1\n")
	check(`{"a":1}`)
	writeFile(t, path, "a: 2\n") // same size, perhaps the same tick
	check(`{"a":2}`)
	old := f.read()
	if err := os.Chtimes(path, f.looks[0].at.Add(-racy*2), f.looks[0].at.Add(-racy*2)); err != nil {
		t.Fatal(err)
	}
	cached := f.read()
	if again := f.read(); &again[0] != &cached[0] {
		t.Error("an old file that did not change was read again")
	}
	if string(old) != string(cached) {
		t.Errorf("facts = %s; want %s", cached, old)
	}
	writeFile(t, path, "a: [\n")
	check(`{}`)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check(`{}`)
	writeFile(t, path, "a: 3\n")
	check(`{"a":3}`)
}

func TestClasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classes.txt")
	var log bytes.Buffer
	c := &classFile{path: path, log: slog.New(slog.NewTextHandler(&log, nil))}
	check := func(want ...string) {
		t.Helper()
		if got := c.read(); !slices.Equal(got, want) {
			t.Errorf("classes = %q; want %q", got, want)
		}
	}
	check()
	check()
	writeFile(t, path, "settings\nrole::web\r\n\n  nginx \nApache::Mod\nnginx\n")
	check("Apache::Mod", "nginx", "role::web", "settings")
	writeFile(t, path, "one")
	check("one")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check()
	check()
	if n := strings.Count(log.String(), "level=INFO"); n != 1 {
		t.Errorf("%d lines about a file that never was; want 1:\n%s", n, &log)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings about a file that is gone; want 1:\n%s", n, &log)
	}
}

func FuzzYAMLFacts(f *testing.F) {
	f.Add([]byte("country: mt\nos:\n  family: RedHat\n  release:\n    major: \"9\"\nload: 1.5\n8: x\n"))
	f.Add([]byte("a: &a [x]\nb: *a\n? {c: d}\n: e\n--- 2\n"))
	f.Add([]byte("\t{:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := yamlFacts(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(facts); err != nil {
			t.Errorf("facts of %q: %v", data, err)
		}
	})
}
