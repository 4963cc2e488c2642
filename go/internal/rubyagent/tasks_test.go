package rubyagent

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"choria.io/choria/go/internal/security/pki"
)

// wrapper stands in for the program that Puppet runs tasks with: it reads where to write, runs the
// task and keeps its output and exit code.
const wrapper = `#!/usr/bin/env ruby
require "json"
job = JSON.parse($stdin.read)
IO.popen([job["executable"], *job["arguments"], :err => job["stderr"]], "r+") do |io|
  io.write(job["input"])
  io.close_write
  File.write(job["stdout"], io.read)
end
File.write(job["exitcode"], $?.exitstatus.to_s)
`

const taskFile = `#!/bin/sh
read -r input
echo "on stderr" >&2
[ "$PT_mode" != fail ] || { echo "not JSON"; exit 3; }
[ "$PT_mode" != error ] || { echo '{"_error":{"kind":"own","msg":"mine","details":{}}}'; exit 4; }
[ -z "$PT_wait" ] || while [ ! -f "$PT_wait" ]; do sleep 0.05; done
printf '{"input":%s,"env":"%s","task":"%s/%s","caller":"%s","dir":"%s"}' "$input" "$PT_list" "$PT__task" "$_task" "$_choria_task_caller" "$PT__installdir"
`

// puppetServer serves the file of a task to those with a certificate, the first time a part of it.
func puppetServer(t *testing.T, dir string) (host, port string) {
	t.Helper()
	ca, err := pki.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Issue(pki.Request{Name: "puppet.example.net", IPs: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Issue(pki.Request{Name: "ruby.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.WriteSSLDir(dir, "ruby.example.net", client); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/octet-stream" || !strings.Contains(r.UserAgent(), "Choria") ||
			r.URL.String() != "/puppet/v3/file_content/tasks/demo/show.sh?environment=production" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if asked.Add(1) == 1 {
			w.Write([]byte(taskFile[:20]))
			return
		}
		w.Write([]byte(taskFile))
	}))
	pair, err := tls.X509KeyPair(server.Cert, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.Cert())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.StartTLS()
	t.Cleanup(s.Close)
	host, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return host, port
}

func TestTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "task_wrapper")
	if err := os.WriteFile(program, []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	host, port := puppetServer(t, filepath.Join(dir, "ssl"))
	r := newRig(t, "",
		"plugin.choria.puppetserver_host", host, "plugin.choria.puppetserver_port", port,
		"plugin.choria.ssldir", filepath.Join(dir, "ssl"),
		"plugin.choria.tasks.directory", filepath.Join(dir, "tasks"),
		"plugin.choria.tasks.wrapper_path", program)
	sum := sha256.Sum256([]byte(taskFile))
	spec := func(name, path string) string {
		text, _ := json.Marshal([]map[string]any{{
			"filename": name, "sha256": fmt.Sprintf("%x", sum), "size_bytes": len(taskFile),
			"uri": map[string]any{"path": path, "params": map[string]string{"environment": "production"}},
		}})
		return string(text)
	}
	call := func(action string, inputs map[string]any) (int, string, map[string]any) {
		t.Helper()
		text, _ := json.Marshal(inputs)
		status, message, fields := r.answer("tasker", action, string(text))
		return int(status), message, fields
	}
	path := "/puppet/v3/file_content/tasks/demo/show.sh"
	if _, _, got := call("download", map[string]any{"files": spec("show.sh", "/missing")}); got["done"] != false || got["after"] != false {
		t.Errorf("a file that the server has not: %v", got)
	}
	if _, _, got := call("download", map[string]any{"files": spec("show.sh", path)}); got["before"] != false || got["done"] != true || got["after"] != true {
		t.Fatalf("download: %v\n%s", got, r.log)
	}
	if _, err := os.Stat(filepath.Join(dir, "tasks/tasks-cache", fmt.Sprintf("%x", sum))); err != nil {
		t.Error(err)
	}

	run := func(id string, wait bool, input string) (int, string, map[string]any) {
		t.Helper()
		return call("run", map[string]any{"id": id, "task": "demo::show", "files": spec("show.sh", path), "input": input, "wait": wait, "input_method": nil})
	}
	_, _, got := run("1a", true, `{"list":[1,"b"]}`)
	spool := filepath.Join(dir, "tasks/tasks-spool/1a")
	want := map[string]any{
		"input": map[string]any{"list": []any{1.0, "b"}}, "env": `[1,"b"]`, "task": "demo::show/demo::show",
		"caller": "choria=rip.mcollective", "dir": spool + "/files",
	}
	// The task prints PT_list inside of quotes, which the JSON of a list breaks.
	output, _ := got["stdout"].(map[string]any)
	if text, _ := output["_output"].(string); !strings.Contains(text, `"task":"demo::show/demo::show"`) || !strings.Contains(text, `{"list":[1,"b"]}`) {
		t.Errorf("output %v, want one with %v", output, want)
	}
	if got["exitcode"] != 0.0 || got["completed"] != true || got["failed"] != false || got["wrapper_spawned"] != true ||
		got["stderr"] != "on stderr\n" || got["caller"] != "choria=rip.mcollective" || got["task"] != "demo::show" {
		t.Errorf("status %v", got)
	}
	if _, err := os.Stat(spool + "/files/demo/tasks/show.sh"); err != nil {
		t.Error(err)
	}
	var kept struct {
		Task, Caller string
		Request      map[string]any
	}
	text, err := os.ReadFile(spool + "/choria.json")
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.Task != "demo::show" || kept.Request["executable"] != spool+"/files/demo/tasks/show.sh" {
		t.Errorf("choria.json: %s, %v", text, err)
	}

	if status, message, _ := run("1a", true, `{}`); status != 5 || !strings.Contains(message, "has been run before") {
		t.Errorf("the same again: %d %q", status, message)
	}
	if _, _, got := run("2", true, `{"mode":"x","list":"plain"}`); fmt.Sprint(got["stdout"].(map[string]any)["env"]) != "plain" {
		t.Errorf("object: %v", got)
	}
	_, _, got = run("3", true, `{"mode":"fail"}`)
	if failure, _ := got["stdout"].(map[string]any)["_error"].(map[string]any); got["exitcode"] != 3.0 || got["failed"] != true ||
		failure["kind"] != "choria.tasks/task-error" || got["stdout"].(map[string]any)["_output"] != "not JSON\n" {
		t.Errorf("failing: %v", got)
	}
	_, _, got = run("4", true, `{"mode":"error"}`)
	if failure, _ := got["stdout"].(map[string]any)["_error"].(map[string]any); failure["kind"] != "own" || got["exitcode"] != 4.0 {
		t.Errorf("failing with an error of its own: %v", got)
	}

	// One that nobody waits for goes on when its action has ended.
	file := filepath.Join(dir, "go")
	_, _, got = run("5", false, fmt.Sprintf(`{"wait":%q}`, file))
	if got["completed"] != false || got["exitcode"] != -1.0 || got["wrapper_spawned"] != true {
		t.Errorf("running: %v", got)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	await(t, "the task to end", func() bool {
		_, _, got = call("status", map[string]any{"id": "5"})
		return got["completed"] == true
	})
	if got["exitcode"] != 0.0 {
		t.Errorf("ended: %v", got)
	}
	if status, _, _ := call("status", map[string]any{"id": "6"}); status != 3 {
		t.Errorf("unknown task: %d", status)
	}
	if status, _, _ := call("status", map[string]any{"id": "../5"}); status != 5 {
		t.Errorf("a path as id: %d", status)
	}
	for _, name := range []string{"../x", "/etc/x", ""} {
		status, message, _ := call("run", map[string]any{"id": "7" + fmt.Sprint(len(name)), "task": "demo", "files": spec(name, path), "input": "{}", "wait": true})
		if status != 5 || !strings.Contains(message, "no name of a task file") {
			t.Errorf("file %q: %d %q", name, status, message)
		}
	}
}
