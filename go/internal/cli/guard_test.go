package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// heldPlan holds a lock and has something to clean up. It says so once there is something to say it to.
const heldPlan = `plan held (String $dir, Boolean $stuck = false) {
  choria::ensure() || {
    choria::task('shell', { 'command' => "touch ${dir}/cleaning" })
    if $stuck { choria::sleep(600) }
    choria::task('shell', { 'command' => "touch ${dir}/cleaned" })
  }
  choria::lock('l', { 'type' => 'file', 'file' => "${dir}/s.yaml", 'create' => true }) || {
    Integer[1, 6000].each |$n| {
      notice("held ${n}")
      choria::sleep(0.1)
    }
  }
}
`

// A heldRun is a process that runs heldPlan.
type heldRun struct {
	dir string
	cmd *exec.Cmd
	out *bufio.Reader
	err *strings.Builder

	closeOut func() error
}

// runHeld starts a playbook and waits until it holds its lock.
func runHeld(t *testing.T, args ...string) *heldRun {
	t.Helper()
	r := &heldRun{dir: t.TempDir(), err: &strings.Builder{}}
	plans := filepath.Join(r.dir, "modules/held/plans")
	tmp := filepath.Join(r.dir, "tmp")
	for _, dir := range []string{plans, tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(plans, "init.pp"), []byte(heldPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"playbook", "run", "held", "--modulepath", filepath.Join(r.dir, "modules"), "--dir", r.dir,
		"--run-report", filepath.Join(r.dir, "report.json")}, args...)
	// What started the tests may ignore signals, as nohup does, and who is started by it would too.
	r.cmd = exec.Command("env", append([]string{"--default-signal", "mco"}, args...)...)
	r.cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	r.cmd.Stderr = r.err
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	r.out, r.closeOut = bufio.NewReader(out), out.Close
	for {
		line, err := r.out.ReadString('\n')
		if strings.Contains(line, "held 1") {
			return r
		}
		if err != nil {
			t.Fatalf("the playbook said nothing: %v\n%s", err, r.err)
		}
	}
}

// signal sends a signal to the process.
func (r *heldRun) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end, and checks that neither lock nor directory is left.
func (r *heldRun) ends(t *testing.T, status int, cleaned bool) {
	t.Helper()
	stop := time.AfterFunc(2*time.Minute, func() { _ = r.cmd.Process.Kill() })
	_, _ = io.Copy(io.Discard, r.out) // it may be closed
	err := r.cmd.Wait()
	stop.Stop()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || r.cmd.ProcessState.ExitCode() != status {
		t.Errorf("the playbook ended with %v; want exit status %d\n%s", r.cmd.ProcessState, status, r.err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "cleaned")); (err == nil) != cleaned {
		t.Errorf("cleaned up: %v; want %v", err == nil, cleaned)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if report, err := os.ReadFile(filepath.Join(r.dir, "report.json")); err != nil || !strings.Contains(string(report), `"success": false`) {
		t.Errorf("report of the run %s, %v", report, err)
	}
	// A release removes the file that is locked, the end of a process does not.
	if locks, err := filepath.Glob(filepath.Join(r.dir, ".s.yaml.*.lock")); err != nil || len(locks) > 0 {
		t.Errorf("the lock was not released: %q, %v", locks, err)
	}
}

// TestPlaybookSignals ends a process that runs a playbook in all the ways that a person and a machine have: it cleans up.
func TestPlaybookSignals(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			t.Parallel()
			r := runHeld(t)
			r.signal(t, s)
			r.ends(t, 130, true)
		})
	}
	t.Run("closed output", func(t *testing.T) {
		t.Parallel()
		r := runHeld(t)
		if err := r.closeOut(); err != nil {
			t.Fatal(err)
		}
		r.ends(t, 141, true)
		if r.err.Len() > 0 {
			t.Errorf("said %q", r.err)
		}
	})
	t.Run("second interrupt", func(t *testing.T) {
		t.Parallel()
		r := runHeld(t, "--stuck")
		r.signal(t, syscall.SIGINT)
		await(t, filepath.Join(r.dir, "cleaning"))
		r.signal(t, syscall.SIGINT)
		r.ends(t, 130, false)
	})
	t.Run("Ruby is killed", func(t *testing.T) {
		t.Parallel()
		r := runHeld(t)
		if err := syscall.Kill(child(t, r.cmd.Process.Pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.ends(t, 1, false)
		if want := "Error: the Ruby process has ended: signal: killed; the last call of the plan was made at "; !strings.Contains(r.err.String(), want) {
			t.Errorf("said %q; want %s", r.err, want)
		}
	})
}

// child returns the process that another one has started, which is Ruby. It is that of one of its threads.
func child(t *testing.T, pid int) int {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		var child int
		if _, err := fmt.Sscan(string(text), &child); err == nil {
			return child
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}
