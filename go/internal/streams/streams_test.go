package streams_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// patience is how long anything may take on a busy machine before a test gives up on it.
const patience = time.Minute

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// open runs a broker with streams and returns a connection to it, both until the test ends.
func open(t testing.TB) *streams.Conn {
	t.Helper()
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1",
		"plugin.choria.network.stream.store", t.TempDir(),
		"plugin.choria.network.stream.manage_streams", "false"), broker.Options{})
	conn, err := transport.Connect(limited(t), transport.Options{Servers: []string{b.URL()}, ConnectTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = conn.Close(ctx) // the broker goes first
	})
	return streams.On(conn)
}

func bucket(t testing.TB, c streams.BucketConfig) *streams.Bucket {
	t.Helper()
	b, err := open(t).CreateBucket(limited(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestBucketValues(t *testing.T) {
	ctx := limited(t)
	b := bucket(t, streams.BucketConfig{Name: "config", History: 3})
	if _, err := b.Get(ctx, "a"); !errors.Is(err, streams.ErrNotFound) || err.Error() != `bucket "config", key "a": not found` {
		t.Errorf("get of nothing: %v", err)
	}
	first := must[uint64](t)(b.Create(ctx, "a", []byte("1")))
	if _, err := b.Create(ctx, "a", []byte("2")); !errors.Is(err, streams.ErrExists) {
		t.Errorf("second create: %v", err)
	}
	second := must[uint64](t)(b.Update(ctx, "a", []byte("2"), first))
	if _, err := b.Update(ctx, "a", []byte("3"), first); !errors.Is(err, streams.ErrConflict) {
		t.Errorf("update of an old revision: %v", err)
	}
	if e := must[streams.Entry](t)(b.Get(ctx, "a")); string(e.Value) != "2" || e.Revision != second || e.Key != "a" || e.Bucket != "config" || time.Since(e.Created) > time.Hour {
		t.Errorf("get: %+v", e)
	}
	if e := must[streams.Entry](t)(b.GetRevision(ctx, "a", first)); string(e.Value) != "1" {
		t.Errorf("first revision: %+v", e)
	}
	if err := b.Delete(ctx, "a", first); !errors.Is(err, streams.ErrConflict) {
		t.Errorf("delete of an old revision: %v", err)
	}
	if err := b.Delete(ctx, "a", second); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := b.Get(ctx, "a"); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("get of a deleted key: %v", err)
	}
	must[uint64](t)(b.Create(ctx, "a", []byte("again"))) // which a deleted key allows
	if err := b.Delete(ctx, "never.was", 0); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	for _, key := range []string{"", ".a", "a.", "a b", "a*", "ä"} {
		if _, err := b.Put(ctx, key, nil); err == nil || !strings.Contains(err.Error(), "want letters") {
			t.Errorf("put %q: %v", key, err)
		}
	}
}

func TestKeys(t *testing.T) {
	ctx := limited(t)
	b := bucket(t, streams.BucketConfig{Name: "config"})
	if keys := must[[]string](t)(b.Keys(ctx, "")); len(keys) != 0 {
		t.Errorf("keys of an empty bucket: %v", keys)
	}
	for _, key := range []string{"b", "app.x", "app.y", "gone"} {
		must[uint64](t)(b.Put(ctx, key, []byte(key)))
	}
	if err := b.Delete(ctx, "gone", 0); err != nil {
		t.Fatal(err)
	}
	if keys := must[[]string](t)(b.Keys(ctx, "")); !slices.Equal(keys, []string{"app.x", "app.y", "b"}) {
		t.Errorf("keys: %v", keys)
	}
	if keys := must[[]string](t)(b.Keys(ctx, "app.*")); !slices.Equal(keys, []string{"app.x", "app.y"}) {
		t.Errorf("keys of app.*: %v", keys)
	}
}

func TestBuckets(t *testing.T) {
	ctx := limited(t)
	s := open(t)
	if _, err := s.Bucket(ctx, "locks"); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	if _, err := s.CreateBucket(ctx, streams.BucketConfig{Name: "a.b"}); err == nil || !strings.Contains(err.Error(), "want letters") {
		t.Errorf("a bad name: %v", err)
	}
	if _, err := s.CreateBucket(ctx, streams.BucketConfig{Name: "x", History: 65}); err == nil || !strings.Contains(err.Error(), "want 1 to 64") {
		t.Errorf("a long history: %v", err)
	}
	if _, err := s.CreateBucket(ctx, streams.BucketConfig{Name: "x", Replicas: 3}); err == nil {
		t.Error("three copies on one broker")
	}
	must[*streams.Bucket](t)(s.CreateBucket(ctx, streams.BucketConfig{Name: "locks", TTL: time.Minute, Description: "of plans"}))
	again := must[*streams.Bucket](t)(s.CreateBucket(ctx, streams.BucketConfig{Name: "locks", TTL: time.Hour}))
	if i := must[streams.BucketInfo](t)(again.Info(ctx)); i.TTL != time.Minute || i.Description != "of plans" || i.Replicas != 1 || i.History != 1 {
		t.Errorf("bucket: %+v", i)
	}
	must[*streams.Bucket](t)(s.CreateBucket(ctx, streams.BucketConfig{Name: "data"}))
	all := must[[]streams.BucketInfo](t)(s.Buckets(ctx))
	if len(all) != 2 || all[0].Name != "data" || all[1].Name != "locks" {
		t.Errorf("buckets: %+v", all)
	}
	if err := s.DeleteBucket(ctx, "data"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteBucket(ctx, "data"); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("second delete: %v", err)
	}
}

// TestValuesExpire is what locks rest on.
func TestValuesExpire(t *testing.T) {
	ctx := limited(t)
	b := bucket(t, streams.BucketConfig{Name: "locks", TTL: time.Second})
	start := time.Now()
	must[uint64](t)(b.Create(ctx, "deploy", []byte("alice")))
	for {
		if _, err := b.Create(ctx, "deploy", []byte("bob")); err == nil {
			break
		} else if !errors.Is(err, streams.ErrExists) {
			t.Fatal(err)
		}
		if time.Since(start) > patience {
			t.Fatal("the value does not expire")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("the value expired after %v, want 1 s", took)
	}
}

// TestOneOfManyCreates has many create the same key at the same time.
func TestOneOfManyCreates(t *testing.T) {
	ctx := limited(t)
	b := bucket(t, streams.BucketConfig{Name: "locks"})
	var wg sync.WaitGroup
	won := make(chan int, 20)
	for i := range 20 {
		wg.Go(func() {
			if _, err := b.Create(ctx, "deploy", fmt.Append(nil, i)); err == nil {
				won <- i
			} else if !errors.Is(err, streams.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d have the lock", len(won))
	}
	if e := must[streams.Entry](t)(b.Get(ctx, "deploy")); string(e.Value) != fmt.Sprint(<-won) {
		t.Errorf("it has the value of another: %s", e.Value)
	}
}

func TestWatch(t *testing.T) {
	b := bucket(t, streams.BucketConfig{Name: "config"})
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	must[uint64](t)(b.Put(ctx, "a", []byte("1")))
	must[uint64](t)(b.Put(ctx, "b", []byte("other")))
	var got []string
	for e, err := range b.Watch(ctx, streams.Watch{Key: "a"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s=%s %v", e.Key, e.Value, e.Deleted))
		switch len(got) {
		case 1:
			must[uint64](t)(b.Put(ctx, "a", []byte("2")))
		case 2:
			if err := b.Delete(ctx, "a", 0); err != nil {
				t.Fatal(err)
			}
		case 3:
			cancel() // as an interrupt does
		}
	}
	if want := []string{"a=1 false", "a=2 false", "a= true"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// stream makes a stream of the subjects t.> with n messages, on t.0, t.1 and t.2 in turn.
func stream(t testing.TB, n int) *streams.Conn {
	t.Helper()
	s := open(t)
	if change, err := s.Ensure(limited(t), streams.Definition{Name: "T", Subjects: []string{"t.>"}}); err != nil || change != streams.Created {
		t.Fatalf("%s, %v", change, err)
	}
	for i := range n {
		if err := s.Transport().Publish(fmt.Sprintf("t.%d", i%3), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		i := must[streams.StreamInfo](t)(s.Stream(limited(t), "T"))
		if i.Messages == uint64(n) {
			return s
		}
		time.Sleep(time.Millisecond)
	}
}

func TestMessages(t *testing.T) {
	const n = 1000
	s := stream(t, n)
	read := func(v streams.View) (data []string) {
		t.Helper()
		for m, err := range s.Messages(limited(t), "T", v) {
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, string(m.Data))
		}
		return data
	}
	if got := read(streams.View{}); len(got) != n || got[0] != "0" || got[n-1] != "999" {
		t.Errorf("all: %d messages", len(got))
	}
	if got := read(streams.View{Last: 3}); !slices.Equal(got, []string{"997", "998", "999"}) {
		t.Errorf("last 3: %v", got)
	}
	if got := read(streams.View{Last: 3, Subject: "t.1"}); !slices.Equal(got, []string{"991", "994", "997"}) {
		t.Errorf("last 3 of t.1: %v", got)
	}
	if got := read(streams.View{Last: 2 * n}); len(got) != n {
		t.Errorf("more than there are: %d", len(got))
	}
	if got := read(streams.View{Last: n / 2, Subject: "t.1"}); len(got) != 333 || got[0] != "1" {
		t.Errorf("more of t.1 than there are: %d", len(got))
	}
	if got := read(streams.View{Subject: "t.none"}); len(got) != 0 {
		t.Errorf("of no subject: %v", got)
	}
	if got := read(streams.View{Since: time.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("of the future: %d", len(got))
	}
	if got := read(streams.View{Since: time.Now().Add(-time.Hour), Last: 2}); !slices.Equal(got, []string{"998", "999"}) {
		t.Errorf("last 2 of an hour: %v", got)
	}
	for _, err := range s.Messages(limited(t), "NONE", streams.View{}) {
		if !errors.Is(err, streams.ErrNotFound) || err.Error() != `stream "NONE": not found` {
			t.Errorf("no stream: %v", err)
		}
	}
	for m, err := range s.Messages(limited(t), "T", streams.View{}) { // who has enough goes
		if err != nil || m.Sequence != 1 || m.Subject != "t.0" || m.Time.IsZero() {
			t.Errorf("first: %+v, %v", m, err)
		}
		break
	}
}

func TestFollow(t *testing.T) {
	s := stream(t, 5)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	var got []string
	for m, err := range s.Messages(ctx, "T", streams.View{Last: 1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Data))
		if len(got) == 3 {
			cancel()
			continue
		}
		if err := s.Transport().Publish("t.0", fmt.Appendf(nil, "new %d", len(got))); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"4", "new 1", "new 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEnsure keeps what others have set.
func TestEnsure(t *testing.T) {
	ctx := limited(t)
	s := stream(t, 1)
	d := streams.Definition{Name: "T", Subjects: []string{"t.>"}}
	if change, err := s.Ensure(ctx, d); err != nil || change != streams.Unchanged {
		t.Errorf("the same: %s, %v", change, err)
	}
	d.MaxAge = time.Minute // less than the time in which repeats are noticed
	d.From, d.To = "t.>", "u.>"
	if change, err := s.Ensure(ctx, d); err != nil || change != streams.Updated {
		t.Errorf("another age: %s, %v", change, err)
	}
	if i := must[streams.StreamInfo](t)(s.Stream(ctx, "T")); i.MaxAge != time.Minute || i.Messages != 1 {
		t.Errorf("stream: %+v", i)
	}
	if _, err := s.Ensure(ctx, streams.Definition{Name: "U", Subjects: []string{"t.1"}}); err == nil || err.Error() != `stream "U": another stream has some of its subjects` {
		t.Errorf("overlapping subjects: %v", err)
	}
	b := streams.BucketConfig{Name: "votes", TTL: time.Minute, MaxValue: 1024}
	for _, want := range []streams.Change{streams.Created, streams.Unchanged} {
		if change, err := s.EnsureBucket(ctx, b); err != nil || change != want {
			t.Errorf("bucket: %s, %v; want %s", change, err, want)
		}
	}
	b.TTL = 2 * time.Minute
	if change, err := s.EnsureBucket(ctx, b); err != nil || change != streams.Updated {
		t.Errorf("bucket of another age: %s, %v", change, err)
	}
}

// TestContext holds that the end of the caller's time is not taken for that of the broker's.
func TestContext(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := s.Stream(ctx, "T"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without time: %v", err)
	}
}
