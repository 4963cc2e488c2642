package adapter

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security/pki"
)

// secretFile returns the name of a file of its own.
func secretFile(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const partitionsOfNodes = 3

// kafkaPlace stands in for Kafka with the broker for tests of the client library, which speaks the
// protocol of a real one on a port of this machine: with TLS, certificates of both sides and SASL.
func kafkaPlace(t *testing.T) *place {
	site := labtest.NewSite(t)
	site.Issue(t, pki.Request{Name: "localhost", IPs: []string{"127.0.0.1"}})
	site.Issue(t, pki.Request{Name: "adapter.example.net"})
	pair, err := tls.LoadX509KeyPair(site.Dir+"/localhost.pem", site.Dir+"/localhost.key")
	if err != nil {
		t.Fatal(err)
	}
	port, data := labtest.Port(t), t.TempDir()
	var cluster *kfake.Cluster
	start := func() {
		cluster, err = kfake.NewCluster(
			kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(partitionsOfNodes, "nodes"), kfake.DataDir(data), kfake.SyncWrites(),
			kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}),
			kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "choria", "secret"), kfake.Superuser("PLAIN", "reader", "reads"))
		if err != nil {
			t.Fatal(err)
		}
	}
	start()
	t.Cleanup(func() { cluster.Close() })
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return &place{
		settings: []string{
			"stream.servers", address, "stream.topic", "nodes", "stream.tls", "true", "stream.tls.ca", site.Dir + "/ca.pem",
			"stream.tls.certificate", site.Dir + "/adapter.example.net.pem", "stream.tls.key", site.Dir + "/adapter.example.net.key",
			"stream.sasl", "scram-sha-256", "stream.user", "choria", "stream.password_file", secretFile(t, "secret", 0o600),
		},
		stored: func() map[string]int { return readKafka(t, address, pair) },
		stop:   func() { cluster.Close() },
		start:  start,
		large:  kafkaMaxRecord,
	}
}

// readKafka reads all of the topic, and holds that a sender is in one partition.
func readKafka(t *testing.T, address string, pair tls.Certificate) map[string]int {
	t.Helper()
	newClient := func(options ...kgo.Opt) *kgo.Client {
		client, err := kgo.NewClient(append(options, kgo.SeedBrokers(address),
			kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}), // the sink verifies
			kgo.SASL(plain.Auth{User: "reader", Pass: "reads"}.AsMechanism()))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stored, partitions := map[string]int{}, map[string]int32{}
	// A mark at the end of each partition, to know that all was read.
	mark := protocol.NewID()
	writer := newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for p := range int32(partitionsOfNodes) {
		if err := writer.ProduceSync(ctx, &kgo.Record{Topic: "nodes", Key: []byte("mark"), Value: []byte(mark), Partition: p}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	reader := newClient(kgo.ConsumeTopics("nodes"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for ends := 0; ends < partitionsOfNodes; {
		fetches := reader.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatal("not all was read")
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Key) == "mark" {
				if string(r.Value) == mark {
					ends++
				}
				return
			}
			stored[string(r.Value)]++
			if p, ok := partitions[string(r.Key)]; ok && p != r.Partition {
				t.Errorf("messages of %s are in partitions %d and %d", r.Key, p, r.Partition)
			}
			partitions[string(r.Key)] = r.Partition
			if len(r.Headers) != 1 || r.Headers[0].Key != kafkaIDHeader {
				t.Errorf("headers %v", r.Headers)
			}
		})
	}
	return stored
}

// TestKafkaPassword holds that a wrong password is a matter for another attempt, since it can be put
// right, and is not in the error.
func TestKafkaPassword(t *testing.T) {
	t.Parallel()
	p := kafkaPlace(t)
	p.settings = append(p.settings, "stream.password_file", secretFile(t, "wrong-secret", 0o600))
	sink := openSink(t, "kafka", p)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := sink.Publish(ctx, []Message{documentOf(1, 10)})[0]
	if err == nil || !retried(err) {
		t.Errorf("error %v; want one that is worth another attempt", err)
	}
}
