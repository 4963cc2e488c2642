package task_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

func shell(t testing.TB, ctx context.Context, text string) (*task.Outcome, *tasktest.Log, error) {
	t.Helper()
	log := &tasktest.Log{}
	env := &task.Env{Log: log, Environ: func() []string { return []string{"PATH=/usr/bin:/bin", "FROM=outside"} }}
	o, err := task.Run(ctx, env, "shell", properties(t, text))
	return o, log, err
}

func TestShell(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		properties, value, message string
		exit                       any
	}{
		{`"command":"echo one; echo; echo two"`, "one\n\ntwo", "Command echo one; echo; echo two succeeded", nil},
		{`"command":"echo error >&2"`, "error", "Command echo error >&2 succeeded", nil},
		{`"command":"printf 'no end'; exit 3"`, "no end", "Command printf 'no end'; exit 3 failed with exit code 3", 3},
		{`"command":"pwd","cwd":"` + dir + `"`, dir, "Command pwd succeeded", nil},
		{`"command":"echo $A $FROM $LC_ALL","environment":{"A":"x y","N":1}`, "x y outside C", "Command echo $A $FROM $LC_ALL succeeded", nil},
		{`"command":"echo","nodes":["a","b"]`, "--nodes a,b", "Command echo --nodes a,b succeeded", nil},
		{`"command":["echo","$HOME; x"],"nodes":[]`, "$HOME; x --nodes ", "Command echo $HOME; x --nodes  succeeded", nil},
		{`"command":"kill -9 $$"`, "", "Command kill -9 $$ failed: signal: killed", -1},
		{`"command":["/does/not/exist"]`, "", "Command /does/not/exist failed: fork/exec /does/not/exist: no such file or directory", nil},
	}
	for _, tt := range tests {
		o, _, err := shell(t, t.Context(), "{"+tt.properties+"}")
		if err != nil {
			t.Errorf("%s: %v", tt.properties, err)
			continue
		}
		r := o.Results[0]
		if r.Host != "localhost" || r.Value != tt.value || o.Message != tt.message {
			t.Errorf("%s: %s gave %q, %q; want %q, %q", tt.properties, r.Host, r.Value, o.Message, tt.value, tt.message)
		}
		if failed := strings.Contains(tt.message, "failed"); failed == o.Success || failed != (r.Error != nil) {
			t.Errorf("%s: success %v, error %v", tt.properties, o.Success, r.Error)
		}
		if r.Error != nil && r.Error.Details["exitcode"] != tt.exit {
			t.Errorf("%s: exit code %v, want %v", tt.properties, r.Error.Details["exitcode"], tt.exit)
		}
	}
}

func TestShellStreams(t *testing.T) {
	o, log, err := shell(t, t.Context(), `{"command":"echo one; echo two >&2; printf three; exit 1"}`)
	if err != nil {
		t.Fatal(err)
	}
	details := o.Results[0].Error.Details
	if details["stdout"] != "one\nthree" || details["stderr"] != "two\n" {
		t.Errorf("details %v", details)
	}
	want := []string{
		"notice: About to run task: shell task",
		"notice: Starting command echo one; echo two >&2; printf three; exit 1",
		"notice: one", "notice: two", "notice: three",
		"warning: Command echo one; echo two >&2; printf three; exit 1 failed with exit code 1",
		"error: Command echo one; echo two >&2; printf three; exit 1 failed with exit code 1",
	}
	got := log.Lines()
	slices.Sort(want[2:5]) // two pipes have no common order
	if len(got) == len(want) {
		slices.Sort(got[2:5])
	}
	if !slices.Equal(got, want) {
		t.Errorf("log\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// gone waits until the process whose id the file holds has ended.
func gone(t *testing.T, path string) {
	t.Helper()
	pid, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := filepath.Join("/proc", strings.TrimSpace(string(pid)), "stat")
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(stat)
		if err != nil || strings.Contains(string(data), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is still there", pid)
		}
	}
}

func TestShellTimeout(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	// On a machine that is busy the first time may be over before the command has begun.
	for _, timeout := range []string{"0.3", "2", "20", "120"} {
		o, _, err := shell(t, t.Context(), `{"timeout":`+timeout+`,"command":"sleep 600 & echo $! > `+pid+`; echo started; wait"}`)
		if err != nil {
			t.Fatal(err)
		}
		if o.Success || !strings.HasSuffix(o.Message, "timed out after "+timeout+" seconds") {
			t.Fatalf("success %v, message %q", o.Success, o.Message)
		}
		if o.Results[0].Value == "started" {
			break
		}
		if timeout == "120" {
			t.Fatalf("value %q, want what it wrote", o.Results[0].Value)
		}
	}
	gone(t, pid)
}

func TestShellKillsWhatDoesNotEnd(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := shell(t, ctx, `{"command":"trap '' TERM; echo $$ > `+pid+`.new; mv `+pid+`.new `+pid+`; while :; do sleep 1; done"}`)
		done <- err
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(pid); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the command has not started")
		}
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("error %v; want that of the context", err)
	}
	gone(t, pid)
}

// TestShellExposesNoSecret holds that no secret becomes part of a command line, which everybody can read.
func TestShellExposesNoSecret(t *testing.T) {
	env := &task.Env{
		Log: &tasktest.Log{}, Environ: os.Environ,
		Secret: func(text string) bool { return strings.Contains(text, "hunter22") },
	}
	const refused = `property "command" of the shell task: has a secret in it, which the list of processes would show: hand it over in a file or an environment variable`
	for text, want := range map[string]string{
		`{"command":"echo hunter22"}`:                                         refused,
		`{"command":["echo","-p=hunter22"]}`:                                  refused,
		`{"command":"echo","nodes":["hunter22"]}`:                             refused,
		`{"command":"test $P = hunter\"22\"","environment":{"P":"hunter22"}}`: "",
	} {
		o, err := task.Run(t.Context(), env, "shell", properties(t, text))
		if want == "" && (err != nil || !o.Success) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %+v, %v; want %q", text, o, err, want)
		}
	}
}
