package agents

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// sleeper starts a process whose command line holds a name that no other has.
func sleeper(t *testing.T) (name string, pid int) {
	t.Helper()
	name = fmt.Sprintf("choria-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
	cmd := exec.Command("/bin/sh", "-c", "read line", name)
	stdin, err := cmd.StdinPipe() // never written to
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	return name, cmd.Process.Pid
}

func pslist(t *testing.T, a *agent.Agent, inputs in) []map[string]any {
	t.Helper()
	list, ok := mustCall(t, a, "list", inputs)["pslist"].([]any)
	if !ok {
		t.Fatal("pslist is no array")
	}
	var all []map[string]any
	for _, p := range list {
		all = append(all, p.(map[string]any))
	}
	return all
}

func TestProcessList(t *testing.T) {
	name, pid := sleeper(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(me.Uid)

	list := pslist(t, Process(), in{"pattern": name})
	if len(list) != 1 {
		t.Fatalf("%d processes match %s; want 1", len(list), name)
	}
	p := list[0]
	for key, want := range map[string]any{
		"pid": float64(pid), "ppid": float64(os.Getpid()), "uid": float64(uid), "euid": float64(uid), "username": me.Username,
		"cmdline": "/bin/sh -c read line " + name, "cwd": cwd(t), "root": "/", "num_threads": 1.0,
	} {
		if p[key] != want {
			t.Errorf("%s = %v; want %v", key, p[key], want)
		}
	}
	if state := p["state"].(string); !strings.Contains("RSD", state) {
		t.Errorf("state %q", state)
	}
	if rss, vsize := p["rss"].(float64), p["vsize"].(float64); rss <= 0 || vsize < rss*float64(os.Getpagesize()) || p["rss_bytes"] != rss*float64(os.Getpagesize()) {
		t.Errorf("rss %v, rss_bytes %v, vsize %v", rss, p["rss_bytes"], vsize)
	}
	for _, key := range []string{"environ", "fd"} {
		if secrets, ok := p[key].(map[string]any); !ok || len(secrets) != 0 {
			t.Errorf("%s = %v; want it empty", key, p[key])
		}
	}

	for _, tt := range []struct {
		inputs in
		want   int
	}{
		{in{"pattern": "^/bin/sh -c.*" + name}, 1},
		{in{"pattern": name, "user": me.Username}, 1},
		{in{"pattern": name, "user": me.Uid}, 1},
		{in{"pattern": name, "user": "12345678"}, 0},
		{in{"pattern": name, "user": "nobody-has-this-name"}, 0},
		{in{"pattern": name, "just_zombies": true}, 0},
		{in{"pattern": name, "just_zombies": false}, 1},
		{in{"pattern": name + "x"}, 0},
	} {
		if got := len(pslist(t, Process(), tt.inputs)); got != tt.want {
			t.Errorf("%v: %d processes; want %d", tt.inputs, got, tt.want)
		}
	}
}

func cwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestProcessZombie(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	pid := float64(cmd.Process.Pid)
	waitFor(t, "a zombie in the list", func() bool {
		for _, p := range pslist(t, Process(), in{"just_zombies": true}) {
			if p["pid"] == pid {
				// It has no command line any more, so its name stands for it.
				return p["state"] == "Z" && p["cmdline"] == "true"
			}
		}
		return false
	})
}

// waitFor polls until cond holds, a minute at most.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within a minute", what)
		}
	}
}

// fakeProc makes a directory like /proc.
func fakeProc(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, text)
	}
	return dir
}

const statTail = ` S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 0 18 4096 2 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 4 5 0 0 0`

func TestProcTable(t *testing.T) {
	proc := fakeProc(t, map[string]string{
		"meminfo":    "MemTotal:       16 kB\nMemFree: 1 kB\n",
		"stat":       "cpu 1 2 3\nbtime 1000\n",
		"10/stat":    "10 (a b) (c))" + statTail,
		"10/status":  "Name:\ta b) (c)\nUid:\t70000\t70001\t0\t0\nGid:\t70002\t70003\t0\t0\n",
		"10/cmdline": "a\x00b c\x00\x00",
		"11/stat":    "11 (kworker/0:1)" + statTail,
		"11/status":  "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n",
		"11/cmdline": "",
		"12/stat":    "12 (gone",
		"13/stat":    "13 (short) S 1 2",
		"14/stat":    "14 (no ids)" + statTail,
		"14/status":  "Name: x\n",
		"15/status":  "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n",
		"self/stat":  "10 (x)" + statTail,
		"-1/stat":    "10 (x)" + statTail,
	})
	list := pslist(t, newProcess(proc), nil)
	if len(list) != 2 || list[0]["pid"] != 10.0 || list[1]["pid"] != 11.0 {
		t.Fatalf("list = %v; want 10 and 11", list)
	}
	for key, want := range map[string]any{
		"cmdline": "a b c", "comm": "a-b)-(c)", "name": "a b) (c)", "state": "S", "ppid": 1.0, "pgrp": 2.0, "session": 3.0, "tty_nr": 4.0,
		"tpgid": 5.0, "flags": 6.0, "minflt": 7.0, "cminflt": 8.0, "majflt": 9.0, "cmajflt": 10.0, "utime": 11.0, "stime": 12.0,
		"cutime": 13.0, "cstime": 14.0, "priority": 15.0, "nice": 16.0, "num_threads": 17.0, "nlwp": 17.0, "starttime": 18.0,
		"vsize": 4096.0, "rss": 2.0, "processor": 3.0, "rt_priority": 4.0, "policy": 5.0,
		"uid": 70000.0, "euid": 70001.0, "gid": 70002.0, "egid": 70003.0, "username": 70000.0,
		"cwd": nil, "exe": nil, "root": nil, "pctmem": float64(2*os.Getpagesize()) / 16384 * 100,
	} {
		if list[0][key] != want {
			t.Errorf("%s = %v; want %v", key, list[0][key], want)
		}
	}
	if list[1]["cmdline"] != "kworker/0:1" || list[1]["username"] != "root" {
		t.Errorf("kernel thread: %v", list[1])
	}
}

func TestProcessTooMany(t *testing.T) {
	files := make(map[string]string)
	for pid := 1; pid <= 200; pid++ {
		dir := strconv.Itoa(pid)
		files[dir+"/stat"] = dir + " (x)" + statTail
		files[dir+"/status"] = "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"
		files[dir+"/cmdline"] = strings.Repeat("x", 2*maxCommand)
	}
	a := newProcess(fakeProc(t, files))
	data, status, msg := call(t, t.Context(), a, "list", nil)
	if want := "list of 200 processes: too large for one reply, narrow it by pattern or user"; status != agent.Aborted || msg != want {
		t.Errorf("status %d, %s; want 1, %s", status, msg, want)
	}
	if list, ok := data["pslist"].([]any); !ok || len(list) != 0 {
		t.Errorf("pslist = %v; want it empty", data["pslist"])
	}
}

func TestProcessCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, status, msg := call(t, ctx, Process(), "list", nil); status != agent.UnknownError || msg != "context canceled" {
		t.Errorf("status %d, %s", status, msg)
	}
}

// What the agent returns is what the aggregate of its description adds up.
func TestProcessSummary(t *testing.T) {
	name, _ := sleeper(t)
	reply := &agent.Reply{}
	a := Process()
	req := &agent.Request{Agent: "process", Action: "list", Data: []byte(`{"pattern":"` + name + `"}`)}
	if err := a.Actions["list"](t.Context(), req, reply); err != nil {
		t.Fatal(err)
	}
	g := ddl.BuiltinAgent("process").Action("list").Aggregator()
	g.Add(encode(t, reply.Data))
	s := g.Summaries()
	if len(s) != 1 || len(s[0].Lines) != 4 || s[0].Lines[0] != "    Matched hosts: 1" || s[0].Lines[1] != "Matched Processes: 1" {
		t.Errorf("summaries %+v", s)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("10 (a b) (c))" + statTail)
	f.Add("(")
	f.Add(")(")
	f.Fuzz(func(t *testing.T, text string) {
		var p processInfo
		p.parseStat(text)
		p.parseStatus(text)
	})
}

func BenchmarkProcessList(b *testing.B) {
	a := Process()
	req := &agent.Request{Agent: "process", Action: "list", Data: []byte(`{}`)}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Actions["list"](b.Context(), req, &agent.Reply{}); err != nil {
			b.Fatal(err)
		}
	}
}
