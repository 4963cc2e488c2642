package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

const storeKey = "plugin.choria.network.stream.store"

// standard are the streams that brokers make.
var standard = []string{"CHORIA_EVENTS", "CHORIA_EXECUTOR", "CHORIA_MACHINE", "CHORIA_STREAM_ADVISORIES", "KV_CHORIA_LEADER_ELECTION"}

// names returns the names of all streams, none while there is no answer.
func names(t testing.TB, s *streams.Conn) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	all, err := s.Streams(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, info := range all {
		names = append(names, info.Name)
	}
	return names
}

func messages(t testing.TB, s *streams.Conn, stream string) (all []streams.Message) {
	t.Helper()
	for m, err := range s.Messages(limited(t), stream, streams.View{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// TestStandardStreams makes them, fills them, and finds them again after a restart with other
// settings.
func TestStandardStreams(t *testing.T) {
	store := filepath.Join(t.TempDir(), "made", "by", "the", "broker")
	b, stop := labtest.StartBroker(t, labtest.BrokerConfig(t, "identity", "b1", storeKey, store), broker.Options{})
	defer stop()
	conn := connect(t, transport.Options{Servers: []string{b.URL()}})
	s := streams.On(conn)
	until(t, "the standard streams", func() bool { return slices.Equal(names(t, s), standard) })

	events, err := s.Stream(limited(t), "CHORIA_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if events.MaxAge != 24*time.Hour || events.Replicas != 1 || events.Storage != "file" || !slices.Equal(events.Subjects, []string{"choria.lifecycle.>"}) {
		t.Errorf("CHORIA_EVENTS: %+v", events)
	}
	votes, err := s.Bucket(limited(t), "CHORIA_LEADER_ELECTION")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := votes.Info(limited(t)); err != nil || info.TTL != time.Minute || info.History != 1 {
		t.Errorf("CHORIA_LEADER_ELECTION: %+v, %v", info, err)
	}
	if _, err := votes.Put(limited(t), "x", make([]byte, 2000)); err == nil {
		t.Error("a value of 2000 bytes was stored in the bucket of elections")
	}
	for _, subject := range []string{"choria.lifecycle.event.alive.server", "choria.machine.transition", "choria.submission.in.choria.executor.done"} {
		if err := conn.Publish(subject, []byte("about "+subject)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(limited(t)); err != nil {
		t.Fatal(err)
	}
	until(t, "the event is stored", func() bool { return len(messages(t, s, "CHORIA_EVENTS")) == 1 })
	until(t, "the transition is stored", func() bool { return len(messages(t, s, "CHORIA_MACHINE")) == 1 })
	until(t, "the submission is stored", func() bool { return len(messages(t, s, "CHORIA_EXECUTOR")) == 1 })
	if m := messages(t, s, "CHORIA_EXECUTOR")[0]; m.Subject != "choria.executor.done" {
		t.Errorf("the submission is stored under %s, want choria.executor.done", m.Subject)
	}
	until(t, "advisories about the streams", func() bool { return len(messages(t, s, "CHORIA_STREAM_ADVISORIES")) > 0 })

	stop()
	cfg := labtest.BrokerConfig(t, "identity", "b1", storeKey, store,
		"plugin.choria.network.stream.event_retention", "1h", "plugin.choria.network.stream.machine_retention", "0",
		"plugin.choria.network.stream.leader_election_ttl", "30s")
	b = labtest.RunBroker(t, cfg, broker.Options{})
	s = streams.On(connect(t, transport.Options{Servers: []string{b.URL()}}))
	until(t, "the new retention", func() bool {
		info, err := s.Stream(limited(t), "CHORIA_EVENTS")
		return err == nil && info.MaxAge == time.Hour
	})
	until(t, "the new time of office", func() bool {
		b, err := s.Bucket(limited(t), streams.Elections)
		if err != nil {
			return false
		}
		info, err := b.Info(limited(t))
		return err == nil && info.TTL == 30*time.Second
	})
	if m := messages(t, s, "CHORIA_EVENTS"); len(m) != 1 || string(m[0].Data) != "about choria.lifecycle.event.alive.server" {
		t.Errorf("after the restart there are %d events", len(m))
	}
	if m := messages(t, s, "CHORIA_MACHINE"); len(m) != 1 {
		t.Errorf("a stream that is not wanted any more lost its messages: %d", len(m))
	}
}

func TestStreamsThatAreNotWanted(t *testing.T) {
	tests := []struct {
		name     string
		settings []string
		want     []string
	}{
		{"not managed", []string{"plugin.choria.network.stream.manage_streams", "false"}, nil},
		{"retention 0", []string{
			"plugin.choria.network.stream.event_retention", "0", "plugin.choria.network.stream.machine_retention", "0",
			"plugin.choria.network.stream.advisory_retention", "0", "plugin.choria.network.stream.executor_retention", "0",
		}, []string{"KV_CHORIA_LEADER_ELECTION"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			logger, logged := newLog()
			cfg := labtest.BrokerConfig(t, append(tt.settings, "identity", "b1", storeKey, t.TempDir())...)
			b := labtest.RunBroker(t, cfg, broker.Options{Log: logger})
			s := streams.On(connect(t, transport.Options{Servers: []string{b.URL()}}))
			if tt.want != nil {
				until(t, "the streams are made", func() bool { return strings.Contains(logged.String(), "streams are ready") })
			}
			if got := names(t, s); !slices.Equal(got, tt.want) {
				t.Errorf("streams: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBadStreamSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		key, value, want string
	}{
		{storeKey, file + "/store", "plugin.choria.network.stream.store: " + file + "/store: not a directory"},
		{storeKey, "/dev/null", "plugin.choria.network.stream.store: /dev/null: not a directory"},
		{storeKey, "/proc/choria", "plugin.choria.network.stream.store: /proc/choria: no such file or directory"},
		{storeKey, "streams", "plugin.choria.network.stream.store: streams: want an absolute path"},
		{"plugin.choria.network.stream.event_retention", "1ms", "plugin.choria.network.stream.event_retention: 1ms: want at least 100ms, or 0 for no such stream"},
		{"plugin.choria.network.stream.machine_replicas", "0", "plugin.choria.network.stream.machine_replicas: 0: want 1 to 5, or -1 for one on each broker"},
		{"plugin.choria.network.stream.leader_election_replicas", "6", "plugin.choria.network.stream.leader_election_replicas: 6: want 1 to 5, or -1 for one on each broker"},
	}
	for _, tt := range tests {
		cfg := labtest.BrokerConfig(t, "identity", "b1", storeKey, t.TempDir(), tt.key, tt.value)
		_, err := broker.New(cfg, broker.Options{})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s = %s: %v\nwant %s", tt.key, tt.value, err, tt.want)
		}
	}
}

func TestStreamsOff(t *testing.T) {
	s := streams.On(connect(t, transport.Options{Servers: []string{labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1"), broker.Options{}).URL()}}))
	_, err := s.Bucket(limited(t), "locks")
	var hinted interface{ Hint() string }
	if !errors.Is(err, streams.ErrOff) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), storeKey) {
		t.Errorf("bucket: %v", err)
	}
	if _, err := s.Streams(limited(t)); !errors.Is(err, streams.ErrOff) {
		t.Errorf("streams: %v", err)
	}
}

func TestStreamMetrics(t *testing.T) {
	reg := metrics.New()
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1", storeKey, t.TempDir()), broker.Options{Metrics: reg})
	conn := connect(t, transport.Options{Servers: []string{b.URL()}})
	if err := conn.Publish("choria.lifecycle.event.alive.server", make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		var text strings.Builder
		if _, err := reg.WriteTo(&text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	for _, want := range []string{
		`choria_network_stream_streams{identity="b1"} 5`, `choria_network_stream_enabled{identity="b1"} 1`,
		`choria_network_stream_consumers{identity="b1"} 0`,
	} {
		until(t, want, func() bool { return strings.Contains(shown(), want+"\n") })
	}
	for _, name := range []string{"filestore_max", "filestore_used", "messages", "message_bytes", "memorystore_max", "memorystore_used"} {
		if !strings.Contains(shown(), "choria_network_stream_"+name+`{identity="b1"} `) {
			t.Errorf("no %s in %s", name, shown())
		}
	}
}

// TestStoreComesBack loses the store as a full disk makes the server lose it.
func TestStoreComesBack(t *testing.T) {
	logger, logged := newLog()
	cfg := labtest.BrokerConfig(t, "identity", "b1", storeKey, t.TempDir())
	b, err := broker.New(cfg, broker.Options{Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	b.SetStoreCheck(500 * time.Millisecond) // in which the server has given its streams up
	stop := labtest.Run(t, b)
	defer stop()
	s := streams.On(connect(t, transport.Options{Servers: []string{b.URL()}}))
	until(t, "the streams are ready", func() bool { return strings.Contains(logged.String(), "streams are ready") })
	bucket, err := s.CreateBucket(limited(t), streams.BucketConfig{Name: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(limited(t), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := b.LoseStore(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(logged)
		}
	}()
	until(t, "the streams work again", func() bool { return strings.Contains(logged.String(), "streams work again") })
	if !strings.Contains(logged.String(), "streams do not work") {
		t.Error("the loss is not logged")
	}
	if e, err := bucket.Get(limited(t), "a"); err != nil || string(e.Value) != "1" {
		t.Errorf("after the loss: %q, %v", e.Value, err)
	}
	if _, err := bucket.Put(limited(t), "a", []byte("2")); err != nil {
		t.Error(err)
	}
}

// TestStreamsOfACluster has a copy on each of three brokers, and works with two of them.
func TestStreamsOfACluster(t *testing.T) {
	t.Parallel() // it waits for elections
	ports, peers := peerAddresses(t, 3)
	var (
		brokers [3]*broker.Broker
		stop    [3]func()
		urls    []string
	)
	for i := range brokers {
		brokers[i], stop[i] = member(t, fmt.Sprintf("b%d", i), ports[i], peers, broker.Options{}, storeKey, t.TempDir())
		urls = append(urls, brokers[i].URL())
	}
	s := streams.On(connect(t, transport.Options{Servers: []string{urls[2], urls[1]}}))
	until(t, "the standard streams with three copies", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		all, err := s.Streams(ctx)
		return err == nil && len(all) == len(standard) &&
			!slices.ContainsFunc(all, func(i streams.StreamInfo) bool { return i.Replicas != 3 || i.Leader == "" })
	})
	bucket, err := s.CreateBucket(limited(t), streams.BucketConfig{Name: "kept", Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) {
		t.Helper()
		until(t, "put "+key, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := bucket.Put(ctx, key, []byte(key))
			return err == nil
		})
	}
	put("before")
	stop[2]() // the one that the client is connected to
	put("after")
	for _, key := range []string{"before", "after"} {
		until(t, "get "+key, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			e, err := bucket.Get(ctx, key)
			return err == nil && string(e.Value) == key
		})
	}
}

// TestNodesDoNotRuleStreams holds that who is not in client_hosts cannot remove streams.
func TestNodesDoNotRuleStreams(t *testing.T) {
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1", storeKey, t.TempDir(), "plugin.choria.network.client_hosts", "192.0.2.1"), broker.Options{})
	admin := streams.On(connect(t, transport.Options{InProcess: b.InProcess}))
	node := connect(t, transport.Options{Servers: []string{b.URL()}})
	until(t, "the standard streams", func() bool { return slices.Equal(names(t, admin), standard) })
	for _, subject := range []string{"$JS.API.STREAM.DELETE.CHORIA_EVENTS", "$KV.CHORIA_LEADER_ELECTION.x"} {
		if err := node.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Publish("choria.lifecycle.event.alive.server", []byte("alive")); err != nil {
		t.Fatal(err)
	}
	until(t, "the event of the node is stored", func() bool { return len(messages(t, admin, "CHORIA_EVENTS")) == 1 })
	if m := messages(t, admin, "KV_CHORIA_LEADER_ELECTION"); len(m) != 0 {
		t.Errorf("a node wrote into a bucket: %v", m)
	}
}
