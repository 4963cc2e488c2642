package streams

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A Definition is what a stream has to be. Properties that it does not name are left as they are.
type Definition struct {
	Name     string
	Subjects []string
	MaxAge   time.Duration // zero: for ever
	Replicas int           // zero means 1

	// MaxBytes is how many bytes are kept, the oldest going first. Zero: no limit. Ensure leaves it
	// as it is.
	MaxBytes int64

	// Advisories is set for a stream of what JetStream says about itself, to which it must not
	// answer with an acknowledgement.
	Advisories bool

	// From and To, when set, store what arrives on From under another subject.
	From, To string
}

// A Change is what Ensure did.
type Change string

// What Ensure did.
const (
	Unchanged Change = "unchanged"
	Created   Change = "created"
	Updated   Change = "updated"
)

// Create makes a stream. ErrExists says that there is one of that name which differs.
func (c *Conn) Create(ctx context.Context, d Definition) error {
	js, err := c.js()
	if err != nil {
		return err
	}
	_, err = js.CreateStream(ctx, d.fresh())
	return explain(ctx, streamNamed(d.Name), badName(err))
}

// Delete removes a stream with everything in it.
func (c *Conn) Delete(ctx context.Context, name string) error {
	js, err := c.js()
	if err != nil {
		return err
	}
	return explain(ctx, streamNamed(name), badName(js.DeleteStream(ctx, name)))
}

// fresh returns the configuration of a stream that is not there yet.
func (d Definition) fresh() jetstream.StreamConfig {
	s := d.config(jetstream.StreamConfig{Name: d.Name, Storage: jetstream.FileStorage, MaxBytes: d.MaxBytes})
	if s.MaxBytes == 0 {
		s.MaxBytes = -1
	}
	return s
}

// Ensure creates a stream, or makes one that is there like its definition. It may be called on many
// brokers at the same time.
func (c *Conn) Ensure(ctx context.Context, d Definition) (Change, error) {
	js, err := c.js()
	if err != nil {
		return "", err
	}
	change, err := ensure(ctx, js, d.Name, d.fresh(), d.config)
	return change, explain(ctx, streamNamed(d.Name), err)
}

// EnsureBucket is Ensure for a bucket.
func (c *Conn) EnsureBucket(ctx context.Context, b BucketConfig) (Change, error) {
	js, err := c.js()
	if err != nil {
		return "", err
	}
	_, err = js.KeyValue(ctx, b.Name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		_, err := c.CreateBucket(ctx, b)
		return Created, err
	}
	if err != nil {
		return "", explain(ctx, bucketNamed(b.Name), err)
	}
	change, err := ensure(ctx, js, "KV_"+b.Name, jetstream.StreamConfig{}, func(s jetstream.StreamConfig) jetstream.StreamConfig {
		s.MaxAge, s.Replicas = b.TTL, max(b.Replicas, 1)
		if b.MaxValue > 0 {
			s.MaxMsgSize = b.MaxValue
		}
		s.Duplicates = duplicates(s.Duplicates, s.MaxAge)
		return s
	})
	return change, explain(ctx, bucketNamed(b.Name), err)
}

// config returns what a stream with the configuration s has to become.
func (d Definition) config(s jetstream.StreamConfig) jetstream.StreamConfig {
	s.Subjects, s.MaxAge, s.Replicas, s.NoAck = d.Subjects, d.MaxAge, max(d.Replicas, 1), d.Advisories
	s.Duplicates = duplicates(s.Duplicates, s.MaxAge)
	s.SubjectTransform = nil
	if d.From != "" {
		s.SubjectTransform = &jetstream.SubjectTransformConfig{Source: d.From, Destination: d.To}
	}
	return s
}

// duplicates keeps the time in which repeats are noticed within that in which messages are kept.
func duplicates(window, age time.Duration) time.Duration {
	if age > 0 && window > age {
		return age
	}
	return window
}

// ensure creates a stream, or updates one that differs from what want makes of it.
func ensure(ctx context.Context, js jetstream.JetStream, name string, fresh jetstream.StreamConfig, want func(jetstream.StreamConfig) jetstream.StreamConfig) (Change, error) {
	s, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, fresh)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return Created, err
		}
		s, err = js.Stream(ctx, name) // another broker was quicker
	}
	if err != nil {
		return "", err
	}
	is := s.CachedInfo().Config
	wanted := want(is)
	if same(is, wanted) {
		return Unchanged, nil
	}
	_, err = js.UpdateStream(ctx, wanted)
	return Updated, err
}

// same compares what want may have changed.
func same(a, b jetstream.StreamConfig) bool {
	transform := func(s jetstream.StreamConfig) jetstream.SubjectTransformConfig {
		if s.SubjectTransform == nil {
			return jetstream.SubjectTransformConfig{}
		}
		return *s.SubjectTransform
	}
	return slices.Equal(a.Subjects, b.Subjects) && a.MaxAge == b.MaxAge && a.Replicas == b.Replicas &&
		a.NoAck == b.NoAck && a.MaxMsgSize == b.MaxMsgSize && a.Duplicates == b.Duplicates && transform(a) == transform(b)
}
