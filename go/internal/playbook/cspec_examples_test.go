package playbook_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
)

// TestExampleSuites runs the suites in examples/cspec on real nodes, those that its data file names.
func TestExampleSuites(t *testing.T) {
	t.Parallel()
	example, err := filepath.Abs("../../../examples/cspec")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(example, "suite.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, _ := newNetwork(t, "n1.example.net", "n2.example.net", "n3.example.net")
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: config})
	})
	defer closeNetwork()
	scratch := t.TempDir()
	path := filepath.Join(t.TempDir(), "report.json")
	s, out := newSession(t, "cspec::suite", network)
	s.Modulepath = []string{filepath.Join(example, "modules")}
	if r := ready(t, s); r.Plan == nil {
		t.Fatalf("%+v", r.Error)
	}
	text := strings.ReplaceAll(string(data), "filemgr.directory: /tmp", "filemgr.directory: "+scratch)
	if text == string(data) {
		t.Fatal("the data file has no directory to replace")
	}
	o, err := s.Run(t.Context(), map[string]any{"data": dataFile(t, text), "report": path, "pre_post": false})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"testsuites":[{"name":"discovery","cases":3,"success":true},{"name":"filemgr","cases":2,"success":true}],"success":true}`
	if !o.Success() || string(o.Result) != want {
		t.Errorf("summary %s, %q, %+v; want %s\n%s", o.Result, o.Failed, o.Failure, want, strings.Join(out.lines(), "\n"))
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("files left behind: %v, %v", left, err)
	}
}
