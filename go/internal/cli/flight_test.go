package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security/pki"
)

// startPuppetNode runs a node with the agents of choria-server, and a Puppet that never runs, until the test ends. It
// returns the directory of the state of that Puppet.
func startPuppetNode(t *testing.T, site *labtest.Site, name string) (state string) {
	t.Helper()
	dir := t.TempDir()
	state = filepath.Join(dir, "state")
	for _, sub := range []string{state, filepath.Join(dir, "run")} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	site.Issue(t, pki.Request{Name: name})
	ready := make(chan struct{})
	node := &choria.Server{
		Identity: name,
		Brokers:  []string{strings.TrimPrefix(site.URL, "nats://")},
		TLS: &choria.TLS{
			CA:          filepath.Join(site.Dir, "ca.pem"),
			Certificate: filepath.Join(site.Dir, name+".pem"),
			Key:         filepath.Join(site.Dir, name+".key"),
		},
		Settings: map[string]string{
			"plugin.choria.network.connect_timeout": "30s",
			"plugin.puppet.command":                 "/bin/true agent",
			"plugin.puppet.statedir":                state,
			"plugin.puppet.rundir":                  filepath.Join(dir, "run"),
		},
		Standard:  true,
		Facts:     func() json.RawMessage { return json.RawMessage(`{"kernel":"Linux"}`) },
		Authorize: func(*agent.Request) bool { return true },
		Ready:     func() { close(ready) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatalf("%s is not ready after a minute", name)
	}
	return state
}

// applying makes a node believe that its Puppet applies a catalog.
func applying(t *testing.T, state string) {
	t.Helper()
	cmd := exec.Command("cat")
	cmd.Args[0] = "puppet agent: applying configuration"
	if _, err := cmd.StdinPipe(); err != nil { // which nobody writes to
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(state, "agent_catalog_run.lock")
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); os.Remove(lock) })
	if err := os.WriteFile(lock, fmt.Append(nil, cmd.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPostFlight holds that the Puppet agents that cspec::suite has disabled are enabled when it ends, whenever that is. A
// node without a daemon of Puppet is at rest unless it applies a catalog.
func TestPostFlight(t *testing.T) {
	site := labtest.TLSBroker(t)
	states := []string{startPuppetNode(t, site, "p1.example.net"), startPuppetNode(t, site, "p2.example.net")}
	configs := writeConfigs(t, site, t.TempDir())
	t.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective")

	dir := t.TempDir()
	plans := filepath.Join(dir, "modules", "site", "plans")
	if err := os.MkdirAll(plans, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const parameters = "(Hash $ds, String[1] $report, Boolean $fail_fast = false)"
	write(filepath.Join(plans, "waits.pp"), "plan site::waits "+parameters+" {\n  choria::sleep(600)\n}\n")
	write(filepath.Join(plans, "passes.pp"), "plan site::passes "+parameters+" {\n  cspec::suite('s', $fail_fast, $report) |$s| { $s.it('c') |$c| { $c.assert_true(true) } }\n}\n")

	// disabled returns how many nodes have Puppet disabled.
	disabled := func() (n int) {
		for _, state := range states {
			if _, err := os.Stat(filepath.Join(state, "agent_disabled.lock")); err == nil {
				n++
			}
		}
		return n
	}
	tests := []struct {
		name, suite string
		applying    bool
		at          string // what the log says when the signal comes
		signal      os.Signal
		status      int
	}{
		{"interrupted in the pre-flight", "site::passes", true, "trying again in 600 seconds", os.Interrupt, 130},
		{"terminated in a suite", "site::waits", false, "Sleeping 600 seconds", syscall.SIGTERM, 130},
		{"to its end", "site::passes", false, "", nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.applying {
				applying(t, states[0])
			}
			data := filepath.Join(t.TempDir(), "suite.yaml")
			write(data, fmt.Sprintf(`{"suites": [%q], "pre_flight.wait": 0, "pre_flight.try_sleep": 600}`, tt.suite))
			cmd := exec.Command("mco", "playbook", "run", "cspec::suite", "-c", filepath.Join(configs, "client.cfg"),
				"--modulepath", filepath.Join(dir, "modules"), "--data", data, "--report", filepath.Join(t.TempDir(), "report.json"))
			read, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			cmd.Stdout, cmd.Stderr = writer, writer
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			writer.Close()
			kill := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
			defer kill.Stop()

			var log bytes.Buffer
			for lines := bufio.NewScanner(read); lines.Scan(); {
				fmt.Fprintln(&log, lines.Text())
				if tt.signal == nil || !strings.Contains(lines.Text(), tt.at) {
					continue
				}
				if n := disabled(); n != len(states) {
					t.Errorf("%d nodes disabled in flight; want %d", n, len(states))
				}
				if err := cmd.Process.Signal(tt.signal); err != nil {
					t.Fatal(err)
				}
			}
			var ended *exec.ExitError
			if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.status {
				t.Errorf("exit status %d; want %d", got, tt.status)
			}
			if n := disabled(); n != 0 {
				t.Errorf("%d nodes are left disabled", n)
			}
			if tt.signal == nil && (strings.Contains(log.String(), "Warning:") || strings.Contains(log.String(), "Error:")) {
				t.Error("a success with warnings")
			}
			if t.Failed() {
				t.Logf("it printed\n%s", &log)
			}
		})
	}
}
