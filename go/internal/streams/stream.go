package streams

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A StreamInfo says what a stream is and holds.
type StreamInfo struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Subjects    []string      `json:"subjects"`
	MaxAge      time.Duration `json:"-"`         // 0: for ever
	MaxBytes    int64         `json:"max_bytes"` // -1: no limit
	MaxMessages int64         `json:"max_messages"`
	Storage     string        `json:"storage"` // file or memory
	Replicas    int           `json:"replicas"`
	Created     time.Time     `json:"created"`

	Messages  uint64    `json:"messages"`
	Bytes     uint64    `json:"bytes"`
	First     uint64    `json:"first_sequence"`
	FirstTime time.Time `json:"first_time,omitzero"`
	Last      uint64    `json:"last_sequence"`
	LastTime  time.Time `json:"last_time,omitzero"`
	Consumers int       `json:"consumers"`

	Leader  string `json:"leader,omitempty"` // broker; empty when it is not part of a cluster
	Copies  []Copy `json:"copies,omitempty"` // on other brokers
	Cluster string `json:"cluster,omitempty"`
}

// A Copy is what one broker besides the leader has of a stream.
type Copy struct {
	Broker  string        `json:"broker"`
	Current bool          `json:"current"`
	Offline bool          `json:"offline"`
	Active  time.Duration `json:"-"`   // since it was last heard of
	Lag     uint64        `json:"lag"` // operations that it lacks
}

// Streams returns all streams with those of buckets, sorted by name.
func (c *Conn) Streams(ctx context.Context) ([]StreamInfo, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	all := []StreamInfo{}
	found := js.ListStreams(ctx)
	for s := range found.Info() {
		all = append(all, streamInfo(s))
	}
	if err := found.Err(); err != nil {
		return nil, explain(ctx, "streams", err)
	}
	slices.SortFunc(all, func(a, b StreamInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Stream describes one stream; ErrNotFound says that there is none of that name.
func (c *Conn) Stream(ctx context.Context, name string) (StreamInfo, error) {
	s, err := c.stream(ctx, name)
	if err != nil {
		return StreamInfo{}, err
	}
	return streamInfo(s.CachedInfo()), nil
}

func (c *Conn) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	js, err := c.js()
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, name)
	return s, explain(ctx, streamNamed(name), badName(err))
}

func streamNamed(name string) string { return fmt.Sprintf("stream %q", name) }

func streamInfo(s *jetstream.StreamInfo) StreamInfo {
	info := StreamInfo{
		Name: s.Config.Name, Description: s.Config.Description, Subjects: s.Config.Subjects,
		MaxAge: s.Config.MaxAge, MaxBytes: s.Config.MaxBytes, MaxMessages: s.Config.MaxMsgs,
		Storage: strings.ToLower(s.Config.Storage.String()), Replicas: s.Config.Replicas, Created: s.Created,
		Messages: s.State.Msgs, Bytes: s.State.Bytes, Consumers: s.State.Consumers,
		First: s.State.FirstSeq, FirstTime: when(s.State.FirstTime), Last: s.State.LastSeq, LastTime: when(s.State.LastTime),
	}
	if s.Cluster != nil {
		info.Leader, info.Cluster = s.Cluster.Leader, s.Cluster.Name
		for _, p := range s.Cluster.Replicas {
			info.Copies = append(info.Copies, Copy{Broker: p.Name, Current: p.Current, Offline: p.Offline, Active: p.Active, Lag: p.Lag})
		}
	}
	return info
}

// when makes the broker's idea of no time the zero time.
func when(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t
}
