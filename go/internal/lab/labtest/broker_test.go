package labtest_test

import (
	"context"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

func TestBrokersCarryMessages(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		carry(t, transport.Options{Servers: []string{labtest.Broker(t)}})
	})
	t.Run("tls", func(t *testing.T) {
		site := labtest.TLSBroker(t)
		id := site.Identity(t, "n1.example.net", security.ForServer)
		carry(t, transport.Options{Servers: []string{site.URL}, TLS: id.ClientTLS()})
	})
}

func carry(t *testing.T, o transport.Options) {
	t.Helper()
	o.ConnectTimeout = 30 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := transport.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	got := make(chan string, 1)
	if _, err := c.Subscribe("greeting", "", 0, func(m transport.Msg) { got <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish("greeting", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-got:
		if text != "hello" {
			t.Errorf("received %q; want %q", text, "hello")
		}
	case <-ctx.Done():
		t.Fatal("nothing received")
	}
}
