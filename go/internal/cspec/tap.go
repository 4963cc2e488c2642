package cspec

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// TAP writes the report in the Test Anything Protocol, version 13: one test point a case.
// Source: testanything.org, "TAP version 13 specification".
func (r Report) TAP(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", r.Counts().Cases)
	n := 0
	for _, s := range r {
		for _, c := range s.Cases {
			n++
			point := fmt.Sprintf("%d - %s: %s", n, tapText(s.Name), tapText(c.Name))
			switch {
			case !c.Success:
				fmt.Fprintf(&b, "not ok %s\n", point)
				if err := diagnose(&b, c); err != nil {
					return err
				}
			case c.Skipped != "":
				fmt.Fprintf(&b, "ok %s # SKIP %s\n", point, tapText(c.Skipped))
			default:
				fmt.Fprintf(&b, "ok %s\n", point)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// diagnose writes the YAML block of a case that failed. JSON is YAML that needs no care.
func diagnose(b *strings.Builder, c Case) error {
	b.WriteString("  ---\n  failures:\n")
	for _, a := range c.Failures() {
		line, err := json.Marshal(struct {
			Kind    string   `json:"kind"`
			Message string   `json:"message"`
			File    string   `json:"file"`
			Line    int      `json:"line"`
			Hosts   []string `json:"hosts,omitempty"`
		}{a.Kind, a.Message, a.File, a.Line, a.Hosts})
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "    - %s\n", line)
	}
	b.WriteString("  ...\n")
	return nil
}

// tapText keeps text on its line and from being a directive.
func tapText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	return strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(s)
}
