package protocol_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/internal/protocol"
)

func signed(message string, made time.Time, ttl time.Duration) *protocol.Request {
	return &protocol.Request{ID: "same for all", Time: made, TTL: ttl, Digest: sha256.Sum256([]byte(message))}
}

func TestReplay(t *testing.T) {
	var r protocol.Replay
	start := time.Unix(1795351213, 0)
	a := signed("a", start, time.Minute)
	steps := []struct {
		name  string
		req   *protocol.Request
		after time.Duration
		first bool
		len   int
	}{
		{"first", a, 0, true, 1},
		{"again", a, 0, false, 1},
		{"again later", a, 59*time.Second + 999*time.Millisecond, false, 1},
		{"same id, signed again", signed("b", start.Add(time.Second), time.Minute), time.Minute, true, 2},
		{"the first has expired", signed("c", start.Add(62*time.Second), time.Minute), 61 * time.Second, true, 2},
		{"again", signed("b", start.Add(time.Second), time.Minute), 61 * time.Second, false, 2},
		{"from the future", signed("d", start.Add(120*time.Second), time.Minute), 62 * time.Second, true, 2},
		{"all have expired but one", signed("e", start, 10*time.Minute), 181 * time.Second, true, 1},
		{"all have expired", signed("f", start.Add(time.Hour), time.Minute), time.Hour, true, 1},
	}
	for _, s := range steps {
		if got := r.First(s.req, start.Add(s.after)); got != s.first || r.Len() != s.len {
			t.Errorf("%s: first %v and %d remembered, want %v and %d", s.name, got, r.Len(), s.first, s.len)
		}
	}
}

// TestReplaySigned holds what a client may do and what nobody may, with real messages.
func TestReplaySigned(t *testing.T) {
	var seen protocol.Replay
	open := func(r *protocol.Request) *protocol.Request {
		got, err := protocol.OpenRequest(&protocol.Transport{Version: protocol.V1, Data: seal(t, r)}, sealer{}, made)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r := newRequest()
	if !seen.First(open(r), made) {
		t.Error("a new request was refused")
	}
	if seen.First(open(r), made) {
		t.Error("the same request was accepted twice")
	}
	r.Time = r.Time.Add(time.Second)
	if !seen.First(open(r), made) {
		t.Error("a request signed again with the same id was refused")
	}
	r.Body = append(r.Body, ' ')
	if !seen.First(open(r), made) {
		t.Error("another request with the same id was refused")
	}
}

func TestReplayBound(t *testing.T) {
	r := protocol.Replay{Max: 100}
	start := time.Unix(1795351213, 0)
	for i := range 1000 {
		// In an order that a heap has to sort.
		ttl := time.Duration(30+(i*7919)%1000) * time.Second
		if !r.First(signed(fmt.Sprint(i), start, ttl), start) {
			t.Fatalf("request %d was refused", i)
		}
	}
	if r.Len() != 100 {
		t.Errorf("%d remembered, want 100", r.Len())
	}
	// Those that live longest are still known.
	for i := range 1000 {
		ttl := time.Duration(30+(i*7919)%1000) * time.Second
		if ttl >= 935*time.Second && r.First(signed(fmt.Sprint(i), start, ttl), start) {
			t.Errorf("request %d with ttl %v was forgotten", i, ttl)
		}
	}
	if !r.First(signed("x", start.Add(time.Hour), time.Minute), start.Add(time.Hour)) || r.Len() != 1 {
		t.Errorf("%d remembered after an hour, want 1", r.Len())
	}
}

func TestReplayConcurrent(t *testing.T) {
	var r protocol.Replay
	start := time.Unix(1795351213, 0)
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				if r.First(signed(fmt.Sprint(i), start, time.Minute), start) {
					first.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if first.Load() != 200 {
		t.Errorf("%d were first, want 200", first.Load())
	}
}

func BenchmarkReplay(b *testing.B) {
	var r protocol.Replay
	req := signed("x", time.Unix(1795351213, 0), time.Minute)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		req.Digest[0], req.Digest[1], req.Digest[2], req.Digest[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		req.Time = req.Time.Add(10 * time.Millisecond)
		r.First(req, req.Time)
	}
}
