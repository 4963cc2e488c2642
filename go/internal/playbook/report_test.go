package playbook_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// TestRunReportDetails holds that nodes found by the same line are kept apart, and that what commands print is there, as
// much of it as is sensible, and masked.
func TestRunReportDetails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "run.json")
	file, err := playbook.OpenRunReport(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parameters := map[string]any{"secret": "hunter22"}
	o, s, out := runPlan(t, "demo::reported", &tasktest.Network{Nodes: []string{"a", "b", "c"}}, parameters)
	if o.Failure != nil {
		t.Fatal(o.Failure.Text())
	}
	if err := file.Write(s, parameters, o); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Nodes map[string][]string
		Tasks []struct{ Stdout, Stderr string }
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(s.Modulepath[0], "demo/plans/reported.pp:3")
	for set, want := range map[string]string{at: "a", at + " (2)": "a b", at + " (3)": "a b c"} {
		if nodes := strings.Join(got.Nodes[set], " "); nodes != want {
			t.Errorf("%s has nodes %q; want %q", set, nodes, want)
		}
	}
	if len(got.Nodes) != 3 || len(got.Tasks) != 1 {
		t.Fatalf("report %+v", got)
	}
	task := got.Tasks[0]
	all := len("out [redacted]\n") + 100_000
	head, cut := strings.TrimRight(strings.TrimSuffix(task.Stdout, "… and 34479 more bytes"), "x"), len(task.Stdout)
	if head != "out [redacted]\n" || cut != 65536+len("… and 34479 more bytes") || all-65536 != 34479 || task.Stderr != "err\n" {
		t.Errorf("standard output %.40q, %d bytes; standard error %q", task.Stdout, cut, task.Stderr)
	}
	if strings.Contains(string(data), "hunter22") {
		t.Error("the secret is in the report")
	}
	want := `Warning: Scope(<module>/demo/plans/reported.pp, 8): The memory store has no property "tll": it is ignored`
	if !slices.Contains(out.lines(), want) {
		t.Errorf("no line %q", want)
	}
}
