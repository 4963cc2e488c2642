package playbook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// dataFile writes a data file for cspec.
func dataFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "suite.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A report is a cspec report.
type report []struct {
	Suite     string  `json:"testsuite"`
	File      string  `json:"file"`
	Line      int     `json:"line"`
	Success   bool    `json:"success"`
	Started   string  `json:"started"`
	Duration  float64 `json:"duration"`
	Testcases []struct {
		Case       string `json:"testcase"`
		File       string `json:"file"`
		Line       int    `json:"line"`
		Success    bool   `json:"success"`
		Skipped    string `json:"skipped"`
		Assertions []struct {
			Success bool     `json:"success"`
			Kind    string   `json:"kind"`
			File    string   `json:"file"`
			Line    int      `json:"line"`
			Message string   `json:"message"`
			Host    string   `json:"host"`
			Hosts   []string `json:"hosts"`
			Left    any      `json:"left"`
			Right   any      `json:"right"`
		} `json:"assertions"`
	} `json:"testcases"`
}

// text is the report as lines that a test can compare.
func (r report) text(base string) string {
	var b strings.Builder
	file := func(path string) string {
		rel, err := filepath.Rel(base, path)
		if err != nil || !filepath.IsAbs(path) {
			return path
		}
		return rel
	}
	for _, s := range r {
		fmt.Fprintf(&b, "%s %v %s:%d\n", s.Suite, s.Success, file(s.File), s.Line)
		for _, c := range s.Testcases {
			fmt.Fprintf(&b, "  %s %v %s:%d %s\n", c.Case, c.Success, file(c.File), c.Line, c.Skipped)
			for _, a := range c.Assertions {
				fmt.Fprintf(&b, "    %v %s %s:%d %q\n", a.Success, a.Kind, file(a.File), a.Line, a.Message)
			}
		}
	}
	return b.String()
}

func readReport(t testing.TB, path string) report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// puppetNodes answer puppet.status, one of them badly.
func puppetNodes() *tasktest.Network {
	return &tasktest.Network{Nodes: []string{"a", "b", "c"}, Answer: func(node string, _ client.Request) (client.Reply, bool) {
		if node == "b" {
			return tasktest.Failed("denied")
		}
		return tasktest.OK(fmt.Sprintf(`{"idling":%v}`, node == "a"))
	}}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	data := dataFile(t, "nodes: [a, b, c]\n")
	ds := map[string]any{"type": "file", "file": data}
	o, s, out := runPlan(t, "demo::suite", puppetNodes(), map[string]any{"ds": ds, "report": path})
	if o.Failure != nil || string(o.Result) != "false" {
		t.Fatalf("result %s, %+v", o.Result, o.Failure)
	}
	r := readReport(t, path)
	const file = "demo/plans/suite.pp"
	want := strings.ReplaceAll(`mixed false FILE:8
  passes true FILE:9 
    true assert_equal FILE:10 "both values match"
    true assert_true FILE:11 "the value is true"
    true assert_false FILE:12 "the value is false"
    true assert_match FILE:13 "the value matches /^a/"
    true assert_match FILE:14 "the value matches /b/"
    true assert_includes FILE:15 "the value is included"
    true assert_count FILE:16 "2 items"
    true testcase FILE:9 "passes"
  fails false FILE:18 
    true assert_equal FILE:20 "both values match"
    false assert_equal FILE:20 "2\n  is not equal to\n1"
    false assert_match FILE:22 "\"abc\"\n  does not match\n/^b/"
    true testcase FILE:18 "fails"
  raises false FILE:24 
    true assert_true FILE:25 "the value is true"
    false exception FILE:26 "read data item \"plan_store/nope\": file DATA: no such item"
  is skipped true FILE:28 no time
  asks nodes false FILE:32 
    false assert_task_success: FILE:34 "1 failures"
    true assert_task_failure FILE:35 "1 failures"
    true assert_count FILE:36 "3 items"
    true assert_task_data_equals FILE:38 "a success"
    false assert_task_data_equals: c FILE:38 "false\n  is not equal to\ntrue"
    false assert_task_success: FILE:41 "nope#nope: agent \"nope\": no description"
    false assert_task_success: FILE:42 "no results"
    true testcase FILE:32 "asks nodes"
`, "FILE", file)
	want = strings.ReplaceAll(want, "DATA", data)
	if got := r.text(s.Modulepath[0]); got != want {
		t.Errorf("report\n%s\nwant\n%s", got, want)
	}
	if a := r[0].Testcases[1].Assertions[1]; a.Left != 2.0 || a.Right != 1.0 {
		t.Errorf("values %v and %v; want 2 and 1", a.Left, a.Right)
	}
	if a := r[0].Testcases[4].Assertions; a[3].Host != "a" || !slices.Equal(a[0].Hosts, []string{"b"}) {
		t.Errorf("hosts %q and %q", a[3].Host, a[0].Hosts)
	}
	if r[0].Started == "" || r[0].Duration <= 0 {
		t.Errorf("started %q, duration %v", r[0].Started, r[0].Duration)
	}
	abs := r[0].File
	for _, line := range []string{
		"Notice: >>>", "Notice: >>> Starting test suite: mixed", "Notice: >>> Completed test suite: mixed",
		"Notice: ==== passes", "Notice: ✔︎ assert_equal: both values match", "Notice: ✔︎ testcase: passes",
		"Error: ✘ assert_equal: fails (" + abs + ":20)", "Error: 2", "  is not equal to",
		"Notice: skipped: no time",
	} {
		if !slices.Contains(out.lines(), line) {
			t.Errorf("no line %q", line)
		}
	}
	if slices.Contains(out.lines(), "Notice: ✔︎ testcase: fails") {
		t.Error("a case that failed is announced as passed")
	}
}

func TestSuiteFailsFast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	ds := map[string]any{"type": "file", "file": dataFile(t, "nodes: [a, b, c]\n")}
	o, s, _ := runPlan(t, "demo::suite", puppetNodes(), map[string]any{"ds": ds, "report": path, "fail_fast": true})
	if o.Failure == nil || o.Failure.Kind != "cspec/assertion" || o.Failure.Line != 20 || !strings.HasPrefix(o.Failure.Msg, "assert_equal: fails: 2") {
		t.Errorf("failure %+v", o.Failure)
	}
	want := `mixed false demo/plans/suite.pp:8
  passes true demo/plans/suite.pp:9 
  fails false demo/plans/suite.pp:18 
    true assert_equal demo/plans/suite.pp:20 "both values match"
    false assert_equal demo/plans/suite.pp:20 "2\n  is not equal to\n1"
`
	got := readReport(t, path)
	got[0].Testcases[0].Assertions = nil
	if text := got.text(s.Modulepath[0]); text != want {
		t.Errorf("report\n%s\nwant\n%s", text, want)
	}
}

// runSuites runs cspec::suite on a data file.
func runSuites(t *testing.T, n *tasktest.Network, data string, parameters map[string]any) (*playbook.Outcome, *playbook.Session, *terminal) {
	t.Helper()
	all := map[string]any{"data": dataFile(t, data), "pre_post": false}
	for name, value := range parameters {
		all[name] = value
	}
	return runPlan(t, "cspec::suite", n, all)
}

func TestRunSuites(t *testing.T) {
	t.Parallel()
	t.Run("some fail", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "report.json")
		if err := os.WriteFile(path, []byte("an older report"), 0o600); err != nil {
			t.Fatal(err)
		}
		o, _, _ := runSuites(t, puppetNodes(), "nodes: [a, b, c]\nsuites: ['demo::suite_good', 'demo::suite']\n", map[string]any{"report": path})
		want := `{"testsuites":[{"name":"good","cases":1,"success":true},{"name":"mixed","cases":5,"success":false}],"success":false}`
		if o.Failure != nil || o.Success() || o.Failed != "1 of 2 test suites failed: mixed" || string(o.Result) != want {
			t.Errorf("result %s, %q, %+v", o.Result, o.Failed, o.Failure)
		}
		if r := readReport(t, path); len(r) != 2 {
			t.Errorf("%d suites in the report", len(r))
		}
	})
	t.Run("exit status off", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "report.json")
		o, _, _ := runSuites(t, puppetNodes(), "nodes: [a]\nsuites: ['demo::suite']\n", map[string]any{"report": path, "exit_status": false})
		if !o.Success() {
			t.Errorf("%q, %+v; want a success", o.Failed, o.Failure)
		}
	})
	t.Run("all pass", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "report.json")
		o, _, _ := runSuites(t, puppetNodes(), "suites: ['demo::suite_good']\n", map[string]any{"report": path})
		if !o.Success() || string(o.Result) != `{"testsuites":[{"name":"good","cases":1,"success":true}],"success":true}` {
			t.Errorf("result %s, %q, %+v", o.Result, o.Failed, o.Failure)
		}
	})
	t.Run("critical", func(t *testing.T) {
		t.Parallel()
		n := puppetNodes()
		n.Answer = func(string, client.Request) (client.Reply, bool) { return tasktest.OK(`{"idling":true}`) }
		path := filepath.Join(t.TempDir(), "report.json")
		o, _, out := runSuites(t, n, "suites: ['demo::suite_good', 'demo::nope']\npre_flight.wait: 0\n", map[string]any{"report": path, "pre_post": true})
		if o.Failure == nil || !strings.HasPrefix(o.Failure.Msg, `Critical error while running the suites: unknown playbook "demo::nope"`) {
			t.Errorf("failure %+v\n%s", o.Failure, strings.Join(out.lines(), "\n"))
		}
		if got := readReport(t, path); len(got) != 1 {
			t.Errorf("%d suites in the report; want what was run before", len(got))
		}
		if actions := actions(n); actions[len(actions)-1] != "puppet.enable" {
			t.Errorf("requests %q; want Puppet enabled whatever happens", actions)
		}
	})
	t.Run("report cannot be written", func(t *testing.T) {
		t.Parallel()
		n := puppetNodes()
		path := filepath.Join(t.TempDir(), "none", "report.json")
		o, _, _ := runSuites(t, n, "suites: ['demo::suite_good']\n", map[string]any{"report": path, "pre_post": true})
		want := "report " + path + " cannot be written: directory " + filepath.Dir(path) + ": no such file or directory"
		if o.Failure == nil || o.Failure.Msg != want || len(n.Requests()) != 0 {
			t.Errorf("failure %+v after requests %q; want %s and none", o.Failure, actions(n), want)
		}
	})
	t.Run("no data", func(t *testing.T) {
		t.Parallel()
		n := puppetNodes()
		o, _, _ := runPlan(t, "cspec::suite", n, map[string]any{"data": "/does/not/exist.yaml", "report": filepath.Join(t.TempDir(), "r.json")})
		if o.Failure == nil || o.Failure.Msg != `read data item "plan_store/suites": stat /does/not/exist.yaml: no such file or directory` || len(n.Requests()) != 0 {
			t.Errorf("failure %+v", o.Failure)
		}
	})
}

func actions(n *tasktest.Network) []string {
	var list []string
	for _, r := range n.Requests() {
		list = append(list, r.Agent+"."+r.Action)
	}
	return list
}

// TestBrokenReport holds that a report that is none is not overwritten.
func TestBrokenReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, _, _ := runPlan(t, "demo::suite_good", nil, map[string]any{"ds": map[string]any{}, "report": path})
	if o.Failure == nil || !strings.HasPrefix(o.Failure.Msg, "report "+path+" is no cspec report: ") {
		t.Errorf("failure %+v", o.Failure)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "{}" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// TestRunReport runs a playbook with a task and looks at the report of the run.
func TestRunReport(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "run.json")
	file, err := playbook.OpenRunReport(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parameters := map[string]any{"how": "task"}
	o, s, _ := runPlan(t, "demo::errors", nil, parameters)
	s.Secrets.Add("exit 7")
	if err := file.Write(s, parameters, o); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Report struct {
			Success bool
			Error   string `json:"playbook_error"`
		}
		Playbook struct{ Name string }
		Inputs   struct{ Static map[string]string }
		Tasks    []struct {
			Type    string
			Success bool
			Line    int
			Tries   int
			Nodes   map[string]struct{ Success bool }
		}
		Metrics struct {
			Count int                                  `json:"task_count"`
			Types map[string]struct{ Count, Fail int } `json:"task_types"`
		}
		Logs []struct{ Level, From, Msg string }
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Report.Success || got.Report.Error != "Command [redacted] failed with exit code 7" || got.Playbook.Name != "demo::errors" || got.Inputs.Static["how"] != "task" {
		t.Errorf("report %+v, %+v, %+v", got.Report, got.Playbook, got.Inputs)
	}
	if len(got.Tasks) != 1 || got.Tasks[0].Type != "shell" || got.Tasks[0].Line != 15 || got.Tasks[0].Tries != 1 || got.Tasks[0].Nodes["localhost"].Success {
		t.Errorf("tasks %+v", got.Tasks)
	}
	if got.Metrics.Count != 1 || got.Metrics.Types["shell"].Fail != 1 {
		t.Errorf("metrics %+v", got.Metrics)
	}
	if len(got.Logs) == 0 || got.Logs[0].From != "Scope(<module>/demo/plans/errors.pp, 15)" || strings.Contains(string(data), "exit 7") {
		t.Errorf("logs %+v", got.Logs)
	}
	if _, err := playbook.OpenRunReport(filepath.Join(path, "below")); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("a report below a file: %v", err)
	}
}

func TestRenderJSON(t *testing.T) {
	t.Parallel()
	o, s, _ := runPlan(t, "demo::errors", nil, map[string]any{"how": "nested"})
	var b strings.Builder
	if err := o.RenderJSON(&b, s); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Playbook string
		Success  bool
		Error    struct {
			Msg   string
			Line  int
			Stack []string
			Trace []string
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Playbook != "demo::errors" || got.Success || got.Error.Msg != "from below" || got.Error.Line != 2 || len(got.Error.Stack) != 2 || got.Error.Trace != nil {
		t.Errorf("document %s", b.String())
	}
}

// TestReadyCancelled holds that nothing is left when the user does not wait for Puppet to load.
func TestReadyCancelled(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, "demo", nil)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Ready(ctx); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}
