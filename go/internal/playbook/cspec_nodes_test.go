package playbook_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// unequalNodes are four: d cannot tell whether it is idle, only a is. Their counts go up with every request.
func unequalNodes() *tasktest.Network {
	var mu sync.Mutex
	counts := map[string]int{}
	return &tasktest.Network{Nodes: []string{"a", "b", "c", "d"}, Answer: func(node string, r client.Request) (client.Reply, bool) {
		if r.Action == "enable" {
			mu.Lock()
			defer mu.Unlock()
			counts[node]++
			return tasktest.OK(fmt.Sprintf(`{"count":%d}`, counts[node]))
		}
		if node == "d" {
			return tasktest.Failed("denied")
		}
		return tasktest.OK(fmt.Sprintf(`{"idling":%v,"lastrun":{"at":7}}`, node == "a"))
	}}
}

const unequalData = "nodes: [a, b, c, d]\nsuites: ['demo::suite_nodes', 'demo::suite_good']\n"

func TestSuiteOfNodes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	_, s, out := runSuites(t, unequalNodes(), unequalData, map[string]any{"report": path, "only": []any{"network"}})
	r := readReport(t, path)
	want := strings.ReplaceAll(`nodes false FILE:8
  differ false FILE:9 
    false assert_all_equal FILE:11 "2 of 4 nodes differ from false\n  true: a\n  denied: d"
    false assert_all_equal FILE:12 "1 of 3 nodes differ from false\n  true: a"
    true assert_all_equal FILE:13 "3 nodes have 7"
    false assert_all_equal FILE:14 "no node has a value\n  no item nope: a, b, c"
    true assert_all_equal FILE:15 "3 nodes have 8"
    false assert_all_equal FILE:16 "no node has a value\n  denied: d"
    false assert_all_equal FILE:17 "no results"
    true testcase FILE:9 "differ"
  are enough false FILE:19 
    true assert_exactly FILE:21 "3 of 4 nodes"
    false assert_exactly FILE:22 "3 of 4 nodes; want 1"
    true assert_exactly FILE:23 "1 of 4 nodes"
    true assert_at_least FILE:24 "3 of 4 nodes"
    true assert_at_least FILE:25 "3 of 4 nodes"
    false assert_at_least FILE:26 "3 of 4 nodes; want at least 75.1%, which is 4"
    true assert_at_least FILE:27 "1 of 4 nodes"
    false assert_at_least FILE:28 "no results"
    true testcase FILE:19 "are enough"
  come to it true FILE:30 
    true assert_all_equal FILE:33 "4 nodes have 3"
    true assert_true FILE:34 "the value is true"
    true eventually FILE:31 "3 tries in N seconds"
    true assert_true FILE:36 "the value is true"
    true testcase FILE:30 "come to it"
  never come to it false FILE:38 
    false assert_true FILE:39 "false\n  is not equal to\ntrue"
    false eventually FILE:39 "not in N tries in N seconds"
    false eventually FILE:40 "the block asserts nothing"
    true assert_true FILE:42 "the value is true"
    false exception FILE:43 "out of order"
  is left true FILE:46 not now
  is left in a branch true FILE:49 not here
    true assert_true FILE:52 "the value is true"
  cannot be asked false FILE:55 
    false assert_exactly FILE:57 "puppet#nope: agent puppet has no action \"nope\""
    false assert_count FILE:58 "puppet#nope: agent puppet has no action \"nope\""
    false assert_count FILE:59 "puppet#nope: agent puppet has no action \"nope\""
    false assert_task_success: FILE:60 "puppet#nope: agent puppet has no action \"nope\""
    true testcase FILE:55 "cannot be asked"
`, "FILE", "demo/plans/suite_nodes.pp")
	got := regexp.MustCompile(`in [\d.]+ seconds`).ReplaceAllString(r.text(s.Modulepath[0]), "in N seconds")
	got = regexp.MustCompile(`not in \d+ tries`).ReplaceAllString(got, "not in N tries")
	if got != want {
		t.Errorf("report\n%s\nwant\n%s\n%s", got, want, strings.Join(out.lines(), "\n"))
	}
	if a := r[0].Testcases[0].Assertions[0]; !slices.Equal(a.Hosts, []string{"a", "d"}) {
		t.Errorf("nodes that differ %q; want a and d", a.Hosts)
	}
	if n := strings.Count(strings.Join(out.lines(), "\n"), "assert_true: the value is true"); n != 4 {
		t.Errorf("%d lines about what is true; want those of the tries that count, 4", n)
	}
}

func TestSuiteTags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		only  []any
		cases string // of suite nodes
		err   string
	}{
		{[]any{"equal"}, "differ", ""},
		{[]any{"equal", "slow"}, "differ, come to it, never come to it, is left", ""},
		{[]any{"none", "such"}, "", "No case has a tag none or such"},
	} {
		t.Run(fmt.Sprint(tt.only...), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "report.json")
			o, _, _ := runSuites(t, unequalNodes(), unequalData, map[string]any{"report": path, "only": tt.only})
			if tt.err != "" {
				if o.Failure == nil || o.Failure.Msg != tt.err {
					t.Errorf("failure %+v; want %s", o.Failure, tt.err)
				}
				if _, err := os.Stat(path); err == nil {
					t.Error("a report of nothing was written")
				}
				return
			}
			r := readReport(t, path)
			var cases []string
			for _, c := range r[0].Testcases {
				cases = append(cases, c.Case)
			}
			if len(r) != 1 || strings.Join(cases, ", ") != tt.cases {
				t.Errorf("%d suites, cases %q; want 1 with %s", len(r), cases, tt.cases)
			}
		})
	}
}

// TestEventuallyFailsFast holds that only a try that counts can end the run.
func TestEventuallyFailsFast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	o, _, _ := runSuites(t, unequalNodes(), unequalData, map[string]any{"report": path, "only": []any{"slow"}, "fail_fast": true})
	if o.Failure == nil || !strings.Contains(o.Failure.Msg, "assert_true: never come to it: false") {
		t.Errorf("failure %+v", o.Failure)
	}
	r := readReport(t, path)
	if c := r[0].Testcases; len(c) != 2 || !c[0].Success || len(c[1].Assertions) != 1 {
		t.Errorf("cases %+v; want one that came to it, and one that failed with its first assertion", c)
	}
}
