package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"choria.io/choria/go/internal/discovery"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/subprocess"
)

// programTimeout is how long a program may take to find nodes unless the property timeout says so.
const programTimeout = 10 * time.Second

// maxOutput is how much a program may print, in bytes: a million long names.
const maxOutput = 64 << 20

// newShell is the source that runs a program, which prints the name of one node a line.
func newShell(p *props.Props) source {
	argv, err := discovery.SplitWords(p.Required("script"))
	if err != nil {
		p.Refuse("script", "%s", err)
	} else if len(argv) == 0 {
		p.Refuse("script", "is required")
	}
	timeout := p.Seconds("timeout", programTimeout)
	return func(ctx context.Context, env *task.Env) ([]string, error) {
		out, err := output(ctx, env, timeout, argv)
		if err != nil {
			return nil, err
		}
		names := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' })
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		return hosts(names)
	}
}

// newTerraform is the source that is an output of a Terraform state, a list of names.
func newTerraform(p *props.Props) source {
	state, name := p.Path("statefile"), p.Required("output")
	program := p.Text("terraform", "terraform")
	timeout := p.Seconds("timeout", 3*programTimeout)
	if strings.HasPrefix(name, "-") {
		p.Refuse("output", "%q is no name of an output", name)
	}
	return func(ctx context.Context, env *task.Env) ([]string, error) {
		out, err := output(ctx, env, timeout, []string{program, "output", "-state", state, "-json", name})
		if err != nil {
			return nil, err
		}
		names, err := terraformList(out)
		if err != nil {
			return nil, fmt.Errorf("output %q of terraform: %w", name, err)
		}
		return hosts(names)
	}
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

// output runs a program and returns what it prints.
func output(ctx context.Context, env *task.Env, timeout time.Duration, argv []string) ([]byte, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := &subprocess.Command{
		Path: path, Args: argv[1:], Env: env.Environ(),
		Stdout: subprocess.Buffer{Limit: maxOutput},
		Stderr: subprocess.Buffer{Line: func(line []byte) { env.Log.Warning("%s: %s", argv[0], line) }},
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
		return nil, fmt.Errorf("%s: more than %d bytes of output", argv[0], maxOutput)
	}
	return cmd.Stdout.Bytes(), nil
}

// hosts makes sure that names are such of nodes.
func hosts(names []string) ([]string, error) {
	for _, name := range names {
		if !discovery.ValidName(name) {
			return nil, fmt.Errorf("%q is no host name", name)
		}
	}
	return names, nil
}
