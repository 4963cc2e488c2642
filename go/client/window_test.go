package client

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
)

func TestWindow(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	tests := []struct {
		name    string
		floor   int   // milliseconds
		least   int   // milliseconds
		answers []int // milliseconds after the start
		end     int   // -1: open
	}{
		{"nobody", 0, 0, nil, -1},
		{"quick network", 0, 0, []int{8, 10, 15}, 315},
		{"nodes that have to load something", 3000, 0, []int{8, 10, 15}, 3015},
		{"slow first answer", 0, 0, []int{200, 210}, 210 + 800},
		{"a gap counts as much as the first answer", 0, 0, []int{10, 160, 170}, 170 + 600},
		{"answers that take long", 0, 0, []int{100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2000}, 2000 + 500},
		{"a window never shrinks", 0, 0, []int{500, 501, 502, 503}, 503 + 2000},
		{"a ping of a quick network", 0, 2000, []int{8, 10, 15}, 2000},
		{"a ping whose answers have not dried up", 0, 2000, []int{100, 500, 1000, 1500, 1990}, 1990 + 2000},
	}
	for _, tt := range tests {
		start := time.Unix(1000, 0)
		w := window{floor: ms(tt.floor), least: ms(tt.least), start: start}
		for _, at := range tt.answers {
			w.answer(start.Add(ms(at)))
		}
		end, ok := w.end()
		if ok != (tt.end >= 0) || ok && end.Sub(start) != ms(tt.end) {
			t.Errorf("%s: ends after %v, %v; want %d ms", tt.name, end.Sub(start), ok, tt.end)
		}
	}
}

// Nodes that have to load a data plugin get time for it.
func TestSlowness(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mcollective", "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	description := `{"metadata":{"name":"resource","description":"d","author":"a","license":"l","version":"1.0","url":"u","timeout":5},
		"query":null,"output":{}}`
	if err := os.WriteFile(filepath.Join(dir, "resource.json"), []byte(description), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Client{finder: &ddl.Finder{Dirs: []string{filepath.Dir(filepath.Dir(dir))}}, log: slog.New(slog.DiscardHandler)}
	tests := []struct {
		expr string
		want time.Duration
	}{
		{`with("apache") and fact("os.family") == "Debian" and len(agents) > 3`, 0},
		{`fstat("/etc/motd").present == 1 || choria().uptime > 10`, 0},
		{`resource("File[/etc/motd]").managed`, dataLoading + 5*time.Second},
		{`any(classes, {# == "a"}) && (fact("x") == 1 || mount("/srv").mounted)`, dataLoading + time.Second},
		{`resource(`, 0},
	}
	for _, tt := range tests {
		if got := c.slowness(filter.Filter{Compound: []filter.Compound{{Expr: tt.expr}}}); got != tt.want {
			t.Errorf("%s: %v; want %v", tt.expr, got, tt.want)
		}
	}
}
