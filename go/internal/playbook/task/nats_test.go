package task_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// patience is how long to wait for what must come, on a machine that is busy with other tests.
const patience = time.Minute

// dial connects to a broker until the test ends.
func dial(t testing.TB, o transport.Options) *transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.ConnectTimeout = patience
	conn, err := transport.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = conn.Close(ctx) // the broker may go first
	})
	return conn
}

// listen subscribes to a subject, and returns what comes.
func listen(t testing.TB, conn *transport.Conn, subject string) <-chan string {
	t.Helper()
	got := make(chan string, 10)
	if _, err := conn.Subscribe(subject, "", 16, func(m transport.Msg) { got <- m.Subject + " " + string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return got
}

// publish runs a task of type nats.
func publish(t testing.TB, conn *streams.Conn, text string) (*task.Outcome, *secrets, error) {
	t.Helper()
	hidden := &secrets{}
	env := &task.Env{Log: &tasktest.Log{}, Environ: os.Environ, Hide: hidden.hide}
	if conn != nil {
		env.Streams = func(context.Context) (*streams.Conn, error) { return conn, nil }
	}
	o, err := task.Run(t.Context(), env, "nats", properties(t, text))
	return o, hidden, err
}

// TestPublish publishes through a real broker, and looks at what its subscribers get.
func TestPublish(t *testing.T) {
	t.Parallel()
	url := labtest.Broker(t)
	own := dial(t, transport.Options{Servers: []string{url}})
	got := listen(t, own, "site.>")
	host := strings.TrimPrefix(url, "nats://")
	tests := []struct{ properties, want string }{
		{`"subject":"site.a","data":"text"`, "site.a text"},
		{`"subject":"site.a","data":{"b":[1,true]}`, `site.a {"b":[1,true]}`},
		{`"subject":"site.empty"`, "site.empty "},
		{`"subject":"site.b","data":"x","servers":"` + url + `"`, "site.b x"},
		{`"subject":"site.c","data":"x","servers":["127.0.0.1:1","` + host + `"]`, "site.c x"},
	}
	for _, tt := range tests {
		o, _, err := publish(t, streams.On(own), "{"+tt.properties+`,"timeout":60}`)
		if err != nil || !o.Success || o.Results[0].Host != "127.0.0.1" {
			t.Errorf("%s: %+v, %v", tt.properties, o, err)
			continue
		}
		select {
		case message := <-got:
			if message != tt.want {
				t.Errorf("%s: the subscriber got %q", tt.properties, message)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the subscriber got nothing", tt.properties)
		}
	}
	o, _, err := publish(t, nil, `{"subject":"a"}`)
	if err != nil || o.Success || o.Message != "Message was not published to a: there is no network" {
		t.Errorf("without a network: %+v, %v", o, err)
	}
	o, _, err = publish(t, nil, `{"subject":"a","servers":"`+tasktest.FreePort(t)+`","timeout":0.3,"tries":2,"try_sleep":0}`)
	if err != nil || o.Success || o.Tries != 2 || !strings.Contains(o.Message, "Message was not published to a: ") {
		t.Errorf("without a broker: %+v, %v", o, err)
	}
}

// TestPublishToStream holds that a message counts as published once a stream has it.
func TestPublishToStream(t *testing.T) {
	t.Parallel()
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1",
		"plugin.choria.network.stream.store", t.TempDir(),
		"plugin.choria.network.stream.manage_streams", "false"), broker.Options{})
	conn := streams.On(dial(t, transport.Options{Servers: []string{b.URL()}}))
	if err := conn.Create(t.Context(), streams.Definition{Name: "DEPLOYS", Subjects: []string{"deploys.>"}}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		o, _, err := publish(t, conn, `{"subject":"deploys.web","data":{"version":2},"stream":true,"timeout":60}`)
		want := fmt.Sprintf("Message was published to deploys.web and is number %d of stream DEPLOYS", n)
		if err != nil || !o.Success || o.Message != want {
			t.Fatalf("%+v, %v; want %s", o, err, want)
		}
	}
	kept := 0
	for m, err := range conn.Messages(t.Context(), "DEPLOYS", streams.View{}) {
		if err != nil || string(m.Data) != `{"version":2}` || m.Subject != "deploys.web" {
			t.Errorf("the stream has %+v, %v", m, err)
		}
		kept++
	}
	if kept != 2 {
		t.Errorf("the stream has %d messages, want 2", kept)
	}
	o, _, err := publish(t, conn, `{"subject":"elsewhere","stream":true,"timeout":60}`)
	if err != nil || o.Success || o.Message != "Message was not published to elsewhere: stream for subject elsewhere: not found" {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestPublishSecurely publishes to brokers that want a certificate, and to one that does not allow it.
func TestPublishSecurely(t *testing.T) {
	t.Parallel()
	site := labtest.TLSBroker(t)
	site.Issue(t, pki.Request{Name: "deploy.example.net"})
	file := func(name string) string { return filepath.Join(site.Dir, name) }
	trust := fmt.Sprintf(`"ca":%q,"cert":%q,"key":%q`, file("ca.pem"), file("deploy.example.net.pem"), file("deploy.example.net.key"))
	text := fmt.Sprintf(`{"subject":"site.a","data":"x","servers":%q,%s,"timeout":60,"user":"u","password":"hunter22"}`, site.URL, trust)
	o, hidden, err := publish(t, nil, text)
	if err != nil || !o.Success || len(hidden.list) != 1 || hidden.list[0] != "hunter22" {
		t.Errorf("%+v, %v; hidden %q", o, err, hidden.list)
	}
	o, _, err = publish(t, nil, fmt.Sprintf(`{"subject":"a","servers":%q,"ca":%q,"timeout":1}`, site.URL, file("ca.pem")))
	if err != nil || o.Success {
		t.Errorf("without a certificate: %+v, %v", o, err)
	}
}

// TestPublishDenied holds that the task fails where the broker does not take a message.
func TestPublishDenied(t *testing.T) {
	t.Parallel()
	// To this broker we are a node, which may not ask others.
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1", "plugin.choria.network.client_hosts", "192.0.2.1"), broker.Options{})
	conn := streams.On(dial(t, transport.Options{Servers: []string{b.URL()}}))
	const denied = "mcollective.node.n1"
	for _, tt := range []struct{ subject, err string }{
		{denied, "Message was not published to " + denied + ": publish to " + denied + ": the broker does not allow it"},
		{"site.a", ""}, // that another one was denied does not count
		{denied, "Message was not published to " + denied + ": publish to " + denied + ": the broker does not allow it"},
	} {
		o, _, err := publish(t, conn, fmt.Sprintf(`{"subject":%q,"timeout":60}`, tt.subject))
		if err != nil || o.Success != (tt.err == "") || tt.err != "" && o.Message != tt.err {
			t.Errorf("%+v, %v; want %q", o, err, tt.err)
		}
	}
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct{ properties, err string }{
		{`{}`, `property "subject" of the nats task: is required`},
		{`{"subject":"a.*"}`, `property "subject" of the nats task: "a.*" cannot be published to`},
		{`{"subject":"a..b"}`, `property "subject" of the nats task: "a..b" cannot be published to`},
		{`{"subject":"a b\r\nPUB"}`, `property "subject" of the nats task: "a b\r\nPUB" cannot be published to`},
		{`{"subject":"a","user":"x"}`, `property "user" of the nats task: is for the brokers in servers, which are not given`},
		{`{"subject":"a","servers":"nats://u:pw@h"}`, `property "servers" of the nats task: a URL has credentials in it: they belong into user and password`},
		{`{"subject":"a","servers":"http://h"}`, `property "servers" of the nats task: want host:port, nats://host:port or tls://host:port, got "http://h"`},
		{`{"subject":"a","servers":"h","cert":"/x"}`, `property "cert" of the nats task: cert and key go together`},
	}
	for _, tt := range tests {
		if _, _, err := publish(t, nil, tt.properties); err == nil || err.Error() != tt.err {
			t.Errorf("%s: %v; want %s", tt.properties, err, tt.err)
		}
	}
}
