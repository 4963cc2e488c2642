package playbook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// patience is how long a session may take to be ready, on a machine that is busy with other tests.
const patience = 2 * time.Minute

// A terminal is what a log is written to.
type terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan string // gets every line, when set
}

func (w *terminal) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen != nil {
		w.seen <- string(data)
	}
	return w.text.Write(data)
}

func (w *terminal) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Split(strings.TrimSuffix(w.text.String(), "\n"), "\n")
}

// newSession returns a session on the modules of testdata, and its log.
func newSession(t testing.TB, name string, n task.Network) (*playbook.Session, *terminal) {
	t.Helper()
	modules, err := filepath.Abs("testdata/modules")
	if err != nil {
		t.Fatal(err)
	}
	out := &terminal{}
	secrets := &playbook.Secrets{}
	s := &playbook.Session{
		Playbook: name, Modulepath: []string{modules, brokenModule(t)}, Network: n, Environ: os.Environ(), Secrets: secrets,
		Log: &playbook.Log{Out: out, Err: out, Level: playbook.Info, Secrets: secrets, Keep: true},
	}
	t.Cleanup(s.Close)
	return s, out
}

// brokenModule writes a module whose plans do not parse, which could not stand among files that are checked.
func brokenModule(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	plans := filepath.Join(dir, "broken", "plans")
	if err := os.MkdirAll(plans, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"init.pp":     "plan broken () {\n  $x = [1\n}\n",
		"infinite.pp": "plan broken::infinite () {\n  $x = [\n    1, 1e400]\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(plans, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ready starts a session and waits until the plan is known.
func ready(t testing.TB, s *playbook.Session) *playbook.Ready {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := s.Ready(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// runPlan runs a playbook to its end.
func runPlan(t testing.TB, name string, n task.Network, parameters map[string]any) (*playbook.Outcome, *playbook.Session, *terminal) {
	t.Helper()
	s, out := newSession(t, name, n)
	if r := ready(t, s); r.Plan == nil {
		t.Fatalf("playbook %s: %+v", name, r.Error)
	}
	o, err := s.Run(t.Context(), parameters)
	if err != nil {
		t.Fatal(err)
	}
	return o, s, out
}

// checkResult compares the members of a result with the JSON that is wanted.
func checkResult(t *testing.T, o *playbook.Outcome, want map[string]string) {
	t.Helper()
	if o.Failure != nil {
		t.Fatalf("the plan failed: %s\n%s", o.Failure.Text(), strings.Join(o.Failure.Trace, "\n"))
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(o.Result, &got); err != nil {
		t.Fatalf("result %s: %v", o.Result, err)
	}
	for name, w := range want {
		if string(got[name]) != w {
			t.Errorf("%s is %s, want %s", name, got[name], w)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok && name != "results" {
			t.Errorf("%s is %s, which nobody looks at", name, got[name])
		}
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	n := &tasktest.Network{Nodes: []string{"good", "bad", "silent"}, Answer: func(node string, _ client.Request) (client.Reply, bool) {
		switch node {
		case "good":
			return tasktest.OK(`{"idling":true}`)
		case "bad":
			return tasktest.Failed("no such file")
		}
		return client.Reply{}, false
	}}
	o, _, _ := runPlan(t, "demo::results", n, nil)
	const message = `"Failed request 00000000000000000000000000000001 for puppet#status on 2 failing nodes"`
	checkResult(t, o, map[string]string{
		"is_results": "true", "is_result": "true", "count": "3", "empty": "false", "ok": "false", "fail_ok": "false",
		"hosts": `["good","bad","silent"]`, "message": message, "set_message": message,
		"error_set": `["bad","silent"]`, "ok_set": `["good"]`, "first": `"good"`, "unknown": "null",
		"good_ok": "true", "good_type": `"mcollective"`, "good_error": "null", "good_data": "true", "good_sender": `"good"`, "good_none": "null",
		"bad_error": `"no such file"`, "bad_kind": `"choria.playbook/taskerror"`, "bad_code": "1", "bad_is_error": "true",
		"map": `["good","bad","silent"]`, "filter": `["good"]`, "reduce": `"gbs"`, "index": `["0good","1bad","2silent"]`,
		"same": "true", "on_error": "3", "on_success": `"not called"`, "short": "true",
		"literal": `"Choria::TaskResults({'results' => [Choria::TaskResult({'host' => 'good', 'result' => {'value' => {'agent' => 'puppet', 'action' => 'status', 'sender' => 'good', 'statuscode' => 0, 'statusmsg' => 'OK', 'data' => {'idling' => true}, 'requestid' => '00000000000000000000000000000001'}, 'type' => 'mcollective', 'fail_ok' => false}})], 'exception' => undef})"`,
	})
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	o, s, out := runPlan(t, "demo::functions", nil, nil)
	modules := s.Modulepath[0]
	checkResult(t, o, map[string]string{
		"list": `[1,2.5,{"k":null}]`, "gone": `"gone"`, "returned": `"y"`, "secret": `"hunter22"`,
		"deep": "true", "groups": "[[1,2],[3,4],[5]]", "exist": "[true,true,false,true,false]", "nested": "5",
		"caught":  `[false,true,"oh no","oh no",2]`,
		"refused": `"demo::deep::fails: expects a value for parameter 'message'"`,
		"broken":  `["Syntax error at '}'",3]`,
		"passed":  `"other"`, "playbook": `"demo::functions"`,
		"shellsafe": "[true,false,false,false,false,false,false,false,true]",
		"rich":      `["1970-01-01T00:00:00.000000000 UTC","/re/","Integer[1, 2]","default",{"__sensitive":"hunter23"},"1.2.3",{"1":2}]`,
	})
	for _, line := range out.lines() {
		if strings.Contains(line, "hunter2") {
			t.Errorf("a secret in the log: %s", line)
		}
	}
	if want := "Notice: Scope(<module>/demo/plans/functions.pp, 11): caught oh no"; !slices.Contains(out.lines(), want) {
		t.Errorf("no line %q in\n%s", want, strings.Join(out.lines(), "\n"))
	}
	var shown bytes.Buffer
	if err := o.Render(&shown, s, false); err != nil {
		t.Fatal(err)
	}
	if text := shown.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, `"secret": "[redacted]"`) {
		t.Errorf("shown of %s:\n%s", modules, text)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		how  string
		msg  string // the beginning
		kind string
		line int
	}{
		{"fail", "as asked", "choria.playbook/error", 5},
		{"unknown_variable", "Unknown variable: 'nope'.", "choria.playbook/error", 8},
		{"unknown_function", "Unknown function: 'nope'.", "choria.playbook/error", 11},
		{"task", "Command exit 7 failed with exit code 7", task.KindTask, 15},
		{"property", `property "nodes" of the mcollective task: no nodes were given`, "choria.playbook/error", 19},
		{"data", `read data item "plan_store/x": stat /does/not/exist.yaml: no such file or directory`, "choria.playbook/error", 22},
		{"discover", "nobody home", "choria.playbook/error", 25},
		{"unknown_playbook", `unknown playbook "demo::nope"; it was searched in`, "choria.playbook/error", 28},
		{"nested", "from below", "choria.playbook/error", 2},
		{"type", "'choria::sleep' parameter 'seconds' expects a Numeric value, got String", "choria.playbook/error", 36},
		{"recursion", "stack level too deep", "choria.playbook/recursion", 0},
		{"break", "break() from context where this is illegal", "choria.playbook/error", 42},
		{"exit", "exit", "choria.playbook/exit", 0},
		{"ruby", "undefined method `upcase' for nil", "choria.playbook/error", 48},
		{"resource", "Resource type not found: File", "choria.playbook/error", 51},
		{"library", "cannot load such file -- no_such_library", "choria.playbook/error", 54},
		{"killed", "the Ruby process has ended: signal: killed; the last call of the plan was made at ", "choria.playbook/ruby", 0},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			o, _, out := runPlan(t, "demo::errors", &tasktest.Network{}, map[string]any{"how": tt.how})
			f := o.Failure
			if f == nil {
				t.Fatalf("the plan ended well: %s", o.Result)
			}
			if !strings.HasPrefix(f.Msg, tt.msg) || f.Kind != tt.kind || f.Line != tt.line || o.Success() || o.Interrupted() || o.Refused() {
				t.Errorf("got %q, %s, line %d; want %q, %s, %d", f.Msg, f.Kind, f.Line, tt.msg, tt.kind, tt.line)
			}
			if strings.Contains(f.Msg, "Evaluation Error") || strings.Contains(f.Msg, "(file:") {
				t.Errorf("message %q", f.Msg)
			}
			if text := strings.Join(out.lines(), "\n"); tt.how != "task" && strings.Contains(text, "Error:") {
				t.Errorf("Puppet logged the error as well:\n%s", text)
			}
		})
	}
}

// TestExtraordinaryErrors catches what Ruby does not take for a StandardError.
func TestExtraordinaryErrors(t *testing.T) {
	t.Parallel()
	o, _, out := runPlan(t, "demo::errors", nil, map[string]any{"how": "caught"})
	want := `[["cannot load such file -- no_such_library",6],["not in this class",4],["failed to allocate memory",6]]`
	if string(o.Result) != want {
		t.Errorf("result %s, failure %+v; want %s", o.Result, o.Failure, want)
	}
	if text := strings.Join(out.lines(), "\n"); text != "" {
		t.Errorf("log\n%s", text)
	}
}

// TestNoRuby uses something that is no Ruby, and ends before it has said anything.
func TestNoRuby(t *testing.T) {
	t.Setenv(playbook.RubyVariable, "/bin/false")
	s, _ := newSession(t, "demo", nil)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Ready(t.Context())
	var unusable *playbook.Unusable
	if !errors.As(err, &unusable) || err.Error() != "playbooks need Puppet: /bin/false: the Ruby process has ended: exit status 1" {
		t.Errorf("error %v", err)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	o, s, _ := runPlan(t, "demo::errors", nil, map[string]any{"how": "nested"})
	plans := filepath.Join(s.Modulepath[0], "demo", "plans")
	want := "from below\n" +
		"  at " + plans + "/deep/fails.pp:2:3 (demo::deep::fails)\n" +
		"  called from " + plans + "/errors.pp:32 (demo::errors)\n" +
		"  called from " + plans + "/errors.pp:31 (demo::errors)"
	if got := o.Failure.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	s, out := newSession(t, "demo::signature", nil)
	sig := ready(t, s).Plan
	o, err := playbook.ParseOptions([]string{"demo::signature", "--text", "x", "--flag", "--count=7", "--numbers", "4", "--numbers", "5",
		"--table.a", "1", "--table.b", "2", "--struct", `{"a":2,"b":true}`, "--secret", "hunter22", "--mixed", "a", "--mixed", "b",
		"--nodes", "n1", "--ratio", "2", "--param", "config=c.conf"})
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := o.Parameters(sig, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := s.Run(t.Context(), parameters)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, outcome, map[string]string{
		"text": `"x"`, "flag": "true", "count": "7", "numbers": "[4,5]", "table": `{"a":1,"b":2}`, "struct": `{"a":2,"b":true}`,
		"secret": `{"__sensitive":"hunter22"}`, "mixed": `["a","b"]`, "nodes": `["n1"]`, "ratio": "2.0", "colour": `"red"`, "config": `"c.conf"`,
	})
	want := "Notice: Scope(<module>/demo/plans/signature.pp, 30): The secret is [redacted], and Sensitive [value redacted]"
	if !slices.Contains(out.lines(), want) {
		t.Errorf("no line %q in\n%s", want, strings.Join(out.lines(), "\n"))
	}
}

func TestRefusedParameters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		parameters map[string]any
		msg        string
	}{
		{nil, "expects a value for parameter 'text'"},
		{map[string]any{"text": "", "count": 11, "bogus": 1},
			"has no parameter named 'bogus'; parameter 'text' expects a String[1] value, got String; parameter 'count' expects an Integer[0, 10] value, got Integer[11, 11]"},
		{map[string]any{"text": "x", "table": map[string]any{"a": "b"}}, "parameter 'table' entry 'a' expects an Integer value, got String"},
	}
	for _, tt := range tests {
		o, _, out := runPlan(t, "demo::signature", nil, tt.parameters)
		if !o.Refused() || o.Failure.Msg != tt.msg {
			t.Errorf("%v: %+v; want %q", tt.parameters, o.Failure, tt.msg)
		}
		if lines := out.lines(); len(lines) != 1 || lines[0] != "" {
			t.Errorf("log %q; want nothing to have run", lines)
		}
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, "demo::signature", nil)
	sig := ready(t, s).Plan
	if sig.Summary != "Shows parameters" || sig.Doc != "Shows all sorts of parameters. In two lines." || sig.Returns != "What it was given." {
		t.Errorf("documentation %q, %q, %q", sig.Summary, sig.Doc, sig.Returns)
	}
	if filepath.Base(sig.File) != "signature.pp" || sig.Line != 11 {
		t.Errorf("position %s:%d", sig.File, sig.Line)
	}
	byName := map[string]playbook.Parameter{}
	for _, p := range sig.Parameters {
		byName[p.Name] = p
	}
	text := byName["text"]
	if !text.Required || text.Default != nil || text.Text != "String[1]" || text.Doc != "Some text, in two lines." {
		t.Errorf("text: %+v", text)
	}
	mixed := byName["mixed"]
	if mixed.Required || mixed.Default == nil || *mixed.Default != "$count + 1" {
		t.Errorf("mixed: %+v", mixed)
	}
	kinds := map[string]string{}
	for name, p := range byName {
		kinds[name] = p.Type.Kind
	}
	want := map[string]string{
		"text": "string", "flag": "boolean", "count": "integer", "ratio": "float", "numbers": "array", "table": "hash", "struct": "struct",
		"colour": "enum", "secret": "optional", "mixed": "variant", "nodes": "array", "config": "optional",
	}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
	if b := byName["struct"].Type.Members["b"]; b == nil || b.Kind != "boolean" {
		t.Errorf("struct: %+v", byName["struct"].Type)
	}
}

func TestNoSuchPlan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		msg  string // empty: there is no such plan
		line int
	}{
		{"demo::nope", "", 0},
		{"nope", "", 0},
		{"broken", "Syntax error at '}'", 3},
		{"broken::infinite", "1e400 is too large a number", 3},
		{"demo::wrong_name", "Unacceptable location. The name 'demo::other_name' is unacceptable in file", 1},
	}
	for _, tt := range tests {
		s, _ := newSession(t, tt.name, nil)
		r := ready(t, s)
		if r.Plan != nil || (r.Error != nil) != (tt.msg != "") {
			t.Errorf("%s: %+v, %+v", tt.name, r.Plan, r.Error)
		} else if r.Error != nil && (!strings.HasPrefix(r.Error.Msg, tt.msg) || r.Error.Line != tt.line) {
			t.Errorf("%s: %q, line %d; want %q, %d", tt.name, r.Error.Msg, r.Error.Line, tt.msg, tt.line)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, "", nil)
	broken := filepath.Join(s.Modulepath[1], "broken", "plans", "init.pp")
	s.Validate = []playbook.Target{
		{Name: "demo"}, {Name: "broken"}, {Name: "cspec::suite"}, {Name: "demo::nope"},
		{Name: broken, File: broken}, {Name: "missing.pp", File: "missing.pp"},
	}
	var got []string
	for _, p := range ready(t, s).Problems {
		got = append(got, p.Target+": "+p.Msg)
	}
	want := []string{
		"broken: Syntax error at '}'",
		"demo::nope: no such playbook",
		broken + ": Syntax error at '}'",
		"missing.pp: open missing.pp: no such file or directory",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	s, out := newSession(t, "demo::waits", nil)
	out.seen = make(chan string, 100)
	ready(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for line := range out.seen {
			if strings.Contains(line, "Sleeping 600 seconds") {
				cancel()
			}
		}
	}()
	start := time.Now()
	o, err := s.Run(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !o.Interrupted() || o.Success() {
		t.Errorf("outcome %+v", o.Failure)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if text := strings.Join(out.lines(), "\n"); strings.Contains(text, "went on") {
		t.Errorf("the plan caught the interrupt:\n%s", text)
	}
	s.Close()
	out.mu.Lock()
	close(out.seen)
	out.seen = nil
	out.mu.Unlock()
}

func TestProcess(t *testing.T) {
	t.Parallel()
	s, out := newSession(t, "demo::process", nil)
	s.Environ = append(s.Environ, "AWS_SECRET_ACCESS_KEY=x", "CHORIA_TOKEN=x", "LC_X=y", "RUBYOPT=-w")
	ready(t, s)
	o, err := s.Run(t.Context(), nil)
	if err != nil || o.Failure != nil {
		t.Fatalf("%v, %+v", err, o)
	}
	var got struct {
		Variables        []string
		Socket           string
		Inherited, Group bool
	}
	if err := json.Unmarshal(o.Result, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range got.Variables {
		if strings.Contains(name, "TOKEN") || strings.Contains(name, "KEY") || strings.HasPrefix(name, "CHORIA") || name == "RUBYOPT" {
			t.Errorf("the child has the variable %s", name)
		}
	}
	if !slices.Contains(got.Variables, "PATH") || !slices.Contains(got.Variables, "LC_X") {
		t.Errorf("the child has the variables %q", got.Variables)
	}
	if !strings.HasPrefix(got.Socket, "socket:") || got.Inherited {
		t.Errorf("the socket is %q, which processes of the child inherit: %v", got.Socket, got.Inherited)
	}
	if !got.Group {
		t.Error("the child is not in a process group of its own")
	}
	s.Close()
	for _, want := range []string{
		"Notice: printed by a module", "Warning: printed by a module as a warning", "Warning: printed by a module by a command",
	} {
		if !slices.Contains(out.lines(), want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(out.lines(), "\n"))
		}
	}
}

func TestSessionLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o, s, _ := runPlan(t, "demo", nil, nil)
	if string(o.Result) != `"demo"` {
		t.Errorf("result %s", o.Result)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v; want the directory of the run", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v; want 0700", info.Mode(), err)
	}
	s.Close()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v; want nothing left", entries, err)
	}
}

func TestUnusableRuby(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	script("ruby", "#!/bin/sh\necho '{\"method\":\"unusable\",\"params\":{\"reason\":\"cannot load such file -- puppet_pal\"}}' >&3\n")
	t.Setenv("PATH", dir+":/bin")
	t.Setenv(playbook.RubyVariable, "")
	var limit time.Duration
	start := func(ruby string) error {
		t.Setenv(playbook.RubyVariable, ruby)
		s, _ := newSession(t, "demo", nil)
		s.Loading = limit
		if err := s.Start(); err != nil {
			return err
		}
		_, err := s.Ready(t.Context())
		return err
	}
	var unusable *playbook.Unusable
	err := start(filepath.Join(dir, "ruby"))
	if !errors.As(err, &unusable) || err.Error() != "playbooks need Puppet: "+dir+"/ruby: cannot load such file -- puppet_pal" || unusable.Hint() == "" {
		t.Errorf("a Ruby without Puppet: %v", err)
	}
	err = start(filepath.Join(dir, "none"))
	if !errors.As(err, &unusable) || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("no Ruby: %v", err)
	}
	err = start(script("dies", "#!/bin/sh\nexit 4\n"))
	if err == nil || !strings.Contains(err.Error(), "the Ruby process has ended: exit status 4") {
		t.Errorf("a Ruby that dies: %v", err)
	}
	err = start(script("talks", "#!/bin/sh\necho nonsense >&3\n"))
	if err == nil || !strings.Contains(err.Error(), "message of the Ruby process") {
		t.Errorf("a Ruby that talks nonsense: %v", err)
	}
	limit = 10 * time.Millisecond
	err = start(script("silent", "#!/bin/sh\nexec sleep 600\n"))
	if !errors.As(err, &unusable) || err.Error() != "playbooks need Puppet: "+dir+"/silent: has not loaded Puppet in 0.01 seconds" {
		t.Errorf("a Ruby that says nothing: %v", err)
	}
}
