package playbook_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
)

// A puppetDaemon stands in for the daemon of the Puppet agent: a process of that name, which writes down that
// it was told to start a run.
func puppetDaemon(t *testing.T, name, runs string) *os.Process {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `trap 'echo run >> "$0"' USR1; : > "$0"; while :; do sleep 600 & wait $!; done`, runs)
	cmd.Args[0] = name
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it waits with ends with it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Wait() })
	if !appears(runs) {
		t.Fatalf("%s is not there", runs)
	}
	return cmd.Process
}

// appears waits for a file.
func appears(path string) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// TestPuppetPlaybooks runs the playbooks about the Puppet agent against the agent puppet of real nodes.
func TestPuppetPlaybooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nodes := []string{"n1.example.net", "n2.example.net"}
	config, _ := newPuppetNetwork(t, dir, nodes...)
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: config})
	})
	defer closeNetwork()
	for _, node := range nodes {
		p := puppetDaemon(t, "puppet agent", filepath.Join(dir, node, "runs"))
		if err := os.WriteFile(filepath.Join(dir, node, "run/agent.pid"), []byte(strconv.Itoa(p.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(plan string, parameters map[string]any) json.RawMessage {
		t.Helper()
		o, _, out := runPlan(t, plan, network, parameters)
		if !o.Success() {
			t.Fatalf("%s: %+v\n%s", plan, o.Failure, strings.Join(out.lines(), "\n"))
		}
		return o.Result
	}
	// finds runs a playbook that looks for nodes.
	finds := func(plan string, parameters map[string]any, want ...string) {
		t.Helper()
		var got []string
		if result := run("mcollective_agent_puppet::"+plan, parameters); json.Unmarshal(result, &got) != nil {
			t.Fatalf("%s: result %s is no list of names", plan, result)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s with %v found %q, want %q", plan, parameters, got, want)
		}
	}
	// message returns why the agent of a node is disabled, nothing when it is enabled.
	message := func(node string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, node, "state/agent_disabled.lock"))
		if os.IsNotExist(err) {
			return ""
		}
		var lock map[string]string
		if err != nil || json.Unmarshal(data, &lock) != nil {
			t.Fatalf("lock of %s: %s, %v", node, data, err)
		}
		return lock["disabled_message"]
	}
	both := func(when, want string) {
		t.Helper()
		for _, node := range nodes {
			if got := message(node); got != want {
				t.Errorf("%s: %s is disabled with %q; want %q", when, node, got, want)
			}
		}
	}

	run("mcollective_agent_puppet::disable", map[string]any{"message": "for a test"})
	both("after disable", "for a test")
	run("mcollective_agent_puppet::disable", map[string]any{"message": "again"}) // is no failure
	both("after disable again", "for a test")
	run("mcollective_agent_puppet::enable", nil)
	both("after enable", "")

	// One node applies a catalog, and is done only when it was disabled.
	applies := puppetDaemon(t, "puppet agent: applying configuration", filepath.Join(dir, "applies"))
	lock := filepath.Join(dir, nodes[0], "state/agent_catalog_run.lock")
	if err := os.WriteFile(lock, []byte(strconv.Itoa(applies.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	finds("find_stuck_agents", map[string]any{"checks": 2, "sleep": 0}, nodes[0])
	finds("discover", map[string]any{"state": "applying"}, nodes[0])
	finds("discover", map[string]any{"state": "idling"}, nodes[1])
	finds("discover", map[string]any{"state": "stopped"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if appears(filepath.Join(dir, nodes[0], "state/agent_disabled.lock")) {
			os.Remove(lock)
		}
	}()
	run("mcollective_agent_puppet::disable_and_wait", map[string]any{"checks": 60, "sleep": 1, "message": "and wait"})
	<-done
	both("after disable_and_wait", "and wait")
	if _, err := os.Stat(lock); err == nil {
		t.Error("disable_and_wait did not wait")
	}
	run("mcollective_agent_puppet::enable", map[string]any{"nodes": nodes[:1]})
	finds("find_stuck_agents", map[string]any{"checks": 1})
	finds("discover", map[string]any{"state": "disabled"}, nodes[1])
	finds("discover", map[string]any{"state": "enabled", "nodes": nodes[:1]}, nodes[0])
	if message(nodes[0]) != "" || message(nodes[1]) == "" {
		t.Errorf("after enable of one node: %q, %q", message(nodes[0]), message(nodes[1]))
	}
	run("mcollective_agent_puppet::enable", nil)

	// What a cspec run starts with: one run of Puppet, then no more.
	data := dataFile(t, `{"pre_flight.batch_sleep":0,"pre_flight.wait":0,"pre_flight.try_sleep":1}`)
	run("cspec::pre_flight", map[string]any{"ds": map[string]any{"type": "file", "file": data, "format": "json"}})
	for _, node := range nodes {
		if got := message(node); !strings.HasPrefix(got, "Disabled by playbook ") {
			t.Errorf("after pre_flight: %s is disabled with %q", node, got)
		}
		runs := ""
		for end := time.Now().Add(patience); runs == "" && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			text, err := os.ReadFile(filepath.Join(dir, node, "runs"))
			if err != nil {
				t.Fatal(err)
			}
			runs = string(text)
		}
		if runs != "run\n" {
			t.Errorf("%s started Puppet with %s", node, fmt.Sprintf("%q", runs))
		}
	}
}
