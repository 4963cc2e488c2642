package choria_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/internal/cli"
	"choria.io/choria/go/internal/security/pki"
)

// The example of an embedded node, as a user runs it: two daemons, and mco with the directory of the example in
// its libdir.
func TestEmbeddedExample(t *testing.T) {
	n := newNetwork(t)
	example, err := filepath.Abs("../../examples/embedded")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "embedded")
	if out, err := exec.Command("go", "build", "-o", program, example).CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	broker := strings.TrimPrefix(n.site.URL, "nats://")
	var pollers []*exec.Cmd
	for _, name := range []string{"poller1.example.net", "poller2.example.net"} {
		n.site.Issue(t, pki.Request{Name: name})
		cmd := exec.Command(program, "-broker", broker, "-identity", name, "-ssl", n.site.Dir, "-target", target.Addr().String(),
			"-interval", "20ms", "-operators", "choria=rip.mcollective")
		log := &bytes.Buffer{}
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		pollers = append(pollers, cmd)
	}
	config := filepath.Join(t.TempDir(), "client.conf")
	text := fmt.Sprintf("identity = rip.mcollective\nplugin.choria.middleware_hosts = %s\nplugin.choria.use_srv = false\nplugin.security.provider = file\n"+
		"plugin.security.file.ca = %[2]s/ca.pem\nplugin.security.file.certificate = %[2]s/rip.mcollective.pem\nplugin.security.file.key = %[2]s/rip.mcollective.key\n"+
		"collectives = mcollective, poller\nlibdir = %s\n", broker, n.site.Dir, example)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mco := func(args ...string) (string, int) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := cli.Main(t.Context(), "mco", append(args, "--config", config), strings.NewReader(""), &stdout, &stderr)
		return stdout.String() + stderr.String(), code
	}
	for end := time.Now().Add(patience); ; {
		if out, _ := mco("find", "-T", "poller"); strings.Count(out, "example.net") == 2 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the pollers are not there: %s", out)
		}
	}

	// modes runs an action on all pollers, and returns how many replies have each mode. The summary has to agree.
	modes := func(args ...string) map[string]int {
		t.Helper()
		out, code := mco(append([]string{"rpc", "-j", "-T", "poller"}, args...)...)
		var doc struct {
			Replies []struct {
				Data struct {
					Mode string `json:"mode"`
				} `json:"data"`
			} `json:"replies"`
			Summaries map[string]map[string]int `json:"summaries"`
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 {
			t.Fatalf("mco rpc %v: exit status %d, %v: %s", args, code, err, out)
		}
		got := make(map[string]int)
		for _, r := range doc.Replies {
			got[r.Data.Mode]++
		}
		if fmt.Sprint(doc.Summaries["mode"]) != fmt.Sprint(got) {
			t.Errorf("mco rpc %v: the summary has %v, the replies %v", args, doc.Summaries["mode"], got)
		}
		return got
	}
	for _, step := range []struct {
		args []string
		want map[string]int
	}{
		{[]string{"switch", "info"}, map[string]int{"running": 2}},
		{[]string{"poller", "switch"}, map[string]int{"paused": 2}},
		{[]string{"switch", "resume", "-I", "poller1.example.net"}, map[string]int{"running": 1}},
		{[]string{"switch", "info"}, map[string]int{"running": 1, "paused": 1}},
		{[]string{"switch", "flip"}, map[string]int{"running": 1, "paused": 1}},
		{[]string{"switch", "info", "-F", "poller.mode=paused"}, map[string]int{"paused": 1}},
		{[]string{"switch", "pause"}, map[string]int{"paused": 2}},
		{[]string{"switch", "resume"}, map[string]int{"running": 2}},
	} {
		if got := modes(step.args...); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("mco rpc %v: %v; want %v", step.args, got, step.want)
		}
	}
	out, code := mco("rpc", "poller", "switch", "-T", "poller")
	if code != 0 || !strings.Contains(out, "Summary of Mode:\n\n   paused: 2\n") || strings.Count(out, "Mode: paused") != 2 {
		t.Errorf("mco rpc poller switch: %d\n%s", code, out)
	}
	modes("switch", "resume")

	// Paused it does not look; running it does.
	stats := func() (polls, skipped int) {
		t.Helper()
		out, _ := mco("rpc", "-j", "-T", "poller", "switch", "info", "-I", "poller1.example.net")
		var doc struct {
			Replies []struct {
				Data struct{ Polls, Skipped, Failures int } `json:"data"`
			} `json:"replies"`
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Replies) != 1 || doc.Replies[0].Data.Failures > 0 {
			t.Fatalf("info: %v: %s", err, out)
		}
		return doc.Replies[0].Data.Polls, doc.Replies[0].Data.Skipped
	}
	waitFor := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); {
			if time.Now().After(end) {
				t.Fatalf("waiting for %s", what)
			}
		}
	}
	before, _ := stats()
	waitFor("another poll", func() bool { polls, _ := stats(); return polls > before })
	modes("switch", "pause")
	held, skipped := stats()
	waitFor("polls to be skipped", func() bool { _, s := stats(); return s > skipped+2 })
	if polls, _ := stats(); polls > held+1 { // one may have been on its way
		t.Errorf("%d polls while paused", polls-held)
	}

	// Told to stop it goes in order.
	for _, cmd := range pollers {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("a poller that was told to stop: %v\n%s", err, cmd.Stderr)
		}
		if log := fmt.Sprint(cmd.Stderr); !strings.Contains(log, "ready for requests") || !strings.Contains(log, "no more requests") {
			t.Errorf("log of a poller: %s", log)
		}
	}
}
