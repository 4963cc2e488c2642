package streams

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Life is one key of a bucket with KeyTTL whose value ends after a time of its own, unless it is written again.
// The time is in whole seconds, at least one. Source: NATS ADR-43.
type Life struct {
	Bucket *Bucket
	Key    string
	TTL    time.Duration
}

// Create is that of a Bucket.
func (l Life) Create(ctx context.Context, value []byte) (revision uint64, err error) {
	revision, err = l.Bucket.kv.Create(ctx, l.Key, value, jetstream.KeyTTL(l.TTL))
	return revision, l.Bucket.explain(ctx, l.Key, err)
}

// Update is that of a Bucket. The time of the value begins anew.
func (l Life) Update(ctx context.Context, value []byte, last uint64) (revision uint64, err error) {
	// An update of the library would be for ever.
	m := &nats.Msg{Subject: "$KV." + l.Bucket.name + "." + l.Key, Data: value}
	ack, err := l.Bucket.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithMsgTTL(l.TTL))
	if err != nil {
		return 0, l.Bucket.explain(ctx, l.Key, conflict(err))
	}
	return ack.Sequence, nil
}

// Delete is that of a Bucket. Nothing of the key is left after a while.
func (l Life) Delete(ctx context.Context, last uint64) error {
	err := l.Bucket.kv.Purge(ctx, l.Key, jetstream.LastRevision(last), jetstream.PurgeTTL(markerTTL))
	return l.Bucket.explain(ctx, l.Key, conflict(err))
}

// conflict returns err, where the library takes any wrong revision for a key that exists.
func conflict(err error) error {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return ErrConflict
	}
	return err
}
