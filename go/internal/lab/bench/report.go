// Package bench measures a network of the lab and holds it against the budgets of the project.
package bench

import (
	"fmt"
	"slices"
	"time"
)

// A Report is all that one run has measured.
type Report struct {
	Version string        `json:"version"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	Machine Machine       `json:"machine"`

	Nodes       int  `json:"nodes"`
	Brokers     int  `json:"brokers"`
	TLS         bool `json:"tls"`
	Agents      int  `json:"agents"`      // of each node, besides the usual ones
	Collectives int  `json:"collectives"` // of each node, besides the usual ones
	Repeat      int  `json:"repeat"`

	Rows []*Row `json:"results"`
}

// A Row is one thing that was measured, as often as that makes sense.
type Row struct {
	Name   string    `json:"name"` // stays the same between releases
	What   string    `json:"what"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"` // in the order in which they were measured

	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`

	// CPU are the seconds of processor time that brokers, nodes and clients took together each time, which
	// what else the machine does changes little. Empty: not measured.
	CPU []float64 `json:"cpu,omitempty"`

	Budget *float64 `json:"budget,omitempty"` // what the median may be at most; nil: there is none
	Missed bool     `json:"missed"`           // the median is above the budget, or Faults is not empty
	Faults []string `json:"faults,omitempty"` // what should not have happened
	Note   string   `json:"note,omitempty"`
}

// most is a budget.
func most(v float64) *float64 { return &v }

// add adds a row and completes it.
func (r *Report) add(row *Row) *Row {
	if len(row.Values) > 0 {
		row.Min, row.Max, row.Median = slices.Min(row.Values), slices.Max(row.Values), median(row.Values)
	}
	row.Missed = len(row.Faults) > 0 || row.Budget != nil && row.Median > *row.Budget
	r.Rows = append(r.Rows, row)
	return row
}

// median returns the middle one of some values, zero of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 0:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[n/2]
}

// Row returns the row of that name, nil when it was not measured.
func (r *Report) Row(name string) *Row {
	for _, row := range r.Rows {
		if row.Name == name {
			return row
		}
	}
	return nil
}

// Missed returns the names of the rows whose budget was missed, or that found faults.
func (r *Report) Missed() []string {
	var names []string
	for _, row := range r.Rows {
		if row.Missed {
			names = append(names, row.Name)
		}
	}
	return names
}

// ratio adds how much longer the row name took than the sum of the floors, with the budget of it.
func (r *Report) ratio(name, what string, budget *float64, floors ...string) {
	row := r.Row(name)
	if row == nil {
		return
	}
	floor, cpu := 0.0, 0.0
	for _, f := range floors {
		base := r.Row(f)
		if base == nil || base.Median == 0 {
			return
		}
		floor += base.Median
		cpu += median(base.CPU)
	}
	out := &Row{Name: name + "_ratio", What: what, Unit: "×", Budget: budget}
	for _, v := range row.Values {
		out.Values = append(out.Values, v/floor)
	}
	if cpu > 0 {
		out.Note = fmt.Sprintf("of processor time it takes %s times that of the floor", number(median(row.CPU)/cpu))
	}
	r.add(out)
}

// faultf notes what should not have happened, a few times.
func (row *Row) faultf(format string, args ...any) {
	if len(row.Faults) < 10 {
		row.Faults = append(row.Faults, fmt.Sprintf(format, args...))
	}
}
