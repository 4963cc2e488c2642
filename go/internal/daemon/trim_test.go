package daemon

import "testing"

func TestTrimmer(t *testing.T) {
	const mb = 1 << 20
	var tr trimmer
	steps := []struct {
		what            string
		allocated, used uint64
		want            bool
	}{
		{"starting", 100 * mb, 80 * mb, false},
		{"still busy", 200 * mb, 90 * mb, false},
		{"quiet", 200*mb + 1000, 90 * mb, true},
		{"nothing since", 200*mb + 3000, 40 * mb, false},
		{"little since", 202 * mb, 41 * mb, false},
		{"a burst", 230 * mb, 60 * mb, false},
		{"quiet again", 230*mb + 5000, 60 * mb, true},
	}
	for _, s := range steps {
		got := tr.due(s.allocated, s.used)
		if got != s.want {
			t.Errorf("%s: due is %v, want %v", s.what, got, s.want)
		}
		if got {
			tr.done(s.allocated, s.used)
		}
	}
}

// What the runtime is asked for exists, and means what it is taken for.
func TestHeap(t *testing.T) {
	before, _ := heap()
	kept := make([]byte, 1<<20)
	after, used := heap()
	if after-before < uint64(len(kept)) || used < uint64(len(kept)) {
		t.Errorf("1 MiB allocated: %d bytes more, %d in use", after-before, used)
	}
}
