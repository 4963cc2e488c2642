package ddl

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// numeric returns the number in a JSON value; a string may hold it, as old agents send them.
func numeric(value json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(Text(value)), 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// stats are what can be said of numbers without keeping them.
type stats struct {
	options
	n        int
	total    float64
	min, max float64
}

func (s *stats) add(value json.RawMessage) {
	f, ok := numeric(value)
	if !ok {
		return
	}
	if s.n == 0 {
		s.min, s.max = f, f
	}
	s.n++
	s.total += f
	s.min, s.max = min(s.min, f), max(s.max, f)
}

func (s *stats) mean() float64 { return s.total / float64(s.n) }

// formatted uses the format of the description or, when there is none, the given one.
func (s *stats) formatted(own string, values ...any) []string {
	if s.format != "" {
		own = s.format
	}
	return strings.Split(format(own, values...), "\n")
}

type average struct{ stats }

func newAverage(o options) fold { return &average{stats{options: o}} }

func (a *average) summary() ([]string, any) {
	if a.n == 0 {
		return nil, nil
	}
	return a.formatted("Average: %.3f", a.mean()), finite(map[string]any{"average": a.mean()})
}

type sum struct{ stats }

func newSum(o options) fold { return &sum{stats{options: o}} }

func (s *sum) summary() ([]string, any) {
	if s.n == 0 {
		return nil, nil
	}
	own := "Sum: %.3f"
	if s.total == math.Trunc(s.total) {
		own = "Sum: %.0f"
	}
	return s.formatted(own, s.total), finite(map[string]any{"sum": s.total})
}

// minMaxAverage is the function nettest_mma.
type minMaxAverage struct{ stats }

func newMinMaxAverage(o options) fold { return &minMaxAverage{stats{options: o}} }

func (m *minMaxAverage) summary() ([]string, any) {
	if m.n == 0 {
		return nil, nil
	}
	return m.formatted("Min: %.3f  Max: %.3f  Average: %.3f", m.min, m.max, m.mean()),
		finite(map[string]any{"min": m.min, "max": m.max, "average": m.mean()})
}

// finite returns nil when a number has grown past what JSON can hold.
func finite(values map[string]any) any {
	for _, v := range values {
		if f := v.(float64); math.IsInf(f, 0) || math.IsNaN(f) {
			return nil
		}
	}
	return values
}

// processes is the function process_summary: it adds up lists of processes.
type processes struct {
	options
	hosts, count      int
	resident, virtual float64 // bytes
	seen              bool    // a list, if only an empty one
}

func newProcessSummary(o options) fold { return &processes{options: o} }

// pageSize is that of the machines whose agents tell resident memory in pages alone. It is 4 kB on
// all but a few.
const pageSize = 4096

func (p *processes) add(value json.RawMessage) {
	var list []struct {
		Resident *float64 `json:"rss_bytes"`
		Pages    float64  `json:"rss"`
		Virtual  float64  `json:"vsize"`
	}
	if json.Unmarshal(value, &list) != nil || list == nil {
		return
	}
	p.seen = true
	if len(list) > 0 {
		p.hosts++
	}
	p.count += len(list)
	for _, process := range list {
		if process.Resident != nil {
			p.resident += *process.Resident
		} else {
			p.resident += process.Pages * pageSize
		}
		p.virtual += process.Virtual
	}
}

func (p *processes) summary() ([]string, any) {
	if !p.seen || math.IsInf(p.resident, 0) || math.IsInf(p.virtual, 0) {
		return nil, nil
	}
	return []string{
			format("    Matched hosts: %d", p.hosts),
			format("Matched Processes: %d", p.count),
			"    Resident Size: " + bytesText(p.resident),
			"     Virtual Size: " + bytesText(p.virtual),
		}, map[string]any{
			"hosts": p.hosts, "processes": p.count, "resident_bytes": p.resident, "virtual_bytes": p.virtual,
		}
}

// bytesText writes a number of bytes with the largest unit of 1024 that leaves a digit before the
// point, TB at most.
func bytesText(n float64) string {
	if n < 1 {
		return "0 B"
	}
	units := []string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return strconv.FormatFloat(n, 'f', 3, 64) + " " + units[i]
}
