package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// publisher returns what publishes events on the broker of site.
func publisher(t *testing.T, site *labtest.Site) func(lifecycle.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := transport.Connect(ctx, transport.Options{InProcess: site.Broker.InProcess})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the broker goes first
	return func(e lifecycle.Event) {
		t.Helper()
		data, err := lifecycle.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Publish(lifecycle.Subject(e), data); err != nil {
			t.Fatal(err)
		}
		if err := conn.Publish(lifecycle.Subject(e), []byte("{")); err != nil { // some nonsense beside it
			t.Fatal(err)
		}
	}
}

func TestEvents(t *testing.T) {
	site, configs := streamSite(t)
	publish := publisher(t, site)
	event := func(kind lifecycle.Type, identity, component string) lifecycle.Event {
		e := lifecycle.New(kind, identity, component)
		e.Version = "1.2.3"
		return e
	}
	publish(event(lifecycle.Alive, "early.example.net", "server"))

	all, endAll := start(t, configs, "events", "--debug")
	shows(t, all, "listening")
	some, endSome := start(t, configs, "events", "--debug", "--type", "shutdown", "--component", "server", "--json")
	shows(t, some, "listening")
	kept, endKept := start(t, configs, "events", "--since", "1h", "--identity", "early.example.net")
	shows(t, kept, "early.example.net 1.2.3\n")

	publish(event(lifecycle.Startup, "n1.example.net", "server"))
	publish(event(lifecycle.Shutdown, "n2.example.net", "tally"))
	publish(event(lifecycle.Shutdown, "n3.example.net", "server"))
	last := event(lifecycle.Upgraded, "early.example.net", "server")
	last.NewVersion = "1.2.4"
	publish(last)

	shows(t, all, "startup     server     n1.example.net 1.2.3\n")
	shows(t, all, "shutdown    tally      n2.example.net\n")
	shows(t, all, "upgraded    server     early.example.net 1.2.3 to 1.2.4\n")
	shows(t, some, `"subject":"n3.example.net"`)
	shows(t, kept, "1.2.3 to 1.2.4")
	for _, end := range []func() error{endAll, endSome, endKept} {
		if err := end(); err != nil {
			t.Errorf("ended with %v: %s%s%s", err, all, some, kept)
		}
	}
	if strings.Contains(some.String(), "n2.example") || strings.Contains(some.String(), "n1.example") || strings.Contains(kept.String(), "n1.example") {
		t.Errorf("printed too much: %s%s", some, kept)
	}
	if !strings.Contains(all.String(), "messages were no events") {
		t.Errorf("nothing is said of the nonsense: %s", all)
	}
}
