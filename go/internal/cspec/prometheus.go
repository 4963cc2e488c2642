package cspec

import (
	"io"

	"choria.io/choria/go/internal/metrics"
)

// Prometheus writes the report as metrics, for the textfile collector of node_exporter: what each case
// came to, and when. A case that was skipped has none, since nothing is known of it.
// Source: https://github.com/prometheus/node_exporter, "Textfile Collector".
func (r Report) Prometheus(w io.Writer) error {
	type key struct{ suite, name string }
	m := metrics.New()
	held := map[key]bool{} // of cases of one name each has to hold
	for _, s := range r {
		m.Gauge("choria_cspec_suite_duration_seconds", "How long a suite took", "suite", s.Name).Add(s.Duration)
		if !s.Started.IsZero() {
			ended := float64(s.Started.UnixMilli())/1000 + s.Duration
			g := m.Gauge("choria_cspec_suite_completed_timestamp_seconds", "When a suite was completed, in seconds since 1970 UTC", "suite", s.Name)
			g.Set(max(g.Value(), ended))
		}
		for _, c := range s.Cases {
			if c.Success && c.Skipped != "" {
				continue
			}
			k := key{s.Name, c.Name}
			before, again := held[k]
			held[k] = c.Success && (before || !again)
		}
	}
	for k, ok := range held {
		g := m.Gauge("choria_cspec_case_ok", "Whether a case of a suite held when it was last run, 1 or 0", "suite", k.suite, "case", k.name)
		if ok {
			g.Set(1)
		}
	}
	_, err := m.WriteTo(w)
	return err
}
