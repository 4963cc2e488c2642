// Package metrics counts what a process does and shows it in the Prometheus text format.
//
// Metrics are made once, when the part that counts is made, and are then atomic numbers: counting
// takes no lock and allocates nothing. Names, types and labels are constants of the program, so a
// name used for two types, an odd list of labels or a name that Prometheus would refuse panics when
// the metric is made. Values of labels may be any text.
package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Registry holds the metrics of one process or of one node of many in a process. A nil *Registry
// makes metrics that count but are never shown. Its methods may be called concurrently.
type Registry struct {
	mu       sync.Mutex
	families map[string]*family
}

// A family is all metrics of one name.
type family struct {
	name, help string
	kind       kind
	series     map[string]any // by labels as shown, {a="b"}: *Counter, *Gauge, *Summary or func() float64
}

type kind string

const (
	counter kind = "counter"
	gauge   kind = "gauge"
	summary kind = "summary"
)

// New returns an empty registry.
func New() *Registry { return &Registry{families: map[string]*family{}} }

// A Counter only grows. Its zero value works, its methods may be called concurrently.
type Counter struct{ n atomic.Uint64 }

// A Gauge goes up and down. Its zero value works, its methods may be called concurrently.
type Gauge struct{ v number }

// A Summary counts observations and adds them up; it keeps no quantiles. Its zero value works, its
// methods may be called concurrently.
type Summary struct {
	sum   number
	count atomic.Uint64
}

// Labels are label names and values in pairs: "identity", "n1".

// Counter returns the counter of that name and those labels, making it if need be. The help text is
// that of the first call for a name.
func (r *Registry) Counter(name, help string, labels ...string) *Counter {
	return get(r, name, help, counter, labels, func() *Counter { return new(Counter) })
}

// Gauge is to gauges what Counter is to counters.
func (r *Registry) Gauge(name, help string, labels ...string) *Gauge {
	return get(r, name, help, gauge, labels, func() *Gauge { return new(Gauge) })
}

// GaugeFunc makes a gauge whose value is read from f when the metrics are shown, in place of one of
// that name and those labels that was there before. f may be called concurrently.
func (r *Registry) GaugeFunc(name, help string, f func() float64, labels ...string) {
	id := labelText(name, labels)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.family(name, help, gauge).series[id] = f
}

// Summary is to summaries what Counter is to counters.
func (r *Registry) Summary(name, help string, labels ...string) *Summary {
	return get(r, name, help, summary, labels, func() *Summary { return new(Summary) })
}

// Remove takes the metric of that name and those labels out of what is shown, for what comes and
// goes, as leafnodes do.
func (r *Registry) Remove(name string, labels ...string) {
	id := labelText(name, labels)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.families[name]; f != nil {
		delete(f.series, id)
	}
}

// get returns the metric of r with that name and those labels.
func get[M any](r *Registry, name, help string, k kind, labels []string, make func() *M) *M {
	id := labelText(name, labels)
	if r == nil {
		return make()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.family(name, help, k)
	if s, ok := f.series[id]; ok {
		m, ok := s.(*M)
		if !ok {
			panic(fmt.Sprintf("metrics: gauge %s%s is both set and read from a function", name, id))
		}
		return m
	}
	m := make()
	f.series[id] = m
	return m
}

// family returns the family called name. r.mu is held.
func (r *Registry) family(name, help string, k kind) *family {
	f := r.families[name]
	if f == nil {
		if !validName(name, true) {
			panic(fmt.Sprintf("metrics: invalid name %q", name))
		}
		f = &family{name: name, help: help, kind: k, series: map[string]any{}}
		r.families[name] = f
	}
	if f.kind != k {
		panic(fmt.Sprintf("metrics: %s is both %s and %s", name, f.kind, k))
	}
	return f
}

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Value returns the count so far.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Set makes v the value.
func (g *Gauge) Set(v float64) { g.v.set(v) }

// Add adds v, which may be negative.
func (g *Gauge) Add(v float64) { g.v.add(v) }

// Value returns the value last set, with what was added since.
func (g *Gauge) Value() float64 { return g.v.value() }

// Observe counts one observation of v.
func (s *Summary) Observe(v float64) {
	s.sum.add(v)
	s.count.Add(1)
}

// Since observes the seconds from t until now.
func (s *Summary) Since(t time.Time) { s.Observe(time.Since(t).Seconds()) }

// Sum returns the sum of all observations.
func (s *Summary) Sum() float64 { return s.sum.value() }

// Count returns how many observations there were.
func (s *Summary) Count() uint64 { return s.count.Load() }

// A number is a float64 that may be changed concurrently.
type number struct{ bits atomic.Uint64 }

func (n *number) set(v float64)  { n.bits.Store(math.Float64bits(v)) }
func (n *number) value() float64 { return math.Float64frombits(n.bits.Load()) }

func (n *number) add(v float64) {
	for {
		was := n.bits.Load()
		if n.bits.CompareAndSwap(was, math.Float64bits(math.Float64frombits(was)+v)) {
			return
		}
	}
}

// labelText returns labels as they are shown, sorted by name, and empty for none.
func labelText(metric string, labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	if len(labels)%2 != 0 {
		panic(fmt.Sprintf("metrics: %s has a label without a value: %q", metric, labels))
	}
	pairs := make([][2]string, 0, len(labels)/2)
	for i := 0; i < len(labels); i += 2 {
		if !validName(labels[i], false) {
			panic(fmt.Sprintf("metrics: %s has the invalid label %q", metric, labels[i]))
		}
		pairs = append(pairs, [2]string{labels[i], labels[i+1]})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })

	var b strings.Builder
	for i, p := range pairs {
		if i == 0 {
			b.WriteByte('{')
		} else {
			if p[0] == pairs[i-1][0] {
				panic(fmt.Sprintf("metrics: %s has the label %q twice", metric, p[0]))
			}
			b.WriteByte(',')
		}
		b.WriteString(p[0])
		b.WriteString(`="`)
		escape(&b, p[1], true)
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// validName reports whether name may name a metric or, without colons, a label.
func validName(name string, colon bool) bool {
	if name == "" || !colon && strings.HasPrefix(name, "__") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case c == ':' && colon:
		case '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return true
}
