package agents

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/agent"
)

// call runs an action as a node would and returns its data as a client would get it. The status is
// that of the error, OK without one.
func call(t testing.TB, ctx context.Context, a *agent.Agent, action string, inputs any) (map[string]any, agent.Status, string) {
	t.Helper()
	data, err := json.Marshal(inputs)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) == "null" {
		data = []byte(`{}`)
	}
	reply := &agent.Reply{}
	err = a.Actions[action](ctx, &agent.Request{Agent: a.DDL.Metadata.Name, Action: action, Data: data}, reply)
	status, msg := agent.OK, ""
	if err != nil {
		status, msg = agent.UnknownError, err.Error()
		var e *agent.Error
		if errors.As(err, &e) {
			status = e.Status
		}
	}
	encoded, err := json.Marshal(reply.Data)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(encoded, &out); err != nil {
		t.Fatal(err)
	}
	// Each output is a declared one.
	for name := range out {
		if a.DDL.Action(action).Output[name] == nil {
			t.Errorf("%s#%s: output %q is not declared", a.DDL.Metadata.Name, action, name)
		}
	}
	return out, status, msg
}

// mustCall is call for actions that succeed.
func mustCall(t testing.TB, a *agent.Agent, action string, inputs any) map[string]any {
	t.Helper()
	data, status, msg := call(t, t.Context(), a, action, inputs)
	if status != agent.OK {
		t.Fatalf("%s#%s: status %d, %s", a.DDL.Metadata.Name, action, status, msg)
	}
	return data
}

// in is the inputs of a call.
type in = map[string]any

// settings are a configuration.
func settings(pairs ...string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestAll(t *testing.T) {
	var names []string
	for _, a := range All(nil) {
		names = append(names, a.DDL.Metadata.Name)
		var actions []string
		for name := range a.Actions {
			actions = append(actions, name)
		}
		slices.Sort(actions)
		if !reflect.DeepEqual(actions, a.DDL.ActionNames()) {
			t.Errorf("%s has actions %q; its description has %q", a.DDL.Metadata.Name, actions, a.DDL.ActionNames())
		}
	}
	// Tests run on Debian with Puppet.
	if want := []string{"filemgr", "nettest", "package", "process", "puppet", "service", "shell"}; !reflect.DeepEqual(names, want) {
		t.Errorf("All = %q; want %q", names, want)
	}
}

// Inputs that the description refuses never reach an action.
func TestRefusedInputs(t *testing.T) {
	agents := make(map[string]*agent.Agent)
	for _, a := range All(settings("plugin.shell.state_path", t.TempDir())) {
		agents[a.DDL.Metadata.Name] = a
	}
	tests := []struct {
		agent, action string
		inputs        in
		msg           string
	}{
		{"filemgr", "status", in{"file": 7}, `input "file" of filemgr#status: 7 is not a string`},
		{"filemgr", "status", in{"file": strings.Repeat("x", 257)}, `is longer than 256 characters`},
		{"filemgr", "status", in{"path": "/"}, `input "path" of filemgr#status: no such input, the action takes dirlist, file`},
		{"filemgr", "touch", in{"dirlist": true}, `input "dirlist" of filemgr#touch: no such input, the action takes file`},
		{"nettest", "ping", in{}, `input "fqdn" of nettest#ping: missing`},
		{"nettest", "ping", in{"fqdn": "a b"}, `input "fqdn" of nettest#ping: "a b" is neither a host name nor an IP address`},
		{"nettest", "connect", in{"fqdn": "localhost"}, `input "port" of nettest#connect: missing`},
		{"nettest", "connect", in{"fqdn": "localhost", "port": 0}, `input "port" of nettest#connect: 0 is not from 1 to 65535`},
		{"nettest", "connect", in{"fqdn": "localhost", "port": 65536}, `input "port" of nettest#connect: 65536 is not from 1 to 65535`},
		{"nettest", "connect", in{"fqdn": "localhost", "port": "80"}, `input "port" of nettest#connect: "80" is not an integer`},
		{"process", "list", in{"pattern": "a;b"}, `input "pattern" of process#list: "a;b" may not contain ;`},
		{"process", "list", in{"pattern": "("}, `input "pattern" of process#list: error parsing regexp`},
		{"process", "list", in{"just_zombies": "yes"}, `input "just_zombies" of process#list: "yes" is not a boolean`},
		{"shell", "run", in{}, `input "command" of shell#run: missing`},
		{"shell", "run", in{"command": strings.Repeat("x", 10241)}, `is longer than 10240 characters`},
		{"shell", "run", in{"command": ":", "timeout": -1}, `input "timeout" of shell#run: -1 is negative`},
		{"shell", "run", in{"command": ":", "timeout": "1"}, `input "timeout" of shell#run: "1" is not a float`},
		{"shell", "status", in{"handle": "../x"}, `input "handle" of shell#status: "../x" does not match ^[0-9a-z\-]*$`},
		{"shell", "status", in{"handle": "x", "stdout_offset": -1}, `offsets of shell#status: want none that is negative`},
		{"shell", "kill", in{}, `input "handle" of shell#kill: missing`},
	}
	for _, tt := range tests {
		_, status, msg := call(t, t.Context(), agents[tt.agent], tt.action, tt.inputs)
		if status != agent.InvalidData || !strings.Contains(msg, tt.msg) {
			t.Errorf("%s#%s %v: status %d, %s; want 4, %s", tt.agent, tt.action, tt.inputs, status, msg, tt.msg)
		}
	}
	for _, data := range []string{`[]`, `null`, `{"a":`, `7`} {
		err := agents["filemgr"].Actions["status"](t.Context(), &agent.Request{Agent: "filemgr", Action: "status", Data: json.RawMessage(data)}, &agent.Reply{})
		if err == nil || err.Error() != "data of filemgr#status: want a JSON object of inputs" {
			t.Errorf("data %s: %v", data, err)
		}
	}
}

func TestFits(t *testing.T) {
	tests := []struct {
		data any
		want bool
	}{
		{strings.Repeat("x", maxPlain-2), true},
		{strings.Repeat("x", maxPlain), false},
		{strings.Repeat(`"`, 80<<10), true},
		{strings.Repeat(`"`, 120<<10), false},
		{func() {}, false},
	}
	for i, tt := range tests {
		if got := fits(tt.data); got != tt.want {
			t.Errorf("case %d: fits = %v; want %v", i, got, tt.want)
		}
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// await waits for what another process does.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting for %s", what)
		}
	}
}
