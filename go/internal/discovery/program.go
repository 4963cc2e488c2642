package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"choria.io/choria/go/internal/subprocess"
)

// shell runs a program that prints the name of one node a line. Options: script, the program with its arguments;
// timeout, how long it may take.
var shell = Method{
	Name:    "shell",
	Options: []string{"script", "timeout"},
	Find:    findWithProgram,
}

// terraform asks Terraform for an output of its state that is a list of names. Options: statefile; output, its name;
// terraform, the program; timeout.
var terraform = Method{
	Name:    "terraform",
	Options: []string{"statefile", "output", "terraform", "timeout"},
	Find:    findInTerraform,
}

// How long programs may take unless the option timeout says so.
const (
	shellTimeout     = 10 * time.Second
	terraformTimeout = 30 * time.Second
)

func findWithProgram(ctx context.Context, env *Env, q Query) ([]string, error) {
	argv, err := SplitWords(q.Options["script"])
	switch {
	case err != nil:
		return nil, fmt.Errorf("script %q: %w", q.Options["script"], err)
	case len(argv) == 0:
		return nil, errors.New("no script given: want the option script=PROGRAM")
	}
	timeout, err := optionTimeout(q, shellTimeout)
	if err != nil {
		return nil, err
	}
	argv[0] = expand(argv[0])
	out, err := output(ctx, env, timeout, argv)
	if err != nil {
		return nil, err
	}
	names := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return identities(names, q.Filter)
}

func findInTerraform(ctx context.Context, env *Env, q Query) ([]string, error) {
	state, name, program := q.Options["statefile"], q.Options["output"], q.Options["terraform"]
	switch {
	case state == "" || name == "":
		return nil, errors.New("want the options statefile=PATH and output=NAME")
	case strings.HasPrefix(name, "-"):
		return nil, fmt.Errorf("%q is no name of an output", name)
	case program == "":
		program = "terraform"
	}
	timeout, err := optionTimeout(q, terraformTimeout)
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, env, timeout, []string{expand(program), "output", "-state", expand(state), "-json", name})
	if err != nil {
		return nil, err
	}
	names, err := terraformList(out)
	if err != nil {
		return nil, fmt.Errorf("output %q of terraform: %w", name, err)
	}
	return identities(names, q.Filter)
}

// terraformList reads an output: Terraform from 0.12 on prints the bare value, older ones an object around it.
func terraformList(out []byte) ([]string, error) {
	var names []string
	if err := json.Unmarshal(out, &names); err == nil {
		return names, nil
	}
	var wrapped struct {
		Type  any
		Value json.RawMessage
	}
	if err := json.Unmarshal(out, &wrapped); err != nil || wrapped.Value == nil {
		return nil, errors.New("want a list of names")
	}
	if err := json.Unmarshal(wrapped.Value, &names); err != nil {
		return nil, errors.New("want a list of names")
	}
	return names, nil
}

// optionTimeout reads the option timeout, in seconds.
func optionTimeout(q Query, def time.Duration) (time.Duration, error) {
	text, ok := q.Options["timeout"]
	if !ok {
		return def, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0 && seconds <= 1e9) { // NaN is neither
		return 0, fmt.Errorf("timeout %q: want a number of seconds", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// output runs a program and returns what it prints.
func output(ctx context.Context, env *Env, timeout time.Duration, argv []string) ([]byte, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := &subprocess.Command{
		Path: path, Args: argv[1:], Env: env.environ(),
		Stdout: subprocess.Buffer{Limit: maxList},
		Stderr: subprocess.Buffer{Line: func(line []byte) { env.warn("%s: %s", argv[0], line) }},
	}
	r, err := cmd.Run(limited)
	cmd.Stderr.Finish()
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("%s: not done after %s", argv[0], timeout)
	case r.Status != "":
		return nil, fmt.Errorf("%s: %s", argv[0], r.Status)
	case cmd.Stdout.Truncated():
		return nil, fmt.Errorf("%s: more than %d MiB of output", argv[0], maxList>>20)
	}
	return cmd.Stdout.Bytes(), nil
}

// environ is the environment of programs.
func (e *Env) environ() []string {
	if e.Environ == nil {
		return os.Environ()
	}
	return e.Environ()
}

func (e *Env) warn(format string, args ...any) {
	if e.Warn != nil {
		e.Warn(fmt.Sprintf(format, args...))
	}
}
