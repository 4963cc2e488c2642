// Package extension runs the programs that users add types of tasks, data stores and sources of nodes with.
//
// A program is started for one operation. It reads one JSON object from standard input and writes one to standard output;
// what it writes to standard error is logged. docs/playbooks.md describes the objects.
package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/subprocess"
)

// A Kind is what a program implements. It is also the directory of its programs, below choria in a module.
type Kind string

// The kinds.
const (
	Task   Kind = "tasks"
	Store  Kind = "stores"
	Source Kind = "sources"
)

// protocol names a kind on the wire.
func (k Kind) protocol() string {
	return "io.choria.playbook.v1." + strings.TrimSuffix(string(k), "s")
}

// Timeout is how long a program may take for one operation unless told otherwise.
const Timeout = 60 * time.Second

// maxReply is how much a program may answer, in bytes.
const maxReply = 64 << 20

// qualified is what the name of a type looks like that a module has.
var qualified = regexp.MustCompile(`^[a-z][a-z0-9_]*(::[a-z][a-z0-9_]*)+$`)

// Qualified reports whether name is that of a type in a module, such as acme::page.
func Qualified(name string) bool { return qualified.MatchString(name) }

// Find returns the program of a type in a module: of acme::page the file choria/KIND/page of the module acme, or the one
// file of that name with a suffix. Of several modules of one name the first counts, as in Puppet.
func Find(modulepath []string, kind Kind, name string) (path string, err error) {
	parts := strings.Split(name, "::")
	for _, dir := range modulepath {
		module := filepath.Join(dir, parts[0])
		if st, err := os.Stat(module); err != nil || !st.IsDir() {
			continue
		}
		return find(filepath.Join(append([]string{module, "choria", string(kind)}, parts[1:]...)...))
	}
	return "", fmt.Errorf("there is no module %q", parts[0])
}

// find returns the program at path, or at path with a suffix.
func find(path string) (string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var found []string
	for _, entry := range entries {
		name := entry.Name()
		if name == filepath.Base(path) || strings.TrimSuffix(name, filepath.Ext(name)) == filepath.Base(path) {
			found = append(found, filepath.Join(filepath.Dir(path), name))
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("there is no program %s", path)
	case len(found) > 1:
		return "", fmt.Errorf("there are several programs: %s", strings.Join(found, ", "))
	}
	if _, err := exec.LookPath(found[0]); err != nil {
		return "", fmt.Errorf("%s cannot be run: make it executable", found[0])
	}
	return found[0], nil
}

// A Program implements one type. Path and Kind are required.
type Program struct {
	Kind    Kind
	Path    string
	Args    []string
	Type    string        // as the plan wrote it
	Timeout time.Duration // of one operation; zero means Timeout
	Environ func() []string
	Warn    func(text string)

	// Properties are those of the plan that the host has no use for. Sensitive values are in the clear.
	Properties map[string]any
}

// New returns the program of a type: of one in a module that program, of type external the one that the property command
// says, which may have arguments. It takes all properties that nobody has asked for, and so comes last.
func New(p *props.Props, modulepath []string, kind Kind, name string) *Program {
	x := &Program{Kind: kind, Type: name}
	if name == "external" {
		command := p.List("command")
		if len(command) == 0 || command[0] == "" {
			p.Refuse("command", "is required")
			command = []string{""}
		} else if _, err := exec.LookPath(command[0]); err != nil {
			p.Refuse("command", "%s", err)
		}
		x.Path, x.Args = command[0], command[1:]
	} else {
		var err error
		if x.Path, err = Find(modulepath, kind, name); err != nil {
			p.Refuse("type", "%s", err)
		}
	}
	x.Properties = p.Rest("type")
	return x
}

// Run has the program do one operation. The request gets what every request has; answer is a pointer to what it is decoded
// into, strictly. An answer with an error is that error.
func (x *Program) Run(ctx context.Context, request map[string]any, answer any) error {
	request["protocol"], request["type"], request["properties"] = x.Kind.protocol(), x.Type, x.Properties
	in, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s: %w", x.Path, err)
	}
	timeout := x.Timeout
	if timeout <= 0 {
		timeout = Timeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := &subprocess.Command{
		Path: x.Path, Args: x.Args, Stdin: append(in, '\n'),
		Stdout: subprocess.Buffer{Limit: maxReply},
		Stderr: subprocess.Buffer{Line: func(line []byte) {
			if x.Warn != nil {
				x.Warn(fmt.Sprintf("%s: %s", filepath.Base(x.Path), line))
			}
		}},
	}
	if x.Environ != nil {
		cmd.Env = x.Environ()
	}
	r, err := cmd.Run(limited)
	cmd.Stderr.Finish()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("%s: not done after %s", x.Path, timeout)
	case r.Status != "":
		return fmt.Errorf("%s: %s", x.Path, r.Status)
	case cmd.Stdout.Truncated():
		return fmt.Errorf("%s: more than %d MiB of output", x.Path, maxReply>>20)
	}
	complaint, err := decode(cmd.Stdout.Bytes(), answer)
	if err != nil {
		return fmt.Errorf("%s: its answer: %w", x.Path, err)
	}
	if complaint != "" {
		return errors.New(complaint)
	}
	return nil
}

// decode decodes one JSON object, and nothing behind it. An object that has an error is not decoded further.
func decode(data []byte, answer any) (complaint string, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return "", errors.New("is empty, want one JSON object")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return "", err
	}
	if raw, ok := object["error"]; ok {
		if err := json.Unmarshal(raw, &complaint); err != nil {
			return "", fmt.Errorf("member error: %w", err)
		}
		delete(object, "error")
	}
	if complaint != "" {
		return complaint, nil
	}
	rest, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	d.UseNumber()
	d.DisallowUnknownFields()
	return "", d.Decode(answer)
}
