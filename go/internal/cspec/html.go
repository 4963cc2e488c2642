package cspec

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed report.html
var page string

// A failedCase is a case that failed with the suite that it is in.
type failedCase struct {
	Suite string
	Case
}

// failed are all cases that failed.
func (r Report) failed() []failedCase {
	var list []failedCase
	for _, s := range r {
		for _, c := range s.Cases {
			if !c.Success {
				list = append(list, failedCase{s.Name, c})
			}
		}
	}
	return list
}

// HTML writes the report as one page that needs no other file: a summary, what failed with file, line and
// the nodes it failed for, then everything. The page is XML as well, so that tools can read it.
func (r Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"playbook": playbook,
		"seconds":  func(s float64) string { return fmt.Sprintf("%.2f s", s) },
		"moment":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}).Parse(page)
	if err != nil {
		return err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"Suites": r, "Counts": r.Counts(), "Failed": r.failed()})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, strings.Map(printable, b.String()))
	return err
}

// printable replaces what XML has no place for, such as the colours in the output of a command.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff {
		return '\ufffd'
	}
	return r
}
