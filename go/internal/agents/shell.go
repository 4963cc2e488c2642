package agents

import (
	"context"
	"math"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"choria.io/choria/go/agent"
)

// defaultStatePath is where started commands are kept when plugin.shell.state_path is not set. As in
// the Ruby agent it does not survive a reboot, and neither do the commands.
const defaultStatePath = "/var/run/mcollective-shell"

// killDelay is how long a command that ran too long has between being asked to end and being killed.
const killDelay = time.Second

type shell struct{ jobs jobs }

// Shell returns the agent shell, which runs commands with /bin/sh: as its caller wrote them, since
// that is what it is for. get looks up configuration keys and may be nil.
func Shell(get func(key string) (value string, ok bool)) *agent.Agent {
	s := &shell{jobs{dir: setting(get).or("plugin.shell.state_path", defaultStatePath)}}
	return newAgent("shell", map[string]agent.Action{
		"kill": s.kill, "list": s.list, "run": s.run, "start": s.start, "status": s.status,
	})
}

// A runResult is the data of the action run. As in the Ruby agent success says that the command
// ended by itself in time, whatever its exit code. The exit code of a command that a signal ended
// is 128 and the signal, as shells have it, and null when it was killed for its time.
type runResult struct {
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	Success  bool   `json:"success"`
	ExitCode *int   `json:"exitcode"`
}

func (s *shell) run(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Command string  `json:"command"`
		User    string  `json:"user"`
		Timeout float64 `json:"timeout"` // seconds; 0 is none but that of the agent
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	if in.Timeout < 0 {
		return agent.Errorf(agent.InvalidData, "input \"timeout\" of shell#run: %v is negative", in.Timeout)
	}
	limited := ctx
	if limit := in.Timeout * float64(time.Second); limit > 0 && limit < math.MaxInt64 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, time.Duration(limit))
		defer cancel()
	}

	cmd := exec.CommandContext(limited, "/bin/sh", "-c", in.Command)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := runAs(cmd, in.User); err != nil {
		return err
	}
	stdout, stderr := &head{}, &head{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	var late atomic.Bool
	cmd.Cancel = func() error {
		late.Store(true)
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	// It is also how long output is still read after the command ended while something that it left
	// in the background holds it open.
	cmd.WaitDelay = killDelay
	if err := cmd.Start(); err != nil {
		return agent.Errorf(agent.Aborted, "start command: %v", err)
	}
	err := cmd.Wait()
	if late.Load() {
		// Whatever of the group did not end when asked. The group may be gone.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if ctx.Err() != nil && late.Load() {
		return agent.Errorf(agent.Aborted, "command killed: %v", ctx.Err())
	}
	if cmd.ProcessState == nil {
		return agent.Errorf(agent.Aborted, "wait for command: %v", err)
	}
	r := &runResult{Success: !late.Load()}
	if r.Success {
		code := exitCode(cmd.ProcessState.Sys().(syscall.WaitStatus))
		r.ExitCode = &code
	}
	r.Stdout, r.Stderr = share(stdout, stderr)
	reply.Data = r
	return nil
}

// exitCode is what a shell tells of a process that ended.
func exitCode(w syscall.WaitStatus) int {
	if w.Signaled() {
		return 128 + int(w.Signal())
	}
	return w.ExitStatus()
}

func (s *shell) start(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Command string `json:"command"`
		User    string `json:"user"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	handle, err := s.jobs.start(in.Command, in.User)
	if err != nil {
		return aborted(err)
	}
	reply.Data = map[string]string{"handle": handle}
	return nil
}

// A statusResult is the data of the action status. An exit code is there for stopped commands, and
// null for those that ended without anybody seeing it, as when the machine went down.
type statusResult struct {
	Status   string `json:"status"` // running, stopped or failed
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	ExitCode *int   `json:"exitcode"`
}

// status returns as much output as fits, from the offsets on. A caller that adds the bytes it got
// to its offsets gets the rest with the next request.
func (s *shell) status(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Handle       string `json:"handle"`
		StdoutOffset int64  `json:"stdout_offset"`
		StderrOffset int64  `json:"stderr_offset"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	if in.StdoutOffset < 0 || in.StderrOffset < 0 {
		return agent.Errorf(agent.InvalidData, "offsets of shell#status: want none that is negative")
	}
	j, err := s.jobs.open(in.Handle)
	if err != nil {
		return aborted(err)
	}
	// The state first: of a command that has stopped all output is there.
	r := &statusResult{}
	r.Status, r.ExitCode = j.state()
	stdout, err := j.output("stdout", in.StdoutOffset, r.Status == "running")
	if err != nil {
		return aborted(err)
	}
	stderr, err := j.output("stderr", in.StderrOffset, r.Status == "running")
	if err != nil {
		return aborted(err)
	}
	r.Stdout, r.Stderr = shareParts(stdout, stderr)
	reply.Data = r
	return nil
}

// A jobEntry is one command in the data of the action list.
type jobEntry struct {
	ID      string `json:"id"`
	Command string `json:"command"`
	Status  string `json:"status"`
	Signal  *int   `json:"signal"` // what ended it, 0 for none; null while it runs
}

func (s *shell) list(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	all, err := s.jobs.all()
	if err != nil {
		return aborted(err)
	}
	list := make(map[string]jobEntry, len(all))
	for _, j := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := jobEntry{ID: j.handle, Command: j.command()}
		var code *int
		if e.Status, code = j.state(); code != nil {
			signal := max(*code-128, 0)
			e.Signal = &signal
		}
		list[j.handle] = e
	}
	data := map[string]any{"jobs": list}
	if !fits(data) {
		return agent.Errorf(agent.Aborted, "list of %d commands: too large for one reply", len(list))
	}
	reply.Data = data
	return nil
}

// kill asks a command to end, as the Ruby agent does, and kills it when asked a second time.
func (s *shell) kill(_ context.Context, req *agent.Request, _ *agent.Reply) error {
	var in struct {
		Handle string `json:"handle"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	j, err := s.jobs.open(in.Handle)
	if err != nil {
		return aborted(err)
	}
	return aborted(j.kill())
}
