package broker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/lifecycle"
)

// said returns an event as it is published.
func said(t testing.TB, kind lifecycle.Type, identity, component, version string) []byte {
	t.Helper()
	e := lifecycle.New(kind, identity, component)
	e.Version, e.NewVersion = version, version
	e.Governor, e.GovernorEvent = "cron", lifecycle.Enter
	data, err := lifecycle.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// page returns the metrics of r without comments.
func page(t testing.TB, r *metrics.Registry) string {
	t.Helper()
	var b, out strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if line[0] != '#' {
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestTally(t *testing.T) {
	r := metrics.New()
	var logged bytes.Buffer
	y := newTally("b1", r, slog.New(slog.NewTextHandler(&logged, nil)))
	holds := func(want ...string) {
		t.Helper()
		got := page(t, r)
		for _, w := range want {
			if w, gone := strings.CutPrefix(w, "no "); gone == strings.Contains(got, "choria_lifecycle_"+w) {
				t.Errorf("want %t for %s in\n%s", !gone, w, got)
			}
		}
	}
	holds(`nodes_vanished{component="server",identity="b1"} 0`, `events{component="server",identity="b1",type="alive"} 0`,
		`errors{identity="b1",reason="invalid"} 0`)

	start := time.Now()
	y.event(said(t, lifecycle.Startup, "n1", "server", "1.0"), start)
	y.event(said(t, lifecycle.Startup, "n2", "server", "1.0"), start)
	y.event(said(t, lifecycle.Startup, "n3", "server", "1.0"), start)
	y.event(said(t, lifecycle.Startup, "n4", "provision_mode_server", "1.0"), start)
	y.event([]byte("{}"), start)
	holds(`nodes{component="server",identity="b1",version="1.0"} 3`, `errors{identity="b1",reason="invalid"} 1`,
		`events{component="server",identity="b1",type="startup"} 3`, `nodes{component="provision_mode_server",identity="b1",version="1.0"} 1`)

	// One lives on, with another version, one stops, one goes on as another component, one says no more.
	later := start.Add(vanishedAfter - time.Second)
	y.event(said(t, lifecycle.Upgraded, "n1", "server", "1.1"), later)
	y.event(said(t, lifecycle.Shutdown, "n2", "server", ""), later)
	y.event(said(t, lifecycle.Provisioned, "n4", "provision_mode_server", ""), later)
	y.event(said(t, lifecycle.Governor, "n3", "server", ""), later) // not of the node itself
	y.sweep(later)
	holds(`nodes{component="server",identity="b1",version="1.0"} 1`, `nodes{component="server",identity="b1",version="1.1"} 1`,
		`no nodes{component="provision_mode_server"`, `nodes_vanished{component="server",identity="b1"} 0`)
	y.sweep(start.Add(vanishedAfter))
	holds(`no nodes{component="server",identity="b1",version="1.0"}`, `nodes{component="server",identity="b1",version="1.1"} 1`,
		`nodes_vanished{component="server",identity="b1"} 1`, `nodes_vanished{component="provision_mode_server",identity="b1"} 0`)
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="node vanished" identity=n3 component=server`) {
		t.Errorf("logged %s", got)
	}

	// It comes back, and vanishes again.
	y.event(said(t, lifecycle.Alive, "n3", "server", "1.0"), later.Add(time.Hour))
	holds(`nodes{component="server",identity="b1",version="1.0"} 1`)
	y.sweep(later.Add(24 * time.Hour))
	holds(`no nodes{`, `nodes_vanished{component="server",identity="b1"} 3`)
}

// Whoever may publish events may say anything in them.
func TestTallyIsBounded(t *testing.T) {
	r := metrics.New()
	var logged bytes.Buffer
	y := newTally("b1", r, slog.New(slog.NewTextHandler(&logged, nil)))
	now := time.Now()
	for i := range 1000 {
		y.event(said(t, lifecycle.Alive, fmt.Sprint("n", i), fmt.Sprint("c", i), fmt.Sprint("v", i)), now)
		y.event(said(t, lifecycle.Alive, fmt.Sprint("n", i), "server", fmt.Sprint("v", i)), now)
	}
	y.event(said(t, lifecycle.Alive, strings.Repeat("n", maxIdentity+1), "server", "1.0"), now)
	y.event(said(t, lifecycle.Alive, "long", strings.Repeat("c", maxWord+1), strings.Repeat("v", maxWord+1)), now)
	got := page(t, r)
	if n := strings.Count(got, "\n"); n > maxVersions+8*maxComponents+20 {
		t.Errorf("%d lines of metrics: %s", n, got)
	}
	for _, want := range []string{`choria_lifecycle_errors{identity="b1",reason="invalid"} 1`, `choria_lifecycle_nodes{component="server",identity="b1",version="other"} `,
		`choria_lifecycle_events{component="other",identity="b1",type="alive"} `} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	y.sweep(now.Add(24 * time.Hour))
	if len(y.seen) != 0 || y.versions != 0 || strings.Contains(page(t, r), "choria_lifecycle_nodes{") {
		t.Errorf("%d nodes and %d versions are left", len(y.seen), y.versions)
	}
	if n := strings.Count(logged.String(), "\n"); n != maxNamed+1 {
		t.Errorf("%d lines logged for many nodes, want %d", n, maxNamed+1)
	}
}

func TestTallyKeepsSoManyNodes(t *testing.T) {
	y := newTally("b1", nil, slog.New(slog.DiscardHandler))
	for i := range maxSighted {
		y.seen[program{fmt.Sprint(i), "server"}] = sighting{version: &version{}}
	}
	y.event(said(t, lifecycle.Alive, "late", "server", "1.0"), time.Now())
	if y.unknown.Value() != 1 || len(y.seen) != maxSighted {
		t.Errorf("%d beyond the limit, %d kept; want 1 and %d", y.unknown.Value(), len(y.seen), maxSighted)
	}
}

func FuzzTallyEvent(f *testing.F) {
	f.Add(said(f, lifecycle.Startup, "n1", "server", "1.0"))
	f.Add(said(f, lifecycle.Governor, "n1", "server", "1.0"))
	y := newTally("b1", metrics.New(), slog.New(slog.DiscardHandler))
	now := time.Now()
	f.Fuzz(func(t *testing.T, data []byte) {
		y.event(data, now)
		now = now.Add(time.Minute)
		y.sweep(now)
		if y.versions > maxVersions+maxComponents+1 || len(y.components) > maxComponents+1 {
			t.Errorf("%d versions, %d components", y.versions, len(y.components))
		}
	})
}

func BenchmarkTallyEvent(b *testing.B) {
	y := newTally("b1", metrics.New(), slog.New(slog.DiscardHandler))
	data := said(b, lifecycle.Alive, "n1.example.net", "server", "1.0")
	b.ReportAllocs()
	for b.Loop() {
		y.event(data, time.Now())
	}
}
