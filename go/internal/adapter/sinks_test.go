package adapter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/transport"
)

// A place is where a sink publishes to, for the contract of sinks.
type place struct {
	settings []string // below plugin.choria.adapter.a., beside the type
	options  transport.Options
	sink     Sink // in place of one of these settings

	stored func() map[string]int // how often each document is there
	stop   func()
	start  func()
	large  int // bytes of a document that it refuses
	once   bool
}

var places = map[string]func(*testing.T) *place{
	"choria_streams": streamsPlace,
	"kafka":          kafkaPlace,
	"elasticsearch":  elasticPlace,
	"program":        programPlace,
}

// openSink opens the sink that a configuration describes.
func openSink(t *testing.T, kind string, p *place) Sink {
	t.Helper()
	if p.sink != nil {
		return p.sink
	}
	s, err := sinkSettings(t, append([]string{"type", kind, "ingest.topic", "in"}, p.settings...)...)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := s.Sink(p.options)(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

// sinkSettings returns what Load makes of settings of an adapter a.
func sinkSettings(t *testing.T, settings ...string) (*Settings, error) {
	t.Helper()
	cfg := config.New()
	all := append([]string{"identity", "b1", "plugin.choria.adapters", "a"}, settings...)
	for i := 0; i < len(all); i += 2 {
		key := all[i]
		if i >= 4 {
			key = "plugin.choria.adapter.a." + key
		}
		if err := cfg.Set(key, all[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(cfg)
	if err != nil {
		return nil, err
	}
	return &got[0], nil
}

func documentOf(n, size int) Message {
	sender := fmt.Sprintf("n%d.example.net", n%3)
	return Message{ID: fmt.Sprintf("a.%d", n), Sender: sender, Data: fmt.Appendf(nil, `{"n":%d,"fill":"%s"}`, n, strings.Repeat("x", size))}
}

// TestSinks is what every sink has to do: keep what it has acknowledged, say which message it will
// never take, ask for another attempt while it is away, and take it when it is back.
func TestSinks(t *testing.T) {
	for kind, make := range places {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := make(t)
			sink := openSink(t, kind, p)
			limit := patience
			publish := func(batch ...Message) []error {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				results := sink.Publish(ctx, batch)
				if len(results) != len(batch) {
					t.Fatalf("%d results of %d messages", len(results), len(batch))
				}
				return results
			}
			good := func(batch ...Message) bool {
				return !slices.ContainsFunc(publish(batch...), func(err error) bool { return err != nil })
			}
			want := map[string]int{}
			var batch []Message
			for n := range 20 {
				m := documentOf(n, 10)
				batch = append(batch, m)
				want[string(m.Data)] = 1
			}
			until(t, "the first are taken", func() bool { return good(batch...) })
			if !good(batch[:5]...) { // the acknowledgement may have been lost
				t.Error("not taken again")
			}
			have := p.stored()
			if p.once && !maps.Equal(have, want) {
				t.Errorf("stored %v; want each once", have)
			}
			for data := range want {
				if have[data] == 0 {
					t.Errorf("not stored: %s", data)
				}
			}

			results := publish(documentOf(100, 10), documentOf(101, p.large), documentOf(102, 10))
			if results[0] != nil || results[2] != nil || !errors.Is(results[1], ErrRefused) {
				t.Errorf("beside one that is too large: %.300v", results)
			}

			p.stop()
			limit = time.Second
			for _, err := range publish(documentOf(200, 10), documentOf(201, 10)) {
				if err == nil || errors.Is(err, ErrRefused) {
					t.Errorf("away: %v", err)
				}
			}
			p.start()
			until(t, "it takes messages again", func() bool { return good(documentOf(200, 10), documentOf(201, 10)) })
			have = p.stored()
			for _, n := range []int{0, 19, 100, 102, 200, 201} {
				if have[string(documentOf(n, 10).Data)] == 0 {
					t.Errorf("message %d is not there", n)
				}
			}
			if err := sink.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func streamsPlace(t *testing.T) *place {
	b := newSinkBroker(t)
	return &place{
		settings: []string{"stream.topic", "sink.%s"},
		options:  transport.Options{Servers: []string{b.url}},
		stored:   b.documents,
		stop:     func() { b.stop() },
		start:    b.start,
		large:    2 << 20,
		once:     true,
	}
}

// TestSinkSettings holds that each mistake has its own message.
func TestSinkSettings(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // without the program of NATS Streaming
	secret := secretFile(t, "secret", 0o600)
	open, empty := secretFile(t, "secret", 0o644), secretFile(t, "", 0o600)
	const p = "plugin.choria.adapter.a."
	for _, tt := range []struct {
		settings []string
		want     string
	}{
		{[]string{"type", "kafka"}, p + "stream.servers: is not set: want host:port"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.topic", "a/b"}, p + `stream.topic: "a/b": want letters`},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.user", "u"}, p + "stream.sasl: is not set, and stream.user is"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.sasl", "plain"}, p + "stream.user: is not set, and stream.sasl is"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.sasl", "plain", "stream.user", "u"}, p + "stream.password_file: is not set"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.sasl", "plain", "stream.user", "u", "stream.password_file", "/no/such"}, p + "stream.password_file: open /no/such"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.sasl", "plain", "stream.user", "u", "stream.password_file", open}, "lets others read it"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.sasl", "plain", "stream.user", "u", "stream.password_file", empty}, "its first line is empty"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.tls", "true", "stream.tls.ca", secret}, p + "stream.tls.ca: " + secret + ": holds no PEM certificate"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.tls", "true", "stream.tls.key", secret}, p + "stream.tls.certificate: is not set"},
		{[]string{"type", "kafka", "stream.servers", "a:1", "stream.tls", "true", "stream.tls.certificate", secret, "stream.tls.key", secret}, p + "stream.tls.certificate: tls: failed"},
		{[]string{"type", "elasticsearch"}, p + "stream.urls: is not set"},
		{[]string{"type", "opensearch", "stream.urls", "search:9200"}, p + "stream.urls: want URLs like https://"},
		{[]string{"type", "opensearch", "stream.urls", "https://u:p@search:9200"}, p + "stream.urls: want URLs like https://search.example.net:9200, separated by commas, without a password"},
		{[]string{"type", "opensearch", "stream.urls", "https://search:9200", "stream.topic", "Nodes"}, p + `stream.topic: "Nodes": want the name of an index`},
		{[]string{"type", "opensearch", "stream.urls", "https://search:9200", "stream.user", "u"}, p + "stream.password_file: is not set"},
		{[]string{"type", "opensearch", "stream.urls", "https://search:9200", "stream.user", "u", "stream.api_key_file", secret}, p + "stream.api_key_file: is set, and so is stream.user"},
		{[]string{"type", "nats_stream"}, p + "stream.clusterid: is not set"},
		{[]string{"type", "nats_stream", "stream.clusterid", "c"}, p + "stream.servers: is not set"},
		{[]string{"type", "nats_stream", "stream.clusterid", "c", "stream.servers", "a:1", "stream.topic", "x.%s.>"}, p + `stream.topic: "x.%s.>": not a subject`},
		{[]string{"type", "nats_stream", "stream.clusterid", "c", "stream.servers", "a:1", "stream.user", "u"}, p + "stream.password_file: is not set, and stream.user is"},
		{[]string{"type", "nats_stream", "stream.clusterid", "c", "stream.servers", "a:1", "stream.password_file", secret}, p + "stream.user: is not set, and stream.password_file is"},
		{[]string{"type", "nats_stream", "stream.clusterid", "c", "stream.servers", "a:1"}, "the program choria-sink-stan is neither beside choria-broker nor in PATH"},
		{[]string{"type", "jetstream", "stream.topic", "a b"}, p + `stream.topic: "a b": not a subject`},
	} {
		_, err := sinkSettings(t, append([]string{"ingest.topic", "in"}, tt.settings...)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v; want %s", tt.settings, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: a password is in %v", tt.settings, err)
		}
	}
}
