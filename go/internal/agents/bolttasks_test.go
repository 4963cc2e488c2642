package agents

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/puppettask/puppettasktest"
	"choria.io/choria/go/internal/security/pki"
)

// showTask prints what it was given.
const showTask = `#!/bin/sh
cat >&2
case "$PT_mode" in
text) echo "not JSON"; exit 3 ;;
own) echo '{"_error":{"kind":"own","msg":"mine","details":{}}}'; exit 4 ;;
long) i=0; while [ $i -lt 20000 ]; do echo '"quoted" \\ lines of text that are long'; i=$((i+1)); done; exit 0 ;;
wait) sleep 600 & echo $! > "$PT_pid"; wait ;;
deaf) trap '' TERM; echo $$ > "$PT_pid"; while :; do sleep 600; done ;;
esac
printf '{"greeting":"%s","list":%s,"task":"%s","id":"%s","caller":"%s"}' "$PT_greeting" "${PT_list:-null}" "$PT__task" "$_choria_task_id" "$_choria_task_caller"
. "$PT__installdir/helper/files/helper.sh"
`

// A taskRig is the agent with a server that has the task demo::show.
type taskRig struct {
	t      *testing.T
	server *puppettasktest.Server
	agent  *agent.Agent
	dir    string
	files  string // of demo::show
}

func newTaskRig(t *testing.T, more ...string) *taskRig {
	t.Helper()
	ca, err := pki.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	r := &taskRig{t: t, dir: t.TempDir(), server: puppettasktest.New(t, ca)}
	config := r.server.ClientTLS("node.example.net")
	r.agent = BoltTasks(settings(append(more, "plugin.choria.tasks.directory", r.dir,
		"plugin.choria.puppetserver_host", r.server.Host(), "plugin.choria.puppetserver_port", r.server.Port())...),
		func(string) *tls.Config { return config })
	r.files = r.server.Add("demo::show", `{}`, "show.sh", showTask, "helper/files/helper.sh", "")
	return r
}

// answer runs an action as a request of a caller.
func (r *taskRig) answer(ctx context.Context, id, caller, action string, inputs in) (map[string]any, agent.Status, string) {
	r.t.Helper()
	data, err := json.Marshal(inputs)
	if err != nil {
		r.t.Fatal(err)
	}
	reply := &agent.Reply{}
	err = r.agent.Actions[action](ctx, &agent.Request{
		ID: id, Agent: "bolt_tasks", Action: action, Caller: caller, Data: data,
		Permitted: func(action string) bool { return action != "demo::forbidden" },
	}, reply)
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
		r.t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(encoded, &out); err != nil {
		r.t.Fatal(err)
	}
	for name := range out {
		if r.agent.DDL.Action(action).Output[name] == nil {
			r.t.Errorf("%s: output %q is not declared", action, name)
		}
	}
	return out, status, msg
}

func (r *taskRig) run(id string, inputs in) (map[string]any, agent.Status, string) {
	r.t.Helper()
	all := in{"task": "demo::show", "files": r.files}
	for name, value := range inputs {
		all[name] = value
	}
	return r.answer(r.t.Context(), id, "choria=rip.mcollective", "run_and_wait", all)
}

func (r *taskRig) download() {
	r.t.Helper()
	if got, status, msg := r.answer(r.t.Context(), "d", "choria=rip.mcollective", "download", in{"task": "demo::show", "environment": "production", "files": r.files}); status != agent.OK {
		r.t.Fatalf("download: %v, %d %s", got, status, msg)
	}
}

// stdout is the standard output of a reply.
func stdout(t *testing.T, data map[string]any) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(fmt.Sprint(data["stdout"])), &out); err != nil {
		t.Fatalf("stdout of %v: %v", data, err)
	}
	return out
}

// errorKind is the kind of the error in the standard output of a reply.
func errorKind(t *testing.T, data map[string]any) string {
	t.Helper()
	e, _ := stdout(t, data)["_error"].(map[string]any)
	kind, _ := e["kind"].(string)
	return kind
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: not %s", what)
		}
	}
}

func TestTaskDownload(t *testing.T) {
	t.Parallel()
	r := newTaskRig(t)
	path := "/puppet/v3/file_content/tasks/demo/show.sh"
	inputs := in{"task": "demo::show", "files": r.files}
	if data, status, msg := r.run("early", nil); status != agent.UnknownError || errorKind(t, data) != kindInvalidCache {
		t.Errorf("before the download: %v, %d %s", data, status, msg)
	}

	r.server.Cut(path, 1) // the second try is good
	data, status, msg := r.answer(t.Context(), "1", "c", "download", inputs)
	if status != agent.OK || data["downloads"] != 2.0 || r.server.Asked(path) != 2 {
		t.Errorf("download: %v, %d %s, %d tries", data, status, msg, r.server.Asked(path))
	}
	data, status, msg = r.answer(t.Context(), "2", "c", "download", inputs)
	if status != agent.OK || data["downloads"] != 0.0 || r.server.Asked(path) != 2 {
		t.Errorf("download of what is there: %v, %d %s, %d tries", data, status, msg, r.server.Asked(path))
	}

	// A file that was changed is not run, and fetched again.
	cached, err := filepath.Glob(filepath.Join(r.dir, "tasks-cache", "*"))
	if err != nil || len(cached) != 2 {
		t.Fatalf("cache: %q, %v", cached, err)
	}
	for _, file := range cached {
		if err := os.WriteFile(file, []byte("#!/bin/sh\necho evil\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if data, status, msg := r.run("changed", nil); status != agent.UnknownError || errorKind(t, data) != kindInvalidCache {
		t.Errorf("a file that was changed: %v, %d %s", data, status, msg)
	}
	if data, _, msg := r.answer(t.Context(), "3", "c", "download", inputs); data["downloads"] != 2.0 {
		t.Errorf("download of what was changed: %v, %s", data, msg)
	}

	// One that is not what the list says is not kept.
	files := r.server.Add("demo::other", `{}`, "other.sh", "#!/bin/sh\necho good\n")
	r.server.Replace("/puppet/v3/file_content/tasks/demo/other.sh", "#!/bin/sh\necho evil\n")
	_, status, msg = r.answer(t.Context(), "4", "c", "download", in{"task": "demo::other", "files": files})
	if status != agent.Aborted || !strings.Contains(msg, "has the SHA-256 digest") {
		t.Errorf("another file than announced: %d %s", status, msg)
	}
	_, status, msg = r.answer(t.Context(), "5", "c", "download", in{"task": "demo::gone", "files": strings.ReplaceAll(files, "other.sh", "gone.sh")})
	if status != agent.Aborted || !strings.Contains(msg, "answers 404") {
		t.Errorf("a file that is not there: %d %s", status, msg)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, "tasks-cache", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %q, %v", left, err)
	}
	for _, bad := range []string{`[]`, `{`, `[{"filename":"../x"}]`} {
		if _, status, msg := r.answer(t.Context(), "6", "c", "download", in{"task": "demo::show", "files": bad}); status != agent.InvalidData {
			t.Errorf("files %s: %d %s", bad, status, msg)
		}
	}
}

func TestTaskRun(t *testing.T) {
	t.Parallel()
	r := newTaskRig(t)
	r.download()
	input := `{"greeting":"hällo","list":[1,"b"],"secret":"verysecret"}`
	given := `"greeting":"hällo","list":[1,"b"],"secret":"verysecret"`
	for method, want := range map[string]struct{ stderr, greeting string }{
		"":            {given, `hällo`},
		"both":        {given, `hällo`},
		"stdin":       {given, ""},
		"environment": {"", `hällo`},
	} {
		inputs := in{"input": input}
		if method != "" {
			inputs["input_method"] = method
		}
		id := "run" + method
		data, status, msg := r.run(id, inputs)
		if status != agent.OK {
			t.Errorf("method %q: %d %s, %v", method, status, msg, data)
			continue
		}
		stderr, _ := data["stderr"].(string)
		if (want.stderr == "") != (stderr == "") || !strings.Contains(stderr, want.stderr) {
			t.Errorf("method %q: it read %q; want %q", method, stderr, want.stderr)
		}
		out := stdout(t, data)
		if out["greeting"] != want.greeting || out["task"] != "demo::show" || out["id"] != id || out["caller"] != "choria=rip.mcollective" {
			t.Errorf("method %q: stdout %v", method, out)
		}
		if data["completed"] != true || data["exitcode"] != 0.0 || data["task_id"] != id || data["callerid"] != "choria=rip.mcollective" || data["task"] != "demo::show" {
			t.Errorf("method %q: %v", method, data)
		}
	}

	data, status, msg := r.run("object", in{"input": `{"greeting":"hi"}`})
	if out := stdout(t, data); status != agent.OK || out["greeting"] != "hi" || out["_output"] != nil {
		t.Errorf("an object: %v, %d %s", out, status, msg)
	}
	data, status, msg = r.run("text", in{"input": `{"mode":"text"}`})
	if status != agent.Aborted || msg != "choria.tasks/task-error: The task failed with exit code 3" || stdout(t, data)["_output"] != "not JSON\n" ||
		errorKind(t, data) != kindTaskError || data["exitcode"] != 3.0 {
		t.Errorf("a task that fails: %v, %d %s", data, status, msg)
	}
	data, status, _ = r.run("own", in{"input": `{"mode":"own"}`})
	if status != agent.Aborted || errorKind(t, data) != "own" {
		t.Errorf("a task that says why it failed: %v, %d", data, status)
	}
	data, status, msg = r.run("long", in{"input": `{"mode":"long"}`})
	if out, _ := stdout(t, data)["_output"].(string); status != agent.OK || !strings.Contains(out, "[output cut here: ") || !fits(data) {
		t.Errorf("a task that writes too much: %d bytes, %d %s", len(out), status, msg)
	}
	data, status, msg = r.run("text", nil)
	if status != agent.UnknownError || !strings.Contains(msg, "task text: has been run before") || errorKind(t, data) != kindSpawnFailed {
		t.Errorf("the same request again: %v, %d %s", data, status, msg)
	}
	data, status, _ = r.run("power", in{"input_method": "powershell"})
	if status != agent.UnknownError || errorKind(t, data) != kindNotCompatible {
		t.Errorf("PowerShell: %v, %d", data, status)
	}
	for want, inputs := range map[string]in{
		"want a JSON object": {"input": `["verysecret"]`},
		"want a name":        {"task": "Demo"},
		"files of the task":  {"files": "[]"},
		"is not one of":      {"input_method": "magic"},
	} {
		_, status, msg := r.run("refused", inputs)
		if status != agent.InvalidData || !strings.Contains(msg, want) && want != "is not one of" || strings.Contains(msg, "verysecret") {
			t.Errorf("%v: %d %s; want %s", inputs, status, msg, want)
		}
	}
	if _, status, msg = r.run("forbidden", in{"task": "demo::forbidden"}); status != agent.Aborted || !strings.Contains(msg, "not authorized") {
		t.Errorf("a task that is forbidden: %d %s", status, msg)
	}
	if _, status, msg = r.run("nobody", in{"run_as": "no_such_user"}); status != agent.Aborted || !strings.Contains(msg, `user "no_such_user"`) {
		t.Errorf("a user that is not there: %d %s", status, msg)
	}

	// What a run leaves: what it wrote, and neither its files nor its input.
	eventually(t, "cleaned up", func() bool {
		left, err := filepath.Glob(filepath.Join(r.dir, "tasks-spool/*/files"))
		return err == nil && len(left) == 0
	})
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "stderr" { // to which the task wrote it itself
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "verysecret") {
			t.Errorf("%s holds the input", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// gone reports whether the process whose id is in a file has ended.
func gone(t *testing.T, file string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var info processInfo
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || info.parseStat(procFile(pid)) && info.State == "Z"
}

func TestTaskKilled(t *testing.T) {
	t.Parallel()
	r := newTaskRig(t)
	r.download()
	for mode, code := range map[string]float64{"wait": 128 + float64(syscall.SIGTERM), "deaf": 128 + float64(syscall.SIGKILL)} {
		pid := filepath.Join(r.dir, mode)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if text, err := os.ReadFile(pid); err == nil && strings.HasSuffix(string(text), "\n") {
					return // it runs: its time is up
				}
			}
		}()
		data, status, msg := r.answer(ctx, mode, "c", "run_and_wait", in{
			"task": "demo::show", "files": r.files, "input": fmt.Sprintf(`{"mode":%q,"pid":%q}`, mode, pid),
		})
		if status != agent.Aborted || !strings.Contains(msg, "The task was killed") || data["completed"] != true || data["exitcode"] != code {
			t.Errorf("%s: %v, %d %s; want exit code %v", mode, data, status, msg, code)
		}
		eventually(t, mode+" gone", func() bool { return gone(t, pid) })
		_, status, later := r.answer(t.Context(), "s", "c", "task_status", in{"task_id": mode})
		if status != agent.Aborted || later != msg {
			t.Errorf("status of %s: %d %s; want %s", mode, status, later, msg)
		}
	}

	// The reply is ready before the node gives up.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	data, status, msg := r.answer(ctx, "slow", "c", "run_and_wait", in{
		"task": "demo::show", "files": r.files, "input": fmt.Sprintf(`{"mode":"wait","pid":%q}`, filepath.Join(r.dir, "slow")),
	})
	if status != agent.Aborted || !strings.Contains(msg, "The task was killed") {
		t.Errorf("slow: %v, %d %s", data, status, msg)
	}
	// On a machine that is busy all of the time may be over before the task has started.
	if ctx.Err() == nil && !strings.Contains(msg, "all that run_and_wait may take") {
		t.Errorf("slow: %s", msg)
	}
}

func TestTaskInBackground(t *testing.T) {
	t.Parallel()
	r := newTaskRig(t)
	r.download()
	status := func(caller, id string) (map[string]any, agent.Status, string) {
		t.Helper()
		return r.answer(t.Context(), "s", caller, "task_status", in{"task_id": id})
	}
	pid := filepath.Join(r.dir, "pid")
	data, code, msg := r.answer(t.Context(), "back", "choria=rip.mcollective", "run_no_wait", in{
		"task": "demo::show", "files": r.files, "input": fmt.Sprintf(`{"mode":"wait","pid":%q}`, pid),
	})
	if code != agent.OK || data["task_id"] != "back" {
		t.Fatalf("run_no_wait: %v, %d %s", data, code, msg)
	}
	eventually(t, "started", func() bool {
		text, err := os.ReadFile(pid)
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	data, code, msg = status("choria=rip.mcollective", "back")
	if code != agent.OK || data["completed"] != false || data["exitcode"] != -1.0 || data["task"] != "demo::show" {
		t.Errorf("while it runs: %v, %d %s", data, code, msg)
	}
	data, code, _ = status("choria=other.mcollective", "back")
	if code != agent.Aborted || errorKind(t, data) != kindNotOwn || data["callerid"] != "" {
		t.Errorf("of another caller: %v, %d", data, code)
	}
	for _, id := range []string{"nothing", "0"} {
		if data, code, _ := status("c", id); code != agent.MissingData || errorKind(t, data) != kindUnknownTask {
			t.Errorf("task %s: %v, %d", id, data, code)
		}
	}

	// A daemon that was started meanwhile knows of it, too.
	again := &taskRig{t: t, agent: BoltTasks(settings("plugin.choria.tasks.directory", r.dir, "plugin.choria.tasks.own_status_only", "false"), nil), dir: r.dir}
	if data, code, msg := again.answer(t.Context(), "s", "choria=other.mcollective", "task_status", in{"task_id": "back"}); code != agent.OK || data["completed"] != false {
		t.Errorf("after a restart: %v, %d %s", data, code, msg)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil { // what it waits for
		t.Fatal(err)
	}
	eventually(t, "ended", func() bool {
		data, code, msg = status("choria=rip.mcollective", "back")
		return data["completed"] == true
	})
	if code != agent.OK || data["exitcode"] != 0.0 {
		t.Errorf("once it has ended: %v, %d %s", data, code, msg)
	}

	// What is old is forgotten.
	spool := &taskSpool{filepath.Join(r.dir, "tasks-spool")}
	spool.prune(time.Now().Add(-time.Hour))
	if _, err := spool.find("back"); err != nil {
		t.Errorf("of this hour: %v", err)
	}
	spool.prune(time.Now().Add(time.Hour))
	if _, err := spool.find("back"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its time: %v", err)
	}
}

func TestTaskAsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		r := newTaskRig(t)
		r.download()
		if _, status, msg := r.run("user", in{"run_as": "nobody"}); status != agent.Aborted || !strings.Contains(msg, "only root") {
			t.Errorf("%d %s", status, msg)
		}
		return
	}
	r := newTaskRig(t)
	// Temporary directories of tests are for their user alone.
	for dir := filepath.Dir(r.dir); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	r.files = r.server.Add("demo::who", `{}`, "who.sh", "#!/bin/sh\nid -un\ncat \"$PT__installdir/../stdout\" 2>&1 | head -c 100\n")
	r.download()
	data, status, msg := r.run("user", in{"task": "demo::who", "run_as": "nobody", "input": `{"a":1}`})
	if out, _ := stdout(t, data)["_output"].(string); status != agent.OK || !strings.HasPrefix(out, "nobody\n") || !strings.Contains(out, "Permission denied") {
		t.Errorf("%v, %d %s", data, status, msg)
	}
}
