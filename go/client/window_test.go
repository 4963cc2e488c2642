package client

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	tests := []struct {
		name    string
		answers []int // milliseconds after the start
		end     int   // -1: open
	}{
		{"nobody", nil, -1},
		{"quick network", []int{8, 10, 15}, 315},
		{"slow first answer", []int{200, 210}, 210 + 800},
		{"a gap counts as much as the first answer", []int{10, 160, 170}, 170 + 600},
		{"answers that take long", []int{100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800, 1900, 2000}, 2000 + 500},
		{"a window never shrinks", []int{500, 501, 502, 503}, 503 + 2000},
	}
	for _, tt := range tests {
		start := time.Unix(1000, 0)
		w := window{start: start}
		for _, at := range tt.answers {
			w.answer(start.Add(ms(at)))
		}
		end, ok := w.end()
		if ok != (tt.end >= 0) || ok && end.Sub(start) != ms(tt.end) {
			t.Errorf("%s: ends after %v, %v; want %d ms", tt.name, end.Sub(start), ok, tt.end)
		}
	}
}
