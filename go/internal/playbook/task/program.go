package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"choria.io/choria/go/internal/playbook/extension"
	"choria.io/choria/go/internal/playbook/props"
)

// A program task is one of a type that a user has added: a program does what it does.
type program struct {
	*extension.Program
	playbook, caller, description string
}

// A programAnswer is what a program answers.
type programAnswer struct {
	Success *bool           `json:"success"` // nil: whether there is no error among the results
	Message string          `json:"message"`
	Results []programResult `json:"results"`
}

type programResult struct {
	Host  string `json:"host"`
	Value any    `json:"value"`
	Error *struct {
		Msg     string         `json:"msg"`
		Kind    string         `json:"kind"`
		Details map[string]any `json:"details"`
	} `json:"error"`
}

// newProgram returns what makes tasks of a type that is in a module, or external.
func newProgram(typ string) func(*Env, *props.Props) attempter {
	return func(env *Env, p *props.Props) attempter {
		timeout := p.Seconds("timeout", extension.Timeout)
		t := &program{
			Program: extension.New(p, env.Modulepath, extension.Task, typ),
			caller:  env.caller(), playbook: env.Playbook, description: p.Text("description", ""),
		}
		t.Timeout = timeout
		env.RefuseExposed(p, "command", strings.Join(t.Args, "\n"))
		return t
	}
}

func (t *program) attempt(ctx context.Context, env *Env) attempt {
	env.Log.Notice("Starting %s", t.Path)
	t.Environ, t.Warn = env.Environ, func(text string) { env.Log.Warning("%s", text) }
	var answer programAnswer
	err := t.Run(ctx, map[string]any{"playbook": t.playbook, "caller": t.caller, "description": t.description}, &answer)
	if err == nil {
		err = answer.check()
	}
	if err != nil {
		message := fmt.Sprintf("The %s task failed: %s", t.Type, err)
		failure := &Failure{Msg: message, Kind: KindTask, Details: map[string]any{"program": t.Path}}
		return attempt{results: []Result{{Host: "localhost", Error: failure}}, message: message}
	}
	for _, r := range answer.Results {
		if r.Error != nil {
			env.Log.Warning("Failed result from %s: %s", r.Host, r.Error.Msg)
		}
	}
	return t.judge(&answer)
}

// check makes sure that the answer can be one of a task.
func (a *programAnswer) check() error {
	for _, r := range a.Results {
		if r.Host == "" {
			return errors.New("a result has no host")
		}
		if r.Error != nil && r.Error.Msg == "" {
			return fmt.Errorf("the error of host %q has no msg", r.Host)
		}
	}
	return nil
}

func (t *program) judge(answer *programAnswer) attempt {
	a := attempt{success: true, message: answer.Message}
	for _, r := range answer.Results {
		result := Result{Host: r.Host, Value: r.Value}
		if r.Error != nil {
			a.success = false
			result.Error = &Failure{Msg: r.Error.Msg, Kind: r.Error.Kind, Details: r.Error.Details}
			if result.Error.Kind == "" {
				result.Error.Kind = KindTask
			}
			if result.Error.Details == nil {
				result.Error.Details = map[string]any{}
			}
		}
		a.results = append(a.results, result)
	}
	if len(a.results) == 0 {
		a.results = []Result{{Host: "localhost", Value: json.RawMessage("null")}}
	}
	if answer.Success != nil {
		a.success = *answer.Success
	}
	if a.message == "" {
		a.message = fmt.Sprintf("The %s task %s", t.Type, map[bool]string{true: "succeeded", false: "failed"}[a.success])
	}
	if !a.success && len(answer.Results) == 0 {
		a.results[0].Error = &Failure{Msg: a.message, Kind: KindTask, Details: map[string]any{"program": t.Path}}
	}
	return a
}
