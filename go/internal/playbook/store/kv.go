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

// lockBucket is what is added to the name of a bucket for that of its locks: each has a life of its own there, so that
// those of a dead holder end.
const lockBucket = "_LOCKS"

// bucket is the store whose items are keys of a key-value bucket in the streams of the network.
type bucket struct {
	connect func(context.Context) (*streams.Conn, error)
	name    string
	create  bool
	ttl     time.Duration
	warn    func(string)
}

func newBucket(env *Env, p *props.Props) Store {
	return &bucket{env.Streams, p.Required("bucket"), p.Bool("create", false), ttl(p, 1), env.Warn}
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

// A lifeline is a key whose value ends unless it is written again.
type lifeline interface {
	Create(ctx context.Context, value []byte) (revision uint64, err error)
	Update(ctx context.Context, value []byte, last uint64) (revision uint64, err error)
	Delete(ctx context.Context, last uint64) error
}

// lock makes a key that expires.
func (b *bucket) lock(ctx context.Context, item string) (*Lock, error) {
	s, err := b.locks(ctx)
	if err != nil {
		return nil, err
	}
	line, ttl, err := b.lifeline(ctx, s, item)
	if err != nil {
		return nil, err
	}
	holder, err := uuid.NewV4()
	if err != nil {
		return nil, err
	}
	h := &bucketLock{lifeline: line, bucket: s, key: item, holder: holder.String()}
	return poll(ctx, 250*time.Millisecond, func(ctx context.Context) (*Lock, error) {
		since := time.Now()
		revision, err := h.Create(ctx, []byte(h.holder))
		switch {
		case errors.Is(err, streams.ErrExists), errors.Is(err, streams.ErrConflict): // the other way to say it is taken
			return nil, nil
		case err != nil:
			return nil, err
		}
		h.revision = revision
		return lease{since: since, ttl: ttl, renew: h.renew, release: h.release}.hold(), nil
	})
}

// locks returns the bucket of the locks, which the first who needs it makes.
func (b *bucket) locks(ctx context.Context) (*streams.Bucket, error) {
	conn, err := b.conn(ctx)
	if err != nil {
		return nil, err
	}
	config := streams.BucketConfig{Name: b.name + lockBucket, Description: "Locks of playbooks", KeyTTL: true}
	s, err := conn.CreateBucket(ctx, config)
	if errors.Is(err, streams.ErrTooOld) {
		config.KeyTTL, config.TTL = false, b.ttl // those of all locks in it
		s, err = conn.CreateBucket(ctx, config)
	}
	return s, err
}

// lifeline returns the key of a lock, and how long it lives. In a bucket that was made in another way, or by an old
// broker, that is as long as everything in it.
func (b *bucket) lifeline(ctx context.Context, s *streams.Bucket, item string) (lifeline, time.Duration, error) {
	info, err := s.Info(ctx)
	switch {
	case err != nil:
		return nil, 0, err
	case info.KeyTTL && (info.TTL == 0 || b.ttl <= info.TTL):
		return streams.Life{Bucket: s, Key: item, TTL: b.ttl}, b.ttl, nil
	case info.TTL <= 0:
		return nil, 0, fmt.Errorf("bucket %q keeps values for ever: locks in it would outlive their holders", s.Name())
	case info.TTL != b.ttl && b.warn != nil:
		b.warn(fmt.Sprintf("Lock %s lives for %s after its holder, not for the %s of its ttl: so does all in bucket %s", item, info.TTL, b.ttl, s.Name()))
	}
	return bucketKey{s, item}, info.TTL, nil
}

// A bucketKey is a key in a bucket where all values live equally long.
type bucketKey struct {
	bucket *streams.Bucket
	key    string
}

func (k bucketKey) Create(ctx context.Context, value []byte) (uint64, error) {
	return k.bucket.Create(ctx, k.key, value)
}

func (k bucketKey) Update(ctx context.Context, value []byte, last uint64) (uint64, error) {
	return k.bucket.Update(ctx, k.key, value, last)
}

func (k bucketKey) Delete(ctx context.Context, last uint64) error {
	return k.bucket.Delete(ctx, k.key, last)
}

// A bucketLock is a lock that is held. Renewals and the release follow each other.
type bucketLock struct {
	lifeline
	bucket   *streams.Bucket
	key      string
	holder   string
	revision uint64
}

func (l *bucketLock) renew(ctx context.Context) error {
	revision, err := l.Update(ctx, []byte(l.holder), l.revision)
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
	err := l.Delete(ctx, l.revision)
	if !errors.Is(err, streams.ErrConflict) {
		return err
	}
	if err := l.renew(ctx); err != nil {
		return err
	}
	return l.Delete(ctx, l.revision)
}
