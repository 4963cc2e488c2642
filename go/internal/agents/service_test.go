package agents

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"choria.io/choria/go/agent"
)

// initScript is a SysV script for a real daemon: a process that holds the output of the script open, as
// daemons do that do not care. Its second start argument makes it fall over at once.
const initScript = `#!/bin/sh
### BEGIN INIT INFO
# Provides:          %[1]s
# Required-Start:
# Required-Stop:
# Default-Start:
# Default-Stop:
# Short-Description: a service for tests
### END INIT INFO
pidfile=%[2]s/pid
alive() { [ -s $pidfile ] && kill -0 "$(cat $pidfile)" 2>/dev/null; }
case "$1" in
start)
	if [ -e %[2]s/refuse ]; then echo "no space for it" >&2; exit 1; fi
	if [ -e %[2]s/fall ]; then exit 0; fi
	/bin/sleep 600 & echo $! > $pidfile ;;
stop) alive && kill "$(cat $pidfile)"; rm -f $pidfile ;;
restart) "$0" stop; "$0" start ;;
status) if alive; then echo "%[1]s is running"; else echo "%[1]s is not running"; exit 3; fi ;;
*) exit 2 ;;
esac
`

func TestServiceSysV(t *testing.T) {
	t.Parallel()
	t.Run("script", func(t *testing.T) {
		dir, state := t.TempDir(), t.TempDir()
		script := filepath.Join(dir, "demo")
		if err := os.WriteFile(script, fmt.Appendf(nil, initScript, "demo", state), 0o755); err != nil {
			t.Fatal(err)
		}
		testService(t, (&services{initDir: dir}).agent(), "demo", state)
	})
	// With the program service as packaged systems have it. Scripts are in a directory of the system, so this
	// is for root; the tests of the project run as root in CI.
	program, err := exec.LookPath("service")
	if os.Geteuid() != 0 || err != nil {
		return
	}
	t.Run("service", func(t *testing.T) {
		state := t.TempDir()
		name := fmt.Sprintf("choria-test-%d", os.Getpid())
		script := filepath.Join("/etc/init.d", name)
		t.Cleanup(func() { os.Remove(script) })
		if err := os.WriteFile(script, fmt.Appendf(nil, initScript, name, state), 0o755); err != nil {
			t.Fatal(err)
		}
		testService(t, (&services{service: program, initDir: "/etc/init.d"}).agent(), name, state)
	})
}

// testService starts, restarts and stops a real service that keeps its state in a directory.
func testService(t *testing.T, a *agent.Agent, name, state string) {
	in := map[string]any{"service": name}
	pid := func() string {
		text, err := os.ReadFile(filepath.Join(state, "pid"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	t.Cleanup(func() {
		if n, err := strconv.Atoi(strings.TrimSpace(readFile(filepath.Join(state, "pid")))); err == nil {
			syscall.Kill(n, syscall.SIGKILL)
		}
	})
	want := func(action, status string) {
		t.Helper()
		if got := mustCall(t, a, action, in); got["status"] != status {
			t.Errorf("%s: %v; want %s", action, got, status)
		}
	}
	refused := func(action, status, message string) {
		t.Helper()
		got, code, msg := call(t, t.Context(), a, action, in)
		if code != agent.Aborted || got["status"] != status || !strings.Contains(msg, message) {
			t.Errorf("%s: %d %q %v; want status %s and %q", action, code, msg, got, status, message)
		}
	}
	want("status", "stopped")
	refused("stop", "stopped", "it is already stopped")
	want("start", "running")
	want("status", "running")
	refused("start", "running", "it is already running")
	first := pid()
	want("restart", "running")
	if pid() == first {
		t.Errorf("restart left process %s running", first)
	}
	want("stop", "stopped")
	want("restart", "running") // starts what is stopped
	want("stop", "stopped")

	if err := os.WriteFile(filepath.Join(state, "fall"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want("start", "stopped") // the script is content, but nothing runs
	if err := os.WriteFile(filepath.Join(state, "refuse"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("start", "stopped", "exit code 1: no space for it")

	in["service"] = "no-such-service-here"
	want("status", "stopped")
	if got, code, _ := call(t, t.Context(), a, "start", in); code != agent.Aborted {
		t.Errorf("start of a service that is not there: %d %v", code, got)
	}
	for _, bad := range []string{"", "-x", "../passwd", "a b", "a;b", "a\nb", "a/b"} {
		in["service"] = bad
		for _, action := range []string{"start", "status"} {
			if _, code, _ := call(t, t.Context(), a, action, in); code != agent.InvalidData {
				t.Errorf("%s %q: status %d; want it refused", action, bad, code)
			}
		}
	}
}

func readFile(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// fakeSystemctl stands in for systemctl, since systemd does not run the machines that run tests. It
// takes exactly the command lines of the agent, and keeps the state of units in files; what it prints is what
// systemctl 252 prints for the same.
const fakeSystemctl = `#!/bin/sh
state=%s
case "$*" in
"show --property=ActiveState -- "*)
	unit=${4%%.service}
	echo "ActiveState=$(cat $state/$unit 2>/dev/null || echo inactive)" ;;
"--no-ask-password --no-pager start -- nope") echo "Failed to start nope.service: Unit nope.service not found." >&2; exit 5 ;;
"--no-ask-password --no-pager start -- "*|"--no-ask-password --no-pager restart -- "*) echo active > $state/${5%%.service} ;;
"--no-ask-password --no-pager stop -- "*) echo inactive > $state/${5%%.service} ;;
*) echo "unexpected: $*" >&2; exit 64 ;;
esac
`

func TestServiceSystemd(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	program := filepath.Join(dir, "systemctl")
	if err := os.WriteFile(program, fmt.Appendf(nil, fakeSystemctl, state), 0o755); err != nil {
		t.Fatal(err)
	}
	a := (&services{systemctl: program}).agent()
	for _, step := range []struct {
		action, service string
		before          string // state of the unit before, when not empty
		code            agent.Status
		status, message string
	}{
		{"status", "demo", "", 0, "stopped", ""},
		{"start", "demo", "", 0, "running", ""},
		{"start", "demo", "", 1, "running", "already running"},
		{"status", "demo", "reloading", 0, "running", ""},
		{"status", "demo", "failed", 0, "stopped", ""},
		{"status", "demo", "activating", 0, "stopped", ""},
		{"restart", "demo", "failed", 0, "running", ""},
		{"stop", "demo", "", 0, "stopped", ""},
		{"stop", "demo", "", 1, "stopped", "already stopped"},
		{"start", "getty@tty1.service", "", 0, "running", ""},
		{"start", "nope", "", 1, "stopped", "exit code 5: Failed to start nope.service: Unit nope.service not found."},
	} {
		if step.before != "" {
			if err := os.WriteFile(filepath.Join(state, step.service), []byte(step.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, code, msg := call(t, t.Context(), a, step.action, map[string]any{"service": step.service})
		if code != step.code || got["status"] != step.status || !strings.Contains(msg, step.message) {
			t.Errorf("%s %s: %d %q %v; want %d %s %q", step.action, step.service, code, msg, got, step.code, step.status, step.message)
		}
	}
	gone := (&services{systemctl: filepath.Join(dir, "none")}).agent()
	if _, code, _ := call(t, t.Context(), gone, "status", map[string]any{"service": "demo"}); code != agent.Aborted {
		t.Errorf("status without systemctl: %d; want an error", code)
	}
}
