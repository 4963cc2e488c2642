package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/subprocess"
)

// shellKey is what the names of items in a shell store look like.
var shellKey = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// maxShell is how much output of a command counts, in bytes.
const maxShell = 1 << 20

// shell is the store whose items a program reads, writes and deletes. It is run with --read, --write or
// --delete, and finds the name and the value of the item in its environment.
type shell struct {
	command string
	dir     string
	environ []string
	timeout time.Duration
	warn    func(string)
}

func newShell(env *Env, p *props.Props) Store {
	s := &shell{command: p.Path("command"), dir: os.TempDir(), timeout: p.Seconds("timeout", 10*time.Second), warn: env.Warn}
	if s.command != "" {
		if _, err := exec.LookPath(s.command); err != nil {
			p.Refuse("command", "%q is no program that can be run; arguments are not possible", s.command)
		}
	}
	if p.Has("cwd") {
		s.dir = p.Path("cwd")
		if st, err := os.Stat(s.dir); err != nil || !st.IsDir() {
			p.Refuse("cwd", "%q is no directory", s.dir)
		}
	}
	s.environ = slices.Clone(env.Environ.List())
	for name, value := range p.StringMap("environment") {
		s.environ = append(s.environ, name+"="+value)
	}
	return s
}

func (s *shell) Read(ctx context.Context, item string) (any, error) {
	out, err := s.run(ctx, "read", item)
	if err != nil {
		return nil, err
	}
	return strings.TrimSuffix(strings.TrimSuffix(out, "\n"), "\r"), nil
}

func (s *shell) Write(ctx context.Context, item string, value any) error {
	v, err := text("shell", value)
	if err == nil && strings.Contains(v, "\x00") {
		err = errors.New("the value of an environment variable cannot hold a zero byte")
	}
	if err == nil {
		_, err = s.run(ctx, "write", item, "CHORIA_DATA_VALUE="+v)
	}
	return err
}

func (s *shell) Delete(ctx context.Context, item string) error {
	_, err := s.run(ctx, "delete", item)
	return err
}

func (s *shell) run(ctx context.Context, action, item string, more ...string) (string, error) {
	if !shellKey.MatchString(item) {
		return "", fmt.Errorf("the name of an item of the shell store has letters, digits, - and _ alone")
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := &subprocess.Command{
		Path: s.command, Args: []string{"--" + action}, Dir: s.dir,
		Env:    append(append(slices.Clone(s.environ), "CHORIA_DATA_KEY="+item, "CHORIA_DATA_ACTION="+action), more...),
		Stdout: subprocess.Buffer{Limit: maxShell + 1},
		Stderr: subprocess.Buffer{Line: func(line []byte) {
			if s.warn != nil {
				s.warn(fmt.Sprintf("%s: %s", s.command, line))
			}
		}},
	}
	r, err := cmd.Run(limited)
	cmd.Stderr.Finish()
	out := cmd.Stdout.Bytes()
	switch {
	case err != nil:
		return "", err
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limited.Err() != nil:
		return "", fmt.Errorf("%s --%s: not done after %s", s.command, action, s.timeout)
	case r.Status != "":
		return "", fmt.Errorf("%s --%s: %s", s.command, action, r.Status)
	case len(out) > maxShell:
		return "", fmt.Errorf("%s --%s: more than %d bytes of output", s.command, action, maxShell)
	}
	return string(out), nil
}
