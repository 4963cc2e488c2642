package broker

import "testing"

func TestAffordable(t *testing.T) {
	tests := []struct {
		most  int
		files uint64
		want  int
	}{
		{50_000, 1 << 40, 50_000},
		{50_000, 50_200, 50_000},
		{50_000, 50_199, 49_999},
		{50_000, 20_000, 19_800},
		{50_000, 1024, 824},
		{50_000, 256, 128}, // half, since the usual spare would leave next to nothing
		{50_000, 10, 5},
		{100, 1024, 100},
	}
	for _, tt := range tests {
		if got := affordable(tt.most, tt.files); got != tt.want {
			t.Errorf("affordable(%d, %d) = %d; want %d", tt.most, tt.files, got, tt.want)
		}
	}
}
