package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/lab/labtest"
)

// weather is a data plugin that takes a query.
func weather(t *testing.T) *agent.DataPlugin {
	t.Helper()
	description, err := ddl.ParseData([]byte(`{"metadata":{"name":"weather","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":1},
		"query":{"prompt":"p","description":"d","type":"string","optional":false,"validation":"^[a-z]+$","maxlength":10},
		"output":{"rain":{"description":"d","display_as":"Rain"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return &agent.DataPlugin{DDL: description, Ask: func(ctx context.Context, town string) (map[string]any, error) {
		switch town {
		case "slow":
			<-ctx.Done()
			return nil, ctx.Err()
		case "panic":
			panic("it rains frogs")
		case "fail":
			return nil, errors.New("no sky")
		}
		return map[string]any{"rain": town == "bergen"}, nil
	}}
}

// Data plugins come and go while a node runs, and conditions of policies can ask them.
func TestDataPlugins(t *testing.T) {
	policies := t.TempDir()
	policy := "policy default deny\nallow\t*\tget_data inventory\t*\t*\nallow\t*\tping\tweather('bergen').rain=true\t*\n"
	if err := os.WriteFile(filepath.Join(policies, "rpcutil.policy"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "rpcauthorization", "true")
	o.PolicyDir = policies
	n := run(t, o)
	c := newCaller(t, url)

	if got := c.call("n1.example.net", "rpcutil", "ping", ""); got.status != agent.Aborted {
		t.Errorf("ping without the plugin that the policy asks: %d %s", got.status, got.message)
	}
	if err := n.InstallData(weather(t)); err != nil {
		t.Fatal(err)
	}
	if got := c.call("n1.example.net", "rpcutil", "ping", ""); got.status != agent.OK {
		t.Errorf("ping in the rain: %d %s", got.status, got.message)
	}
	for _, tt := range []struct {
		query  string
		status agent.Status
		want   string // of data or message
	}{
		{"bergen", 0, `{"rain":true}`},
		{"cairo", 0, `{"rain":false}`},
		{"fail", 1, "no sky"},
		{"BERGEN", 1, `"BERGEN" does not match ^[a-z]+$`},
		{"slow", 1, "deadline exceeded"},
		{"panic", 5, "has a defect"},
	} {
		got := c.call("n1.example.net", "rpcutil", "get_data", `{"source":"weather","query":"`+tt.query+`"}`)
		if text := string(got.data) + got.message; got.status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("weather(%q): %d %s; want %d %s", tt.query, got.status, text, tt.status, tt.want)
		}
	}
	if got := get[map[string]any](c, "rpcutil", "inventory", ""); !strings.Contains(string(must(t, got["data_plugins"])), `"weather"`) {
		t.Errorf("data plugins %v; want weather among them", got["data_plugins"])
	}
	if err := n.InstallData(&agent.DataPlugin{DDL: ddl.BuiltinDataPlugin("choria"), Ask: weather(t).Ask}); err == nil {
		t.Error("a data plugin took the place of one that every node has")
	}
	n.UninstallData("choria")
	n.UninstallData("weather")
	if got := c.call("n1.example.net", "rpcutil", "get_data", `{"source":"weather","query":"x"}`); got.status != agent.Aborted || !strings.Contains(got.message, "there are agent, choria, config_item") {
		t.Errorf("after removal: %d %s", got.status, got.message)
	}
}

func must(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What the description of an agent calls sensitive reaches the action and neither audit nor log,
// whether the request runs or not.
func TestSensitiveInputs(t *testing.T) {
	const secret = "hunter2"
	description, err := ddl.Parse([]byte(`{"metadata":{"name":"vault","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":5},"actions":[
		{"action":"open","description":"d","input":{
			"user":{"prompt":"p","description":"d","type":"string","optional":false,"validation":".","maxlength":20},
			"password":{"prompt":"p","description":"d","type":"string","optional":false,"validation":"^[a-z0-9]+$","maxlength":20,"sensitive":true},
			"keys":{"prompt":"p","description":"d","type":"hash","optional":true,"sensitive":true}},"output":{}},
		{"action":"shut","description":"d","input":{"password":{"prompt":"p","description":"d","type":"string","optional":true,"validation":".","maxlength":20,"sensitive":true}},"output":{}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10) // more than there are requests
	open := func(_ context.Context, req *agent.Request, _ *agent.Reply) error {
		got <- string(req.Data)
		return nil
	}
	file := filepath.Join(t.TempDir(), "audit.log")
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "rpcaudit", "true", "plugin.rpcaudit.logfile", file)
	o.Agents = []*agent.Agent{{DDL: description, Actions: map[string]agent.Action{"open": open, "shut": open}, Any: open}}
	o.Authorize = func(r *agent.Request) bool { return r.Action == "open" }
	n := run(t, o)
	c := newCaller(t, url)

	full := `{"user":"bob","password":"` + secret + `","keys":{"a":"` + secret + `"}}`
	if reply := c.call("n1.example.net", "vault", "open", full); reply.status != agent.OK {
		t.Fatalf("open: %d %s", reply.status, reply.message)
	}
	if data := <-got; data != full {
		t.Errorf("the action got %s; want %s", data, full)
	}
	wrong := c.call("n1.example.net", "vault", "open", `{"user":"bob","password":"`+secret+`!","Keys":"`+secret+`"}`)
	if wrong.status != agent.InvalidData || strings.Contains(wrong.message, secret) {
		t.Errorf("open with a wrong password: %d %s", wrong.status, wrong.message)
	}
	if denied := c.call("n1.example.net", "vault", "shut", `{"password":"`+secret+`"}`); denied.status != agent.Aborted {
		t.Errorf("shut: %d %s", denied.status, denied.message)
	}
	// Typed in a hurry.
	c.call("n1.example.net", "vault", "opne", `{"user":"bob","password":"`+secret+`"}`)
	var lines []string
	await(t, "four audit records", func() bool {
		data, err := os.ReadFile(file)
		lines = strings.Split(strings.TrimSpace(string(data)), "\n")
		return err == nil && len(lines) == 4
	})
	for i, want := range []string{
		`"data":{"keys":"(masked)","password":"(masked)","user":"bob"}}`,
		`"data":{"Keys":"(masked)","password":"(masked)","user":"bob"}}`,
		`"data":{"password":"(masked)"},"denied":"decided by the program"}`,
		`"data":{"password":"(masked)","user":"bob"},"denied":"decided by the program"}`,
	} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("audit record %s; want %s at the end", lines[i], want)
		}
	}
	if strings.Contains(n.log.String(), secret) {
		t.Errorf("the log holds the secret:\n%s", n.log)
	}
}
