package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publish sends a message to subject and returns once a stream has it: which one, and what its number there is.
// ErrNotFound says that no stream keeps what is sent to subject.
func (c *Conn) Publish(ctx context.Context, subject string, data []byte) (stream string, sequence uint64, err error) {
	js, err := c.js()
	if err != nil {
		return "", 0, err
	}
	ack, err := js.Publish(ctx, subject, data)
	switch {
	case err == nil:
		return ack.Stream, ack.Sequence, nil
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders): // nobody has listened
		return "", 0, &Error{"stream for subject " + subject, ErrNotFound}
	}
	return "", 0, explain(ctx, "subject "+subject, err)
}
