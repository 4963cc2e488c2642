package streams_test

import (
	"errors"
	"testing"
	"time"

	"choria.io/choria/go/internal/streams"
)

// TestLives holds that each key of a bucket lives as long as it is to, counted from its last value.
func TestLives(t *testing.T) {
	ctx := limited(t)
	b := bucket(t, streams.BucketConfig{Name: "lives", KeyTTL: true})
	if info := must[streams.BucketInfo](t)(b.Info(ctx)); !info.KeyTTL || info.TTL != 0 {
		t.Errorf("bucket %+v", info)
	}
	long := streams.Life{Bucket: b, Key: "long", TTL: time.Hour}
	first := must[uint64](t)(long.Create(ctx, []byte("1")))
	if _, err := long.Create(ctx, []byte("2")); !errors.Is(err, streams.ErrExists) {
		t.Errorf("second create: %v", err)
	}
	second := must[uint64](t)(long.Update(ctx, []byte("2"), first))
	if _, err := long.Update(ctx, []byte("3"), first); !errors.Is(err, streams.ErrConflict) {
		t.Errorf("update of an old revision: %v", err)
	}
	if err := long.Delete(ctx, first); !errors.Is(err, streams.ErrConflict) {
		t.Errorf("delete of an old revision: %v", err)
	}

	// One is created for a second, one is created for an hour and then written for a second.
	short := streams.Life{Bucket: b, Key: "short", TTL: time.Second}
	must[uint64](t)(short.Create(ctx, []byte("1")))
	shortened := streams.Life{Bucket: b, Key: "shortened", TTL: time.Hour}
	revision := must[uint64](t)(shortened.Create(ctx, []byte("1")))
	shortened.TTL = time.Second
	must[uint64](t)(shortened.Update(ctx, []byte("2"), revision))
	for _, life := range []streams.Life{short, shortened} {
		for {
			_, err := b.Get(ctx, life.Key)
			if errors.Is(err, streams.ErrNotFound) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", life.Key, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		life.TTL = time.Hour
		must[uint64](t)(life.Create(ctx, []byte("again"))) // of what has ended, and has left a mark
	}
	if e := must[streams.Entry](t)(b.Get(ctx, "long")); string(e.Value) != "2" || e.Revision != second {
		t.Errorf("the one that lives: %+v", e)
	}
	if err := long.Delete(ctx, second); err != nil {
		t.Error(err)
	}
	must[uint64](t)(long.Create(ctx, []byte("new")))
}
