package cspec

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements are those that Jenkins and GitLab read; file and line are attributes that pytest and others
// have added and that readers that do not know them pass over.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	File      string      `xml:"file,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string       `xml:"name,attr"`
	Classname string       `xml:"classname,attr"` // the playbook
	File      string       `xml:"file,attr"`
	Line      int          `xml:"line,attr"`
	Time      string       `xml:"time,attr"`
	Failure   *junitDetail `xml:"failure"`
	Error     *junitDetail `xml:"error"`
	Skipped   *junitDetail `xml:"skipped"`
}

type junitDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report as JUnit XML: all assertions that failed in a case are one failure, an error that
// ended it is an error.
func (r Report) JUnit(w io.Writer) error {
	all := r.Counts()
	doc := junitSuites{Tests: all.Cases, Failures: all.Failed - all.Errors, Errors: all.Errors, Skipped: all.Skipped, Time: seconds(all.Seconds)}
	for _, s := range r {
		c := s.Counts()
		suite := junitSuite{
			Name: s.Name, File: s.File, Tests: c.Cases, Failures: c.Failed - c.Errors, Errors: c.Errors, Skipped: c.Skipped, Time: seconds(s.Duration),
		}
		if !s.Started.IsZero() {
			suite.Timestamp = s.Started.UTC().Format("2006-01-02T15:04:05")
		}
		for _, one := range s.Cases {
			suite.Cases = append(suite.Cases, newJUnitCase(one))
		}
		doc.Suites = append(doc.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func newJUnitCase(c Case) junitCase {
	out := junitCase{Name: c.Name, Classname: playbook(c.File), File: c.File, Line: c.Line, Time: seconds(c.Duration)}
	switch failed := c.Failures(); {
	case !c.Success:
		var text strings.Builder
		detail := &junitDetail{Message: "the case failed"}
		for i, a := range failed {
			if i == 0 {
				detail.Message, detail.Type = a.Message, a.Kind
			}
			fmt.Fprintf(&text, "%s (%s:%d)\n%s\n", a.Kind, a.File, a.Line, a.Message)
			if len(a.Hosts) > 0 {
				fmt.Fprintf(&text, "nodes: %s\n", strings.Join(a.Hosts, ", "))
			}
		}
		detail.Text = text.String()
		if e, ended := c.exception(); ended {
			detail.Message, detail.Type = e.Message, e.Kind
			out.Error = detail
		} else {
			out.Failure = detail
		}
	case c.Skipped != "":
		out.Skipped = &junitDetail{Message: c.Skipped}
	}
	return out
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }
