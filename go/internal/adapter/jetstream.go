package adapter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/transport"
)

// loadStreams reads the settings of an adapter that publishes to streams of brokers.
func loadStreams(k keys, s *Settings) (opener, error) {
	if !validSubject(strings.ReplaceAll(s.Topic, "%s", "x"), false) {
		return nil, k.wrong("stream.topic", fmt.Errorf("%q: not a subject", s.Topic))
	}
	var err error
	if s.Servers, err = k.brokers(); err != nil {
		return nil, err
	}
	// What is published must not come in again.
	if len(s.Servers) == 0 && matches(s.Adapter.Subject, strings.ReplaceAll(s.Topic, "%s", "x")) {
		return nil, k.wrong("stream.topic", fmt.Errorf("%q is received by %s", s.Topic, k.key("ingest.topic")))
	}
	return func(o transport.Options, n int) (Sink, error) {
		o.Name = fmt.Sprintf("%s_%d-%s", s.Adapter.Name, n, protocol.NewID())
		if n > 0 {
			o.Log = nil // the others have the same troubles
		}
		return OpenStreams(s.Topic, o), nil
	}, nil
}

// ackTimeout is how long a stream may take to acknowledge a message.
const ackTimeout = 5 * time.Second

var errNotConnected = errors.New("not connected to a broker")

// A streamSink publishes to whichever stream has the subject.
type streamSink struct {
	topic  string // %s stands for the sender
	cancel context.CancelFunc
	ended  chan struct{} // closed when connecting has ended

	mu   sync.Mutex
	conn *transport.Conn // nil until there is one
	nc   *nats.Conn      // that js is on
	js   jetstream.JetStream
}

// OpenStreams returns a sink for streams of the brokers that o describes. It connects when it can.
func OpenStreams(topic string, o transport.Options) Sink {
	ctx, cancel := context.WithCancel(context.Background())
	s := &streamSink{topic: topic, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		conn, err := transport.Connect(ctx, o)
		if err != nil {
			return // closed before it was connected, nothing else ends it
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conn = conn
	}()
	return s
}

// publisher returns the library's view of streams, on the connection that is in use.
func (s *streamSink) publisher() (jetstream.JetStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.conn.Server() == "" {
		return nil, errNotConnected
	}
	if nc := s.conn.NATS(); nc != s.nc {
		js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(ackTimeout))
		if err != nil {
			return nil, err
		}
		s.nc, s.js = nc, js
	}
	return s.js, nil
}

// subject returns where messages of sender go.
func (s *streamSink) subject(sender string) string { return strings.ReplaceAll(s.topic, "%s", sender) }

// Publish sends all messages, then waits for the acknowledgements.
func (s *streamSink) Publish(ctx context.Context, batch []Message) []error {
	results := make([]error, len(batch))
	js, err := s.publisher()
	if err != nil {
		for i := range results {
			results[i] = err
		}
		return results
	}
	acks := make([]jetstream.PubAckFuture, len(batch))
	for i, m := range batch {
		msg := &nats.Msg{Subject: s.subject(m.Sender), Data: m.Data, Header: nats.Header{jetstream.MsgIDHeader: {m.ID}}}
		acks[i], results[i] = js.PublishMsgAsync(msg)
	}
	for i, ack := range acks {
		if results[i] == nil {
			select {
			case <-ack.Ok():
			case results[i] = <-ack.Err():
			case <-ctx.Done():
				results[i] = ctx.Err()
			}
		}
		results[i] = s.explain(results[i], batch[i].Sender)
	}
	return results
}

// explain says what an error means for a message of sender.
func (s *streamSink) explain(err error, sender string) error {
	if err == nil {
		return nil
	}
	// Which one it is does not matter: what is logged should be the same for all senders.
	where := "subject " + s.topic
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		return fmt.Errorf("%w: subject %s: %w", ErrRefused, s.subject(sender), err)
	case errors.As(err, &api) && api.Code == http.StatusBadRequest:
		return fmt.Errorf("%w: subject %s: %s", ErrRefused, s.subject(sender), api.Description)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: no stream has it", where)
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no acknowledgement in time", where)
	}
	return fmt.Errorf("%s: %w", where, err)
}

func (s *streamSink) Close() error {
	s.cancel()
	<-s.ended
	if s.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return s.conn.Close(ctx)
}
