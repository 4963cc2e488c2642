package agents

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/puppettask"
)

// The kinds of errors of tasks. Source: rpc section 3.5.
const (
	kindTaskError     = "choria.tasks/task-error"
	kindNotCompatible = "choria/not_compatible"
	kindInvalidCache  = "choria/invalid_cache"
	kindSpawnFailed   = "choria/wrapper_failed"
	kindUnknownTask   = "choria/unknown_task"
	kindNotOwn        = "choria/not_own_request"
)

// beforeTimeout is how long before the agent's time is up a task is killed, so that the caller hears of it.
// Source: rpc section 3.5.
const beforeTimeout = 2 * time.Second

// boltTasks is the agent bolt_tasks.
type boltTasks struct {
	get   setting
	tls   func(host string) *tls.Config
	cache *taskCache
	spool *taskSpool
}

// BoltTasks returns the agent bolt_tasks, which fetches tasks of Puppet from a Puppet Server and runs them. get
// looks up configuration keys; tls returns the configuration for connections to the server at a host.
func BoltTasks(get func(key string) (value string, ok bool), tls func(host string) *tls.Config) *agent.Agent {
	dir := setting(get).or("plugin.choria.tasks.directory", defaultTaskDirectory())
	b := &boltTasks{
		get: get, tls: tls,
		cache: &taskCache{filepath.Join(dir, "tasks-cache")}, spool: &taskSpool{filepath.Join(dir, "tasks-spool")},
	}
	return newAgent("bolt_tasks", map[string]agent.Action{
		"download": b.download, "run_and_wait": b.runAndWait, "run_no_wait": b.runNoWait, "task_status": b.status,
	})
}

func defaultTaskDirectory() string {
	if os.Geteuid() != 0 {
		if u, err := user.Current(); err == nil {
			return filepath.Join(u.HomeDir, ".puppetlabs/mcollective")
		}
	}
	return "/opt/puppetlabs/mcollective"
}

// server is the Puppet Server of the configuration.
func (b *boltTasks) server() *puppettask.Server {
	host := b.get.or("plugin.choria.puppetserver_host", "puppet")
	return &puppettask.Server{
		Address: net.JoinHostPort(host, b.get.or("plugin.choria.puppetserver_port", "8140")), TLS: b.tls(host),
	}
}

// A taskResult is the data of the actions that run tasks and that tell of them.
type taskResult struct {
	ID       string  `json:"task_id,omitempty"`
	Task     string  `json:"task"`
	Caller   string  `json:"callerid"`
	ExitCode int     `json:"exitcode"` // -1 while the task runs
	Stdout   string  `json:"stdout"`   // an object, as JSON
	Stderr   string  `json:"stderr"`
	Done     bool    `json:"completed"`
	Runtime  float64 `json:"runtime"`    // seconds
	Start    int64   `json:"start_time"` // seconds of 1970 UTC
}

// refuse fails an action with an error as tasks have it, in the data of the reply and in its message.
func (r taskResult) refuse(reply *agent.Reply, status agent.Status, kind, format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	r.Stdout = taskOutput("", kind, msg, map[string]any{})
	r.ExitCode = 127
	reply.Data = r
	return agent.Errorf(status, "%s: %s", kind, msg)
}

func (b *boltTasks) download(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct{ Task, Files, Environment string } // the environment is in the addresses of the files
	if err := bind(req, &in); err != nil {
		return err
	}
	files, err := puppettask.ParseFiles(in.Files)
	if err != nil {
		return agent.Errorf(agent.InvalidData, "%v", err)
	}
	n, err := b.cache.fetch(ctx, b.server(), files)
	if err != nil {
		return agent.Errorf(agent.Aborted, "task %s: %v", in.Task, err)
	}
	reply.Data = map[string]int{"downloads": n}
	return nil
}

// runAndWait runs a task to its end, and kills one that takes longer than the agent may.
func (b *boltTasks) runAndWait(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	waiting := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		waiting, cancel = context.WithDeadline(ctx, deadline.Add(-min(beforeTimeout, time.Until(deadline)/2)))
		defer cancel()
	}
	t, err := b.start(req, reply)
	if err != nil {
		return err
	}
	select {
	case <-t.ended:
	case <-waiting.Done():
		why := fmt.Sprintf("killed after %.0f s, all that run_and_wait may take", time.Since(time.Unix(t.about.Start, 0)).Seconds())
		if ctx.Err() != nil {
			why = "killed: " + ctx.Err().Error()
		}
		if err := t.kill(why); err != nil {
			return agent.Errorf(agent.Aborted, "task %s: %v", req.ID, err)
		}
	}
	r, err := b.result(t, reply)
	r.ID = req.ID
	reply.Data = r
	return err
}

func (b *boltTasks) runNoWait(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	if _, err := b.start(req, reply); err != nil {
		return err
	}
	reply.Data = map[string]string{"task_id": req.ID}
	return nil
}

// start starts the task that req asks for.
func (b *boltTasks) start(req *agent.Request, reply *agent.Reply) (*spooledTask, error) {
	var in struct {
		Task   string
		Files  string
		Input  string
		Method string `json:"input_method"`
		User   string `json:"run_as"`
	}
	if err := bind(req, &in); err != nil {
		return nil, err
	}
	if !puppettask.ValidName(in.Task) {
		return nil, agent.Errorf(agent.InvalidData, "task %q: want a name such as package or service::linux", in.Task)
	}
	r := taskResult{Task: in.Task, Caller: req.Caller}
	if req.Permitted != nil && !req.Permitted(in.Task) {
		return nil, agent.Errorf(agent.Aborted, "You are not authorized to call this agent or action")
	}
	files, err := puppettask.ParseFiles(in.Files)
	if err != nil {
		return nil, agent.Errorf(agent.InvalidData, "%v", err)
	}
	var input map[string]json.RawMessage
	if in.Input != "" && json.Unmarshal([]byte(in.Input), &input) != nil {
		return nil, agent.Errorf(agent.InvalidData, "input of task %s: want a JSON object", in.Task) // not what it is: that may be secret
	}
	method := in.Method
	if method == "" {
		method = "both"
		if strings.HasSuffix(files[0].Filename, ".ps1") {
			method = "powershell"
		}
	}
	if method == "powershell" {
		return nil, r.refuse(reply, agent.UnknownError, kindNotCompatible, "task %s takes its input as PowerShell has it, which this node has not", in.Task)
	}
	for _, f := range files {
		if !b.cache.has(f) {
			return nil, r.refuse(reply, agent.UnknownError, kindInvalidCache, "file %s of task %s was not downloaded, or is not as it should be", f.Filename, in.Task)
		}
	}
	t, err := b.spool.start(b.cache, taskOrder{
		id: req.ID, caller: req.Caller, task: in.Task, files: files, input: input, method: method, user: in.User,
	})
	var own *agent.Error
	switch {
	case errors.As(err, &own):
		return nil, err
	case err != nil:
		return nil, r.refuse(reply, agent.UnknownError, kindSpawnFailed, "%v", err)
	}
	return t, nil
}

func (b *boltTasks) status(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		ID string `json:"task_id"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	t, err := b.spool.find(in.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return taskResult{}.refuse(reply, agent.MissingData, kindUnknownTask, "task %s was not run on this node", in.ID)
	case err != nil:
		return agent.Errorf(agent.UnknownError, "task %s: %v", in.ID, err)
	}
	if t.about.Caller != req.Caller && b.get.or("plugin.choria.tasks.own_status_only", "true") != "false" {
		return taskResult{Task: t.about.Task}.refuse(reply, agent.Aborted, kindNotOwn, "task %s was started by another caller", in.ID)
	}
	r, err := b.result(t, reply)
	reply.Data = r
	return err
}

// result tells of a task. The error is one of a task that has failed.
func (b *boltTasks) result(t *spooledTask, _ *agent.Reply) (taskResult, error) {
	s := t.state()
	r := taskResult{
		Task: t.about.Task, Caller: t.about.Caller, ExitCode: s.Code, Done: !s.Running,
		Runtime: math.Round(s.Runtime.Seconds()*1000) / 1000, Start: t.about.Start,
	}
	kind, msg := "", ""
	switch {
	case s.Running:
	case s.Killed != "":
		kind, msg = kindTaskError, "The task was "+s.Killed
	case s.Code == -1:
		kind, msg = kindSpawnFailed, "The task has ended and nobody saw how"
	case s.Code != 0:
		kind, msg = kindTaskError, fmt.Sprintf("The task failed with exit code %d", s.Code)
	}
	stdout, stderr := readHead(t.path("stdout"), s.Running), readHead(t.path("stderr"), s.Running)
	details := map[string]any{"exitcode": s.Code}
	r.Stdout, r.Stderr = taskOutput(string(stdout.data), kind, msg, details), strings.ToValidUTF8(string(stderr.data), "\uFFFD")
	// What is too long for a reply is cut, and is text then.
	for room := 1; stdout.more > 0 || stderr.more > 0 || !fits(r); room++ {
		if room > 1 {
			for _, h := range []*head{stdout, stderr} {
				h.more += int64(len(h.data) - len(h.data)/2)
				h.data = h.data[:len(h.data)/2]
			}
		}
		text, errors := share(stdout, stderr)
		r.Stdout, r.Stderr = taskOutput(text, kind, msg, details), strings.ToValidUTF8(errors, "\uFFFD")
		if fits(r) {
			break
		}
	}
	if kind == "" {
		return r, nil
	}
	return r, agent.Errorf(agent.Aborted, "%s: %s", kind, msg)
}

// readHead returns the beginning of a file that a task has written.
func readHead(path string, open bool) *head {
	h := &head{}
	file, err := os.Open(path)
	if err != nil {
		return h
	}
	defer file.Close()
	data := make([]byte, maxPlain)
	n, _ := file.ReadAt(data, 0) // what can be read of it
	h.data = data[:n]
	if st, err := file.Stat(); err == nil {
		h.more = st.Size() - int64(n)
	}
	h.open = open
	return h
}

// taskOutput is the output of a task as replies have it: the object that the task has written, else its text in
// one, with an error when there was one and the task does not say so itself.
func taskOutput(text, kind, msg string, details map[string]any) string {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil || object == nil {
		quoted, _ := json.Marshal(strings.ToValidUTF8(text, "\uFFFD")) // a string always marshals
		object = map[string]json.RawMessage{"_output": quoted}
	}
	if _, ok := object["_error"]; kind != "" && !ok {
		object["_error"], _ = json.Marshal(map[string]any{"kind": kind, "msg": msg, "details": details})
	}
	out, err := json.Marshal(object)
	if err != nil {
		return "{}"
	}
	return string(out)
}
