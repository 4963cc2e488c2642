package playbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"choria.io/choria/go/internal/playbook/task"
)

// The kinds of failures that somebody branches on. Tasks have their own.
const (
	kindParameters  = "choria.playbook/parameters"
	kindInterrupted = "choria.playbook/interrupted"
	kindRuby        = "choria.playbook/ruby"  // the process that evaluates the plan has died
	kindInput       = "choria.playbook/input" // a file that was given is no good
)

// A frame is a place in a plan. On the socket it is an array of file and line.
type frame struct {
	File string
	Line int
}

// UnmarshalJSON decodes [file, line].
func (f *frame) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return errors.New("a frame is file and line")
	}
	return errors.Join(json.Unmarshal(pair[0], &f.File), json.Unmarshal(pair[1], &f.Line))
}

// MarshalJSON encodes f as FILE:LINE.
func (f frame) MarshalJSON() ([]byte, error) { return json.Marshal(f.String()) }

func (f frame) String() string { return fmt.Sprintf("%s:%d", f.File, f.Line) }

// A Failure is what ended a playbook.
type Failure struct {
	Msg     string         `json:"msg"`
	Kind    string         `json:"kind"`
	Details map[string]any `json:"details,omitempty"`
	File    string         `json:"file,omitempty"`
	Line    int            `json:"line,omitempty"`
	Pos     int            `json:"pos,omitempty"`
	Stack   []frame        `json:"stack,omitempty"` // the callers, innermost first
	Trace   []string       `json:"trace,omitempty"` // of the Ruby code, for debugging
}

func (f *Failure) Error() string { return f.Msg }

// Text is the failure for people: the message, where it happened and who called, innermost first.
// Frames of one playbook that follow each other are all shown: they are nested blocks.
func (f *Failure) Text() string {
	var b strings.Builder
	b.WriteString(f.Msg)
	if f.File != "" {
		fmt.Fprintf(&b, "\n  at %s:%d", f.File, f.Line)
		if f.Pos > 0 {
			fmt.Fprintf(&b, ":%d", f.Pos)
		}
		b.WriteString(inPlaybook(f.File))
	}
	for _, caller := range f.Stack {
		if caller.File != "" && caller.File != "unknown" {
			fmt.Fprintf(&b, "\n  called from %s%s", caller, inPlaybook(caller.File))
		}
	}
	return b.String()
}

func inPlaybook(path string) string {
	if name := playbookOf(path); name != "" {
		return " (" + name + ")"
	}
	return ""
}

// playbookOf returns the name of the playbook in a file, empty when the file is no plan.
func playbookOf(path string) string {
	head, tail, ok := strings.Cut(filepath.ToSlash(path), "/plans/")
	if !ok {
		return ""
	}
	module := filepath.Base(head)
	tail = strings.TrimSuffix(tail, ".pp")
	if tail == "init" {
		return module
	}
	return module + "::" + strings.ReplaceAll(tail, "/", "::")
}

// answer is what the Ruby side gets of an error.
func answer(err error) *task.Failure {
	var failure *task.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return &task.Failure{Msg: err.Error(), Kind: "choria.playbook/error"}
}
