package playbook_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/puppettask/puppettasktest"
)

// TestPuppetTasks runs tasks of Puppet on real nodes, with the playbooks that are there for it.
func TestPuppetTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nodes := []string{"n1.example.net", "n2.example.net"}
	var server *puppettasktest.Server
	config, _ := newServedNetwork(t, dir, func(site *labtest.Site) map[string]string {
		server = puppettasktest.New(t, site.CA)
		return map[string]string{"plugin.choria.puppetserver_host": server.Host(), "plugin.choria.puppetserver_port": server.Port()}
	}, nodes...)
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: config})
	})
	defer closeNetwork()
	server.Add("demo::greet", `{"description":"Greets","input_method":"environment","parameters":{
		"name":{"type":"String[1]"},"times":{"type":"Optional[Integer[1]]"},"mode":{"type":"Enum[short,long]","default":"short"}}}`,
		"greet.sh", "#!/bin/sh\nprintf '{\"greeting\":\"hello %s\",\"times\":\"%s\"}' \"$PT_name\" \"$PT_times\"\n")
	server.Add("demo::wait", `{"parameters":{"file":{"type":"String"}}}`,
		"wait.sh", "#!/bin/sh\nwhile [ ! -e \"$PT_file\" ]; do sleep 0.1; done\necho over\n")

	run := func(plan string, parameters map[string]any) *playbook.Outcome {
		t.Helper()
		o, _, out := runPlan(t, plan, network, parameters)
		if out := strings.Join(out.lines(), "\n"); strings.Contains(out, "no property") {
			t.Errorf("%s: %s", plan, out)
		}
		if o.Failure != nil {
			t.Logf("%s: %s", plan, strings.Join(out.lines(), "\n"))
		}
		return o
	}
	o := run("choria::tasks::run", map[string]any{"nodes": nodes, "task": "demo::greet", "inputs": map[string]any{"name": "bob", "times": 3}})
	if !o.Success() {
		t.Fatalf("run: %+v", o.Failure)
	}
	var results []map[string]struct {
		Value struct {
			Request string `json:"requestid"`
			Data    struct {
				Stdout string `json:"stdout"`
				Task   string `json:"task"`
				Caller string `json:"callerid"`
			} `json:"data"`
		} `json:"value"`
	}
	if err := json.Unmarshal(o.Result, &results); err != nil || len(results) != len(nodes) {
		t.Fatalf("run: %s, %v", o.Result, err)
	}
	var answered []string
	for _, result := range results {
		for node, r := range result {
			answered = append(answered, node)
			if d := r.Value.Data; d.Stdout != `{"greeting":"hello bob","times":"3"}` || d.Task != "demo::greet" || d.Caller != "choria=alice.mcollective" {
				t.Errorf("%s: %+v", node, d)
			}
		}
	}
	if slices.Sort(answered); !slices.Equal(answered, nodes) {
		t.Errorf("%q answered; want %q", answered, nodes)
	}

	// Nothing is sent when the parameters do not fit.
	o = run("choria::tasks::run", map[string]any{"nodes": nodes, "task": "demo::greet", "inputs": map[string]any{"times": 0, "mode": "odd", "more": 1}})
	if o.Failure == nil || o.Failure.Kind != "choria.playbook/task_input" {
		t.Fatalf("wrong parameters: %s, %+v", o.Result, o.Failure)
	}
	if want := "<module>/choria/plans/tasks/run.pp"; o.Failure.File != want { // where it was unpacked to is gone
		t.Errorf("wrong parameters: in %s; want %s", o.Failure.File, want)
	}
	for _, want := range []string{"there is no parameter 'more'", "'name' is missing, String[1] is wanted", "'times' wants Optional[Integer[1]], got Integer", "'mode' wants Enum['long', 'short'], got String"} {
		if !strings.Contains(o.Failure.Msg, want) {
			t.Errorf("wrong parameters: %s; want %s", o.Failure.Msg, want)
		}
	}
	if o = run("choria::tasks::run", map[string]any{"nodes": nodes, "task": "demo::gone"}); o.Failure == nil || !strings.Contains(o.Failure.Msg, "answers 404") {
		t.Errorf("a task that is not there: %s, %+v", o.Result, o.Failure)
	}

	// In the background: it runs until there is a file.
	file := filepath.Join(dir, "go")
	o = run("choria::tasks::run", map[string]any{"nodes": nodes, "task": "demo::wait", "inputs": map[string]any{"file": file}, "background": true})
	if !o.Success() {
		t.Fatalf("in the background: %+v", o.Failure)
	}
	results = nil // else what is in it would stay beside what comes, as nodes answer in any order
	if err := json.Unmarshal(o.Result, &results); err != nil || len(results) != len(nodes) {
		t.Fatalf("in the background: %s, %v", o.Result, err)
	}
	id := ""
	for _, r := range results[0] {
		id = r.Value.Request
	}
	o = run("choria::tasks::wait", map[string]any{"nodes": nodes, "task_id": id, "tries": 2, "sleep": 0})
	if !o.Success() || string(o.Result) != "false" {
		t.Errorf("wait for what runs: %s, %+v", o.Result, o.Failure)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o = run("choria::tasks::wait", map[string]any{"nodes": nodes, "task_id": id, "tries": 120, "sleep": 1})
	if !o.Success() || string(o.Result) != "true" {
		t.Errorf("wait: %s, %+v", o.Result, o.Failure)
	}
	o = run("choria::tasks::status", map[string]any{"nodes": nodes, "task_id": id})
	if !o.Success() || strings.Count(string(o.Result), `"completed":true`) != 2 || strings.Count(string(o.Result), fmt.Sprintf("%q", `{"_output":"over\n"}`)) != 2 {
		t.Errorf("status: %s, %+v", o.Result, o.Failure)
	}
}
