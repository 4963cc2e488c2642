package cli_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"choria.io/choria/go/internal/lab/labtest"
)

// streamSite runs a broker with streams, and returns the directory of client configurations.
func streamSite(t *testing.T) (site *labtest.Site, configs string) {
	t.Helper()
	site = labtest.TLSBroker(t, "plugin.choria.network.stream.store", t.TempDir())
	return site, writeConfigs(t, site, t.TempDir())
}

// TestStreamScripts runs transcripts against a broker with streams, and $PLAIN names the configuration
// for one without. Those in a directory run at the same time: one broker for each.
func TestStreamScripts(t *testing.T) {
	for _, dir := range []string{"streams", "governors"} {
		t.Run(dir, func(t *testing.T) { streamScripts(t, filepath.Join("testdata", dir)) })
	}
}

func streamScripts(t *testing.T, dir string) {
	_, configs := streamSite(t)
	plain := writeConfigs(t, labtest.TLSBroker(t), t.TempDir())
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CHORIA_CONFIG", filepath.Join(configs, "client.cfg"))
			e.Setenv("PLAIN", filepath.Join(plain, "client.cfg"))
			e.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// lines collects what a program prints.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start runs choria with args in a process of its own. end interrupts it as Control-C does, and
// returns how it ended.
func start(t *testing.T, configs string, args ...string) (out *lines, end func() error) {
	t.Helper()
	path, err := exec.LookPath("choria") // that of testscript
	if err != nil {
		t.Fatal(err)
	}
	out = &lines{}
	cmd := exec.Command(path, args...)
	cmd.Env = append(cmd.Environ(), "CHORIA_CONFIG="+filepath.Join(configs, "client.cfg"), "MCOLLECTIVE_CERTNAME=alice.mcollective")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // ended already, unless the test failed
	return out, func() error {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return context.DeadlineExceeded
		}
	}
}

// shows waits until a program has printed text.
func shows(t *testing.T, out *lines, text string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(out.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q within a minute in %q", text, out)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// run runs choria to its end.
func run(t *testing.T, configs string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("choria")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(cmd.Environ(), "CHORIA_CONFIG="+filepath.Join(configs, "client.cfg"), "MCOLLECTIVE_CERTNAME=alice.mcollective")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("choria %s: %v: %s", strings.Join(args, " "), err, text)
	}
}

// TestWatchUntilInterrupted holds that Control-C is how a watch ends, and no failure.
func TestWatchUntilInterrupted(t *testing.T) {
	_, configs := streamSite(t)
	run(t, configs, "kv", "add", "config")
	run(t, configs, "kv", "put", "config", "app.x", "one")
	out, end := start(t, configs, "kv", "watch", "config", "app.>", "--json")
	shows(t, out, `"key":"app.x","value":"one","revision":1`)
	run(t, configs, "kv", "put", "config", "other", "not watched")
	run(t, configs, "kv", "put", "config", "app.x", "two")
	shows(t, out, `"value":"two","revision":3`)
	run(t, configs, "kv", "del", "config", "app.x")
	shows(t, out, `"deleted":true`)
	if err := end(); err != nil {
		t.Errorf("ended with %v: %s", err, out)
	}
	if strings.Contains(out.String(), "not watched") || strings.Contains(out.String(), "error") {
		t.Errorf("printed %s", out)
	}

	out, end = start(t, configs, "stream", "view", "KV_config", "--follow", "--last", "1")
	shows(t, out, "$KV.config.app.x")
	run(t, configs, "kv", "put", "config", "new", "three")
	shows(t, out, "three")
	if err := end(); err != nil {
		t.Errorf("ended with %v: %s", err, out)
	}
}
