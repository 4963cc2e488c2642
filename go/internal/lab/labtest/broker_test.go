package labtest_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/lab/labtest"
)

func TestBroker(t *testing.T) {
	nc, err := nats.Connect(labtest.Broker(t))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("greeting")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("greeting", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	msg, err := sub.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if string(msg.Data) != "hello" {
		t.Errorf("received %q; want %q", msg.Data, "hello")
	}
}
