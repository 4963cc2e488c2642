package metrics_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/vectors"
)

func text(t testing.TB, r *metrics.Registry) string {
	t.Helper()
	var b bytes.Buffer
	n, err := r.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo = %d, %v; wrote %d bytes", n, err, b.Len())
	}
	return b.String()
}

func TestText(t *testing.T) {
	r := metrics.New()
	r.Counter("z_total", "last by name").Add(math.MaxUint64)
	r.Gauge("temperature", "one\nline with a \\ and a \"quote\"", "room", "attic\n\"\\\xff", "building", "a").Set(-1.5)
	r.Gauge("temperature", "another text", "building", "a", "room", "attic").Set(1406313)
	r.GaugeFunc("weird", "NaN and infinity", func() float64 { return math.NaN() }, "n", "1")
	r.Gauge("weird", "", "n", "2").Set(math.Inf(1))
	r.Gauge("weird", "", "n", "3").Set(math.Inf(-1))
	s := r.Summary("duration", "seconds", "n", "1")
	s.Observe(0.25)
	s.Observe(2)
	r.Gauge("gone", "removed").Set(1)
	r.Remove("gone")

	want := `# HELP duration seconds
# TYPE duration summary
duration_sum{n="1"} 2.25
duration_count{n="1"} 2
# HELP temperature one\nline with a \\ and a "quote"
# TYPE temperature gauge
temperature{building="a",room="attic"} 1.406313e+06
temperature{building="a",room="attic\n\"\\` + "\uFFFD" + `"} -1.5
# HELP weird NaN and infinity
# TYPE weird gauge
weird{n="1"} NaN
weird{n="2"} +Inf
weird{n="3"} -Inf
# HELP z_total last by name
# TYPE z_total counter
z_total 18446744073709551615
`
	if got := text(t, r); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	promtool(t, text(t, r))
}

// promtool holds text against the parser of Prometheus where that is installed. What it says about
// style (no _total and the like) is about names that are as they are.
func promtool(t *testing.T, text string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		return
	}
	cmd := exec.Command(path, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 3) { // 3: style
		t.Errorf("promtool: %v\n%s\n%s", err, out, text)
	}
}

// What real peers expose is rebuilt line by line from its parts and must come out the same.
func TestPeerPages(t *testing.T) {
	sample := regexp.MustCompile(`^([a-z_]+?)(_sum|_count)?(?:\{(.*)\})? (\S+)$`)
	label := regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	for _, name := range []string{"adapters", "federation", "network_broker"} {
		page, err := os.ReadFile(filepath.Join(vectors.Dir(t), "metrics", name+".prom"))
		if err != nil {
			t.Fatal(err)
		}
		r := metrics.New()
		help, kinds := map[string]string{}, map[string]string{}
		for line := range strings.Lines(string(page)) {
			line = strings.TrimSuffix(line, "\n")
			if f := strings.SplitN(line, " ", 4); f[0] == "#" {
				if f[1] == "HELP" {
					help[f[2]] = f[3]
				} else {
					kinds[f[2]] = f[3]
				}
				continue
			}
			m := sample.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s: unexpected line %q", name, line)
			}
			var labels []string
			for _, l := range label.FindAllStringSubmatch(m[3], -1) {
				labels = append(labels, l[1], l[2])
			}
			var v float64
			fmt.Sscan(m[4], &v)
			switch kinds[m[1]] {
			case "counter":
				r.Counter(m[1], help[m[1]], labels...).Add(uint64(v))
			case "gauge":
				r.Gauge(m[1], help[m[1]], labels...).Set(v)
			case "summary":
				// One observation of the sum, and of nothing for the rest of the count.
				s := r.Summary(m[1], help[m[1]], labels...)
				if m[2] == "_sum" {
					s.Observe(v)
					break
				}
				if v == 0 {
					r.Remove(m[1], labels...)
					r.Summary(m[1], help[m[1]], labels...)
				}
				for s.Count() < uint64(v) {
					s.Observe(0)
				}
			default:
				t.Fatalf("%s: no type for %q", name, line)
			}
		}
		if got := text(t, r); got != string(page) {
			t.Errorf("%s: got:\n%s\nwant:\n%s", name, got, page)
		}
		promtool(t, string(page))
	}
}

func TestSameMetric(t *testing.T) {
	r := metrics.New()
	if a, b := r.Counter("c", "", "a", "1", "b", "2"), r.Counter("c", "", "b", "2", "a", "1"); a != b {
		t.Error("the order of labels made another counter")
	}
	if a, b := r.Counter("c", "", "a", "1"), r.Counter("c", "", "a", "2"); a == b {
		t.Error("another value of a label is the same counter")
	}
}

func TestNilRegistry(t *testing.T) {
	var r *metrics.Registry
	c := r.Counter("c", "")
	c.Inc()
	c.Add(2)
	g := r.Gauge("g", "")
	g.Set(2)
	g.Add(-0.5)
	s := r.Summary("s", "")
	s.Since(time.Now().Add(-time.Hour))
	r.GaugeFunc("f", "", func() float64 { return 1 })
	r.Remove("c")
	if c.Value() != 3 || g.Value() != 1.5 || s.Count() != 1 || s.Sum() < 3600 {
		t.Errorf("counter %d, gauge %v, summary %v of %d", c.Value(), g.Value(), s.Sum(), s.Count())
	}
	if got := text(t, r); got != "" {
		t.Errorf("a nil registry shows %q", got)
	}
}

func TestPanics(t *testing.T) {
	for name, f := range map[string]func(r *metrics.Registry){
		"two types":      func(r *metrics.Registry) { r.Counter("a", ""); r.Gauge("a", "") },
		"func and value": func(r *metrics.Registry) { r.GaugeFunc("a", "", nil); r.Gauge("a", "") },
		"odd labels":     func(r *metrics.Registry) { r.Counter("a", "", "x") },
		"label twice":    func(r *metrics.Registry) { r.Counter("a", "", "x", "1", "x", "2") },
		"no name":        func(r *metrics.Registry) { r.Counter("", "") },
		"bad name":       func(r *metrics.Registry) { r.Counter("a-b", "") },
		"bad label":      func(r *metrics.Registry) { r.Counter("a", "", "x:y", "1") },
		"reserved label": func(r *metrics.Registry) { r.Counter("a", "", "__x", "1") },
		"digit in front": func(r *metrics.Registry) { r.Counter("1a", "") },
		"odd, nil":       func(*metrics.Registry) { (*metrics.Registry)(nil).Counter("a", "", "x") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f(metrics.New())
		}()
	}
}

func TestConcurrent(t *testing.T) {
	r := metrics.New()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				r.Counter("c", "", "n", "1").Inc()
				r.Gauge("g", "").Add(1)
				r.Summary("s", "").Observe(0.5)
			}
			text(t, r)
		})
	}
	wg.Wait()
	if c, g, s := r.Counter("c", "", "n", "1").Value(), r.Gauge("g", "").Value(), r.Summary("s", ""); c != 8000 || g != 8000 || s.Count() != 8000 || s.Sum() != 4000 {
		t.Errorf("counter %d, gauge %v, summary %v of %d; want 8000, 8000, 4000 of 8000", c, g, s.Sum(), s.Count())
	}
}

func TestNoAllocations(t *testing.T) {
	r := metrics.New()
	c, g, s := r.Counter("c", ""), r.Gauge("g", ""), r.Summary("s", "")
	start := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		c.Inc()
		c.Add(2)
		g.Set(1)
		g.Add(1)
		s.Observe(1)
		s.Since(start)
	}); n != 0 {
		t.Errorf("counting allocates %v times, want 0", n)
	}
}

func BenchmarkCounter(b *testing.B) {
	c := metrics.New().Counter("c", "")
	b.ReportAllocs()
	for b.Loop() {
		c.Inc()
	}
}

func BenchmarkSummary(b *testing.B) {
	s := metrics.New().Summary("s", "")
	b.ReportAllocs()
	for b.Loop() {
		s.Observe(1)
	}
}
