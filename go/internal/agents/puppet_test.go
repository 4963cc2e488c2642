package agents

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/agent"
)

// A puppetHome is a private place for Puppet, with the real Puppet of this machine.
type puppetHome struct {
	t      testing.TB
	dir    string
	config string
}

func newPuppetHome(t testing.TB) *puppetHome {
	t.Helper()
	if findPuppet() == "" {
		t.Fatal("this test wants Puppet; scripts/setup installs it")
	}
	h := &puppetHome{t: t, dir: t.TempDir()}
	h.config = h.write("puppet.conf", fmt.Sprintf(`[main]
confdir = %[1]s/conf
vardir = %[1]s/var
rundir = %[1]s/run
logdir = %[1]s/log
ssldir = %[1]s/ssl
server = 127.0.0.1
masterport = 1
environment = demo
`, h.dir))
	for _, dir := range []string{"conf", "var/state", "var/public", "run", "log", "ssl"} {
		if err := os.MkdirAll(filepath.Join(h.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *puppetHome) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// agent returns the agent for this home. plugin.puppet.statedir spares most tests the second that Puppet
// takes to say where its files are.
func (h *puppetHome) agent(more ...string) *agent.Agent {
	h.t.Helper()
	keys := append([]string{"plugin.puppet.config", h.config, "plugin.puppet.statedir", h.dir + "/var/state", "plugin.puppet.rundir", h.dir + "/run"}, more...)
	a := Puppet(settings(keys...))
	if a == nil {
		h.t.Fatal("no agent")
	}
	return a
}

// puppet runs the real Puppet.
func (h *puppetHome) puppet(subcommand string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command(findPuppet(), append([]string{subcommand, "--config", h.config}, args...)...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("puppet %s %v: %v: %s", subcommand, args, err, out)
	}
	return string(out)
}

// process starts a process that calls itself what Puppet calls itself, and ends it with the test.
func (h *puppetHome) process(name string) int {
	h.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `trap 'echo run >> "$0"; kill $!; exit' USR1; : > "$0.ready.$$"; sleep 600 & wait`, filepath.Join(h.dir, "signalled"))
	cmd.Args[0] = name
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Process.Kill()
		cmd.Wait()
	})
	pid := cmd.Process.Pid
	await(h.t, "the process to be there", func() bool {
		_, err := os.Stat(fmt.Sprintf("%s/signalled.ready.%d", h.dir, pid))
		return err == nil
	})
	return pid
}

func puppetRefused(t *testing.T, a *agent.Agent, action string, in map[string]any, want string) map[string]any {
	t.Helper()
	data, code, msg := call(t, t.Context(), a, action, in)
	if code != agent.Aborted || !strings.Contains(msg, want) {
		t.Errorf("%s %v: %d %q; want status 1 with %q", action, in, code, msg, want)
	}
	return data
}

// What the agent does Puppet understands, and the other way round.
func TestPuppetWithPuppet(t *testing.T) {
	t.Parallel()
	h := newPuppetHome(t)
	a := Puppet(settings("plugin.puppet.config", h.config)) // asks Puppet where its files are

	got := mustCall(t, a, "disable", map[string]any{"message": "testing 1 2 3"})
	if got["enabled"] != false || !strings.Contains(got["status"].(string), "testing 1 2 3") {
		t.Errorf("disable: %v", got)
	}
	cmd := exec.Command(findPuppet(), "agent", "--config", h.config, "--onetime", "--no-daemonize", "--color=false", "--logdest", "console")
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), "testing 1 2 3") {
		t.Errorf("a run of Puppet while it is disabled: %v: %s", err, out)
	}
	if got := mustCall(t, a, "enable", nil); got["enabled"] != true {
		t.Errorf("enable: %v", got)
	}
	h.puppet("agent", "--disable", "by hand")
	if got := mustCall(t, a, "status", nil); got["enabled"] != false || got["disable_message"] != "by hand" {
		t.Errorf("status: %v", got)
	}
}

func TestPuppetStatus(t *testing.T) {
	t.Parallel()
	h := newPuppetHome(t)
	a := h.agent()
	status := func(want map[string]any) {
		t.Helper()
		got := mustCall(t, a, "status", nil)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("status: %s = %v; want %v", name, got[name], value)
			}
		}
	}
	status(map[string]any{
		"applying": false, "enabled": true, "daemon_present": false, "idling": false, "lastrun": 0.0, "disable_message": "",
		"status": "stopped", "message": "Currently stopped; no completed run is known",
	})
	h.write("var/public/last_run_summary.yaml", fmt.Sprintf("time:\n  last_run: %d\n", time.Now().Unix()-90_000))
	status(map[string]any{"status": "stopped"})
	if got := mustCall(t, a, "status", nil)["message"].(string); !strings.HasPrefix(got, "Currently stopped; last completed run 1 day 1 hours 0 minutes 0") {
		t.Errorf("message %q", got)
	}

	// Processes that are not Puppet do not count: ids are used again.
	for _, pid := range []string{strconv.Itoa(h.process("something else")), "999999999", "1", "-1", "0", "", "x"} {
		h.write("run/agent.pid", pid)
		h.write("var/state/agent_catalog_run.lock", pid)
		status(map[string]any{"applying": false, "daemon_present": false})
	}
	h.write("run/agent.pid", strconv.Itoa(h.process("puppet agent: waiting")))
	status(map[string]any{"daemon_present": true, "idling": true, "applying": false, "status": "idling"})
	h.write("var/state/agent_catalog_run.lock", strconv.Itoa(h.process("puppet agent: applying configuration"))+"\n")
	status(map[string]any{"daemon_present": true, "idling": false, "applying": true, "status": "applying a catalog"})
	puppetRefused(t, a, "runonce", nil, "applying a catalog")

	got := mustCall(t, a, "disable", nil)
	if text := got["status"].(string); !strings.Contains(text, "Disabled by ") || got["enabled"] != false {
		t.Errorf("disable: %v", got)
	}
	status(map[string]any{"enabled": false, "status": "disabled", "applying": true})
	data := puppetRefused(t, a, "disable", map[string]any{"message": "again"}, "disabled already")
	if data["enabled"] != false {
		t.Errorf("disable again: %v", data)
	}
	if got := mustCall(t, a, "status", nil)["disable_message"].(string); !strings.HasPrefix(got, "Disabled by ") {
		t.Errorf("the message after another disable is %q", got)
	}
	data = puppetRefused(t, a, "runonce", nil, "Puppet is disabled: 'Disabled by ")
	if !strings.HasPrefix(data["summary"].(string), "Puppet is disabled") {
		t.Errorf("runonce: %v", data)
	}
	mustCall(t, a, "enable", nil)
	if data := puppetRefused(t, a, "enable", nil, "enabled already"); data["enabled"] != true {
		t.Errorf("enable again: %v", data)
	}
	if left, err := filepath.Glob(h.dir + "/var/state/.agent*"); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	h.write("var/state/agent_disabled.lock", "not json")
	status(map[string]any{"enabled": false, "disable_message": ""})
}

// The files in testdata/puppet were written by Puppet 7.23.
func TestPuppetLastRunSummary(t *testing.T) {
	t.Parallel()
	h := newPuppetHome(t)
	a := h.agent()
	got := mustCall(t, a, "last_run_summary", nil)
	if got["total_resources"] != 0.0 || got["lastrun"] != 0.0 || got["config_version"] != "unknown" {
		t.Errorf("before the first run: %v", got)
	}
	for name, target := range map[string]string{
		"last_run_summary.yaml": "var/public", "last_run_report.yaml": "var/state", "resources.txt": "var/state",
	} {
		h.write(filepath.Join(target, name), readFile(filepath.Join("testdata/puppet", name)))
	}
	got = mustCall(t, a, "last_run_summary", nil)
	for name, want := range map[string]any{
		"total_resources": 10.0, "changed_resources": 2.0, "out_of_sync_resources": 2.0, "failed_resources": 0.0, "corrected_resources": 0.0,
		"config_retrieval_time": 0.298247683, "total_time": 0.032493068, "lastrun": 1795366911.0, "config_version": "1795366911",
		"type_distribution": map[string]any{"File": 2.0, "Notify": 1.0}, "logs": []any{},
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s = %v; want %v", name, got[name], want)
		}
	}
	if events := got["summary"].(map[string]any)["events"]; !reflect.DeepEqual(events, map[string]any{"failure": 0.0, "success": 2.0, "total": 2.0}) {
		t.Errorf("events %v", events)
	}
	logs := mustCall(t, a, "last_run_summary", map[string]any{"logs": true})["logs"].([]any)
	if len(logs) != 4 {
		t.Fatalf("%d log lines: %v; want 4", len(logs), logs)
	}
	at := float64(time.Date(2026, 11, 22, 17, 1, 51, 0, time.UTC).Unix())
	want := map[string]any{
		"time": at, "time_utc": at, "level": "notice", "source": `/Stage[main]/Demo/Notify[he said: "!ruby/x"]/message`,
		"msg": `defined 'message' as 'he said: "!ruby/x"'`,
	}
	if !reflect.DeepEqual(logs[2], want) {
		t.Errorf("log line %v; want %v", logs[2], want)
	}

	h.write("var/public/last_run_summary.yaml", "time: [")
	puppetRefused(t, a, "last_run_summary", nil, "last_run_summary.yaml: no YAML")
	h.write("var/public/last_run_summary.yaml", "time: 7\nresources: [1]\n")
	if got := mustCall(t, a, "last_run_summary", nil); got["total_resources"] != 0.0 {
		t.Errorf("with a summary of other types: %v", got)
	}
}

func TestParseLogs(t *testing.T) {
	// As Puppet 3 to 5 wrote it.
	old := `--- !ruby/object:Puppet::Transaction::Report
host: n1.example.net
logs:
  - !ruby/object:Puppet::Util::Log
    level: !ruby/sym info
    message: "Applying configuration version '1'"
    source: Puppet
    tags:
      - info
    time: 2018-03-04 05:06:07.123456 +00:00

  - !ruby/object:Puppet::Util::Log
    level: :err
    message: |
      several
      lines: !ruby/no tag
    source: //n1/x
    time: 2018-03-04T05:06:08.000000000+01:00
metrics: {}
`
	want := []puppetLog{
		{1520139967, 1520139967, "info", "Puppet", "Applying configuration version '1'"},
		{1520136368, 1520136368, "err", "//n1/x", "several\nlines: !ruby/no tag"},
	}
	got, err := parseLogs(strings.NewReader(old))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseLogs = %+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{"", "logs: []\nmetrics:\n", "status: failed\n", "logs:\nmetrics:\n"} {
		if got, err := parseLogs(strings.NewReader(text)); err != nil || len(got) != 0 {
			t.Errorf("parseLogs(%q) = %v, %v; want none", text, got, err)
		}
	}
	// A very long log is cut, and one that is not the logs is passed over however long it is.
	long := "x: " + strings.Repeat("y", 1<<20) + "\nlogs:\n" + strings.Repeat("- level: info\n  message: "+strings.Repeat("m", 1000)+"\n", 4000) + "metrics:\n"
	if got, err := parseLogs(strings.NewReader(long)); err != nil || len(got) < 1500 || len(got) > 2500 {
		t.Errorf("parseLogs of a long report: %d lines, %v; want some 2000", len(got), err)
	}
}

// recorder stands in for puppet: it writes down its arguments and whether it leads a session of its own,
// and goes on until told otherwise.
const recorder = `#!/bin/sh
printf '%%s\n' "$@" > %[1]s/args.new
read -r pid name state parent group session rest < /proc/$$/stat
echo $session > %[1]s/session
echo $$ > %[1]s/pid
mv %[1]s/args.new %[1]s/args
exec sleep 600
`

func TestPuppetRunonce(t *testing.T) {
	t.Parallel()
	h := newPuppetHome(t)
	program := h.write("bin/puppet", fmt.Sprintf(recorder, h.dir))
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	fixed := "agent --config " + h.config + " --onetime --no-daemonize --color=false --show_diff --verbose"
	tests := []struct {
		in   map[string]any
		keys []string
		want string // arguments behind the fixed ones
	}{
		{nil, nil, " --splay --splaylimit 30"},
		{nil, []string{"plugin.puppet.splay", "false"}, " --no-splay"},
		{nil, []string{"plugin.puppet.splaylimit", "99"}, " --splay --splaylimit 99"},
		{map[string]any{"force": true, "splay": true}, nil, " --no-splay"},
		{map[string]any{"splay": false, "noop": true}, nil, " --no-splay --noop"},
		{map[string]any{"splaylimit": 5}, nil, " --splay --splaylimit 5"},
		{map[string]any{"force": true, "tags": "one, two::three", "skip_tags": "x", "noop": false, "environment": "prod_1",
			"use_cached_catalog": false, "ignoreschedules": true}, nil,
			" --tags one,two::three --skip_tags x --no-splay --no-noop --environment prod_1 --ignoreschedules --no-use_cached_catalog"},
		{map[string]any{"force": true, "server": "puppet.example.net:8141"}, []string{"plugin.puppet.allow_server_override", "yes"},
			" --no-splay --server puppet.example.net --masterport 8141"},
		{map[string]any{"force": true, "server": "[2001:db8::1]"}, []string{"plugin.puppet.allow_server_override", "1"}, " --no-splay --server 2001:db8::1"},
	}
	for _, tt := range tests {
		os.Remove(filepath.Join(h.dir, "args"))
		a := h.agent(append([]string{"plugin.puppet.command", program + " agent"}, tt.keys...)...)
		before := time.Now().Unix()
		got := mustCall(t, a, "runonce", tt.in)
		if want := "Started a Puppet run using the '" + program + " " + fixed + tt.want + "' command"; got["summary"] != want {
			t.Errorf("runonce %v: %v; want %s", tt.in, got["summary"], want)
		}
		if at := got["initiated_at"].(float64); at < float64(before) || at > float64(time.Now().Unix()) {
			t.Errorf("initiated_at %v", at)
		}
		await(t, "the run", func() bool { return readFile(filepath.Join(h.dir, "args")) != "" })
		if args := strings.Join(strings.Fields(readFile(filepath.Join(h.dir, "args"))), " "); args != fixed+tt.want {
			t.Errorf("runonce %v ran puppet with %s; want %s", tt.in, args, fixed+tt.want)
		}
		pid := strings.TrimSpace(readFile(filepath.Join(h.dir, "pid")))
		if session := strings.TrimSpace(readFile(filepath.Join(h.dir, "session"))); session != pid {
			t.Errorf("process %s is in session %s, so it ends with the daemon", pid, session)
		}
		if n, err := strconv.Atoi(pid); err == nil {
			p, _ := os.FindProcess(n)
			p.Kill()
			await(t, "the run to be reaped", func() bool { return p.Signal(syscall.Signal(0)) != nil })
		}
	}

	a := h.agent("plugin.puppet.command", program)
	puppetRefused(t, a, "runonce", map[string]any{"server": "x"}, "allow_server_override")
	puppetRefused(t, a, "runonce", map[string]any{"splaylimit": 1.5}, "whole seconds")
	for name, values := range map[string][]any{
		"tags":        {"a b", "--x", "a;b", "a,", ",", "a::", "$(x)", "a\nb", strings.Repeat("a", 121), 7},
		"skip_tags":   {"-a", "a,,b"},
		"environment": {"a b", "--x", "a-b", "", "../x", "a\n"},
		"server":      {"-x", "a b", "a:b", "a;b", "::1", "[x", strings.Repeat("a", 51)},
		"splaylimit":  {"x", true},
		"noop":        {"yes"},
		"unknown":     {1},
	} {
		for _, value := range values {
			if _, code, msg := call(t, t.Context(), a, "runonce", map[string]any{name: value}); code != agent.InvalidData {
				t.Errorf("runonce with %s %q: %d %s; want it refused", name, value, code, msg)
			}
		}
	}
	if readFile(filepath.Join(h.dir, "args")) == "" {
		t.Error("the last run left no arguments") // the refused ones must not have run, the others have
	}
}

func TestPuppetSignalsDaemon(t *testing.T) {
	t.Parallel()
	h := newPuppetHome(t)
	program := h.write("bin/puppet", fmt.Sprintf(recorder, h.dir))
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	h.write("run/agent.pid", strconv.Itoa(h.process("puppet agent")))
	a := h.agent("plugin.puppet.command", program)
	puppetRefused(t, a, "runonce", map[string]any{"tags": "x"}, "takes no options for a run: --tags x")
	puppetRefused(t, a, "runonce", map[string]any{"noop": true}, "takes no options")
	if got := mustCall(t, a, "runonce", map[string]any{"force": true}); got["summary"] != "Signalled the running Puppet daemon" {
		t.Errorf("runonce: %v", got)
	}
	await(t, "the signal", func() bool { return readFile(filepath.Join(h.dir, "signalled")) == "run\n" })
}

// Resources are applied by the real Puppet.
func TestPuppetResource(t *testing.T) {
	t.Parallel()
	h := newPuppetHome(t)
	file := filepath.Join(h.dir, "it's \"a\" file")
	h.write("var/state/resources.txt", "file[/srv/demo]\nservice[nginx]\n")
	a := h.agent("plugin.puppet.resource_type_whitelist", "file, notify", "plugin.puppet.resource_name_blacklist.file", "/etc/passwd,/etc/shadow")

	in := map[string]any{"type": "File", "name": file, "ensure": "present", "content": "a'b\\c\n$(x) #{y}", "mode": "0640", "process_results": true}
	got := mustCall(t, a, "resource", in)
	if got["changed"] != true || !strings.Contains(got["result"].(string), "defined content as") {
		t.Errorf("resource: %v", got)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o640 || readFile(file) != in["content"] {
		t.Errorf("the file: %v, %v, %q; want %q", info, err, readFile(file), in["content"])
	}
	if got := mustCall(t, a, "resource", in); got["changed"] != false || got["result"] != "no output produced" {
		t.Errorf("resource again: %v", got)
	}
	in["name"] = filepath.Join(h.dir, "no/such/directory")
	if data := puppetRefused(t, a, "resource", in, "no/such/directory"); data["changed"] != false {
		t.Errorf("a resource that fails: %v", data)
	}
	puppetRefused(t, a, "resource", map[string]any{"type": "notify", "name": "x", "bogus": 1}, "bogus")
	if left, err := filepath.Glob(h.dir + "/var/state/*"); err != nil || len(left) != 1 {
		t.Errorf("the state of the Puppet agent: %v, %v; want resources.txt alone", left, err)
	}

	puppetRefused(t, a, "resource", map[string]any{"type": "exec", "name": "/bin/true"}, "the exec type is not listed in the type whitelist")
	puppetRefused(t, a, "resource", map[string]any{"type": "file", "name": "/etc/passwd"}, "the /etc/passwd name is listed in the name blacklist")
	puppetRefused(t, a, "resource", map[string]any{"type": "file", "name": "/srv/demo"}, "Puppet manages file[/srv/demo]")
	puppetRefused(t, h.agent(), "resource", map[string]any{"type": "file", "name": "/x"}, "not listed in the type whitelist")
	puppetRefused(t, h.agent("plugin.puppet.resource_type_whitelist", "none"), "resource", map[string]any{"type": "none", "name": "/x"}, "not listed")
	puppetRefused(t, h.agent("plugin.puppet.resource_type_whitelist", "file", "plugin.puppet.resource_type_blacklist", "exec"), "resource",
		map[string]any{"type": "file", "name": "/x"}, "of which one can be")
	puppetRefused(t, h.agent("plugin.puppet.resource_type_blacklist", "exec"), "resource", map[string]any{"type": "EXEC", "name": "/x"}, "is listed in the type blacklist")
	for _, bad := range []map[string]any{
		{"type": "file"}, {"name": "x"}, {"type": "file; x", "name": "x"}, {"type": "file", "name": "x", "a b": 1}, {"type": 7, "name": "x"},
		{"type": "file", "name": strings.Repeat("x", 151)}, {"type": "file", "name": "x", "environment": "../x"},
	} {
		if _, code, msg := call(t, t.Context(), a, "resource", bad); code != agent.InvalidData {
			t.Errorf("resource %v: %d %s; want it refused", bad, code, msg)
		}
	}
}

func TestAgo(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "00 seconds", 59: "59 seconds", 60: "1 minutes 00 seconds", 3599: "59 minutes 59 seconds", 3600: "1 hours 0 minutes 00 seconds",
		86400: "1 day 0 hours 0 minutes 00 seconds", 180_122: "2 days 2 hours 2 minutes 02 seconds",
	} {
		if got := ago(seconds); got != want {
			t.Errorf("ago(%d) = %q; want %q", seconds, got, want)
		}
	}
}

// Puppet that does not answer is asked again only after a while.
func TestPuppetStateAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "puppet")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho x >> "+dir+"/asked\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := Puppet(settings("plugin.puppet.command", program, "plugin.puppet.config", filepath.Join(dir, "puppet.conf")))
	for range 3 {
		puppetRefused(t, a, "status", nil, "ask Puppet where its files are")
	}
	if asked := readFile(filepath.Join(dir, "asked")); asked != "x\n" {
		t.Errorf("asked %q; want once", asked)
	}
	if err := os.WriteFile(filepath.Join(dir, "puppet.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	puppetRefused(t, a, "status", nil, "ask Puppet where its files are")
	if asked := readFile(filepath.Join(dir, "asked")); asked != "x\nx\n" {
		t.Errorf("asked %q after the configuration changed; want twice", asked)
	}
}

func FuzzPuppetFiles(f *testing.F) {
	f.Add([]byte("logs:\n- level: info\n  message: x\n  time: 2018-03-04T05:06:08.0+01:00\n"))
	f.Add([]byte("---\ntime:\n  last_run: 1\n  total: .inf\nresources: {total: 1e300}\n"))
	f.Add([]byte("logs:\n- !ruby/object:X\n  level: !ruby/sym a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if logs, err := parseLogs(strings.NewReader(string(data))); err == nil {
			if _, err := json.Marshal(logs); err != nil {
				t.Errorf("parseLogs(%q): %v", data, err)
			}
		}
		s, err := parseSummary(data)
		if err != nil {
			return
		}
		whole(s.section("time")["last_run"])
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("parseSummary(%q): %v", data, err)
		}
	})
}

// Whatever the inputs of a resource are, what gets to Puppet are a type and names that cannot be anything else.
func FuzzPuppetResource(f *testing.F) {
	f.Add([]byte(`{"type":"file","name":"/x","ensure":"present","mode":"0644"}`))
	f.Add([]byte(`{"type":"user","name":"x","password":"p","groups":["a",1,null,{"b":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := resourceInputs(&agent.Request{Agent: "puppet", Action: "resource", Data: data})
		if err != nil {
			return
		}
		if !resourceKind.MatchString(r.kind) || r.title == "" {
			t.Errorf("resource %q %q", r.kind, r.title)
		}
		for name := range r.properties {
			if !resourceProperty.MatchString(name) || name == "name" || name == "type" {
				t.Errorf("property %q", name)
			}
		}
	})
}
