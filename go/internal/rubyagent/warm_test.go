package rubyagent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/agent"
)

// What an agent does that it should not is told to the caller and the log, and costs nobody else anything.
func TestMischief(t *testing.T) {
	const ok = ""
	tests := []struct {
		what    string
		status  agent.Status
		message string // a part of it
		data    string // of the reply, empty: not looked at
	}{
		// What ends the process, or gets into the way of the reply.
		{"puts", 1, `wrote to standard output, where only the reply may be: `, ""},
		{"raw", 1, `wrote to standard output, where only the reply may be: `, ""},
		{"exit", 1, "without a reply", ""},
		{"exit3", 1, `exit status 3 after`, ""},
		{"exit!", 1, "exit status 4 after", ""},
		{"abort", 1, `standard error: "aborted by myself"`, ""},
		{"kill", 1, "signal: killed after", ""},
		{"segv", 1, "signal: ", ""},
		{"stderr", 0, ok, "{}"},
		{"stdout", 1, "wrote to standard output", ""},
		{"exception", 1, "exit status 1 after", ""},
		{"stdin", 0, ok, ""},
		{"heldopen", 0, ok, "{}"},
		{"huge", 1, "the reply is larger than", ""},
		{"thread", 0, ok, `{"ok":1}`},
		// What is in the reply, which is made in the same way in both modes.
		{"message", 5, "caf", ""},
		{"binary", 0, ok, `{"bin":"��\u0000a","latin":"é","utf":"�("}`},
		{"odd", 0, ok, `{"big":1180591620717411303424,"inf":"Infinity","key":{"1":2,"":3},"nan":"NaN","sym":"a","time":"1970-01-01 00:00:00 UTC"}`},
		{"both", 0, ok, `{"a":2}`},
		{"cycle", 0, ok, ""},
		{"nodata", 0, ok, ""},
		{"status", 5, "odd", "{}"},
		{"deep", 0, ok, ""},
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "", "plugin.choria.ruby.mode", mode)
			for _, tt := range tests {
				if mode == "oneshot" && tt.what == "message" {
					break
				}
				if mode == "oneshot" && (tt.what == "raw" || tt.what == "huge") {
					tt.message = "the reply" // both are on standard output
				} else if mode == "oneshot" && (tt.what == "puts" || tt.what == "stdout") {
					tt.message = "the reply is not understood"
				}
				if tt.what == "segv" && mode == "oneshot" {
					continue // Ruby takes the signal itself and writes a report of some seconds
				}
				reply, err := r.call("mischief", "do", fmt.Sprintf(`{"what":%q}`, tt.what), patience)
				status, message := reply.Status, reply.Message
				if e, is := err.(*agent.Error); is {
					status, message = e.Status, e.Message
				}
				if status != tt.status || !strings.Contains(message, tt.message) || len(message) > 4<<10 {
					t.Errorf("%s: %d %.200q; want %d %q", tt.what, status, message, tt.status, tt.message)
				}
				if tt.data == "" {
					continue
				}
				var fields map[string]json.RawMessage
				raw, _ := reply.Data.(json.RawMessage)
				_ = json.Unmarshal(raw, &fields)
				if got, _ := json.Marshal(fields); string(got) != tt.data {
					t.Errorf("%s: %s; want %s", tt.what, got, tt.data)
				}
			}
			if _, _, fields := r.answer("counter", "square", `{"n":12}`); fields["square"] != 144.0 {
				t.Errorf("another agent: %v", fields)
			}
		})
	}
}

// running reports whether a process is there and is not only waiting to be noticed.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest != "" && rest[0] != 'Z'
}

// pids waits for a file of process ids.
func pids(t testing.TB, path string, n int) []int {
	t.Helper()
	var all []int
	await(t, "process ids in "+path, func() bool {
		text, _ := os.ReadFile(path)
		all = nil
		for word := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return false
			}
			all = append(all, pid)
		}
		return len(all) == n
	})
	return all
}

// When the time of an action is up it ends with all that it started, in both modes.
func TestTimeout(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "", "plugin.choria.ruby.mode", mode)
			if mode == "warm" {
				r.answer("mischief", "do", `{"what":"pid"}`) // it is loaded
			}
			for _, what := range []string{"hang", "atexit", "loop"} {
				if what == "loop" && mode == "oneshot" {
					continue // the limit of the reply is reached before the time is up
				}
				reply, err := r.call("mischief", "do", fmt.Sprintf(`{"what":%q}`, what), 3*time.Second)
				if what == "atexit" && mode == "warm" && err == nil && reply.Status == agent.OK {
					continue // the reply was there
				}
				if what == "atexit" && mode == "oneshot" && err == nil {
					continue
				}
				if e, is := err.(*agent.Error); !is || e.Status != agent.Aborted || !strings.Contains(e.Message, "killed after") {
					t.Errorf("%s: %v %v; want an error that says killed", what, reply, err)
				}
			}
			file := filepath.Join(t.TempDir(), "pids")
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				reply := &agent.Reply{}
				done <- r.agents["mischief"].Any(ctx, &agent.Request{
					Agent: "mischief", Action: "do", Data: json.RawMessage(fmt.Sprintf(`{"what":%q}`, "family "+file)),
				}, reply)
			}()
			family := pids(t, file, 3)
			cancel()
			if err := <-done; err == nil {
				t.Error("family: no error")
			}
			for _, pid := range family {
				await(t, fmt.Sprintf("process %d of %v to end", pid, family), func() bool { return !running(pid) })
			}
		})
	}
}

// What an action leaves in the background on purpose stays when its process and the runner have gone.
func TestBackground(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	file := filepath.Join(t.TempDir(), "pids")
	_, _, fields := r.answer("mischief", "do", fmt.Sprintf(`{"what":%q}`, "leave "+file))
	pid := pids(t, file, 1)[0]
	defer syscall.Kill(pid, syscall.SIGKILL)
	r.Close()
	if fields["left"] != true || !running(pid) {
		t.Errorf("reply %v, running %v; want both", fields, running(pid))
	}
}

// However many requests come at once, all get their answer from one process with few forks.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	const n, forks = 200, 6
	r := newRig(t, "", "plugin.choria.ruby.forks", strconv.Itoa(forks))
	var wg sync.WaitGroup
	var most atomic.Int64
	parents := sync.Map{}
	var right atomic.Int64
	for i := range n {
		wg.Go(func() {
			reply, err := r.call("counter", "square", fmt.Sprintf(`{"n":%d}`, i), patience)
			var got struct{ Square, Siblings, Parent int64 }
			raw, _ := reply.Data.(json.RawMessage)
			if err != nil || json.Unmarshal(raw, &got) != nil || got.Square != int64(i*i) {
				t.Errorf("request %d: %v %s %v", i, reply.Message, raw, err)
				return
			}
			right.Add(1)
			parents.Store(got.Parent, true)
			for {
				old := most.Load()
				if got.Siblings <= old || most.CompareAndSwap(old, got.Siblings) {
					break
				}
			}
		})
	}
	wg.Wait()
	count := 0
	parents.Range(func(any, any) bool { count++; return true })
	t.Logf("%d right answers from %d processes with at most %d forks", right.Load(), count, most.Load())
	if right.Load() != n || count != 1 || most.Load() > forks {
		t.Errorf("%d right answers of %d, %d processes, %d forks; want all from 1 with at most %d", right.Load(), n, count, most.Load(), forks)
	}
}

// parentOf returns the process that the request of an agent was forked from.
func (r *rig) parentOf(name string) int {
	r.t.Helper()
	action, data := "pid", "{}"
	if name == "mischief" {
		action, data = "do", `{"what":"pid"}`
	}
	_, _, fields := r.answer(name, action, data)
	pid, _ := fields["ppid"].(float64)
	if pid <= 1 {
		r.t.Fatalf("%s: parent %v", name, fields)
	}
	return int(pid)
}

func TestIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "plugin.choria.ruby.idle", "1s")
	first := r.parentOf("manya")
	await(t, "the idle process to end", func() bool { return !running(first) })
	if second := r.parentOf("manya"); second == first {
		t.Errorf("process %d answers although it has ended", first)
	}
}

// A process takes no more requests when it is to be replaced, but those that it has it finishes.
func TestReplaced(t *testing.T) {
	t.Parallel()
	lib := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(lib, "mcollective", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	version := func(n int) string {
		return fmt.Sprintf(`module MCollective; module Util; module Whole; VALUE = %d; end; end; end`, n)
	}
	write("util/whole.rb", version(1))
	write("agent/whole.rb", `require "mcollective/util/whole"
module MCollective
  module Agent
    class Whole < RPC::Agent
      action("value") do
        File.write(request[:started], "1") if request[:started]
        sleep 0.02 until request[:wait].nil? || File.exist?(request[:wait])
        reply[:value], reply[:ppid] = Util::Whole::VALUE, Process.ppid
      end
    end
  end
end`)
	write("agent/whole.json", `{"metadata":{"name":"whole","description":"d","author":"a","license":"l","version":"1.0","url":"u","timeout":60},
		"actions":[{"action":"value","description":"d","input":{},"output":{}}]}`)
	r := newRig(t, lib)
	_, _, before := r.answer("whole", "value", "{}")

	started, wait := filepath.Join(t.TempDir(), "started"), filepath.Join(t.TempDir(), "go")
	slow := make(chan map[string]any, 1)
	go func() {
		_, _, fields := r.answer("whole", "value", fmt.Sprintf(`{"started":%q,"wait":%q}`, started, wait))
		slow <- fields
	}()
	await(t, "the slow action", func() bool { _, err := os.Stat(started); return err == nil })
	write("util/whole.rb", version(22))
	_, _, after := r.answer("whole", "value", "{}")
	if before["value"] != 1.0 || after["value"] != 22.0 || before["ppid"] == after["ppid"] {
		t.Errorf("before %v, after the change %v", before, after)
	}
	if err := os.WriteFile(wait, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := <-slow; got["value"] != 1.0 || got["ppid"] != before["ppid"] {
		t.Errorf("the action that was running: %v, want the value of %v", got, before)
	}
	await(t, "the first process to end", func() bool { return !running(int(before["ppid"].(float64))) })

	write("agent/whole.rb", "module MCollective; module Agent; class Whole <")
	status, message, _ := r.answer("whole", "value", "{}")
	if status != 1 || !strings.Contains(message, "agent whole cannot be loaded") {
		t.Errorf("broken code: %d %q", status, message)
	}
	write("agent/whole.rb", "exit!(7)")
	if _, err := r.call("whole", "value", "{}", patience); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("code that ends the process: %v", err)
	}
	write("agent/whole.rb", `module MCollective; module Agent; class Whole < RPC::Agent
  activate_when { false }
end; end; end`)
	if status, message, _ = r.answer("whole", "value", "{}"); status != 1 || !strings.Contains(message, "not active") {
		t.Errorf("inactive: %d %q", status, message)
	}
}

func TestMisbehaving(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	first := r.parentOf("mischief")
	// The request is lost with its process, and says so; the next one gets another.
	if _, err := r.call("mischief", "do", `{"what":"parent"}`, patience); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("a process that is killed by its child: %v", err)
	}
	if second := r.parentOf("mischief"); second == first {
		t.Error("the killed process answers")
	}
	third := r.parentOf("mischief")
	if err := syscall.Kill(third, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(third, syscall.SIGCONT)
	if _, err := r.call("mischief", "do", `{"what":"pid"}`, 2*time.Second); err == nil {
		t.Error("a process that does not run answers")
	}
	await(t, "the stopped process to be killed", func() bool { return !running(third) })
	r.parentOf("mischief")
}

// The limit of memory is one that any Ruby process is above, so that each request gets its own.
func TestGrown(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.cfg.RubyMemory = 1
	first := r.parentOf("manya")
	if second := r.parentOf("manya"); second == first {
		t.Error("a process above its limit is used again")
	}
	await(t, "it to end", func() bool { return !running(first) })
}

func TestFewProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "plugin.choria.ruby.parents", "2")
	a := r.parentOf("manya")
	b := r.parentOf("manyb")
	if again := r.parentOf("manya"); again != a {
		t.Errorf("agent a has process %d, then %d", a, again)
	}
	c := r.parentOf("manyc") // b was used longest ago
	if running(b) || !running(a) || !running(c) {
		t.Errorf("running: a %v, b %v, c %v; want a and c", running(a), running(b), running(c))
	}
	// All at once: each gets its turn.
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { r.parentOf([]string{"manya", "manyb", "manyc"}[i%3]) })
	}
	wg.Wait()
	r.pool.mu.Lock()
	live := r.pool.live
	r.pool.mu.Unlock()
	if live > 2 {
		t.Errorf("%d processes, want at most 2", live)
	}
}

// A Ruby without fork runs a process for each request.
func TestNoFork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nofork.rb"), []byte("class << Process; undef_method :fork; end\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	real, err := exec.LookPath("ruby")
	if err != nil {
		t.Fatal(err)
	}
	ruby := filepath.Join(dir, "ruby")
	if err := os.WriteFile(ruby, []byte("#!/bin/sh\nexec "+real+" -r"+dir+"/nofork.rb \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "", "plugin.choria.ruby.command", ruby)
	for range 2 {
		if pid := r.parentOf("manya"); pid != os.Getpid() {
			t.Errorf("the action is a child of %d, want %d", pid, os.Getpid())
		}
	}
}

func TestNoRuby(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{"/no/such/ruby": "plugin.choria.ruby.command: ", "false": "exit status 1"} {
		r := newRig(t, "", "plugin.choria.ruby.command", command)
		for _, mode := range modes {
			r.cfg.RubyMode = mode
			_, err := r.call("counter", "square", `{"n":1}`, patience)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v; want %q", command, mode, err, want)
			}
		}
	}
}

// Old shims get the documents they know, for all agents or for one.
func TestHistoricShim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen.json")
	shim := filepath.Join(dir, "shim.sh")
	script := "#!/bin/sh\n[ \"$1\" = --config ] && [ -f \"$2\" ] || exit 9\ncat > " + seen + "\nprintf '%s' '{\"statuscode\":0,\"statusmsg\":\"OK\",\"data\":{\"by\":\"shim\"}}'\n"
	if err := os.WriteFile(shim, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "", "plugin.counter.agent_shim", shim)
	status, _, fields := r.answer("counter", "square", `{"n":2}`)
	if status != 0 || fields["by"] != "shim" {
		t.Errorf("reply of the shim: %d %v", status, fields)
	}
	got, err := os.ReadFile(seen)
	want := `{"agent":"counter","action":"square","requestid":"8648b56ac00c4f30b30c6b4f8e825db3","senderid":"rip.mcollective",` +
		`"callerid":"choria=rip.mcollective","collective":"mcollective","ttl":60,"msgtime":1795350467,` +
		`"body":{"agent":"counter","action":"square","data":{"n":2},"caller":"choria=rip.mcollective"}}`
	if err != nil || strings.TrimSpace(string(got)) != want {
		t.Errorf("request: %s, %v; want %s", got, err, want)
	}
	if pid := r.parentOf("manya"); pid == os.Getpid() {
		t.Error("another agent is not warm")
	}

	for text, want := range map[string]string{
		"echo garbage":                      "the reply is not understood",
		"echo '{}'":                         "the reply has no status",
		"echo '[]'":                         "the reply is not understood",
		"echo oops >&2; exit 5":             `exit status 5`,
		"true":                              "without a reply",
		`echo '{"statuscode":"x"}'`:         "the reply is not understood",
		`echo '{"statuscode":1}{"more":1}'`: "the reply is not understood",
		"exec head -c 20000000 /dev/zero":   "the reply is larger",
		"kill -9 $$":                        "signal: killed",
	} {
		if err := os.WriteFile(shim, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := r.call("counter", "square", `{"n":2}`, patience); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	r.cfg.RubyShim = filepath.Join(dir, "missing")
	if _, err := r.call("manya", "pid", "{}", patience); err == nil || !strings.Contains(err.Error(), "agent_shim: ") {
		t.Errorf("missing shim: %v", err)
	}
}

// Nothing outlives the daemon, even one that is killed.
func TestDaemonKilled(t *testing.T) {
	if os.Getenv("RUBYAGENT_DAEMON") != "" {
		victim(t)
		return
	}
	t.Parallel()
	for _, mode := range modes {
		file := filepath.Join(t.TempDir(), "pids")
		cmd := exec.Command(os.Args[0], "-test.run=^TestDaemonKilled$")
		// It will not tidy up.
		cmd.Env = append(os.Environ(), "RUBYAGENT_DAEMON="+mode, "RUBYAGENT_FILE="+file, "TMPDIR="+t.TempDir())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		family := pids(t, file, 3)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for _, pid := range family {
			await(t, fmt.Sprintf("%s: process %d of %v to end", mode, pid, family), func() bool { return !running(pid) })
		}
	}
}

// victim runs an action until it is killed.
func victim(t *testing.T) {
	r := newRig(t, "", "plugin.choria.ruby.mode", os.Getenv("RUBYAGENT_DAEMON"))
	_, _ = r.call("mischief", "do", fmt.Sprintf(`{"what":%q}`, "family "+os.Getenv("RUBYAGENT_FILE")), 10*time.Minute)
}
