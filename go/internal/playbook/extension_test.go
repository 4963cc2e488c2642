package playbook_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExampleExtensions runs the example acme::maintain, whose source of nodes, data store and type of task are programs of
// its module.
func TestExampleExtensions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hosts := write("hosts.txt", "web1 web\ndb1 db\nweb2 web\n", 0o600)
	paged := filepath.Join(dir, "paged")
	pager := write("pager", "#!/bin/sh\n[ \"$1\" != nobody ] || { echo unknown; exit 1; }\necho \"$1: $(cat)\" >>"+paged+"\n", 0o700)
	modules, err := filepath.Abs("../../../examples/playbooks/modules")
	if err != nil {
		t.Fatal(err)
	}
	run := func(people ...any) (result, failure, log string) {
		t.Helper()
		s, out := newSession(t, "acme::maintain", nil)
		s.Modulepath = []string{modules}
		if r := ready(t, s); r.Plan == nil {
			t.Fatalf("%+v", r.Error)
		}
		o, err := s.Run(t.Context(), map[string]any{"role": "web", "people": people, "hosts": hosts, "directory": dir, "pager": pager})
		if err != nil {
			t.Fatal(err)
		}
		if o.Failure != nil {
			failure = o.Failure.Msg
		}
		return string(o.Result), failure, strings.Join(out.lines(), "\n")
	}
	for range 2 {
		if result, failure, log := run("jo", "kim"); result != `["web1","web2"]` || !strings.Contains(log, "2 of 2 people were paged") {
			t.Fatalf("%s, %s\n%s", result, failure, log)
		}
	}
	const text = "Role web is maintained: web1, web2\n"
	if data, err := os.ReadFile(paged); err != nil || string(data) != strings.Repeat("jo: "+text+"kim: "+text, 2) {
		t.Errorf("paged with %q, %v", data, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "times%2eweb.json")); err != nil || string(data) != "2" {
		t.Errorf("remembered %q, %v; want 2", data, err)
	}
	if _, failure, log := run("jo", "nobody"); failure != "1 of 2 people were paged" || !strings.Contains(log, "Try 1 of 2 failed") ||
		!strings.Contains(log, "Failed result from nobody: nobody was not paged: unknown") {
		t.Errorf("somebody who cannot be paged: %q\n%s", failure, log)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "maintenance%2eweb.json.lock")); err != nil || string(data) != "{}" {
		t.Errorf("the lock is %q, %v; want that it was released", data, err)
	}
}
