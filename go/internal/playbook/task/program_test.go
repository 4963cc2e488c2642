package task_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// addType writes a module with the type of task site::x, which is a shell script, and returns the module path.
func addType(t testing.TB, text string) []string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "site", "choria", "tasks", "x")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{dir}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, properties string
		success          bool
		message          string // {} stands for the path of the program
		results          string // as JSON
	}{
		{`echo '{}'`, ``, true, "The site::x task succeeded", `[["localhost",null]]`},
		{`echo '{"message":"done","results":[{"host":"a","value":{"n":1}},{"host":"b","value":2.50}]}'`, ``,
			true, "done", `[["a",{"n":1}],["b",2.50]]`},
		{`echo '{"results":[{"host":"a","error":{"msg":"no"}},{"host":"b","error":{"msg":"x","kind":"site/k","details":{"d":1}}}]}'`, ``,
			false, "The site::x task failed", `[["a",null,"no choria.playbook/taskerror map[]"],["b",null,"x site/k map[d:1]"]]`},
		{`echo '{"success":true,"results":[{"host":"a","error":{"msg":"no"}}]}'`, ``,
			true, "The site::x task succeeded", `[["a",null,"no choria.playbook/taskerror map[]"]]`},
		{`echo '{"success":false,"message":"bad"}'`, ``,
			false, "bad", `[["localhost",null,"bad choria.playbook/taskerror map[program:{}]"]]`},
		{`echo '{"error":"wants a b"}'`, ``,
			false, "The site::x task failed: wants a b", `[["localhost",null,"The site::x task failed: wants a b choria.playbook/taskerror map[program:{}]"]]`},
		{`exit 3`, ``, false, "The site::x task failed: {}: exit status 3",
			`[["localhost",null,"The site::x task failed: {}: exit status 3 choria.playbook/taskerror map[program:{}]"]]`},
		{`echo '{"results":[{"value":1}]}'`, ``, false, "The site::x task failed: a result has no host",
			`[["localhost",null,"The site::x task failed: a result has no host choria.playbook/taskerror map[program:{}]"]]`},
		{`sleep 600`, `"timeout":0.1`, false, "The site::x task failed: {}: not done after 100ms",
			`[["localhost",null,"The site::x task failed: {}: not done after 100ms choria.playbook/taskerror map[program:{}]"]]`},
		{`[ "$(cat)" = '{"caller":"up=tester","description":"tell","playbook":"site::deploy","properties":{"a":["b"]},"protocol":"io.choria.playbook.v1.task","type":"site::x"}' ] && echo '{}'`,
			`"description":"tell","tries":2,"try_sleep":0,"fail_ok":false,"timeout":60,"a":["b"]`, true, "The site::x task succeeded", `[["localhost",null]]`},
	}
	for _, tt := range tests {
		path := addType(t, tt.text)
		log := &tasktest.Log{}
		env := &task.Env{Network: &tasktest.Network{}, Log: log, Environ: os.Environ, Modulepath: path, Playbook: "site::deploy"}
		o, err := task.Run(t.Context(), env, "site::x", properties(t, "{"+tt.properties+"}"))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		var results [][]any
		for _, r := range o.Results {
			result := []any{r.Host, r.Value}
			if r.Error != nil {
				result = append(result, fmt.Sprint(r.Error.Msg, " ", r.Error.Kind, " ", r.Error.Details))
			}
			results = append(results, result)
		}
		got, err := json.Marshal(results)
		want := strings.NewReplacer("{}", filepath.Join(path[0], "site/choria/tasks/x")).Replace(tt.results)
		message := strings.ReplaceAll(tt.message, "{}", filepath.Join(path[0], "site/choria/tasks/x"))
		if err != nil || string(got) != want || o.Success != tt.success || o.Message != message || o.Type != "site::x" {
			t.Errorf("%s: %v %q %s, %v\nwant %v %q %s", tt.text, o.Success, o.Message, got, err, tt.success, message, want)
		}
		if lines := strings.Join(log.Lines(), "\n"); strings.Contains(lines, "is ignored") {
			t.Errorf("%s: %s", tt.text, lines)
		}
	}
}

// TestExternal is about a program that is in no module.
func TestExternal(t *testing.T) {
	t.Parallel()
	program := filepath.Join(addType(t, `echo "{\"message\":\"$1\"}"; echo complaint >&2`)[0], "site/choria/tasks/x")
	log := &tasktest.Log{}
	env := &task.Env{Log: log, Environ: os.Environ, Secret: func(text string) bool { return strings.Contains(text, "hunter22") }}
	o, err := task.Run(t.Context(), env, "external", map[string]any{"command": []any{program, "hello"}})
	if err != nil || !o.Success || o.Message != "hello" || o.Type != "external" || !strings.Contains(strings.Join(log.Lines(), "\n"), "warning: x: complaint") {
		t.Errorf("%+v, %v, %q", o, err, log.Lines())
	}
	for _, tt := range []struct {
		typ     string
		command any
		err     string
	}{
		{"external", nil, `property "command" of the external task: is required`},
		{"external", []any{program, "hunter22"}, `property "command" of the external task: has a secret in it, which the list of processes would show: hand it over in a file or an environment variable`},
		{"site::x", nil, `property "type" of the site::x task: there is no module "site"`},
	} {
		if err := task.Check(env, tt.typ, map[string]any{"command": tt.command}); err == nil || err.Error() != tt.err {
			t.Errorf("%s %v: %v; want %s", tt.typ, tt.command, err, tt.err)
		}
	}
}
