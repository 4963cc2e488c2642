package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	security := "TLS"
	if !r.TLS {
		security = "without TLS"
	}
	fmt.Fprintf(&b, "%d nodes, %d broker(s), %s, choria %s, %s\n%s\n", r.Nodes, r.Brokers, security, r.Version, r.Started.Format("2006-01-02"), r.Machine)
	if r.Agents+r.Collectives > 0 {
		fmt.Fprintf(&b, "%d further agent(s) and %d further collective(s) on each node\n", r.Agents, r.Collectives)
	}
	fmt.Fprintf(&b, "\n%-66s %10s %10s %10s %-3s %8s %8s\n", "", "median", "min", "max", "", "cpu s", "budget")
	for _, row := range r.Rows {
		what := row.What + strings.Repeat(" ", max(0, 66-utf8.RuneCountInString(row.What)))
		budget, verdict, cpu := "", "", ""
		if len(row.CPU) > 0 {
			cpu = number(median(row.CPU))
		}
		if row.Budget != nil {
			budget, verdict = "≤ "+number(*row.Budget), "ok"
		}
		if row.Missed {
			verdict = "MISSED"
		}
		line := fmt.Sprintf("%s %10s %10s %10s %-3s %8s %8s  %s", what, number(row.Median), number(row.Min), number(row.Max), row.Unit, cpu, budget, verdict)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if row.Note != "" {
			fmt.Fprintf(&b, "    %s\n", row.Note)
		}
		for _, f := range row.Faults {
			fmt.Fprintf(&b, "    fault: %s\n", f)
		}
	}
	fmt.Fprintf(&b, "\nmeasured in %s", r.Took.Round(time.Second))
	if missed := r.Missed(); len(missed) > 0 {
		fmt.Fprintf(&b, "; missed: %s", strings.Join(missed, ", "))
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// number formats v with three digits that count.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// CSV writes one line a value, for spreadsheets.
func (r *Report) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	lines := [][]string{{"nodes", "brokers", "tls", "name", "unit", "repetition", "value", "budget", "missed"}}
	for _, row := range r.Rows {
		budget := ""
		if row.Budget != nil {
			budget = strconv.FormatFloat(*row.Budget, 'g', -1, 64)
		}
		for i, v := range row.Values {
			lines = append(lines, []string{
				strconv.Itoa(r.Nodes), strconv.Itoa(r.Brokers), strconv.FormatBool(r.TLS), row.Name, row.Unit,
				strconv.Itoa(i + 1), strconv.FormatFloat(v, 'g', 6, 64), budget, strconv.FormatBool(row.Missed),
			})
		}
	}
	return c.WriteAll(lines)
}
