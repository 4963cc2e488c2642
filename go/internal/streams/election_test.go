package streams_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"choria.io/choria/go/internal/streams"
)

// A candidate runs for the leadership.
type candidate struct {
	leading chan struct{} // closed when it leads
	enough  chan struct{} // closed to have it give up
	ended   chan error
}

func run(t *testing.T, b *streams.Bucket, name string) *candidate {
	c := &candidate{make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	e := &streams.Election{Bucket: b, Name: "x", Self: name}
	go func() {
		c.ended <- e.Lead(t.Context(), func(ctx context.Context) error {
			close(c.leading)
			select {
			case <-c.enough:
				return errEnough
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	return c
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var errEnough = errors.New("enough")

func (c *candidate) leads(t *testing.T) {
	t.Helper()
	select {
	case <-c.leading:
	case err := <-c.ended:
		t.Fatalf("ended with %v", err)
	case <-time.After(patience):
		t.Fatalf("does not lead within %v", patience)
	}
}

// TestElection has one leader after the other: the first gives up, from the second it is taken away.
func TestElection(t *testing.T) {
	t.Parallel()
	b := bucket(t, streams.BucketConfig{Name: streams.Elections, TTL: time.Hour, MaxValue: 1024})
	first := run(t, b, "first")
	first.leads(t)
	if entry, err := b.Get(limited(t), "x"); err != nil || string(entry.Value) != "first" {
		t.Errorf("value %q, %v", entry.Value, err)
	}
	second := run(t, b, "second")
	select {
	case <-second.leading:
		t.Error("two leaders")
	case <-time.After(100 * time.Millisecond):
	}
	close(first.enough)
	if err := <-first.ended; err != errEnough {
		t.Errorf("the first ended with %v", err)
	}
	second.leads(t)
	if err := b.Delete(limited(t), "x", 0); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-second.ended:
		if !errors.Is(err, streams.ErrLost) {
			t.Errorf("the second ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the second is not told")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&streams.Election{Bucket: b, Name: "x", Self: "third"}).Lead(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("ended before: %v", err)
	}
}

// TestElectionExpires leads when one that was killed does not write its value again, and then does so
// itself.
func TestElectionExpires(t *testing.T) {
	t.Parallel()
	b := bucket(t, streams.BucketConfig{Name: streams.Elections, TTL: 2 * time.Second})
	killed, err := b.Put(limited(t), "x", []byte("killed"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil { // where the machine stands still for too long, it has to begin again
			_ = (&streams.Election{Bucket: b, Name: "x", Self: "next"}).Lead(ctx, func(ctx context.Context) error {
				<-ctx.Done()
				return nil
			})
		}
	}()
	until(t, "it leads, and stays", func() bool {
		entry, err := b.Get(limited(t), "x")
		return err == nil && string(entry.Value) == "next" && entry.Revision > killed+2
	})
	stop()
	<-ended
	until(t, "nobody leads", func() bool {
		_, err := b.Get(limited(t), "x")
		return errors.Is(err, streams.ErrNotFound)
	})
}

// TestElectionForEver refuses a bucket in which a dead leader would lead for ever.
func TestElectionForEver(t *testing.T) {
	t.Parallel()
	b := bucket(t, streams.BucketConfig{Name: "FOREVER"})
	err := (&streams.Election{Bucket: b, Name: "x", Self: "a"}).Lead(limited(t), func(context.Context) error { return nil })
	if err == nil || err.Error() != `election "x": values of bucket "FOREVER" do not expire, the leader could never be another one` {
		t.Errorf("%v", err)
	}
}
