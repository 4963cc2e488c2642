package cspec_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/cspec"
)

// report has all that can happen, and text that means something in all the formats.
const report = `[
 {"testsuite": "first <suite> & # 1", "file": "/m/site/plans/our/suite.pp", "line": 3, "success": false, "started": "2026-01-02T03:04:05Z", "duration": 1.5, "puppet": "7.23.0", "choria": "1.0.0",
  "testcases": [
   {"testcase": "passes", "file": "/m/site/plans/our/suite.pp", "line": 4, "success": true, "duration": 0.25, "tags": ["quick"], "assertions": [{"success": true, "kind": "testcase", "message": "passes"}]},
   {"testcase": "fails </pre><script>alert(1)</script>", "file": "/m/site/plans/our/suite.pp", "line": 5, "success": false, "duration": 0.5, "assertions": [
     {"success": true, "kind": "assert_true", "file": "/m/site/plans/our/suite.pp", "line": 6, "message": "the value is true"},
     {"success": false, "kind": "assert_all_equal", "file": "/m/site/plans/our/suite.pp", "line": 7, "message": "1 of 3 nodes differ from \"x\"\n  \"<b>\": n3", "hosts": ["n3"],
      "values": [{"value": "x", "hosts": ["n1", "n2"]}, {"value": "<b>", "hosts": ["n3"]}]},
     {"success": false, "kind": "assert_at_least", "file": "/m/site/plans/our/suite.pp", "line": 8, "message": "1 of 3 nodes", "hosts": ["n<1>", "n2"]}]},
   {"testcase": "raises", "file": "/m/site/plans/our/suite.pp", "line": 9, "success": false, "assertions": [
     {"success": false, "kind": "exception", "file": "/m/site/plans/our/suite.pp", "line": 10, "message": "out of \u0000order\u001b[31m"}]},
   {"testcase": "is skipped", "file": "/m/site/plans/our/suite.pp", "line": 11, "success": true, "skipped": "no #time\nnot ok 9", "assertions": []}]},
 {"testsuite": "second", "file": "/m/site/plans/init.pp", "line": 1, "success": true, "testcases": [
   {"testcase": "passes", "file": "/m/site/plans/init.pp", "line": 2, "success": true, "assertions": []}]}
]`

func render(t *testing.T, data string, format func(cspec.Report, io.Writer) error) string {
	t.Helper()
	r, err := cspec.Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := format(r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTAP(t *testing.T) {
	want := `TAP version 13
1..5
ok 1 - first <suite> & \# 1: passes
not ok 2 - first <suite> & \# 1: fails </pre><script>alert(1)</script>
  ---
  failures:
    - {"kind":"assert_all_equal","message":"1 of 3 nodes differ from \"x\"\n  \"\u003cb\u003e\": n3","file":"/m/site/plans/our/suite.pp","line":7,"hosts":["n3"]}
    - {"kind":"assert_at_least","message":"1 of 3 nodes","file":"/m/site/plans/our/suite.pp","line":8,"hosts":["n\u003c1\u003e","n2"]}
  ...
not ok 3 - first <suite> & \# 1: raises
  ---
  failures:
    - {"kind":"exception","message":"out of \u0000order\u001b[31m","file":"/m/site/plans/our/suite.pp","line":10}
  ...
ok 4 - first <suite> & \# 1: is skipped # SKIP no \#time not ok 9
ok 5 - second: passes
`
	if got := render(t, report, cspec.Report.TAP); got != want {
		t.Errorf("TAP\n%s\nwant\n%s", got, want)
	}
}

func TestPrometheus(t *testing.T) {
	want := `# HELP choria_cspec_case_ok Whether a case of a suite held when it was last run, 1 or 0
# TYPE choria_cspec_case_ok gauge
choria_cspec_case_ok{case="fails </pre><script>alert(1)</script>",suite="first <suite> & # 1"} 0
choria_cspec_case_ok{case="passes",suite="first <suite> & # 1"} 1
choria_cspec_case_ok{case="passes",suite="second"} 1
choria_cspec_case_ok{case="raises",suite="first <suite> & # 1"} 0
# HELP choria_cspec_suite_completed_timestamp_seconds When a suite was completed, in seconds since 1970 UTC
# TYPE choria_cspec_suite_completed_timestamp_seconds gauge
choria_cspec_suite_completed_timestamp_seconds{suite="first <suite> & # 1"} 1.7673230465e+09
# HELP choria_cspec_suite_duration_seconds How long a suite took
# TYPE choria_cspec_suite_duration_seconds gauge
choria_cspec_suite_duration_seconds{suite="first <suite> & # 1"} 1.5
choria_cspec_suite_duration_seconds{suite="second"} 0
`
	if got := render(t, report, cspec.Report.Prometheus); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	twice := `[{"testsuite": "s", "testcases": [{"testcase": "c", "success": false}, {"testcase": "c", "success": true}]},
		{"testsuite": "s", "testcases": [{"testcase": "c", "success": true}]}]`
	if got := render(t, twice, cspec.Report.Prometheus); !strings.Contains(got, "choria_cspec_case_ok{case=\"c\",suite=\"s\"} 0\n") {
		t.Errorf("a case that failed once: %s", got)
	}
}

func TestJUnit(t *testing.T) {
	text := render(t, report, cspec.Report.JUnit)
	type detail struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suites   []struct {
			Name      string `xml:"name,attr"`
			Timestamp string `xml:"timestamp,attr"`
			Time      string `xml:"time,attr"`
			Cases     []struct {
				Name    string  `xml:"name,attr"`
				Class   string  `xml:"classname,attr"`
				File    string  `xml:"file,attr"`
				Line    int     `xml:"line,attr"`
				Failure *detail `xml:"failure"`
				Error   *detail `xml:"error"`
				Skipped *detail `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got.Tests != 5 || got.Failures != 1 || got.Errors != 1 || got.Skipped != 1 || len(got.Suites) != 2 {
		t.Fatalf("document %+v", got)
	}
	s := got.Suites[0]
	if s.Name != "first <suite> & # 1" || s.Timestamp != "2026-01-02T03:04:05" || s.Time != "1.500" {
		t.Errorf("suite %+v", s)
	}
	if c := s.Cases[0]; c.Class != "site::our::suite" || c.Line != 4 || c.Failure != nil || c.Error != nil || c.Skipped != nil {
		t.Errorf("a case that passes: %+v", c)
	}
	want := "assert_all_equal (/m/site/plans/our/suite.pp:7)\n1 of 3 nodes differ from \"x\"\n  \"<b>\": n3\nnodes: n3\n" +
		"assert_at_least (/m/site/plans/our/suite.pp:8)\n1 of 3 nodes\nnodes: n<1>, n2\n"
	if c := s.Cases[1]; c.Failure == nil || c.Failure.Text != want || c.Error != nil {
		t.Errorf("a case that fails: %+v, want the failure %q", c, want)
	}
	if c := s.Cases[2]; c.Error == nil || c.Failure != nil || !strings.HasPrefix(c.Error.Message, "out of ") {
		t.Errorf("a case that raises: %+v", c)
	}
	if c := s.Cases[3]; c.Skipped == nil || c.Skipped.Message != "no #time\nnot ok 9" {
		t.Errorf("a case that is skipped: %+v", c)
	}
	if class := got.Suites[1].Cases[0].Class; class != "site" {
		t.Errorf("class %q of plan init; want site", class)
	}
}

// An element is one of the page.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// all are the elements below e that are wanted, in the order of the page.
func (e element) all(wanted func(element) bool) []element {
	var list []element
	for _, c := range e.Children {
		if wanted(c) {
			list = append(list, c)
		}
		list = append(list, c.all(wanted)...)
	}
	return list
}

// words are all text in e.
func (e element) words() string {
	text := e.Text
	for _, c := range e.Children {
		text += " " + c.words()
	}
	return strings.Join(strings.Fields(text), " ")
}

func parsePage(t testing.TB, text string) element {
	t.Helper()
	var root element
	if err := xml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatalf("the page is no XML: %v\n%s", err, text)
	}
	return root
}

func TestHTML(t *testing.T) {
	root := parsePage(t, render(t, report, cspec.Report.HTML))
	id := func(name string) func(element) bool {
		return func(e element) bool { return e.attr("id") == name }
	}
	tag := func(name string) func(element) bool {
		return func(e element) bool { return e.XMLName.Local == name }
	}
	if got := root.all(id("summary"))[0].words(); !strings.Contains(got, "2 passed") || !strings.Contains(got, "2 failed") || !strings.Contains(got, "1 skipped, 2 suites, 1.50 s") {
		t.Errorf("summary %q", got)
	}
	marked := root.all(func(e element) bool { return e.attr("id") != "" })
	var order []string
	for _, e := range marked {
		order = append(order, e.attr("id"))
	}
	if got := strings.Join(order, " "); got != "summary failures suites" {
		t.Errorf("parts of the page %q; want the failures before the suites", got)
	}
	failures := marked[1]
	if len(failures.Children) != 2 {
		t.Fatalf("%d failures; want 2", len(failures.Children))
	}
	first := failures.Children[0]
	if got := first.all(tag("h3"))[0].Text; got != "first <suite> & # 1: fails </pre><script>alert(1)</script>" {
		t.Errorf("heading %q", got)
	}
	for _, want := range []string{"site::our::suite", "/m/site/plans/our/suite.pp:7", "1 of 3 nodes differ from", "2: n1, n2", `"<b>"`, "1: n3", "Nodes: n<1>, n2"} {
		if !strings.Contains(first.words(), want) {
			t.Errorf("no %q in the failure %q", want, first.words())
		}
	}
	if rows := marked[2].all(tag("tr")); len(rows) != 7 {
		t.Errorf("%d rows of cases; want 5 and two heads", len(rows))
	}
	for _, e := range root.all(func(element) bool { return true }) {
		if n := e.XMLName.Local; n == "script" || n == "link" || n == "img" || e.attr("src") != "" || e.attr("href") != "" {
			t.Errorf("the page refers to something else, or runs something: %+v", e)
		}
	}
	if got := parsePage(t, render(t, "[]", cspec.Report.HTML)).all(id("failures")); len(got) != 0 {
		t.Errorf("failures on the page of an empty report: %+v", got)
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	if _, err := cspec.Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing report: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"testsuite": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cspec.Read(path); err == nil || !strings.Contains(err.Error(), path+" is no cspec report: ") {
		t.Errorf("a report that is none: %v", err)
	}
}

// FuzzFormats holds that whatever a report says, the documents stay documents.
func FuzzFormats(f *testing.F) {
	f.Add([]byte(report))
	f.Add([]byte(`[{"testcases":[{"assertions":[{}]}]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := cspec.Parse(data)
		if err != nil {
			return
		}
		var junit, tap, page bytes.Buffer
		if err := errors.Join(r.JUnit(&junit), r.TAP(&tap), r.HTML(&page)); err != nil {
			t.Fatal(err)
		}
		for _, doc := range []*bytes.Buffer{&junit, &page} {
			if err := xml.Unmarshal(doc.Bytes(), new(element)); err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
		}
		points := 0
		for line := range strings.Lines(tap.String()) {
			if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "not ok ") {
				points++
			}
		}
		if points != r.Counts().Cases {
			t.Fatalf("%d test points of %d cases\n%s", points, r.Counts().Cases, &tap)
		}
	})
}
