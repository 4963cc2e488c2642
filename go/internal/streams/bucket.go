package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A BucketConfig describes a key-value bucket.
type BucketConfig struct {
	Name        string // letters, digits, - and _
	Description string

	// TTL is how long a value lives after it was written. Zero: for ever. Locks have one, so that
	// those of a dead holder end.
	TTL time.Duration

	// KeyTTL lets values have lives of their own, see Life. It takes a broker with NATS 2.11 or later; ErrTooOld says
	// that it is older.
	KeyTTL bool

	// History is how many values of a key are kept. Zero means 1, 64 is the most.
	History int

	// Replicas is on how many brokers the bucket is. Zero means 1.
	Replicas int

	// MaxValue is the most bytes of a value. Zero: what fits into a message.
	MaxValue int32
}

// A BucketInfo says what a bucket is and holds.
type BucketInfo struct {
	Name        string        `json:"bucket"`
	Description string        `json:"description,omitempty"`
	TTL         time.Duration `json:"-"` // 0: for ever
	KeyTTL      bool          `json:"-"` // values can have lives of their own
	History     int64         `json:"history"`
	Replicas    int           `json:"replicas"`
	Values      uint64        `json:"values"` // with older ones and marks of deletion
	Bytes       uint64        `json:"bytes"`
}

// An Entry is one value of a key.
type Entry struct {
	Bucket   string
	Key      string
	Value    []byte
	Revision uint64 // grows with each change in the bucket
	Created  time.Time
	Deleted  bool // the key was deleted; there is no value
}

// A Bucket is one key-value bucket. Its methods may be called concurrently.
type Bucket struct {
	name string
	js   jetstream.JetStream
	kv   jetstream.KeyValue
}

// markerTTL is how long the mark of a key lives that has ended in a bucket with KeyTTL: for those who watch it.
const markerTTL = time.Minute

// maxHistory is how many values of a key a bucket can keep. Source: NATS ADR-8.
const maxHistory = 64

// Bucket returns an existing bucket; ErrNotFound says that there is none.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	kv, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, explain(ctx, bucketNamed(name), badName(err))
	}
	return &Bucket{name, js, kv}, nil
}

// CreateBucket makes a bucket, or returns one that is there already whatever its properties are:
// who comes second finds what the first has made.
func (c *Conn) CreateBucket(ctx context.Context, cfg BucketConfig) (*Bucket, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	if cfg.History < 0 || cfg.History > maxHistory {
		return nil, fmt.Errorf("%s: history %d: want 1 to %d", bucketNamed(cfg.Name), cfg.History, maxHistory)
	}
	config := jetstream.KeyValueConfig{
		Bucket: cfg.Name, Description: cfg.Description, TTL: cfg.TTL,
		History: uint8(cfg.History), Replicas: cfg.Replicas, MaxValueSize: cfg.MaxValue,
		Storage: jetstream.FileStorage,
	}
	if cfg.KeyTTL {
		config.LimitMarkerTTL = markerTTL
	}
	kv, err := js.CreateKeyValue(ctx, config)
	if errors.Is(err, jetstream.ErrBucketExists) || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return c.Bucket(ctx, cfg.Name)
	}
	if err != nil {
		return nil, explain(ctx, bucketNamed(cfg.Name), badName(err))
	}
	return &Bucket{cfg.Name, js, kv}, nil
}

// DeleteBucket removes a bucket with everything in it.
func (c *Conn) DeleteBucket(ctx context.Context, name string) error {
	js, err := c.js()
	if err != nil {
		return err
	}
	return explain(ctx, bucketNamed(name), badName(js.DeleteKeyValue(ctx, name)))
}

// Buckets returns all buckets, sorted by name.
func (c *Conn) Buckets(ctx context.Context) ([]BucketInfo, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	all := []BucketInfo{}
	found := js.KeyValueStores(ctx)
	for status := range found.Status() {
		all = append(all, info(status))
	}
	if err := found.Error(); err != nil {
		return nil, explain(ctx, "buckets", err)
	}
	slices.SortFunc(all, func(a, b BucketInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func info(s jetstream.KeyValueStatus) BucketInfo {
	b := BucketInfo{Name: s.Bucket(), TTL: s.TTL(), KeyTTL: s.LimitMarkerTTL() > 0, History: s.History(), Values: s.Values(), Bytes: s.Bytes()}
	if s, ok := s.(*jetstream.KeyValueBucketStatus); ok {
		config := s.StreamInfo().Config
		b.Description, b.Replicas = config.Description, config.Replicas
	}
	return b
}

// Name returns the name of the bucket.
func (b *Bucket) Name() string { return b.name }

// Info asks the broker what the bucket holds.
func (b *Bucket) Info(ctx context.Context) (BucketInfo, error) {
	status, err := b.kv.Status(ctx)
	if err != nil {
		return BucketInfo{}, explain(ctx, bucketNamed(b.name), err)
	}
	return info(status), nil
}

// Get returns the value of key; ErrNotFound says that it has none.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return Entry{}, b.explain(ctx, key, err)
	}
	return entry(e), nil
}

// GetRevision returns the value that key had at a revision.
func (b *Bucket) GetRevision(ctx context.Context, key string, revision uint64) (Entry, error) {
	e, err := b.kv.GetRevision(ctx, key, revision)
	if err != nil {
		return Entry{}, b.explain(ctx, key, err)
	}
	return entry(e), nil
}

// Put sets the value of key, whatever it was, and returns its revision.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	revision, err = b.kv.Put(ctx, key, value)
	return revision, b.explain(ctx, key, err)
}

// Create sets the value of a key that has none. ErrExists says that it has one: of all who create
// a key at the same time one succeeds.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	revision, err = b.kv.Create(ctx, key, value)
	return revision, b.explain(ctx, key, err)
}

// Update sets the value of a key whose last revision is known. ErrConflict says that it is not the
// last any more.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error) {
	revision, err = b.kv.Update(ctx, key, value, last)
	if errors.Is(err, jetstream.ErrKeyExists) { // the library's name for any wrong revision
		return 0, &Error{b.named(key), ErrConflict}
	}
	return revision, b.explain(ctx, key, err)
}

// Delete deletes a key; one that is not there is no error. With a last revision other than 0 it
// does so only while that is the last, and else returns ErrConflict.
func (b *Bucket) Delete(ctx context.Context, key string, last uint64) error {
	var opts []jetstream.KVDeleteOpt
	if last > 0 {
		opts = append(opts, jetstream.LastRevision(last))
	}
	err := b.kv.Delete(ctx, key, opts...)
	if errors.Is(err, jetstream.ErrKeyExists) {
		err = ErrConflict
	}
	return b.explain(ctx, key, err)
}

// Keys returns the keys that have a value and match pattern, sorted. A pattern has the wildcards of
// subjects, app.> say; empty is all.
func (b *Bucket) Keys(ctx context.Context, pattern string) ([]string, error) {
	keys := []string{}
	for e, err := range b.Watch(ctx, Watch{Key: pattern, KeysOnly: true, Once: true}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, e.Key)
	}
	slices.Sort(keys)
	return keys, nil
}

func (b *Bucket) named(key string) string { return fmt.Sprintf("%s, key %q", bucketNamed(b.name), key) }

func (b *Bucket) explain(ctx context.Context, key string, err error) error {
	if errors.Is(err, jetstream.ErrInvalidKey) {
		err = errors.New("want letters, digits and - / _ = . in a key, with no dot at either end")
	}
	return explain(ctx, b.named(key), err)
}

func bucketNamed(name string) string { return fmt.Sprintf("bucket %q", name) }

// badName says what the library means by a bad name.
func badName(err error) error {
	switch {
	case errors.Is(err, jetstream.ErrInvalidBucketName):
		return errors.New("want letters, digits, - and _ in the name")
	case errors.Is(err, jetstream.ErrInvalidStreamName):
		return errors.New("want a name without dots, spaces, slashes and wildcards")
	}
	return err
}

func entry(e jetstream.KeyValueEntry) Entry {
	return Entry{
		Bucket: e.Bucket(), Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Created: e.Created(),
		Deleted: e.Operation() != jetstream.KeyValuePut,
	}
}
