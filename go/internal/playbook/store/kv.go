package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/uuid/v5"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/streams"
)

// lockBucket is what is added to the name of a bucket for that of its locks: values there expire, so that those
// of a dead holder end.
const lockBucket = "_LOCKS"

// bucket is the store whose items are keys of a key-value bucket in the streams of the network.
type bucket struct {
	connect func(context.Context) (*streams.Conn, error)
	name    string
	create  bool
	ttl     time.Duration
}

func newBucket(env *Env, p *props.Props) Store {
	return &bucket{env.Streams, p.Required("bucket"), p.Bool("create", false), ttl(p, 1)}
}

func (b *bucket) open(ctx context.Context) (*streams.Bucket, error) {
	conn, err := b.conn(ctx)
	if err != nil {
		return nil, err
	}
	if b.create {
		return conn.CreateBucket(ctx, streams.BucketConfig{Name: b.name})
	}
	return conn.Bucket(ctx, b.name)
}

func (b *bucket) conn(ctx context.Context) (*streams.Conn, error) {
	if b.connect == nil {
		return nil, errors.New("there is no network")
	}
	return b.connect(ctx)
}

func (b *bucket) Read(ctx context.Context, item string) (any, error) {
	s, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	entry, err := s.Get(ctx, item)
	if errors.Is(err, streams.ErrNotFound) {
		return nil, fmt.Errorf("bucket %q: %w", b.name, ErrMissing)
	}
	return string(entry.Value), err
}

func (b *bucket) Write(ctx context.Context, item string, value any) error {
	v, err := text("kv", value)
	if err != nil {
		return err
	}
	s, err := b.open(ctx)
	if err == nil {
		_, err = s.Put(ctx, item, []byte(v))
	}
	return err
}

func (b *bucket) Delete(ctx context.Context, item string) error {
	s, err := b.open(ctx)
	if err == nil {
		err = s.Delete(ctx, item, 0)
	}
	return err
}

// lock makes a key that expires.
func (b *bucket) lock(ctx context.Context, item string) (*Lock, error) {
	conn, err := b.conn(ctx)
	if err != nil {
		return nil, err
	}
	s, err := conn.CreateBucket(ctx, streams.BucketConfig{
		Name: b.name + lockBucket, Description: "Locks of playbooks", TTL: b.ttl,
	})
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx) // whoever made the bucket has decided
	if err != nil {
		return nil, err
	}
	if info.TTL <= 0 {
		return nil, fmt.Errorf("bucket %q keeps values for ever: locks in it would outlive their holders", b.name+lockBucket)
	}
	holder, err := uuid.NewV4()
	if err != nil {
		return nil, err
	}
	h := &bucketLock{s, item, holder.String(), 0}
	return poll(ctx, 250*time.Millisecond, func(ctx context.Context) (*Lock, error) {
		since := time.Now()
		revision, err := s.Create(ctx, item, []byte(h.holder))
		switch {
		case errors.Is(err, streams.ErrExists):
			return nil, nil
		case err != nil:
			return nil, err
		}
		h.revision = revision
		return lease{since: since, ttl: info.TTL, renew: h.renew, release: h.release}.hold(), nil
	})
}

// A bucketLock is a lock that is held. Renewals and the release follow each other.
type bucketLock struct {
	bucket   *streams.Bucket
	key      string
	holder   string
	revision uint64
}

func (l *bucketLock) renew(ctx context.Context) error {
	revision, err := l.bucket.Update(ctx, l.key, []byte(l.holder), l.revision)
	if errors.Is(err, streams.ErrConflict) {
		// An update whose answer got lost is ours all the same.
		entry, err := l.bucket.Get(ctx, l.key)
		switch {
		case errors.Is(err, streams.ErrNotFound), err == nil && string(entry.Value) != l.holder:
			return fmt.Errorf("it has expired or was removed: %w", errGone)
		case err != nil:
			return err
		}
		l.revision = entry.Revision
		return nil
	}
	if err == nil {
		l.revision = revision
	}
	return err
}

func (l *bucketLock) release(ctx context.Context) error {
	err := l.bucket.Delete(ctx, l.key, l.revision)
	if !errors.Is(err, streams.ErrConflict) {
		return err
	}
	if err := l.renew(ctx); err != nil {
		return err
	}
	return l.bucket.Delete(ctx, l.key, l.revision)
}
