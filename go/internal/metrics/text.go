package metrics

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ContentType is the content type of what WriteTo writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// WriteTo writes all metrics in the Prometheus text format 0.0.4, sorted by name and labels.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
func (r *Registry) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	for _, f := range r.snapshot() {
		ids := slices.Sorted(maps.Keys(f.series))
		if len(ids) == 0 {
			continue // all removed
		}
		b.WriteString("# HELP ")
		b.WriteString(f.name)
		b.WriteByte(' ')
		escape(&b, f.help, false)
		b.WriteString("\n# TYPE ")
		b.WriteString(f.name)
		b.WriteByte(' ')
		b.WriteString(string(f.kind))
		b.WriteByte('\n')
		for _, id := range ids {
			switch m := f.series[id].(type) {
			case *Counter:
				line(&b, f.name, id, strconv.FormatUint(m.Value(), 10))
			case *Gauge:
				line(&b, f.name, id, formatFloat(m.Value()))
			case func() float64:
				line(&b, f.name, id, formatFloat(m()))
			case *Summary:
				line(&b, f.name+"_sum", id, formatFloat(m.Sum()))
				line(&b, f.name+"_count", id, strconv.FormatUint(m.Count(), 10))
			}
		}
	}
	return b.WriteTo(w)
}

// snapshot returns the families by name as they are now, so that functions of gauges are called and
// a slow reader is waited for without the lock.
func (r *Registry) snapshot() []family {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	families := make([]family, 0, len(r.families))
	for _, name := range slices.Sorted(maps.Keys(r.families)) {
		f := *r.families[name]
		f.series = maps.Clone(f.series)
		families = append(families, f)
	}
	return families
}

func line(b *bytes.Buffer, name, labels, value string) {
	b.WriteString(name)
	b.WriteString(labels)
	b.WriteByte(' ')
	b.WriteString(value)
	b.WriteByte('\n')
}

// formatFloat formats v, infinities and NaN among it, as the text format has it.
func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// escape writes text as a help text or, with quotes, as the value of a label. What is not UTF-8 is
// replaced, since one such byte would make the whole page unreadable.
func escape(b interface {
	WriteByte(byte) error
	WriteString(string) (int, error)
}, text string, quotes bool) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '"' && quotes:
			b.WriteString(`\"`)
		default:
			b.WriteByte(c)
		}
	}
}
