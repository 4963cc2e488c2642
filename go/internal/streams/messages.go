package streams

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Message is one message of a stream.
type Message struct {
	Subject  string
	Sequence uint64 // in the stream
	Time     time.Time
	Header   map[string][]string
	Data     []byte
}

// A View says which messages of a stream are wanted. The zero value is all of them.
type View struct {
	Subject string    // pattern with wildcards; empty is all
	Since   time.Time // stored then or later; zero: from the first
	Last    int       // the last so many of those; 0: all
	Follow  bool      // and those that come from now on, until the context ends
}

// patience is how long the next of messages that are known to be there may take: they may have
// expired meanwhile.
const patience = 5 * time.Second

// Messages returns messages of a stream in their order, until there are no more, ctx ends, or the
// caller has enough. The end of ctx is no error while it follows.
func (c *Conn) Messages(ctx context.Context, stream string, v View) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		err := c.messages(ctx, stream, v, func(m Message) bool { return yield(m, nil) })
		if err != nil && !(v.Follow && ctx.Err() != nil) {
			yield(Message{}, err)
		}
	}
}

func (c *Conn) messages(ctx context.Context, name string, v View, use func(Message) bool) error {
	s, err := c.stream(ctx, name)
	if err != nil {
		return err
	}
	cons, pending, skip, err := consumer(ctx, s, v)
	if err != nil {
		return explain(ctx, streamNamed(name), err)
	}
	if pending == 0 && !v.Follow {
		return nil
	}
	return explain(ctx, streamNamed(name), read(ctx, cons, skip, v.Follow, use))
}

// consumer returns a consumer of what v describes, how many messages it will get, and how many of
// them are before the last that v wants.
func consumer(ctx context.Context, s jetstream.Stream, v View) (cons jetstream.Consumer, pending, skip uint64, err error) {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if v.Subject != "" {
		cfg.FilterSubjects = []string{v.Subject}
	}
	if !v.Since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &v.Since
	}
	state := s.CachedInfo().State
	last := uint64(max(v.Last, 0))
	if last == 0 || state.Msgs <= last {
		return ordered(ctx, s, cfg, last)
	}
	if !v.Since.IsZero() { // what it leaves may be few, and it says how many
		cons, pending, skip, err = ordered(ctx, s, cfg, last)
		if err != nil || pending <= last {
			return cons, pending, skip, err
		}
	}
	// Going back from the end in longer and longer steps finds the last that match without reading
	// those before.
	cfg.OptStartTime, cfg.DeliverPolicy = nil, jetstream.DeliverByStartSequencePolicy
	for step := last; ; step *= 8 {
		cfg.OptStartSeq = state.FirstSeq
		if span := state.LastSeq - state.FirstSeq; step <= span {
			cfg.OptStartSeq = state.LastSeq - step + 1
		}
		cons, pending, skip, err = ordered(ctx, s, cfg, last)
		if err != nil || pending >= last || cfg.OptStartSeq == state.FirstSeq {
			return cons, pending, skip, err
		}
	}
}

func ordered(ctx context.Context, s jetstream.Stream, cfg jetstream.OrderedConsumerConfig, last uint64) (cons jetstream.Consumer, pending, skip uint64, err error) {
	cons, err = s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return nil, 0, 0, err
	}
	pending = cons.CachedInfo().NumPending
	if last > 0 && pending > last {
		skip = pending - last
	}
	return cons, pending, skip, nil
}

// read calls use for each message behind the first skip: for those that are there, or when it
// follows until ctx ends.
func read(ctx context.Context, cons jetstream.Consumer, skip uint64, follow bool, use func(Message) bool) error {
	it, err := cons.Messages()
	if err != nil {
		return err
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	var opts []jetstream.NextOpt
	if !follow {
		opts = append(opts, jetstream.NextMaxWait(patience))
	}
	for {
		m, err := it.Next(opts...)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout):
			return nil // they have expired
		case err != nil:
			return err
		}
		msg, left, err := message(m)
		if err != nil {
			return err
		}
		switch {
		case skip > 0:
			skip--
		case !use(msg):
			return nil
		}
		if left == 0 && !follow {
			return nil
		}
	}
}

func message(m jetstream.Msg) (msg Message, left uint64, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return Message{}, 0, err
	}
	return Message{
		Subject: m.Subject(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp, Header: m.Headers(), Data: m.Data(),
	}, meta.NumPending, nil
}
