package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"choria.io/choria/go/internal/adapter"
	"choria.io/choria/go/internal/cli"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/internal/vectors"
)

// TestRepliesScript asks three nodes, whose replies go into a stream.
func TestRepliesScript(t *testing.T) {
	site := labtest.TLSBroker(t, "plugin.choria.network.stream.store", t.TempDir())
	libdir := writeDemoDDL(t, site.Dir)
	startNodes(t, site)
	configs := writeConfigs(t, site, libdir)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "replies"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("CHORIA_CONFIG", filepath.Join(configs, "client.cfg"))
			e.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "keep": keep},
	})
}

// keep sets a variable to what a command prints: keep ID mco rpc ...
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: keep variable command [args...]")
	}
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// TestRepliesOfAdapters reads what an adapter of the peer has published, some of it twice.
func TestRepliesOfAdapters(t *testing.T) {
	_, configs := streamSite(t)
	run(t, configs, "stream", "add", "A", "a.>")
	const id = "280577c0e2df4dfe975cbe2a563bae58"
	message := func(sender string, status int) string {
		return fmt.Sprintf(`{"protocol":"choria:adapters:choria_streams:output:1","data":"{\"action\":\"ping\",\"statuscode\":%d,\"statusmsg\":\"it is so\",\"data\":{\"pong\":1}}","sender":%q,"time":"2026-11-22T12:44:37Z","requestid":%q}`, status, sender, id)
	}
	path, err := exec.LookPath("choria")
	if err != nil {
		t.Fatal(err)
	}
	add := func(text string) {
		t.Helper()
		run(t, configs, "kv", "put", "a", "x", text)
	}
	// A bucket is a stream as well, so that its values are messages.
	run(t, configs, "kv", "add", "a", "--history", "10")
	for _, text := range []string{message("n1", 0), message("n2", 1), "nonsense", message("n1", 0)} {
		add(text)
	}
	cmd := exec.Command(path, "replies", id, "--stream", "KV_a", "--json")
	cmd.Env = append(os.Environ(), "CHORIA_CONFIG="+filepath.Join(configs, "client.cfg"), "MCOLLECTIVE_CERTNAME=alice.mcollective")
	out, err := cmd.Output()
	if ended, ok := err.(*exec.ExitError); !ok || ended.ExitCode() != 2 {
		t.Errorf("ended with %v, want exit status 2", err)
	}
	var replies []struct {
		Sender, Requestid, Statusmsg, Action string
		Statuscode                           int
		Data                                 map[string]int
	}
	if err := json.Unmarshal(out, &replies); err != nil || len(replies) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	if r := replies[1]; r.Sender != "n2" || r.Statuscode != 1 || r.Statusmsg != "it is so" || r.Action != "ping" || r.Data["pong"] != 1 || r.Requestid != id {
		t.Errorf("reply: %+v", r)
	}
}

// TestRepliesByAdapter has a running adapter carry replies, which come on a subject that no stream has,
// into a stream, from which they are read.
func TestRepliesByAdapter(t *testing.T) {
	site := labtest.TLSBroker(t, "plugin.choria.network.stream.store", t.TempDir())
	libdir := writeDemoDDL(t, site.Dir)
	startNodes(t, site)
	configs := writeConfigs(t, site, libdir)
	connect := transport.Options{
		Servers: []string{site.URL}, TLS: site.Identity(t, "adapter.example.net", security.ForServer).ClientTLS(), ConnectTimeout: 30 * time.Second,
	}
	ready := make(chan struct{})
	a := &adapter.Adapter{
		Name: "replies", Identity: "adapter.example.net", Kind: adapter.Replies, Subject: "mcollective.async.>", DeadLetters: "dead",
		Ingest: connect, Open: func(int) (adapter.Sink, error) { return adapter.OpenStreams("kept.%s", connect), nil },
		SpillDir: t.TempDir(), Metrics: metrics.New(), Ready: func() { close(ready) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the adapter ended with %v", err)
		}
	})
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("the adapter is not ready")
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "adapter"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("CHORIA_CONFIG", filepath.Join(configs, "client.cfg"))
			e.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "keep": keep},
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"protocol":"choria:adapters:jetstream:output:1","data":"{\"statuscode\":0}","sender":"n1","time":"2026-11-22T12:44:37Z","requestid":"x"}`))
	files, err := filepath.Glob(filepath.Join(vectors.Dir(f), "v1", "captured", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var records []struct {
			Payload []byte `json:"payload_base64"`
		}
		if err := json.Unmarshal(data, &records); err != nil {
			f.Fatal(err)
		}
		for _, r := range records {
			f.Add(r.Payload)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if request, sender, ok := cli.IsReply(data); ok && (request == "" || sender == "") {
			t.Errorf("a reply of %q to %q", sender, request)
		}
	})
}
