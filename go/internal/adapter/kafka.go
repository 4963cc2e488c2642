package adapter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"choria.io/choria/go/internal/transport"
)

// kafkaIDHeader is the header of a record that has the ID of its message. What is published again
// after a failure has the same one.
const kafkaIDHeader = "choria-id"

// kafkaMaxRecord is the largest batch of records. Brokers take less unless max.message.bytes says so;
// what one does not take is refused.
const kafkaMaxRecord = 4 << 20

// loadKafka reads the settings of an adapter that publishes to Kafka.
func loadKafka(k keys, s *Settings) (opener, error) {
	if topic := strings.ReplaceAll(s.Topic, "%s", "x"); !validTopic(topic) {
		return nil, k.wrong("stream.topic", fmt.Errorf("%q: want letters, digits and . _ -, at most 249", s.Topic))
	}
	seeds, err := k.hosts("stream.servers", "9092")
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.ClientID("choria-adapter-" + s.Adapter.Name),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// What is not acknowledged in time goes to the spill, and may then come twice.
		kgo.AllowIdempotentProduceCancellation(), kgo.RecordDeliveryTimeout(publishTimeout),
		// How soon a client notices that a broker is gone, or back: it asks who leads no more often.
		kgo.MetadataMinAge(time.Second),
		kgo.ProducerBatchMaxBytes(kafkaMaxRecord), kgo.MaxBufferedBytes(held),
	}
	if k.cfg.Bool(k.key("stream.tls")) {
		c, err := k.tls()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(c))
	}
	mechanism, err := k.sasl()
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	// All workers share one client: it has a connection to each broker, and makes batches of what they
	// have.
	shared := &kafkaClient{options: options}
	return func(transport.Options, int) (Sink, error) {
		client, err := shared.open()
		if err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
		return &kafkaSink{shared, client, s.Topic}, nil
	}, nil
}

// hosts returns host:port for each item of a setting, which is required.
func (k keys) hosts(name, port string) ([]string, error) {
	var all []string
	for _, item := range k.list(name) {
		host, p, err := net.SplitHostPort(strings.TrimPrefix(item, "nats://")) // a scheme that lists of brokers get
		if err != nil || host == "" || p == "" {
			return nil, k.wrong(name, fmt.Errorf("%q: want host:port, as in kafka1.example.net:%s", item, port))
		}
		all = append(all, net.JoinHostPort(host, p))
	}
	if len(all) == 0 {
		return nil, k.wrong(name, fmt.Errorf("is not set: want host:port, as in kafka1.example.net:%s", port))
	}
	return all, nil
}

// sasl returns how to log in, nil when that is not set.
func (k keys) sasl() (sasl.Mechanism, error) {
	name, user := k.text("stream.sasl"), k.text("stream.user")
	if name == "" {
		if user != "" {
			return nil, k.wrong("stream.sasl", errors.New("is not set, and stream.user is: want plain, scram-sha-256 or scram-sha-512"))
		}
		return nil, nil
	}
	password, err := k.secret("stream.password_file")
	switch {
	case err != nil:
		return nil, err
	case user == "":
		return nil, k.wrong("stream.user", errors.New("is not set, and stream.sasl is"))
	case password == "":
		return nil, k.wrong("stream.password_file", errors.New("is not set, and stream.sasl is"))
	}
	switch name {
	case "plain":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, k.wrong("stream.sasl", fmt.Errorf("%q: want plain, scram-sha-256 or scram-sha-512", name))
}

// validTopic reports whether s may be a topic. Source: org.apache.kafka.common.internals.Topic.
func validTopic(s string) bool {
	return s != "" && len(s) <= 249 && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.')
	})
}

// A kafkaClient is there while at least one worker uses it.
type kafkaClient struct {
	options []kgo.Opt

	mu     sync.Mutex
	users  int
	client *kgo.Client // nil when there are none
}

func (c *kafkaClient) open() (*kgo.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		client, err := kgo.NewClient(c.options...)
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	c.users++
	return c.client, nil
}

func (c *kafkaClient) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 {
		c.client.Close()
		c.client = nil
	}
}

// A kafkaSink publishes to Kafka, keyed by sender: what one says stays in its order, in one partition.
type kafkaSink struct {
	shared *kafkaClient
	client *kgo.Client
	topic  string // %s stands for the sender
}

// Publish sends all messages, then waits until all replicas in sync have them.
func (s *kafkaSink) Publish(ctx context.Context, batch []Message) []error {
	records := make([]*kgo.Record, len(batch))
	place := make(map[*kgo.Record]int, len(batch))
	for i, m := range batch {
		records[i] = &kgo.Record{
			Topic: strings.ReplaceAll(s.topic, "%s", m.Sender), Key: []byte(m.Sender), Value: m.Data,
			Headers: []kgo.RecordHeader{{Key: kafkaIDHeader, Value: []byte(m.ID)}},
		}
		place[records[i]] = i
	}
	results := make([]error, len(batch))
	for _, r := range s.client.ProduceSync(ctx, records...) {
		results[place[r.Record]] = s.explain(r.Err)
	}
	return results
}

// explain says what an error means for a message.
func (s *kafkaSink) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidTopicException), errors.Is(err, kerr.InvalidRecord):
		return fmt.Errorf("%w: kafka topic %s: %w", ErrRefused, s.topic, err)
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("kafka topic %s: no acknowledgement in time", s.topic)
	}
	return fmt.Errorf("kafka topic %s: %w", s.topic, err)
}

func (s *kafkaSink) Close() error {
	s.shared.close()
	return nil
}
