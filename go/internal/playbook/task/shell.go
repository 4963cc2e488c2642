package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"choria.io/choria/go/internal/playbook/props"
)

// killAfter is how long a command that ran out of time may take to end when told to.
const killAfter = 2 * time.Second

// maxOutput is how much output of a command is kept, in bytes; all of it is logged.
const maxOutput = 16 << 20

// A shell task runs a command on this machine.
type shell struct {
	argv    []string
	text    string // the command as written
	dir     string
	environ []string
	timeout time.Duration
	nodes   int
}

func newShell(env *Env, p *props.Props) attempter {
	s := &shell{timeout: p.Seconds("timeout", 0), nodes: -1}
	command, _ := p.Get("command")
	if _, ok := command.([]any); ok {
		s.argv = p.Strings("command")
	} else {
		s.text = p.Required("command")
	}
	if s.text == "" && (len(s.argv) == 0 || s.argv[0] == "") {
		p.Refuse("command", "is required")
	}
	if p.Has("cwd") {
		s.dir = p.Path("cwd")
		if st, err := os.Stat(s.dir); err != nil {
			p.Refuse("cwd", "%s", err)
		} else if !st.IsDir() {
			p.Refuse("cwd", "%s is no directory", s.dir)
		}
	}
	if p.Has("nodes") {
		nodes := p.Strings("nodes")
		s.nodes = len(nodes)
		list := strings.Join(nodes, ",")
		if s.argv != nil {
			s.argv = append(s.argv, "--nodes", list)
		} else {
			if strings.ContainsAny(list, " \t\r\n'\"\\$`;|&<>()*?[]{}~#!") {
				p.Refuse("nodes", "a name has characters that the shell acts on")
			}
			s.text += " --nodes " + list
		}
	}
	if s.argv == nil {
		s.argv = []string{"/bin/sh", "-c", s.text}
	} else {
		s.text = strings.Join(s.argv, " ")
	}
	env.RefuseExposed(p, "command", strings.Join(s.argv, "\n"))
	s.environ = append(slices.Clone(env.Environ()), "LC_ALL=C")
	for name, value := range p.StringMap("environment") {
		s.environ = append(s.environ, name+"="+value)
	}
	return s
}

// attempt runs the command. One that is out of time is ended with all that it has started; what a command
// leaves running in the background is left alone.
func (s *shell) attempt(ctx context.Context, env *Env) attempt {
	if s.nodes >= 0 {
		env.Log.Notice("Starting command %s against %s", s.text, plural(s.nodes, "node"))
	} else {
		env.Log.Notice("Starting command %s", s.text)
	}
	run := ctx
	if s.timeout > 0 {
		var cancel context.CancelFunc
		run, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	out := newOutput(env.Log)
	cmd := exec.CommandContext(run, s.argv[0], s.argv[1:]...)
	cmd.Dir, cmd.Env = s.dir, s.environ
	cmd.Stdout, cmd.Stderr = &out.stdout, &out.stderr
	ownGroup(cmd)
	var last *time.Timer
	cmd.Cancel = func() error {
		last = time.AfterFunc(killAfter, func() { _ = kill(cmd) })
		return terminate(cmd)
	}
	cmd.WaitDelay = killAfter + time.Second
	err := cmd.Run()
	if last != nil {
		last.Stop()
	}
	out.flush()

	value := strings.TrimSuffix(strings.TrimSuffix(out.all.String(), "\n"), "\r")
	result := Result{Host: "localhost", Value: value}
	tried := attempt{stdout: out.stdout.kept.String(), stderr: out.stderr.kept.String()}
	if err == nil {
		tried.results, tried.success, tried.message = []Result{result}, true, fmt.Sprintf("Command %s succeeded", s.text)
		return tried
	}
	message := s.failure(ctx, run, err)
	env.Log.Warning("%s", message)
	details := map[string]any{"command": s.text, "stdout": tried.stdout, "stderr": tried.stderr}
	if cmd.ProcessState != nil {
		details["exitcode"] = cmd.ProcessState.ExitCode()
	}
	result.Error = &Failure{Msg: message, Kind: KindTask, Details: details}
	tried.results, tried.message = []Result{result}, message
	return tried
}

func (s *shell) failure(ctx, run context.Context, err error) string {
	var exit *exec.ExitError
	switch {
	case ctx.Err() == nil && run.Err() != nil:
		return fmt.Sprintf("Command %s timed out after %s", s.text, seconds(s.timeout))
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return fmt.Sprintf("Command %s failed with exit code %d", s.text, exit.ExitCode())
	}
	return fmt.Sprintf("Command %s failed: %s", s.text, err)
}

// output is the output of a command: the lines of both streams in the order they came, and each stream
// alone. They come through two pipes: what is written to both at the same moment has no order.
type output struct {
	log Logger

	mu             sync.Mutex
	all            strings.Builder
	stdout, stderr stream
}

// A stream is one of the two streams of a command.
type stream struct {
	to   *output
	kept strings.Builder // all of it
	line strings.Builder // that has not ended
}

func newOutput(log Logger) *output {
	o := &output{log: log}
	o.stdout.to, o.stderr.to = o, o
	return o
}

func (s *stream) Write(data []byte) (int, error) {
	s.to.mu.Lock()
	defer s.to.mu.Unlock()
	s.kept.Write(data[:min(len(data), maxOutput-s.kept.Len())])
	for rest := string(data); rest != ""; {
		line, more, found := strings.Cut(rest, "\n")
		s.line.WriteString(line)
		if found || s.line.Len() > 64<<10 {
			s.say()
		}
		rest = more
	}
	return len(data), nil
}

// say ends the line.
func (s *stream) say() {
	line := s.line.String()
	s.line.Reset()
	if s.to.all.Len() < maxOutput {
		s.to.all.WriteString(line + "\n")
	}
	s.to.log.Notice("%s", strings.TrimSuffix(line, "\r"))
}

// flush ends last lines that have no end.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range []*stream{&o.stdout, &o.stderr} {
		if s.line.Len() > 0 {
			s.say()
		}
	}
}
