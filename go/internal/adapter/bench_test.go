package adapter

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// BenchmarkRegistration compares the rate at which signed registration data reaches a stream in the
// broker with that at which ten bare connections publish the same documents, each waiting for the
// acknowledgement of one before it sends the next, from within the process of the broker as the adapter
// does (bare/s) or by TCP as all others have to (tcp/s), or with as many under way as the adapter
// has (pipelined/s). They take turns. Where other work takes the processors the rates say little; the
// processor time of each (cpu-µs) says nearly as much as before.
func BenchmarkRegistration(b *testing.B) {
	const n = 3000
	site := labtest.NewSite(b)
	n1 := site.Identity(b, "n1.example.net", security.ForClient)
	broker := newSinkBroker(b)
	if err := broker.collected.Delete(limited(b), "SINK"); err != nil {
		b.Fatal(err)
	}

	template := newAdapter("", "")
	template.Kind, template.Proof = Requests, proof(b, site)
	template.Proof.Now = func() func() time.Time { now := time.Now(); return func() time.Time { return now } }()
	var payloads [][]byte
	var documents []Message
	for range n {
		p := registration(b, n1)
		m, err := template.open(p)
		if err != nil {
			b.Fatal(err)
		}
		payloads, documents = append(payloads, p), append(documents, m)
	}
	publisher := connect(b, broker.url)
	fresh := func() {
		if err := broker.collected.Create(limited(b), streams.Definition{Name: "SINK", Subjects: []string{"sink.>"}}); err != nil {
			b.Fatal(err)
		}
	}
	full := func(lost uint64) {
		until(b, "all are there", func() bool { return broker.count() == n-int(lost) })
		if err := broker.collected.Delete(limited(b), "SINK"); err != nil {
			b.Fatal(err)
		}
	}
	var adapted [2]time.Duration // with verification, and without
	var bare, tcp, pipelined time.Duration
	var adaptedCPU [2]time.Duration
	var bareCPU, tcpCPU time.Duration
	var memory, lost uint64
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		fresh()
		took, used := publishBare(b, documents, "", nats.InProcessServer(inProcess(broker.broker.InProcess)))
		bare += took
		bareCPU += used
		full(0)

		fresh()
		took, used = publishBare(b, documents, broker.url)
		tcp += took
		tcpCPU += used
		full(0)

		fresh()
		pipelined += publishSink(b, broker, documents)
		full(0)

		for i, p := range []*Proof{template.Proof, nil} {
			fresh()
			took, used, heap, gone := publishAdapter(b, broker, publisher, payloads, p)
			adapted[i] += took
			adaptedCPU[i] += used
			memory = max(memory, heap)
			lost += gone
			full(gone)
		}
	}
	total := float64(n * b.N)
	rate := func(d time.Duration) float64 { return total / d.Seconds() }
	b.ReportMetric(rate(adapted[0]), "adapted/s")
	b.ReportMetric(rate(adapted[1]), "unverified/s")
	b.ReportMetric(rate(bare), "bare/s")
	b.ReportMetric(rate(tcp), "tcp/s")
	b.ReportMetric(rate(pipelined), "pipelined/s")
	for unit, of := range map[string][2]time.Duration{"bare": {bare, bareCPU}, "tcp": {tcp, tcpCPU}} {
		b.ReportMetric(rate(adapted[0])/rate(of[0]), "of-"+unit)
		b.ReportMetric(rate(adapted[1])/rate(of[0]), "unverified-of-"+unit)
		b.ReportMetric(float64(of[1].Microseconds())/total, unit+"-cpu-µs")
	}
	b.ReportMetric(float64(adaptedCPU[0].Microseconds())/total, "adapted-cpu-µs")
	b.ReportMetric(float64(adaptedCPU[1].Microseconds())/total, "unverified-cpu-µs")
	b.ReportMetric(float64(memory)/1e6, "heap-MB")
	b.ReportMetric(float64(lost), "lost")
}

// processorTime returns what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// publishAdapter runs an adapter until the sink has acknowledged what payloads hold. It returns how
// long that took, the processor time, the bytes on the heap, and what was dropped or buried.
func publishAdapter(b *testing.B, broker *sinkBroker, publisher *transport.Conn, payloads [][]byte, p *Proof) (took, cpu time.Duration, heap, lost uint64) {
	a := newAdapter("", "")
	a.Kind, a.Proof, a.Workers, a.OutputWorkers = Requests, p, 0, 0
	a.Ingest = transport.Options{InProcess: broker.broker.InProcess}
	var sinks []Sink // connected before the clock runs
	for range defaultWorkers {
		s := OpenStreams("sink.%s", a.Ingest).(*streamSink)
		<-s.ended
		sinks = append(sinks, s)
	}
	a.Open = func(n int) (Sink, error) { return sinks[n], nil }
	defer start(b, a)()
	outputs := make([]side, a.OutputWorkers)
	for i := range outputs {
		outputs[i] = a.tally.side("output", i)
	}
	begin, used := time.Now(), processorTime(b)
	for _, p := range payloads {
		if err := publisher.Publish("in", p); err != nil {
			b.Fatal(err)
		}
	}
	until(b, "acknowledged", func() bool {
		var sum uint64
		for _, o := range outputs {
			sum += o.published.Value()
		}
		for _, reason := range []string{overflow, stopped, damaged, lostLetter} {
			sum += a.tally.dropped(reason).Value() // which the caller hears of
		}
		return sum == uint64(len(payloads))
	})
	took, cpu = time.Since(begin), processorTime(b)-used
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, reason := range []string{overflow, stopped, damaged, lostLetter} {
		lost += a.tally.dropped(reason).Value()
	}
	for _, kind := range []string{malformed, unproven, expired, badSender, sinkRefuse} {
		lost += a.tally.deadLetters(kind).Value()
	}
	return took, cpu, m.HeapInuse, lost
}

// registration is a request with 2 kB of compressed facts, as inventory_content makes it.
func registration(t testing.TB, id *security.Identity) []byte {
	t.Helper()
	data, err := protocol.SealRequest(&protocol.Request{
		Version: protocol.V1, ID: protocol.NewID(), Sender: "n1.example.net", Caller: id.Caller(), Collective: "mcollective", Agent: "registration",
		Time: time.Now(), TTL: time.Hour,
		Body: fmt.Appendf(nil, `{"protocol":"choria:registration:inventorycontent:1","zcontent":"%s"}`, strings.Repeat("QUJD", 512)),
	}, id)
	return wrap(t, "n1.example.net", data, err)
}

// publishBare publishes documents by way of ten connections to url and waits for each.
func publishBare(b *testing.B, documents []Message, url string, options ...nats.Option) (took, cpu time.Duration) {
	var conns []jetstream.JetStream
	for range defaultWorkers {
		nc, err := nats.Connect(url, options...)
		if err != nil {
			b.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, js)
	}
	used := processorTime(b)
	took = share(documents, func(worker int, part []Message) {
		for _, m := range part {
			msg := &nats.Msg{Subject: "sink." + m.Sender, Data: m.Data, Header: nats.Header{jetstream.MsgIDHeader: {m.ID}}}
			if _, err := conns[worker].PublishMsg(b.Context(), msg); err != nil {
				b.Error(err)
			}
		}
	})
	return took, processorTime(b) - used
}

// publishSink publishes documents with the sink that the adapter has.
func publishSink(b *testing.B, broker *sinkBroker, documents []Message) time.Duration {
	var sinks []*streamSink
	for range defaultWorkers {
		s := OpenStreams("sink.%s", transport.Options{InProcess: broker.broker.InProcess}).(*streamSink)
		defer s.Close()
		<-s.ended
		sinks = append(sinks, s)
	}
	return share(documents, func(worker int, part []Message) {
		for len(part) > 0 {
			k := min(batchMessages, len(part))
			for _, err := range sinks[worker].Publish(b.Context(), part[:k]) {
				if err != nil {
					b.Error(err)
				}
			}
			part = part[k:]
		}
	})
}

// share gives each worker its part of the documents, and returns how long all took.
func share(documents []Message, f func(worker int, part []Message)) time.Duration {
	begin := time.Now()
	var g sync.WaitGroup
	for w := range defaultWorkers {
		size := len(documents) / defaultWorkers
		g.Go(func() { f(w, documents[w*size:(w+1)*size]) })
	}
	g.Wait()
	return time.Since(begin)
}

type inProcess func() (net.Conn, error)

func (f inProcess) InProcessConn() (net.Conn, error) { return f() }
