package streams

import (
	"context"
	"iter"

	"github.com/nats-io/nats.go/jetstream"
)

// Watch says which changes of a bucket are wanted. The zero value is the present value of every key
// and all changes from then on.
type Watch struct {
	Key      string // pattern of keys, with the wildcards of subjects; empty is all
	KeysOnly bool   // leave the values away, and keys that were deleted
	History  bool   // older values too, as far as the bucket keeps them
	Updates  bool   // only what changes from now on
	Once     bool   // only what there is now
}

// Watch returns the values of a bucket and their changes, in their order, until ctx ends or the
// caller has enough. It survives the loss of a broker. The end of ctx is no error.
func (b *Bucket) Watch(ctx context.Context, w Watch) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		what := bucketNamed(b.name)
		if w.Key == "" {
			w.Key = ">"
		} else {
			what = b.named(w.Key)
		}
		var opts []jetstream.WatchOpt
		if w.KeysOnly {
			opts = append(opts, jetstream.IgnoreDeletes(), jetstream.MetaOnly())
		}
		if w.History {
			opts = append(opts, jetstream.IncludeHistory())
		}
		if w.Updates {
			opts = append(opts, jetstream.UpdatesOnly())
		}
		watcher, err := b.kv.Watch(ctx, w.Key, opts...)
		if err != nil {
			yield(Entry{}, explain(ctx, what, err))
			return
		}
		defer func() { _ = watcher.Stop() }() // fails only without a connection
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-watcher.Updates():
				switch {
				case !ok:
					return
				case e == nil: // that was all there is now
					if w.Once {
						return
					}
				case !yield(entry(e), nil):
					return
				}
			}
		}
	}
}
