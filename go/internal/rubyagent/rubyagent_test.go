package rubyagent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/hotload"
)

// patience is for what has to happen, on a machine that is busy with the tests of many packages.
const patience = 60 * time.Second

// A logBuffer may be written and read concurrently.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A rig is a runner with a library of test agents.
type rig struct {
	*Runner
	t      testing.TB
	lib    string // where agents are
	log    *logBuffer
	agents map[string]*agent.Agent
	data   map[string]*agent.DataPlugin
}

// privateDir is shared by the tests of a run, so that descriptions are converted once.
var privateDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "choria-rubyagent-") })

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := privateDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// configure returns a configuration with files beside it, as a server has.
func configure(t testing.TB, lib string, settings ...string) *config.Config {
	t.Helper()
	private, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lines := []string{
		"identity = ruby.example.net",
		"collectives = mcollective, other",
		"loglevel = debug",
		"classesfile = " + dir + "/classes.txt",
		"plugin.yaml = " + dir + "/facts.yaml",
		"plugin.choria.agent_provider.mcorpc.libdir = " + lib,
		"plugin.choria.ruby.directory = " + private,
		"plugin.api.setting = value = with = signs",
		"registerinterval = 300",
		"nonsense.of.others = 1",
	}
	for i := 0; i < len(settings); i += 2 {
		lines = append(lines, settings[i]+" = "+settings[i+1])
	}
	for path, text := range map[string]string{
		"server.conf":          strings.Join(lines, "\n") + "\n",
		"plugin.d/api.cfg":     "# a comment\n\nstarted = from the file\n",
		"plugin.d/odd-one.cfg": "odd = 1\n",
		"classes.txt":          "apache\nbase::linux\n",
		"facts.yaml":           "---\ncountry: mt\ncores: 4\nos:\n  name: Debian\n  major: 12\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// testLib returns the library of the test agents.
func testLib(t testing.TB) string {
	t.Helper()
	lib, err := filepath.Abs("testdata/lib")
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// newRig returns a runner with the agents of lib, empty meaning those of the tests.
func newRig(t testing.TB, lib string, settings ...string) *rig {
	t.Helper()
	if lib == "" {
		lib = testLib(t)
	}
	r := &rig{t: t, lib: lib, log: &logBuffer{}, agents: make(map[string]*agent.Agent), data: make(map[string]*agent.DataPlugin)}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	runner, err := New(configure(t, lib, settings...), log)
	if err != nil {
		t.Fatal(err)
	}
	r.Runner = runner
	t.Cleanup(func() { runner.Close() })
	w := &hotload.Watcher{
		Dirs: []string{lib}, Providers: []hotload.Provider{runner}, Host: r, Convert: runner.Converted, Log: log,
	}
	w.Scan(t.Context())
	return r
}

func (r *rig) Install(a *agent.Agent) error {
	r.agents[a.DDL.Metadata.Name] = a
	return nil
}

func (r *rig) InstallData(p *agent.DataPlugin) error {
	r.data[p.DDL.Metadata.Name] = p
	return nil
}

func (r *rig) UninstallData(name string) { delete(r.data, name) }

func (r *rig) Uninstall(name string) { delete(r.agents, name) }

// call runs an action as a node does, for as long as limit.
func (r *rig) call(name, action, data string, limit time.Duration) (*agent.Reply, error) {
	r.t.Helper()
	a := r.agents[name]
	if a == nil {
		r.t.Fatalf("agent %s is not loaded\n%s", name, r.log)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	reply := &agent.Reply{}
	err := a.Any(ctx, &agent.Request{
		ID: "8648b56ac00c4f30b30c6b4f8e825db3", Agent: name, Action: action, Caller: "choria=rip.mcollective",
		Sender: "rip.mcollective", Collective: "mcollective", Time: time.Unix(1795350467, 0), TTL: time.Minute,
		Data: json.RawMessage(data),
	}, reply)
	return reply, err
}

// answer is call for an action that gives a reply, whose data is returned.
func (r *rig) answer(name, action, data string) (agent.Status, string, map[string]any) {
	r.t.Helper()
	reply, err := r.call(name, action, data, patience)
	if err != nil {
		r.t.Fatalf("%s#%s: %v\n%s", name, action, err, r.log)
	}
	fields := make(map[string]any)
	if raw, ok := reply.Data.(json.RawMessage); ok {
		if err := json.Unmarshal(raw, &fields); err != nil {
			r.t.Fatalf("%s#%s: data %s: %v", name, action, raw, err)
		}
	}
	return reply.Status, reply.Message, fields
}

// await waits until a condition holds.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// modes are how an agent is run.
var modes = []string{"warm", "oneshot"}

// TestInterface runs agents that use all that agents may use.
func TestInterface(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "", "plugin.choria.ruby.mode", mode)
			actions := []string{
				"hooks", "request", "reply", "run", "shell", "log", "config", "util", "plugins", "validators",
				"descriptions", "facts", "cache", "data", "classes", "former",
			}
			if mode == "oneshot" {
				actions = actions[:6] // those in which the mode might be felt
			}
			for _, action := range actions {
				data := "{}"
				if action == "request" {
					data = `{"word":"four","undeclared":{"deep":[1,2.5,null,true]},"process_results":true}`
				}
				status, message, fields := r.answer("api", action, data)
				if failures, ok := fields["failures"].([]any); status != 0 || !ok || len(failures) > 0 {
					t.Errorf("%s: %d %q", action, status, message)
					for _, f := range failures {
						t.Errorf("  %v", f)
					}
				}
				switch action {
				case "hooks":
					if fields["after"] != "hooked" {
						t.Errorf("after_processing_hook: %v", fields)
					}
				case "reply":
					delete(fields, "failures")
					got, _ := json.Marshal(fields)
					if want := `{"direct":1,"list":[1,{"a":"b"},2],"merged":2,"none":null,"string":3,"text":"dflt"}`; string(got) != want || message != "Fine" {
						t.Errorf("reply: %q %s; want %s", message, got, want)
					}
				}
			}
			for _, want := range []string{
				"level=DEBUG msg=\"message of the agent\" request=8648b56ac00c4f30b30c6b4f8e825db3 agent=api action=log",
				"at debug", "at info", "at warn", `at error | in two lines"`, "at fatal", "by level", "console",
			} {
				if !strings.Contains(r.log.String(), want) && want != "console" {
					t.Errorf("log lacks %s", want)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	tests := []struct {
		how, message string // a part of the message
		status       agent.Status
		text         string // of the reply
	}{
		{"fail", "failed softly", 1, "after"},
		{"fail_code", "failed softly", 4, "before"},
		{"fail!", "failed hard", 1, "before"},
		{"code1", "code", 1, "before"},
		{"code2", "code", 2, "before"},
		{"code3", "code", 3, "before"},
		{"code4", "code", 4, "before"},
		{"code5", "code", 5, "before"},
		{"code77", "code", 5, "before"},
		{"aborted", "aborted", 1, "before"},
		{"unknown", "unknown", 2, "before"},
		{"missing", "missing", 3, "before"},
		{"invalid", "invalid", 4, "before"},
		{"ddl", "ddl", 4, "before"},
		{"error", "error", 5, "before"},
		{"other", "other", 5, "before"},
		{"load", "no/such/library", 5, "before"},
		{"deep", "stack level too deep", 5, "before"},
		{"validate_missing", "nothere", 3, "before"},
		{"validate_invalid", "how", 4, "before"},
		{"validate_ok", "OK", 0, "before"},
	}
	for _, tt := range tests {
		status, message, fields := r.answer("api", "failing", fmt.Sprintf(`{"how":%q}`, tt.how))
		if status != tt.status || !strings.Contains(message, tt.message) || fields["text"] != tt.text {
			t.Errorf("%s: %d %q %v; want %d %q %q", tt.how, status, message, fields, tt.status, tt.message, tt.text)
		}
	}
	status, message, fields := r.answer("api", "failing", `{}`)
	if status != 4 || !strings.Contains(message, "how") || fields["text"] != "dflt" {
		t.Errorf("missing input: %d %q %v", status, message, fields)
	}
	status, message, _ = r.answer("api", "request", `{"word":"odd"}`)
	if status != 4 || !strings.Contains(message, "odd number of letters") {
		t.Errorf("invalid input: %d %q", status, message)
	}
	status, message, _ = r.answer("api", "request", `{"word":"four","deny":true}`)
	if status != 1 || message != "denied choria=rip.mcollective" {
		t.Errorf("denied: %d %q", status, message)
	}
	status, message, fields = r.answer("api", "script", `{}`)
	if tmp, _ := filepath.EvalSymlinks(os.TempDir()); status != 3 || !strings.Contains(message, "exit code 3") || fields["seen"] != tmp {
		t.Errorf("implemented_by: %d %q %v", status, message, fields)
	}
	status, message, fields = r.answer("api", "request", `{"word":"four","process_results":false}`)
	if status != 0 || len(fields) != 0 {
		t.Errorf("no reply wanted: %d %q %v", status, message, fields)
	}
	if _, err := r.call("api", "nosuch", "{}", patience); err == nil || err.(*agent.Error).Status != agent.UnknownAction {
		t.Errorf("unknown action: %v", err)
	}
	status, message, _ = r.answer("mischief", "undefined", `{}`)
	if status != 2 || !strings.Contains(message, "undefined") {
		t.Errorf("action that is described and not there: %d %q", status, message)
	}
	status, _, fields = r.answer("jsononly", "go", `{"name":"you"}`)
	if status != 0 || fields["out"] != "hello you" {
		t.Errorf("agent with a description in JSON alone: %d %v", status, fields)
	}
	status, message, _ = r.answer("jsononly", "go", `{"name":"a;b"}`)
	if status != 4 || !strings.Contains(message, "name") {
		t.Errorf("not shellsafe: %d %q", status, message)
	}
}

func TestBeside(t *testing.T) {
	t.Parallel()
	r := &Runner{}
	dir := t.TempDir()
	f := hotload.File{Name: "x", Path: filepath.Join(dir, "x.json")}
	if a, err := r.Agent(t.Context(), f, &ddl.Agent{}); a != nil || err != nil {
		t.Errorf("an agent without code: %v, %v", a, err)
	}
	before := r.Beside(f)
	if err := os.WriteFile(filepath.Join(dir, "x.rb"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r.Beside(f) == before {
		t.Error("the code has come and makes no difference")
	}
	if a, err := r.Agent(t.Context(), f, &ddl.Agent{Metadata: ddl.Metadata{Provider: "external"}}); a != nil || err != nil {
		t.Errorf("an external agent: %v, %v", a, err)
	}
	if a, err := r.Agent(t.Context(), f, &ddl.Agent{}); a == nil || err != nil {
		t.Errorf("a Ruby agent: %v, %v", a, err)
	}
}
