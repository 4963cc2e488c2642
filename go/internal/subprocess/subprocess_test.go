package subprocess

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is for what has to happen, on a machine that is busy with the tests of many packages.
const patience = 60 * time.Second

func sh(script string) *Command {
	return &Command{Path: "/bin/sh", Args: []string{"-c", script}, Stdout: Buffer{Limit: 1 << 10}, Stderr: Buffer{Limit: 1 << 10}}
}

// running reports whether a process is there and is not only waiting to be noticed.
func running(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest != "" && rest[0] != 'Z'
}

func awaitEnd(t *testing.T, pid string) {
	t.Helper()
	for end := time.Now().Add(patience); running(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %s is still there", pid)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := sh("cat; pwd; echo $A; echo oops >&2; exit 3")
	c.Stdin, c.Dir, c.Env = []byte("in\n"), dir, []string{"A=b"}
	r, err := c.Run(t.Context())
	if err != nil || r.Status != "exit status 3" || string(c.Stdout.Bytes()) != "in\n"+dir+"\nb\n" || string(c.Stderr.Bytes()) != "oops\n" {
		t.Errorf("%+v, %v: %q %q", r, err, c.Stdout.Bytes(), c.Stderr.Bytes())
	}
	for script, want := range map[string]string{"true": "", "kill -9 $$": "signal: killed", "exit 1": "exit status 1"} {
		if r, err := sh(script).Run(t.Context()); err != nil || r.Status != want {
			t.Errorf("%s: %+v, %v; want %q", script, r, err, want)
		}
	}
	c = sh("true")
	c.Stdin = make([]byte, 1<<20)
	if r, err := c.Run(t.Context()); err != nil || r.Status != "" {
		t.Errorf("a program that does not read: %+v, %v", r, err)
	}
	if _, err := (&Command{Path: "/no/such/program"}).Run(t.Context()); err == nil {
		t.Error("missing program: no error")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sh("true").Run(ended); err == nil {
		t.Error("when the time is up already: no error")
	}
}

// When the time is up the whole group is killed, however deaf it is.
func TestKilled(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if text, _ := os.ReadFile(file); strings.Count(string(text), "\n") == 2 {
				return
			}
		}
	}()
	r, err := sh(fmt.Sprintf("trap '' TERM; sleep 600 & echo $! > %[1]s; echo $$ >> %[1]s; wait", file)).Run(ctx)
	if err != nil || !strings.HasPrefix(r.Status, "killed after ") || r.Duration <= 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for pid := range strings.FieldsSeq(string(text)) {
		awaitEnd(t, pid)
	}
}

// What is left in the background keeps nobody waiting.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	c := sh("sleep 600 & echo $!")
	r, err := c.Run(t.Context())
	pid := strings.TrimSpace(string(c.Stdout.Bytes()))
	if err != nil || r.Status != "" || !running(pid) || r.Duration > patience {
		t.Errorf("%+v, %v, running %v", r, err, running(pid))
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := os.FindProcess(n); err == nil {
		_ = p.Kill()
	}
	awaitEnd(t, pid)
}

func TestKillGroup(t *testing.T) {
	for _, pid := range []int{-5, 0, 1} {
		if err := KillGroup(pid); err == nil {
			t.Errorf("KillGroup(%d): no error", pid)
		}
	}
}

func TestBuffer(t *testing.T) {
	t.Parallel()
	var lines []string
	b := Buffer{Limit: 6, Line: func(l []byte) { lines = append(lines, string(l)) }}
	for _, part := range []string{"a", "b\nc", "\n\n", strings.Repeat("x", longestLine+2), "end"} {
		if n, err := b.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	b.Finish()
	b.Finish()
	want := []string{"ab", "c", "", strings.Repeat("x", longestLine), "xxend"}
	if fmt.Sprint(lines) != fmt.Sprint(want) || string(b.Bytes()) != "ab\nc\n\n" || !b.Truncated() {
		t.Errorf("%d lines %.80q, kept %q, truncated %v", len(lines), lines, b.Bytes(), b.Truncated())
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte("a\nb\n\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		var lines []byte
		b := Buffer{Limit: 10, Line: func(l []byte) { lines = append(append(lines, l...), '\n') }}
		cut := max(0, min(at, len(text)))
		b.Write(text[:cut])
		b.Write(text[cut:])
		b.Finish()
		if len(text) < longestLine && strings.TrimSuffix(string(lines), "\n") != strings.TrimSuffix(string(text), "\n") {
			t.Errorf("lines %q of %q", lines, text)
		}
		if len(b.Bytes()) > 10 {
			t.Errorf("kept %d bytes", len(b.Bytes()))
		}
	})
}
