// Package cspec turns the report of cspec suites into the formats that people and other tools read.
package cspec

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxReport is the largest report that is read, in bytes.
const maxReport = 256 << 20

// A Report is what a run of suites came to, in the order in which they were completed. Its JSON is described
// in docs/playbooks.md; what older reports lack is zero.
type Report []Suite

// A Suite is one call of cspec::suite.
type Suite struct {
	Name     string    `json:"testsuite"`
	File     string    `json:"file"` // of the plan
	Line     int       `json:"line"`
	Success  bool      `json:"success"`
	Started  time.Time `json:"started"`
	Duration float64   `json:"duration"` // seconds
	Puppet   string    `json:"puppet"`   // version
	Choria   string    `json:"choria"`   // version
	Cases    []Case    `json:"testcases"`
}

// A Case is one call of it.
type Case struct {
	Name       string      `json:"testcase"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
	Success    bool        `json:"success"`
	Started    time.Time   `json:"started"`
	Duration   float64     `json:"duration"` // seconds
	Skipped    string      `json:"skipped"`  // why; empty when it was not
	Tags       []string    `json:"tags"`
	Assertions []Assertion `json:"assertions"`
}

// An Assertion is one thing that was asserted. Kind is exception for an error that ended the case.
type Assertion struct {
	Success bool     `json:"success"`
	Kind    string   `json:"kind"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Message string   `json:"message"`
	Host    string   `json:"host"`   // the node it is about, if it is about one
	Hosts   []string `json:"hosts"`  // the nodes it does not hold for
	Values  []Value  `json:"values"` // of assert_all_equal
}

// A Value is what some nodes have, or the error that they have instead.
type Value struct {
	Value json.RawMessage `json:"value"`
	Error string          `json:"error"`
	Hosts []string        `json:"hosts"`
}

// String is the error, or the value as JSON.
func (v Value) String() string {
	if v.Error != "" {
		return v.Error
	}
	return string(v.Value)
}

// Read reads a report.
func Read(path string) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxReport+1))
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("report %s: more than %d bytes", path, maxReport)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("report %s is no cspec report: %w", path, err)
	}
	return r, nil
}

// Parse parses a report.
func Parse(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	return r, nil
}

// Counts says how many cases there are, of which how many failed and were skipped.
type Counts struct {
	Cases, Failed, Skipped int
	Errors                 int     // those of the failed that an error has ended
	Seconds                float64 // of all suites
}

// Passed is how many cases passed.
func (c Counts) Passed() int { return c.Cases - c.Failed - c.Skipped }

// Counts counts the cases of the suite.
func (s Suite) Counts() Counts {
	c := Counts{Cases: len(s.Cases), Seconds: s.Duration}
	for _, one := range s.Cases {
		switch {
		case !one.Success:
			c.Failed++
			if _, ended := one.exception(); ended {
				c.Errors++
			}
		case one.Skipped != "":
			c.Skipped++
		}
	}
	return c
}

// Counts counts all cases.
func (r Report) Counts() Counts {
	var all Counts
	for _, s := range r {
		c := s.Counts()
		all.Cases += c.Cases
		all.Failed += c.Failed
		all.Skipped += c.Skipped
		all.Errors += c.Errors
		all.Seconds += c.Seconds
	}
	return all
}

// Failures are the assertions of the case that do not hold.
func (c Case) Failures() []Assertion {
	var failed []Assertion
	for _, a := range c.Assertions {
		if !a.Success {
			failed = append(failed, a)
		}
	}
	return failed
}

// exception is the error that ended the case.
func (c Case) exception() (Assertion, bool) {
	for _, a := range c.Assertions {
		if !a.Success && a.Kind == "exception" {
			return a, true
		}
	}
	return Assertion{}, false
}

// playbook is the name of the playbook in a file of a module, or the file when it is none.
func playbook(file string) string {
	parts := strings.Split(strings.TrimSuffix(file, ".pp"), "/")
	for i := len(parts) - 2; i > 0; i-- {
		if parts[i] != "plans" {
			continue
		}
		names := append([]string{parts[i-1]}, parts[i+1:]...)
		if len(names) == 2 && names[1] == "init" {
			names = names[:1]
		}
		return strings.Join(names, "::")
	}
	return file
}
