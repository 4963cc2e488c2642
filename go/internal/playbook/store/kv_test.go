package store_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/streams"
)

// TestBucketLocksLive holds that a lock in a bucket ends after its own ttl, whatever that of the lock is for which the
// bucket was made.
func TestBucketLocksLive(t *testing.T) {
	t.Parallel()
	url := startBroker(t)
	env := environment(t, url)
	properties := func(ttl string) map[string]any {
		return map[string]any{"type": "kv", "bucket": "plans", "ttl": json.Number(ttl), "timeout": json.Number("100")}
	}
	long, err := env.Lock(t.Context(), "long", properties("86400"))
	if err != nil {
		t.Fatal(err)
	}
	holder, out := fighter{properties("2"), url, filepath.Join(t.TempDir(), "witness"), 0}.start(t)
	if !out.Scan() || out.Text() != "holding" {
		t.Fatalf("the holder says %q", out.Text())
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	lock, err := env.Lock(t.Context(), "fight", properties("86400"))
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := long.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBucketLocksOfOthers uses buckets whose locks have no lives of their own.
func TestBucketLocksOfOthers(t *testing.T) {
	t.Parallel()
	env := environment(t, startBroker(t))
	conn, err := env.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, ttl := range map[string]time.Duration{"old_LOCKS": time.Minute, "eternal_LOCKS": 0} {
		if _, err := conn.CreateBucket(t.Context(), streams.BucketConfig{Name: name, TTL: ttl}); err != nil {
			t.Fatal(err)
		}
	}
	var warned []string
	env.Warn = func(text string) { warned = append(warned, text) }
	properties := map[string]any{"type": "kv", "bucket": "old", "ttl": json.Number("30")}
	lock, err := env.Lock(t.Context(), "l", properties)
	if err != nil {
		t.Fatal(err)
	}
	want := "Lock l lives for 1m0s after its holder, not for the 30s of its ttl: so does all in bucket old_LOCKS"
	if got := strings.Join(warned, "; "); got != want {
		t.Errorf("warned of %q; want %q", got, want)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	properties["bucket"] = "eternal"
	want = `lock data item "plan_store/l": bucket "eternal_LOCKS" keeps values for ever: locks in it would outlive their holders`
	if _, err := env.Lock(t.Context(), "l", properties); err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
}
