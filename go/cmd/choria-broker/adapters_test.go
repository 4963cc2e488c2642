package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// TestAdapters carries registration data of a node into a stream of the broker in the same process,
// before it ends too.
func TestAdapters(t *testing.T) {
	site := newSite(t)
	port, stats := labtest.Port(t), labtest.Port(t)
	store := t.TempDir()
	file := conf(t, site,
		"plugin.choria.adapters = inventory",
		"plugin.choria.adapter.inventory.type = choria_streams",
		"plugin.choria.adapter.inventory.ingest.topic = mcollective.broadcast.agent.registration",
		"plugin.choria.adapter.inventory.ingest.protocol = request",
		"plugin.choria.adapter.inventory.stream.topic = nodes.%s",
		"plugin.choria.network.stream.store = "+store,
		fmt.Sprintf("plugin.choria.network.client_port = %d", port),
		fmt.Sprintf("plugin.choria.stats_port = %d", stats),
	)
	begin := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx, []string{"run", "--config", file}, io.Discard) }()
		until(t, "the adapter runs", func() bool {
			return strings.Contains(scrape(stats), `choria_adapter_queue_capacity{identity="broker.example.net",name="inventory"} 1000`)
		})
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	}
	stop := begin()
	node := site.Identity(t, "n1.example.net", security.ForClient)
	limited, done := context.WithTimeout(t.Context(), patience)
	defer done()
	connect := func() *transport.Conn {
		c, err := transport.Connect(limited, transport.Options{
			Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}, TLS: node.ClientTLS(), ConnectTimeout: 30 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		return c
	}
	conn := connect()
	s := streams.On(conn)
	until(t, "a stream", func() bool {
		return s.Create(limited, streams.Definition{Name: "NODES", Subjects: []string{"nodes.>"}}) == nil
	})
	registration := func() []byte {
		data, err := protocol.SealRequest(&protocol.Request{
			Version: protocol.V1, ID: protocol.NewID(), Sender: "n1.example.net", Caller: node.Caller(), Collective: "mcollective",
			Agent: "registration", Time: time.Now(), TTL: time.Minute, Body: []byte(`{"facts":{"a":"<1>"}}`),
		}, node)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := (&protocol.Transport{Version: protocol.V1, ReplyTo: "dev.null", Sender: "n1.example.net", Data: data}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	count := func() uint64 {
		ctx, cancel := context.WithTimeout(limited, 5*time.Second)
		defer cancel()
		info, err := s.Stream(ctx, "NODES")
		if err != nil {
			return 0
		}
		return info.Messages
	}
	until(t, "the first", func() bool { // the subscription may not be there yet
		if err := conn.Publish("mcollective.broadcast.agent.registration", registration()); err != nil {
			t.Fatal(err)
		}
		return count() > 0
	})
	before := count()
	const n = 200
	for range n {
		if err := conn.Publish("mcollective.broadcast.agent.registration", registration()); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(limited); err != nil {
		t.Fatal(err)
	}
	stop()

	stop = begin()
	defer stop()
	s = streams.On(connect())
	until(t, "all are in the stream after a restart", func() bool { return count() >= before+n })
	for m, err := range s.Messages(limited, "NODES", streams.View{Last: 1}) {
		var d map[string]string
		if err == nil {
			err = json.Unmarshal(m.Data, &d)
		}
		if err != nil || m.Subject != "nodes.n1.example.net" || d["sender"] != "n1.example.net" || d["data"] != `{"facts":{"a":"<1>"}}` ||
			d["protocol"] != "choria:adapters:choria_streams:output:1" {
			t.Errorf("%s: %s, %v", m.Subject, m.Data, err)
		}
	}
}

func TestAdapterSettings(t *testing.T) {
	site := newSite(t)
	err := run(t.Context(), []string{"run", "--config", conf(t, site, "plugin.choria.adapters = inventory")}, io.Discard)
	if want := `broker.conf: plugin.choria.adapter.inventory.type: is not set`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %s", err, want)
	}
}
