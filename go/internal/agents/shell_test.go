package agents

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"choria.io/choria/go/agent"
)

func TestShellRun(t *testing.T) {
	s := Shell(nil)
	tests := []struct {
		command        string
		stdout, stderr string
		exitcode       float64
	}{
		{"echo hello", "hello\n", "", 0},
		{"echo out; echo err >&2; exit 3", "out\n", "err\n", 3},
		{"printf 'no newline'", "no newline", "", 0},
		{"pwd", "/\n", "", 0},
		{"cat", "", "", 0}, // standard input is empty
		{"echo $((6 * 7)) | tr 4 5", "52\n", "", 0},
		{"kill -TERM $$", "", "", 128 + 15},
		{`printf '\377a\000\303'`, "\ufffda\x00\ufffd", "", 0},
	}
	for _, tt := range tests {
		got := mustCall(t, s, "run", in{"command": tt.command})
		if got["stdout"] != tt.stdout || got["stderr"] != tt.stderr || got["exitcode"] != tt.exitcode || got["success"] != true {
			t.Errorf("%s = %v; want %q, %q, %v", tt.command, got, tt.stdout, tt.stderr, tt.exitcode)
		}
	}
	got := mustCall(t, s, "run", in{"command": "no-such-command-here"})
	if got["exitcode"] != 127.0 || !strings.Contains(got["stderr"].(string), "no-such-command-here") {
		t.Errorf("unknown command = %v", got)
	}
}

// A command that is late is killed with all that it started, even what does not want to end.
func TestShellRunTimeout(t *testing.T) {
	pidfile := filepath.Join(t.TempDir(), "pid")
	// On a machine that is busy the first time may be over before the command has begun.
	for timeout := 0.5; ; timeout *= 4 {
		got := mustCall(t, Shell(nil), "run", in{
			"command": "trap '' TERM; sh -c 'echo $$ > " + pidfile + ".new; mv " + pidfile + ".new " + pidfile + "; exec sleep 600' & " +
				"while ! [ -e " + pidfile + " ]; do :; done; echo started; sleep 600", "timeout": timeout,
		})
		if got["success"] != false || got["exitcode"] != nil {
			t.Fatalf("run = %v; want no success and no exit code", got)
		}
		if got["stdout"] == "started\n" {
			break
		}
		if timeout > 60 {
			t.Fatalf("run = %v; want the output so far", got)
		}
	}
	waitFor(t, "end of the process in the background", func() bool { return !running(readPID(t, pidfile)) })
}

// When the request ends, so does the command.
func TestShellRunCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, status, msg := call(t, ctx, Shell(nil), "run", in{"command": "sleep 600"})
	if want := "command killed: context deadline exceeded"; status != agent.Aborted || msg != want {
		t.Errorf("run = status %d, %s; want 1, %s", status, msg, want)
	}
}

// What a command leaves in the background does not hold the reply up.
func TestShellRunBackground(t *testing.T) {
	pidfile := filepath.Join(t.TempDir(), "pid")
	got := mustCall(t, Shell(nil), "run", in{"command": "sleep 600 & echo $! > " + pidfile + "; echo done"})
	pid := readPID(t, pidfile)
	defer syscall.Kill(pid, syscall.SIGKILL)
	if got["stdout"] != "done\n" || got["success"] != true || !running(pid) {
		t.Errorf("run = %v, running %v", got, running(pid))
	}
}

func TestShellRunLargeOutput(t *testing.T) {
	got := mustCall(t, Shell(nil), "run", in{"command": "head -c 3000000 /dev/zero | tr '\\0' x; head -c 100 /dev/zero | tr '\\0' y >&2"})
	stdout := got["stdout"].(string)
	text, note, _ := strings.Cut(stdout, "\n")
	if want := fmt.Sprintf("[output cut here: %d more bytes]\n", 3_000_000-len(text)); note != want || strings.Trim(text, "x") != "" || len(text) < maxPlain*9/10 {
		t.Errorf("%d bytes of output and %q; want %q", len(text), note, want)
	}
	if got["stderr"] != strings.Repeat("y", 100) || got["exitcode"] != 0.0 {
		t.Errorf("stderr %q, exit code %v", got["stderr"], got["exitcode"])
	}
	if !fits(got) {
		t.Error("the reply is too large")
	}
	// Bytes that quoting makes many of.
	got = mustCall(t, Shell(nil), "run", in{"command": `head -c 1000000 /dev/zero | tr '\0' '"'; head -c 1000000 /dev/zero >&2`})
	if !fits(got) || len(got["stdout"].(string)) < 10000 || len(got["stderr"].(string)) < 10000 {
		t.Errorf("%d and %d bytes", len(got["stdout"].(string)), len(got["stderr"].(string)))
	}
}

func TestShellRunUser(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if got := mustCall(t, Shell(nil), "run", in{"command": "id -u", "user": me.Username}); got["stdout"] != me.Uid+"\n" {
		t.Errorf("as myself: %v", got)
	}
	_, status, msg := call(t, t.Context(), Shell(nil), "run", in{"command": "id", "user": "nobody-has-this-name"})
	if want := `user "nobody-has-this-name": there is no such user`; status != agent.Aborted || msg != want {
		t.Errorf("unknown user: status %d, %s; want 1, %s", status, msg, want)
	}
	if os.Geteuid() != 0 {
		_, status, msg := call(t, t.Context(), Shell(nil), "run", in{"command": "id", "user": "root"})
		if status != agent.Aborted || !strings.Contains(msg, "only root may run commands as others") {
			t.Errorf("as root: status %d, %s", status, msg)
		}
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	os.Setenv("CHORIA_TEST_SECRET", "s3cret")
	defer os.Unsetenv("CHORIA_TEST_SECRET")
	got := mustCall(t, Shell(nil), "run", in{"command": "id -u; id -g; echo $USER $HOME; echo $CHORIA_TEST_SECRET; kill -0 1 2>&-; echo $?", "user": "nobody"})
	if want := fmt.Sprintf("%s\n%s\nnobody %s\n\n1\n", nobody.Uid, nobody.Gid, nobody.HomeDir); got["stdout"] != want {
		t.Errorf("as nobody: %v; want %q", got, want)
	}
	// A started command as well, though the state directory is not nobody's.
	s := Shell(settings("plugin.shell.state_path", filepath.Join(t.TempDir(), "jobs")))
	handle := mustCall(t, s, "start", in{"command": "id -u", "user": "nobody"})["handle"].(string)
	if got := stopped(t, s, handle); got["stdout"] != nobody.Uid+"\n" || got["exitcode"] != 0.0 {
		t.Errorf("started as nobody: %v", got)
	}
}

func readPID(t *testing.T, path string) (pid int) {
	t.Helper()
	waitFor(t, path, func() bool {
		data, err := os.ReadFile(path)
		if err != nil || !strings.HasSuffix(string(data), "\n") {
			return false
		}
		_, err = fmt.Sscan(string(data), &pid)
		return err == nil
	})
	return pid
}

// running reports whether a process is there and not a zombie.
func running(pid int) bool {
	var info processInfo
	return info.parseStat(procFile(pid)) && info.State != "Z"
}

// stopped waits for the end of a started command and returns its status.
func stopped(t *testing.T, s *agent.Agent, handle string) (got map[string]any) {
	t.Helper()
	waitFor(t, "end of "+handle, func() bool {
		got = mustCall(t, s, "status", in{"handle": handle})
		return got["status"] == "stopped"
	})
	return got
}

func newShell(t *testing.T) (s *agent.Agent, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "deep", "jobs")
	return Shell(settings("plugin.shell.state_path", dir)), dir
}

func TestShellJobs(t *testing.T) {
	s, dir := newShell(t)
	if got := mustCall(t, s, "list", nil); fmt.Sprint(got) != "map[jobs:map[]]" {
		t.Errorf("list of nothing = %v", got)
	}
	gate := filepath.Join(t.TempDir(), "gate")
	command := "echo one; echo err >&2; until [ -e " + gate + " ]; do sleep 0.05; done; echo two; exit 5"
	handle := mustCall(t, s, "start", in{"command": command})["handle"].(string)
	waitFor(t, "first line", func() bool {
		return mustCall(t, s, "status", in{"handle": handle})["stdout"] == "one\n"
	})
	if got := mustCall(t, s, "status", in{"handle": handle}); got["status"] != "running" || got["exitcode"] != nil {
		t.Errorf("status = %v", got)
	}
	want := map[string]any{handle: map[string]any{"id": handle, "command": command, "status": "running", "signal": nil}}
	if got := mustCall(t, s, "list", nil)["jobs"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("list = %v; want %v", got, want)
	}
	for _, path := range []string{dir, filepath.Join(dir, handle)} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want it private", path, st.Mode(), err)
		}
	}

	// Another daemon, as after a restart, goes on with it.
	s = Shell(settings("plugin.shell.state_path", dir))
	writeFile(t, gate, "")
	got := stopped(t, s, handle)
	if got["stdout"] != "one\ntwo\n" || got["stderr"] != "err\n" || got["exitcode"] != 5.0 {
		t.Errorf("status = %v", got)
	}
	got = mustCall(t, s, "status", in{"handle": handle, "stdout_offset": 4, "stderr_offset": 400})
	if got["stdout"] != "two\n" || got["stderr"] != "" {
		t.Errorf("status from offsets = %v", got)
	}
	want = map[string]any{handle: map[string]any{"id": handle, "command": command, "status": "stopped", "signal": 0.0}}
	if got := mustCall(t, s, "list", nil)["jobs"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("list = %v; want %v", got, want)
	}
	_, status, msg := call(t, t.Context(), s, "kill", in{"handle": handle})
	if want := fmt.Sprintf("handle %q: the command has ended already", handle); status != agent.Aborted || msg != want {
		t.Errorf("kill: status %d, %s; want 1, %s", status, msg, want)
	}
}

func TestShellUnknownHandle(t *testing.T) {
	s, _ := newShell(t)
	for _, handle := range []string{"", "x", "6dad5cb9-57f7-46e0-bad7-07ab117369a5", "6dad5cb957f746e0bad707ab117369a5"} {
		for _, action := range []string{"status", "kill"} {
			_, status, msg := call(t, t.Context(), s, action, in{"handle": handle})
			if want := fmt.Sprintf("handle %q: no such command", handle); status != agent.Aborted || msg != want {
				t.Errorf("%s: status %d, %s; want 1, %s", action, status, msg, want)
			}
		}
	}
}

func TestShellKill(t *testing.T) {
	s, _ := newShell(t)
	start := func(command string) string {
		handle := mustCall(t, s, "start", in{"command": command})["handle"].(string)
		waitFor(t, "start", func() bool {
			return mustCall(t, s, "status", in{"handle": handle})["stdout"] == "ready\n"
		})
		return handle
	}
	handle := start("echo ready; sleep 600")
	mustCall(t, s, "kill", in{"handle": handle})
	if got := stopped(t, s, handle); got["exitcode"] != 143.0 {
		t.Errorf("after kill: %v", got)
	}
	entry := mustCall(t, s, "list", nil)["jobs"].(map[string]any)[handle].(map[string]any)
	if entry["signal"] != 15.0 {
		t.Errorf("list = %v; want signal 15", entry)
	}

	// A command may take its time to end.
	handle = start("trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done")
	mustCall(t, s, "kill", in{"handle": handle})
	if got := stopped(t, s, handle); got["exitcode"] != 9.0 || got["stdout"] != "ready\nbye\n" {
		t.Errorf("after kill of one that cleans up: %v", got)
	}

	// The second time it may not refuse.
	handle = start("trap '' TERM; echo ready; while :; do sleep 0.05; done")
	mustCall(t, s, "kill", in{"handle": handle})
	if got := mustCall(t, s, "status", in{"handle": handle}); got["status"] != "running" {
		t.Errorf("after kill of one that does not care: %v", got)
	}
	mustCall(t, s, "kill", in{"handle": handle})
	if got := stopped(t, s, handle); got["exitcode"] != 137.0 {
		t.Errorf("after the second kill: %v", got)
	}
}

// A process id that was used again, or a reboot, makes no job of somebody else's process.
func TestShellJobGone(t *testing.T) {
	s, dir := newShell(t)
	handle := mustCall(t, s, "start", in{"command": "true"})["handle"].(string)
	stopped(t, s, handle)
	j := &job{handle: handle, dir: filepath.Join(dir, handle)}
	if err := os.Truncate(j.path("exit"), 0); err != nil {
		t.Fatal(err)
	}
	me := jobProcess{PID: os.Getpid(), Start: startTime(os.Getpid()), Boot: bootID()}
	for name, p := range map[string]jobProcess{
		"another process": {me.PID, me.Start - 1, me.Boot},
		"another boot":    {me.PID, me.Start, "x"},
		"no process":      {1 << 30, me.Start, me.Boot},
	} {
		writeFile(t, j.path("process"), string(encode(t, p)))
		if got := mustCall(t, s, "status", in{"handle": handle}); got["status"] != "stopped" || got["exitcode"] != nil {
			t.Errorf("%s: %v", name, got)
		}
		if _, status, _ := call(t, t.Context(), s, "kill", in{"handle": handle}); status != agent.Aborted {
			t.Errorf("%s: kill has status %d", name, status)
		}
	}
	writeFile(t, j.path("process"), string(encode(t, me)))
	if status, _ := j.state(); status != "running" {
		t.Errorf("a process that is there is %s", status)
	}
	for _, text := range []string{"", "{", `{"pid":0}`, `{"pid":1}`, `{"pid":-1}`} {
		writeFile(t, j.path("process"), text)
		if got := mustCall(t, s, "status", in{"handle": handle}); got["status"] != "failed" {
			t.Errorf("process file %q: %v", text, got)
		}
	}
}

func TestShellPrune(t *testing.T) {
	s, dir := newShell(t)
	var handles []string
	for range 2 {
		handle := mustCall(t, s, "start", in{"command": "true"})["handle"].(string)
		stopped(t, s, handle)
		handles = append(handles, handle)
	}
	old := time.Now().Add(-keepEnded - time.Hour)
	if err := os.Chtimes(filepath.Join(dir, handles[0], "exit"), old, old); err != nil {
		t.Fatal(err)
	}
	third := mustCall(t, s, "start", in{"command": "true"})["handle"].(string)
	jobs := mustCall(t, s, "list", nil)["jobs"].(map[string]any)
	if len(jobs) != 2 || jobs[handles[1]] == nil || jobs[third] == nil {
		t.Errorf("jobs = %v; want all but the old one", jobs)
	}
	stopped(t, s, third)
}

// Where others may write they could plant what we then kill or show.
func TestShellStatePath(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := Shell(settings("plugin.shell.state_path", dir))
	_, status, msg := call(t, t.Context(), s, "start", in{"command": "true"})
	if status != agent.Aborted || !strings.HasPrefix(msg, "plugin.shell.state_path "+dir+": others may write there") {
		t.Errorf("open to all: status %d, %s", status, msg)
	}
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	s = Shell(settings("plugin.shell.state_path", file))
	if _, status, msg := call(t, t.Context(), s, "start", in{"command": "true"}); status != agent.Aborted || !strings.HasPrefix(msg, "plugin.shell.state_path: ") {
		t.Errorf("a file: status %d, %s", status, msg)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A reader that follows the output by offsets gets every byte once, however it is cut.
func TestShellFollow(t *testing.T) {
	s, dir := newShell(t)
	want := strings.Repeat("ä\"€😀\n", 100_000)
	handle := mustCall(t, s, "start", in{"command": "exit 0"})["handle"].(string)
	stopped(t, s, handle)
	writeFile(t, filepath.Join(dir, handle, "stdout"), want)
	var got strings.Builder
	for rounds := 0; got.Len() < len(want) && rounds < 100; rounds++ {
		data := mustCall(t, s, "status", in{"handle": handle, "stdout_offset": got.Len()})
		part := data["stdout"].(string)
		if part == "" || !utf8.ValidString(part) || !fits(data) {
			t.Fatalf("at %d: %d bytes, valid %v", got.Len(), len(part), utf8.ValidString(part))
		}
		got.WriteString(part)
	}
	if got.String() != want {
		t.Errorf("%d bytes; want %d", got.Len(), len(want))
	}
}

func TestShare(t *testing.T) {
	const room = maxPlain - 4096
	text := func(s string) *head { h := &head{}; h.Write([]byte(s)); return h }
	tests := []struct {
		name  string
		a, b  *head
		wantA int
		wantB int
	}{
		{"small", text("abc"), text("de"), 3, 2},
		{"both large", text(strings.Repeat("a", maxPlain)), text(strings.Repeat("b", maxPlain)), room / 2, room / 2},
		{"one large", text(strings.Repeat("a", maxPlain)), text("b"), room - 1, 1},
		{"the other large", text("a"), text(strings.Repeat("b", maxPlain)), 1, room - 1},
		{"half a character that may go on", &head{data: []byte("a\xe2\x82"), open: true}, text(""), 1, 0},
		{"half a character at the end", &head{data: []byte("a\xe2\x82")}, text(""), 3, 0},
	}
	for _, tt := range tests {
		a, b := shareParts(tt.a, tt.b)
		if len(a) != tt.wantA || len(b) != tt.wantB {
			t.Errorf("%s: %d and %d bytes; want %d and %d", tt.name, len(a), len(b), tt.wantA, tt.wantB)
		}
	}
}

func FuzzShare(f *testing.F) {
	f.Add([]byte("a\"\\\x00<é\xff"), []byte("b"), uint32(100_000))
	f.Fuzz(func(t *testing.T, a, b []byte, repeat uint32) {
		if len(a) == 0 || len(b) == 0 {
			return
		}
		ha, hb := &head{}, &head{}
		ha.Write(bytes.Repeat(a, min(int(repeat), 2*maxPlain/len(a))))
		hb.Write(bytes.Repeat(b, min(int(repeat), 2*maxPlain/len(b))))
		r := &runResult{}
		r.Stdout, r.Stderr = share(ha, hb)
		if !fits(r) {
			t.Errorf("%q and %q, %d times, do not fit: %d and %d bytes", a, b, repeat, len(r.Stdout), len(r.Stderr))
		}
	})
}
