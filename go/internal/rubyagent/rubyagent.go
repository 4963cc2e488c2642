// Package rubyagent runs agents written in Ruby: each request in a fork of a process that has the
// agent loaded, or in a process of its own.
package rubyagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/hotload"
	"choria.io/choria/go/internal/subprocess"
)

// Limits of what one action may say.
const (
	maxReply  = 16 << 20 // bytes of JSON; what a broker takes is less
	maxStdout = 4 << 10  // of what was written where only the reply may be
	maxStderr = 64 << 10
)

// A Runner runs the actions of Ruby agents. Nothing is started before the first request. It holds
// processes that Close ends.
type Runner struct {
	cfg  *config.Config
	dir  string // private
	log  *slog.Logger
	pool pool
}

// New returns a runner.
func New(cfg *config.Config, log *slog.Logger) (*Runner, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Runner{cfg: cfg, dir: cfg.RubyDirectory, log: log}
	if r.dir == "" {
		dir, err := stateDir()
		if err != nil {
			return nil, err
		}
		r.dir = dir
	}
	r.pool.init(r)
	return r, nil
}

// Close ends all processes, and what they are doing.
func (r *Runner) Close() error {
	r.pool.close()
	return nil
}

// Beside tells whether the code of an agent is there. See hotload.Provider.
func (r *Runner) Beside(f hotload.File) string {
	if _, err := os.Stat(code(f)); err != nil {
		return ""
	}
	return "rb"
}

// code returns the path of the code of a plugin.
func code(f hotload.File) string {
	name := f.Name
	if f.Kind == hotload.Data {
		name += "_data"
	}
	return filepath.Join(filepath.Dir(f.Path), name+".rb")
}

// Agent returns the agent that f describes when it is one in Ruby. See hotload.Provider.
func (r *Runner) Agent(_ context.Context, f hotload.File, d *ddl.Agent) (*agent.Agent, error) {
	if !inRuby(d.Metadata.Provider) || r.Beside(f) == "" {
		return nil, nil
	}
	return &agent.Agent{DDL: d, Any: func(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
		return r.act(ctx, d, req, reply)
	}}, nil
}

// inRuby reports whether a description is that of a plugin in Ruby, which is what they were all once.
func inRuby(provider string) bool { return provider == "" || strings.EqualFold(provider, "ruby") }

// A document is what the shim reads: the known form, or a query of a data plugin.
type document struct {
	Agent      string `json:"agent"`
	Action     string `json:"action"`
	RequestID  string `json:"requestid"`
	Sender     string `json:"senderid"`
	Caller     string `json:"callerid"`
	Collective string `json:"collective"`
	TTL        int64  `json:"ttl"`     // seconds
	Time       int64  `json:"msgtime"` // seconds since 1970
	Body       body   `json:"body"`
}

type body struct {
	Agent  string          `json:"agent"`
	Action string          `json:"action"`
	Data   json.RawMessage `json:"data"`
	Caller string          `json:"caller"`
}

// act runs an action.
func (r *Runner) act(ctx context.Context, d *ddl.Agent, req *agent.Request, reply *agent.Reply) error {
	if d.Action(req.Action) == nil {
		return agent.Errorf(agent.UnknownAction, "agent %s has no action %q", req.Agent, req.Action)
	}
	doc, err := json.Marshal(document{
		Agent: req.Agent, Action: req.Action, RequestID: req.ID, Sender: req.Sender, Caller: req.Caller,
		Collective: req.Collective, TTL: int64(req.TTL / time.Second), Time: req.Time.Unix(),
		Body: body{req.Agent, req.Action, req.Data, req.Caller},
	})
	if err != nil {
		return agent.Errorf(agent.InvalidData, "data of %s#%s: %v", req.Agent, req.Action, err)
	}
	log := r.log.With("request", req.ID, "agent", req.Agent, "action", req.Action)
	out, err := r.run(ctx, req.Agent, doc, log)
	what := req.Agent + "#" + req.Action
	if err != nil {
		log.Warn("action not run", "err", err)
		if ctx.Err() != nil {
			return agent.Errorf(agent.Aborted, "%s: its turn did not come within %s: %v", what, d.Timeout(), err)
		}
		return agent.Errorf(agent.Aborted, "%s: %v", what, err)
	}
	return out.reply(what, log, reply)
}

// An outcome is what came of one request.
type outcome struct {
	result    []byte // the reply, as JSON; empty when there was none
	stdout    []byte // what else was written to standard output
	stderr    []byte
	truncated bool   // result is longer than maxReply
	status    string // as "exit status 3"; empty when the process succeeded
	duration  time.Duration
}

// reply fills in the reply of an action.
func (o *outcome) reply(what string, log *slog.Logger, reply *agent.Reply) error {
	failed := func(reason string) error {
		log.Warn("action failed", "reason", reason, "status", o.status, "duration", o.duration.Round(time.Millisecond), "stderr", subprocess.Quote(o.stderr))
		message := fmt.Sprintf("%s: %s", what, reason)
		if text := subprocess.Quote(o.stderr); text != "" {
			message += ", standard error: " + text
		}
		return agent.Errorf(agent.Aborted, "%s", message)
	}
	ended := "ended"
	if o.status != "" {
		ended = o.status
	}
	ended += fmt.Sprintf(" after %s", o.duration.Round(time.Millisecond))
	if strings.HasPrefix(o.status, "killed after") {
		ended = o.status
	}
	switch {
	case o.truncated:
		return failed(fmt.Sprintf("the reply is larger than %d bytes; %s", maxReply, ended))
	case len(bytes.TrimSpace(o.stdout)) > 0:
		return failed(fmt.Sprintf("wrote to standard output, where only the reply may be: %s; %s", subprocess.Quote(o.stdout), ended))
	case len(bytes.TrimSpace(o.result)) == 0:
		return failed(ended + " without a reply")
	}
	var doc *struct {
		Status  *int            `json:"statuscode"`
		Message string          `json:"statusmsg"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(o.result, &doc); err != nil {
		return failed(fmt.Sprintf("the reply is not understood: %v: %s; %s", err, subprocess.Quote(o.result), ended))
	}
	switch {
	case doc == nil: // the request wanted none
		return nil
	case doc.Status == nil:
		return failed(fmt.Sprintf("the reply has no status: %s; %s", subprocess.Quote(o.result), ended))
	}
	reply.Status, reply.Message = agent.Status(*doc.Status), doc.Message
	if reply.Status < agent.OK || reply.Status > agent.UnknownError {
		reply.Status = agent.UnknownError
	}
	if len(doc.Data) > 0 && doc.Data[0] == '{' {
		reply.Data = doc.Data
	}
	if reply.Status != agent.OK || o.status != "" {
		log.Info("action failed", "statuscode", int(reply.Status), "status", o.status,
			"duration", o.duration.Round(time.Millisecond), "stderr", subprocess.Quote(o.stderr))
	}
	return nil
}

// run runs one request in the way that is configured for its agent. The error says why nothing ran.
func (r *Runner) run(ctx context.Context, name string, doc []byte, log *slog.Logger) (*outcome, error) {
	if shim := r.shim(name); shim != "" {
		return r.oneShot(ctx, name, shim, doc, log)
	}
	if r.mode(name) == "warm" {
		out, err := r.pool.run(ctx, name, doc, log)
		if !errors.Is(err, errNoFork) {
			return out, err
		}
	}
	return r.oneShot(ctx, name, "", doc, log)
}

// shim returns the program that is configured to run an agent in place of ours, if one is.
func (r *Runner) shim(name string) string {
	if text, _, ok := r.cfg.Raw("plugin." + name + ".agent_shim"); ok {
		return text
	}
	return r.cfg.RubyShim
}

// mode returns how an agent is run, warm or oneshot.
func (r *Runner) mode(name string) string {
	if text := r.cfg.Text("plugin." + name + ".ruby_mode"); text != "" {
		return text
	}
	return r.cfg.RubyMode
}

// interpreters are where Ruby is looked for when it is not configured.
var interpreters = []string{"/opt/puppetlabs/puppet/bin/ruby", "ruby"}

// Ruby returns the path of the interpreter: the configured one, that of Puppet, or the one in PATH.
func Ruby(cfg *config.Config) (string, error) {
	if cfg.RubyCommand != "" {
		path, err := exec.LookPath(cfg.RubyCommand)
		if err != nil {
			return "", fmt.Errorf("plugin.choria.ruby.command: %w", err)
		}
		return path, nil
	}
	for _, name := range interpreters {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &noRubyError{}
}

type noRubyError struct{}

func (*noRubyError) Error() string {
	return "no Ruby found: looked for " + strings.Join(interpreters, " and ") + " in PATH"
}

// Hint says what to do about it.
func (*noRubyError) Hint() string {
	return "install Ruby 2.5 or later, or name it with plugin.choria.ruby.command"
}

// command returns the interpreter and the arguments that run our shim for an agent.
func (r *Runner) command() (ruby string, args []string, err error) {
	if ruby, err = Ruby(r.cfg); err != nil {
		return "", nil, err
	}
	program, err := place(r.dir)
	if err != nil {
		return "", nil, err
	}
	return ruby, append([]string{"-I", filepath.Dir(program), program}, r.settings()...), nil
}

// settings returns the arguments that tell the shim what is configured. Its file and plugin.d are
// read by the shim itself.
func (r *Runner) settings() []string {
	var args []string
	set := func(key, value string) {
		if value != "" && !strings.ContainsAny(value, "\n") {
			args = append(args, "--set", key+"="+value)
		}
	}
	file := r.cfg.RubyShimConfig
	switch {
	case file != "":
	case r.cfg.File() != "":
		file = r.cfg.File()
	default:
		// Given in code. Arguments can be seen by other users, so secrets do not go there.
		for _, key := range r.cfg.Keys() {
			if value, _, _ := r.cfg.Raw(key); strings.HasPrefix(key, "plugin.") && !config.Secret(key) {
				set(key, value)
			}
		}
	}
	if file != "" {
		args = append(args, "--config", file)
	}
	if r.cfg.RubyShimConfig == "" {
		set("logger_type", "host")
		set("loglevel", r.cfg.LogLevel)
		set("classesfile", r.cfg.ClassesFile)
		set("plugin.yaml", strings.Join(r.cfg.FactFiles, string(os.PathListSeparator)))
	}
	set("identity", r.cfg.Identity)
	set("collectives", strings.Join(r.cfg.Collectives, ","))
	set("main_collective", r.cfg.MainCollective)
	set("libdir", strings.Join(r.libDirs(), string(os.PathListSeparator)))
	return args
}

// libDirs returns the library directories, those of agents last: there the last one wins.
func (r *Runner) libDirs() []string {
	var dirs []string
	for _, dir := range slices.Concat(r.cfg.LibDirs, r.cfg.RubyLibDirs) {
		if filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// fingerprint returns what changes when a file does that agents may have loaded: everything below
// mcollective in the library directories, and the configuration.
func (r *Runner) fingerprint() string {
	sum := newStamps()
	for _, dir := range r.libDirs() {
		// What cannot be read is not there for agents either.
		_ = filepath.WalkDir(filepath.Join(dir, "mcollective"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !sum.more() {
				return fs.SkipAll
			}
			if !d.IsDir() {
				sum.add(path)
			}
			return nil
		})
	}
	for _, file := range []string{r.cfg.RubyShimConfig, r.cfg.File()} {
		if file == "" {
			continue
		}
		sum.add(file)
		settings, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "plugin.d", "*.cfg"))
		for _, path := range settings {
			sum.add(path)
		}
	}
	return sum.String()
}
