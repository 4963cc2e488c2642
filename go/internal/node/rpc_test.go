package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/transport"
)

func TestStatuses(t *testing.T) {
	var got atomic.Pointer[agent.Request]
	demo := testAgent("demo", map[string]agent.Action{
		"ok": func(_ context.Context, req *agent.Request, reply *agent.Reply) error {
			got.Store(req)
			reply.Data = map[string]any{"given": req.Data}
			return nil
		},
		"empty":   func(context.Context, *agent.Request, *agent.Reply) error { return nil },
		"message": func(_ context.Context, _ *agent.Request, r *agent.Reply) error { r.Message = "fine"; return nil },
		"status":  func(_ context.Context, _ *agent.Request, r *agent.Reply) error { r.Status = 3; return nil },
		"aborted": func(_ context.Context, _ *agent.Request, r *agent.Reply) error {
			r.Data = map[string]int{"exitcode": 7}
			return agent.Errorf(agent.Aborted, "exit code %d", 7)
		},
		"wrapped": func(context.Context, *agent.Request, *agent.Reply) error {
			return fmt.Errorf("outer: %w", agent.Errorf(agent.MissingData, "inner"))
		},
		"other": func(context.Context, *agent.Request, *agent.Reply) error { return errors.New("no such luck") },
		"panic": func(_ context.Context, _ *agent.Request, r *agent.Reply) error {
			r.Data = "half"
			panic("boom")
		},
		"nan":     func(_ context.Context, _ *agent.Request, r *agent.Reply) error { r.Data = math.NaN(); return nil },
		"marshal": func(_ context.Context, _ *agent.Request, r *agent.Reply) error { r.Data = explosive{}; return nil },
		"huge": func(_ context.Context, _ *agent.Request, r *agent.Reply) error {
			r.Data = strings.Repeat("x", 2<<20)
			return nil
		},
	})
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net")
	o.Agents = []*agent.Agent{demo}
	n := run(t, o)
	c := newCaller(t, url)

	tests := []struct {
		body    string
		action  string
		status  agent.Status
		message string // a part of it
		data    string
	}{
		{`{"agent":"demo","action":"ok","data":{"text":"x","n":3,"process_results":true},"caller":"choria=somebody.else"}`,
			"ok", 0, "OK", `{"given":{"text":"x","n":3,"process_results":true}}`},
		{`{"agent":"demo","action":"ok"}`, "ok", 0, "OK", `{"given":{}}`},
		{`{"agent":"demo","action":"ok","data":null}`, "ok", 0, "OK", `{"given":{}}`},
		{`{"agent":"demo","action":"empty"}`, "empty", 0, "OK", `{}`},
		{`{"agent":"demo","action":"message"}`, "message", 0, "fine", `{}`},
		{`{"agent":"demo","action":"status"}`, "status", 3, "", `{}`},
		{`{"agent":"demo","action":"aborted"}`, "aborted", 1, "exit code 7", `{"exitcode":7}`},
		{`{"agent":"demo","action":"wrapped"}`, "wrapped", 3, "inner", `{}`},
		{`{"agent":"demo","action":"other"}`, "other", 5, "no such luck", `{}`},
		{`{"agent":"demo","action":"panic"}`, "panic", 5, "demo#panic has a defect and crashed", `{}`},
		{`{"agent":"demo","action":"nan"}`, "nan", 5, "cannot be encoded", `{}`},
		{`{"agent":"demo","action":"marshal"}`, "marshal", 5, "cannot be encoded", `{}`},
		{`{"agent":"demo","action":"huge"}`, "huge", 5, "the reply is too large", `{}`},
		{`{"agent":"demo","action":"nosuch"}`, "nosuch", 2, `agent demo has no action "nosuch"`, `{}`},
		{`{"agent":"demo","action":"ok","data":{"n":"three"}}`, "ok", 4, `n`, `{}`},
		{`{"agent":"rpcutil","action":"ok"}`, "ok", 1, "You are not authorized to call this agent or action", `{}`},
		{`hello`, "", 4, "the body is not an RPC request", `{}`},
		{`[]`, "", 4, "the body is not an RPC request", `{}`},
		{`null`, "", 4, "the body is not an RPC request", `{}`},
		{`{}`, "", 4, "agent or action is missing", `{}`},
		{`{"agent":"demo","action":7}`, "", 4, "the body is not an RPC request", `{}`},
		{`{"agent":"demo","action":"ok","data":[1]}`, "", 4, "data is not an object", `{}`},
		{`{"agent":"demo","action":"ok","data":{"a":}}`, "", 4, "the body is not an RPC request", `{}`},
	}
	for _, tt := range tests {
		r := rpc("demo", "", "")
		r.Body = []byte(tt.body)
		c.send(transport.NodeSubject("mcollective", "n1.example.net"), r)
		got := c.next()
		if got.action != tt.action || got.status != tt.status || !strings.Contains(got.message, tt.message) || string(got.data) != tt.data {
			t.Errorf("reply to %s: action %q, status %d, %q, %.100s; want %q, %d, %q, %s",
				tt.body, got.action, got.status, got.message, got.data, tt.action, tt.status, tt.message, tt.data)
		}
	}
	// Who calls is what was verified and not what the body says.
	req := got.Load()
	if req.Caller != rip || req.Sender != "ws.example.net" || req.Collective != "mcollective" || req.Agent != "demo" || req.Action != "ok" {
		t.Errorf("request of the action: %+v", req)
	}
	if text := n.log.String(); !strings.Contains(text, "panic in an action") || !strings.Contains(text, "rpc_test.go") {
		t.Error("the panic and its place are not in the log")
	}
}

// explosive panics when it is encoded.
type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("no") }

// A Any action gets what is in no table, with its inputs as they came.
func TestAny(t *testing.T) {
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net")
	ext := testAgent("ext", nil)
	ext.Any = func(_ context.Context, req *agent.Request, reply *agent.Reply) error {
		reply.Data = map[string]any{"action": req.Action, "data": req.Data}
		return nil
	}
	o.Agents = []*agent.Agent{ext}
	run(t, o)
	got := newCaller(t, url).call("n1.example.net", "ext", "whatever", `{"undeclared":[1.50]}`)
	if got.status != 0 || string(got.data) != `{"action":"whatever","data":{"undeclared":[1.50]}}` {
		t.Errorf("reply %d %q %s", got.status, got.message, got.data)
	}
}

// Actions that take too long are ended, and the caller is told, whether they notice or not.
func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	slow := testAgent("slow", map[string]agent.Action{
		"polite": func(ctx context.Context, _ *agent.Request, _ *agent.Reply) error {
			<-ctx.Done()
			return ctx.Err()
		},
		"partial": func(ctx context.Context, _ *agent.Request, r *agent.Reply) error {
			<-ctx.Done()
			r.Data = map[string]string{"stdout": "so far"}
			return agent.Errorf(agent.Aborted, "killed after 1 s")
		},
		"deaf": func(context.Context, *agent.Request, *agent.Reply) error {
			<-release
			return nil
		},
	})
	slow.DDL.Metadata.Timeout = 1
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "soft_shutdown_timeout", "0")
	o.Agents = []*agent.Agent{slow}
	run(t, o)
	c := newCaller(t, url)
	const timedOut = "agent slow did not finish within its timeout of 1s"
	for _, tt := range []struct{ action, message, data string }{
		{"polite", timedOut, `{}`},
		{"partial", "killed after 1 s", `{"stdout":"so far"}`},
		{"deaf", timedOut, `{}`},
	} {
		got := c.call("n1.example.net", "slow", tt.action, "")
		if got.status != agent.Aborted || got.action != tt.action || got.message != tt.message || string(got.data) != tt.data {
			t.Errorf("%s: status %d, %q, %s; want 1, %q, %s", tt.action, got.status, got.message, got.data, tt.message, tt.data)
		}
	}
}

// However many slow requests there are, other agents answer, memory is bounded, and nobody waits
// without an answer.
func TestOverload(t *testing.T) {
	const limit = 16 + 256 // that run and that wait
	release := make(chan struct{})
	var running, most atomic.Int64
	slow := testAgent("slow", map[string]agent.Action{
		"wait": func(context.Context, *agent.Request, *agent.Reply) error {
			now := running.Add(1)
			for {
				if old := most.Load(); now <= old || most.CompareAndSwap(old, now) {
					break
				}
			}
			<-release
			running.Add(-1)
			return nil
		},
	})
	slow.DDL.Metadata.Timeout = 600
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net")
	o.Agents = []*agent.Agent{slow}
	n := run(t, o)
	c := newCaller(t, url)
	defer sync.OnceFunc(func() { close(release) })()

	subject := transport.NodeSubject("mcollective", "n1.example.net")
	for i := range limit {
		c.send(subject, rpc("slow", "wait", ""))
		if i%10 == 9 { // not faster than the node takes them
			await(t, "requests to arrive", func() bool { return n.count("total") == uint64(i+1) })
		}
	}
	await(t, "all to be accepted", func() bool { return n.count("validated") == limit })
	if got := c.call("n1.example.net", "rpcutil", "ping", ""); got.status != 0 {
		t.Errorf("ping: %d %q", got.status, got.message)
	}
	got := c.call("n1.example.net", "slow", "wait", "")
	if got.status != agent.Aborted || !strings.Contains(got.message, "agent slow is busy") || n.count("busy") != 1 {
		t.Errorf("one too many: %d %q, %d counted", got.status, got.message, n.count("busy"))
	}
	c.none("the others are running or waiting")
	for range limit {
		release <- struct{}{}
	}
	for range limit {
		if got := c.next(); got.status != 0 {
			t.Errorf("reply %d %q", got.status, got.message)
		}
	}
	if most.Load() != 16 {
		t.Errorf("%d actions ran at once; want 16", most.Load())
	}
}

// Who waited in the queue for longer than the action may take is told, and nothing is run.
func TestTimeoutInQueue(t *testing.T) {
	release := make(chan struct{})
	var runs atomic.Int64
	slow := testAgent("slow", map[string]agent.Action{
		"wait": func(context.Context, *agent.Request, *agent.Reply) error {
			runs.Add(1)
			<-release
			return nil
		},
	})
	slow.DDL.Metadata.Timeout = 1
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net")
	o.Agents = []*agent.Agent{slow}
	run(t, o)
	c := newCaller(t, url)
	for range 17 {
		c.send(transport.NodeSubject("mcollective", "n1.example.net"), rpc("slow", "wait", ""))
	}
	for range 16 {
		c.next() // timed out while it ran
	}
	close(release)
	if got := c.next(); got.status != agent.Aborted || !strings.Contains(got.message, "timeout") {
		t.Errorf("reply %d %q; want a timeout", got.status, got.message)
	}
	if runs.Load() != 16 {
		t.Errorf("%d requests ran; want 16", runs.Load())
	}
}

func TestPolicyAndAudit(t *testing.T) {
	dir := t.TempDir()
	auditFile := filepath.Join(dir, "audit.log")
	policies := filepath.Join(dir, "policies")
	if err := os.Mkdir(policies, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	facts := filepath.Join(dir, "facts.yaml")
	write(facts, "country: mt\n")
	write(filepath.Join(policies, "rpcutil.policy"), "policy default deny\nallow\t"+rip+"\tping get_fact\tcountry=mt\t*\n")
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "rpcauthorization", "true", "rpcaudit", "1", "plugin.rpcaudit.logfile", auditFile, "plugin.yaml", facts)
	o.PolicyDir = policies
	n := run(t, o)
	c := newCaller(t, url)

	const denied = "You are not authorized to call this agent or action"
	steps := []struct {
		agent, action, data string
		status              agent.Status
		message             string
		record              string // end of the audit record; empty: none
	}{
		{"rpcutil", "ping", "", 0, "OK", `"action":"ping","data":{}}`},
		{"rpcutil", "get_fact", `{"fact":"country"}`, 0, "OK", `"action":"get_fact","data":{"fact":"country"}}`},
		{"rpcutil", "inventory", "", 1, denied, `"action":"inventory","data":{},"denied":"` + policies + `/rpcutil.policy:1"}`},
		{"rpcutil", "nosuch", "", 2, `agent rpcutil has no action "nosuch"`, ""},
		{"choria_util", "info", "", 1, denied, `"denied":"no policy file for choria_util"}`},
		{"rpcutil", "get_fact", `{"fact":7}`, 4, "fact", `"data":{"fact":7}}`},
	}
	wantLines := 0
	for _, s := range steps {
		got := c.call("n1.example.net", s.agent, s.action, s.data)
		if got.status != s.status || !strings.Contains(got.message, s.message) {
			t.Errorf("%s#%s: %d %q; want %d %q", s.agent, s.action, got.status, got.message, s.status, s.message)
		}
		if got.status == 1 && (string(got.data) != "{}" || got.message != denied) {
			t.Errorf("%s#%s: a denied caller learns %q %s", s.agent, s.action, got.message, got.data)
		}
		if s.record == "" {
			continue
		}
		wantLines++
		var lines []string
		await(t, "the audit record", func() bool {
			data, err := os.ReadFile(auditFile)
			lines = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
			return err == nil && strings.HasSuffix(string(data), "\n") && len(lines) >= wantLines
		})
		if last := lines[len(lines)-1]; !strings.HasSuffix(last, s.record) || !strings.Contains(last, `"caller":"`+rip+`"`) || len(lines) != wantLines {
			t.Errorf("%s#%s: audit record %s; want %s at the end", s.agent, s.action, last, s.record)
		}
	}
	if text := n.log.String(); !strings.Contains(text, "request denied") || !strings.Contains(text, "rpcutil.policy:1") {
		t.Errorf("no denial in the log:\n%s", text)
	}

	// Facts, and with them who may do what, change while the node runs.
	write(facts, "country: uk\n")
	if got := c.call("n1.example.net", "rpcutil", "ping", ""); got.status != 1 {
		t.Errorf("ping after the facts changed: %d %q; want it denied", got.status, got.message)
	}
	if err := os.Rename(auditFile, auditFile+".1"); err != nil {
		t.Fatal(err)
	}
	if err := n.Reopen(); err != nil {
		t.Fatal(err)
	}
	c.call("n1.example.net", "rpcutil", "ping", "")
	await(t, "the new audit file to be written", func() bool {
		info, err := os.Stat(auditFile)
		return err == nil && info.Size() > 0
	})
}

// What an agent runs for its caller is authorized and recorded by its name.
func TestPermitted(t *testing.T) {
	dir := t.TempDir()
	auditFile := filepath.Join(dir, "audit.log")
	if err := os.WriteFile(filepath.Join(dir, "runner.policy"), []byte("allow\t"+rip+"\trun site::backup\t*\t*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runner := testAgent("runner", map[string]agent.Action{"run": func(_ context.Context, req *agent.Request, reply *agent.Reply) error {
		var in struct {
			Text string
			N    int
		}
		if err := req.Bind(&in); err != nil {
			return err
		}
		reply.Data = map[string]bool{in.Text: req.Permitted(in.Text)}
		return nil
	}})
	for _, action := range runner.DDL.Actions {
		action.Input["n"].Sensitive = true
	}
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "rpcauthorization", "true", "rpcaudit", "1", "plugin.rpcaudit.logfile", auditFile)
	o.PolicyDir, o.Agents = dir, []*agent.Agent{runner}
	run(t, o)
	c := newCaller(t, url)
	ask := func(name, want string) {
		t.Helper()
		if got := c.call("n1.example.net", "runner", "run", `{"text":"`+name+`","n":77007}`); got.status != 0 || string(got.data) != want {
			t.Errorf("%s: %d %q %s; want %s", name, got.status, got.message, got.data, want)
		}
	}
	ask("site::backup", `{"site::backup":true}`)
	ask("site::other", `{"site::other":false}`)
	var text string
	await(t, "four records", func() bool {
		data, err := os.ReadFile(auditFile)
		text = string(data)
		return err == nil && strings.Count(text, "\n") == 4
	})
	if strings.Count(text, `"action":"site::backup"`) != 1 || strings.Count(text, `"denied":`) != 1 || strings.Contains(text, "77007") {
		t.Errorf("audit records:\n%s", text)
	}

	// A policy that has no such names does not keep from running what they stand for.
	if err := os.WriteFile(filepath.Join(dir, "runner.policy"), []byte("allow\t"+rip+"\trun\t*\t*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask("site::other", `{"site::other":true}`)
}

func TestUnknownProviderDenies(t *testing.T) {
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "rpcauthorization", "true", "plugin.actionpolicy.allow_unconfigured", "1")
	o.Config.AuthorizationProvider = "rego_policy"
	n := run(t, o)
	if got := newCaller(t, url).call("n1.example.net", "rpcutil", "ping", ""); got.status != 1 || strings.Contains(got.message, "rego") {
		t.Errorf("reply %d %q; want it denied, and not why", got.status, got.message)
	}
	for _, want := range []string{`level=ERROR msg="every request will be denied"`, "rpcauthprovider = rego_policy: only action_policy is implemented", "hint="} {
		if !strings.Contains(n.log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, n.log)
		}
	}
}

func TestAuthorizeFunction(t *testing.T) {
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "rpcauthorization", "true")
	o.Authorize = func(r *agent.Request) bool { return r.Caller == rip && r.Action == "ping" }
	run(t, o)
	c := newCaller(t, url)
	for action, want := range map[string]agent.Status{"ping": 0, "inventory": 1} {
		if got := c.call("n1.example.net", "rpcutil", action, ""); got.status != want {
			t.Errorf("%s: %d %q; want %d", action, got.status, got.message, want)
		}
	}
}

// A node that stops answers what it has begun, and tells those that take too long.
func TestShutdown(t *testing.T) {
	for _, tt := range []struct {
		name, patience string
		release        bool
		status         agent.Status
		message        string
	}{
		{"finishes", "600", true, 0, "OK"},
		{"is cut off", "0", false, 1, "the node is stopping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			started, release := make(chan struct{}), make(chan struct{})
			slow := testAgent("slow", map[string]agent.Action{
				"wait": func(ctx context.Context, _ *agent.Request, _ *agent.Reply) error {
					close(started)
					select {
					case <-release:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				},
			})
			slow.DDL.Metadata.Timeout = 600
			url := labtest.Broker(t)
			o := options(t, url, "n1.example.net", "soft_shutdown_timeout", tt.patience)
			o.Agents = []*agent.Agent{slow}
			n := run(t, o)
			c := newCaller(t, url)
			c.send(transport.NodeSubject("mcollective", "n1.example.net"), rpc("slow", "wait", ""))
			<-started
			stopped := make(chan error, 1)
			go func() { stopped <- n.stop() }()
			if tt.release {
				// The subscriptions end before the action does.
				await(t, "the node to stop listening", func() bool {
					c.send(transport.NodeSubject("mcollective", "n1.example.net"), request())
					select {
					case <-c.replies:
						return false
					case <-time.After(50 * time.Millisecond):
						return true
					}
				})
				close(release)
			}
			if got := c.next(); got.status != tt.status || got.message != tt.message {
				t.Errorf("reply %d %q; want %d %q", got.status, got.message, tt.status, tt.message)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

// get calls an action that has to succeed and decodes its data.
func get[T any](c *caller, agent, action, data string) T {
	c.t.Helper()
	got := c.call("n1.example.net", agent, action, data)
	if got.status != 0 {
		c.t.Errorf("%s#%s %s: %d %q", agent, action, data, got.status, got.message)
	}
	var v T
	if err := json.Unmarshal(got.data, &v); err != nil {
		c.t.Errorf("%s#%s: %v in %s", agent, action, err, got.data)
	}
	return v
}
