package adapter

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/internal/config"
)

func TestLoad(t *testing.T) {
	const p = "plugin.choria.adapter.inv."
	good := []string{"identity", "b1", "plugin.choria.adapters", "inv", p + "type", "jetstream", p + "ingest.topic", "mcollective.broadcast.agent.registration"}
	for _, tt := range []struct {
		settings []string
		err      string // the whole message; empty means success
	}{
		{nil, ""},
		{[]string{p + "stream.topic", "js.in.%s", p + "stream.servers", "a:1, tls://b:2"}, ""},
		{[]string{"plugin.choria.adapters", "inv, other"}, `adapter "other": plugin.choria.adapter.other.type: is not set: want one of choria_streams, elasticsearch, jetstream, kafka, nats_stream, opensearch`},
		{[]string{"plugin.choria.adapters", "inv, inv"}, `plugin.choria.adapters: "inv" stands there twice`},
		{[]string{"plugin.choria.adapters", "a/b"}, `plugin.choria.adapters: "a/b": want a name of letters, digits and _ -, at most 64`},
		{[]string{p + "ingest.topic", "a..b"}, `adapter "inv": plugin.choria.adapter.inv.ingest.topic: "a..b": not a subject`},
		{[]string{p + "stream.topic", "js.>"}, `adapter "inv": plugin.choria.adapter.inv.stream.topic: "js.>": not a subject`},
		{[]string{p + "ingest.topic", "a.>", p + "stream.topic", "a.%s"}, `adapter "inv": plugin.choria.adapter.inv.stream.topic: "a.%s" is received by plugin.choria.adapter.inv.ingest.topic`},
		{[]string{p + "ingest.topic", "choria.>"}, `adapter "inv": plugin.choria.adapter.inv.dead_letters: "choria.adapter.inv.dead_letters" is received by plugin.choria.adapter.inv.ingest.topic`},
		{[]string{p + "spill.directory", "spill"}, `adapter "inv": plugin.choria.adapter.inv.spill.directory: "spill": want an absolute path`},
	} {
		cfg := config.New()
		all := append(append([]string{}, good...), tt.settings...)
		for i := 0; i < len(all); i += 2 {
			if err := cfg.Set(all[i], all[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Load(cfg)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != tt.err {
			t.Errorf("%q: error %q; want %q", tt.settings, text, tt.err)
		}
		if err != nil {
			continue
		}
		a := got[0].Adapter
		if a.Name != "inv" || a.Identity != "b1" || a.Kind != Replies || a.Workers != 10 || a.OutputWorkers != 10 || a.QueueLength != 1000 || !got[0].Verify || a.SpillBytes != 256<<20 {
			t.Errorf("%q: %+v", tt.settings, got[0])
		}
		if tt.settings != nil && (got[0].Topic != "js.in.%s" || strings.Join(got[0].Servers, " ") != "nats://a:1 tls://b:2") {
			t.Errorf("%q: %+v", tt.settings, got[0])
		}
	}
}

// TestIgnored warns of what was set for another type of sink, or needs another setting.
func TestIgnored(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broker.conf")
	const p = "plugin.choria.adapter.inv."
	text := strings.Join([]string{
		"plugin.choria.adapters = inv", p + "type = kafka", p + "ingest.topic = in", p + "stream.servers = k1:9092",
		p + "stream.urls = http://x:1", p + "stream.tls.ca = /tmp/ca.pem", p + "queue_len = 5", "plugin.choria.adapter.other.stream.urls = http://x:1",
	}, "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() ([]Settings, error) {
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return Load(cfg)
	}
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		file + ":6: " + p + "stream.tls.ca is ignored: it means nothing to an adapter of type kafka, as it is set up",
		file + ":5: " + p + "stream.urls is ignored: it means nothing to an adapter of type kafka, as it is set up",
	}
	if got := all[0].Warnings; !slices.Equal(got, want) {
		t.Errorf("warnings %q; want %q", got, want)
	}
	// What is missing is missing in a file.
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, p+"stream.servers", "#")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.HasPrefix(err.Error(), `adapter "inv": `+file+": "+p+"stream.servers: is not set") {
		t.Errorf("error %v", err)
	}
}

// TestSpillDirectory looks for a place for messages where no setting names one.
func TestSpillDirectory(t *testing.T) {
	for _, tt := range []struct {
		set, store, state string
		want              string
		optional          bool
	}{
		{"/a", "/b", "/c", "/a", false},
		{"", "/b", "/c", "/b/adapters/inv", false},
		{"", "", "/c:/d", "/c/adapters/inv", true},
	} {
		t.Setenv("STATE_DIRECTORY", tt.state)
		cfg := config.New()
		for key, value := range map[string]string{
			"plugin.choria.adapters": "inv", "plugin.choria.adapter.inv.type": "jetstream", "plugin.choria.adapter.inv.ingest.topic": "in",
			"plugin.choria.adapter.inv.spill.directory": tt.set, "plugin.choria.network.stream.store": tt.store,
		} {
			if value == "" {
				continue
			}
			if err := cfg.Set(key, value); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Load(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if a := got[0].Adapter; a.SpillDir != tt.want || a.SpillOptional != tt.optional {
			t.Errorf("%+v: %s, optional %v", tt, a.SpillDir, a.SpillOptional)
		}
	}
}

// TestSpillError says in which line the directory stands that cannot be used, or is used already.
func TestSpillError(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "broker.conf")
	load := func(lines ...string) ([]Settings, error) {
		if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(conf)
		if err != nil {
			t.Fatal(err)
		}
		return Load(cfg)
	}
	all, err := load("identity = b1", "plugin.choria.adapters = inv", "plugin.choria.adapter.inv.type = jetstream",
		"plugin.choria.adapter.inv.ingest.topic = in", "plugin.choria.adapter.inv.spill.directory = "+conf)
	if err != nil {
		t.Fatal(err)
	}
	a := all[0].Adapter
	a.Open = func(int) (Sink, error) { return nil, errors.New("not to be reached") }
	want := `adapter "inv": ` + conf + ":5: plugin.choria.adapter.inv.spill.directory: spill: mkdir " + conf + ": not a directory"
	if err := a.Run(t.Context()); err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}

	_, err = load("plugin.choria.adapters = a,b", "plugin.choria.adapter.a.type = jetstream", "plugin.choria.adapter.b.type = jetstream",
		"plugin.choria.adapter.a.ingest.topic = in", "plugin.choria.adapter.b.ingest.topic = in",
		"plugin.choria.adapter.a.spill.directory = "+dir, "plugin.choria.adapter.b.spill.directory = "+dir)
	want = `adapter "b": ` + conf + ":7: plugin.choria.adapter.b.spill.directory: " + dir + ` is that of adapter "a"`
	if err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {">", "a", true}, {"*.b", "a.b", true},
	} {
		if got := matches(tt.pattern, tt.subject); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.subject, got)
		}
	}
}
