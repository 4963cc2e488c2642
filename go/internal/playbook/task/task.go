// Package task runs the tasks of playbooks.
//
// A type of task is one file and one line in types. Users add types of their own with programs, see package extension.
package task

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os/user"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/playbook/extension"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/streams"
)

// types are the types of tasks by name.
func types() map[string]func(*Env, *props.Props) attempter {
	return map[string]func(*Env, *props.Props) attempter{
		"email":          newEmail,
		"external":       newProgram("external"),
		"graphite_event": newGraphite,
		"mcollective":    newRequest,
		"nats":           newPublish,
		"shell":          newShell,
		"slack":          newSlack,
		"webhook":        newWebhook,
	}
}

// A Network is what tasks need of the client.
type Network interface {
	Discover(context.Context, client.Discovery) ([]string, error)
	Start(context.Context, client.Request) (Request, error)
	DDL(agent string) (*ddl.Agent, error)
	Setting(key string) (value string, ok bool)

	// Caller is the caller id of requests, empty when nothing is known of it.
	Caller() string
}

// A Request is one request on its way: *client.Run.
type Request interface {
	ID() string
	Replies() iter.Seq[client.Reply]
	Err() error
	Stats() client.Stats
}

// A Logger takes what a task has to say to whoever runs the playbook.
type Logger interface {
	Debug(format string, args ...any)
	Notice(format string, args ...any)
	Warning(format string, args ...any)
	Error(format string, args ...any)
}

// An Env is what tasks run in.
type Env struct {
	Network Network
	Log     Logger
	Environ func() []string // environment variables of local commands, as NAME=value

	// Streams connects to the brokers of the network, for plain messages and for streams; nil: there is no network.
	// The connection stays that of whoever gave it.
	Streams func(context.Context) (*streams.Conn, error)

	Modulepath []string // directories of modules, for the types that they add

	Playbook string // the name of the one that was named on the command line

	// Hide gets what is known to be secret, before anything is said about it; nil drops it.
	Hide func(secret any)

	// Secret reports whether a secret is in a text; nil: there are none.
	Secret func(text string) bool

	// Watch shows the progress of requests; nil shows none.
	Watch Watcher

	try, tries int // of the task that runs
}

// secret reports whether a secret is in a text.
func (e *Env) secret(text string) bool { return e.Secret != nil && e.Secret(text) }

// RefuseExposed refuses a property that becomes the command line of a process when a secret is in it.
func (e *Env) RefuseExposed(p *props.Props, name, text string) {
	if e.secret(text) {
		p.Refuse(name, "has a secret in it, which the list of processes would show: hand it over in a file or an environment variable")
	}
}

// caller is who runs the playbook: the caller id, or without a network the name of the user.
func (e *Env) caller() string {
	if e.Network != nil {
		if caller := e.Network.Caller(); caller != "" {
			return caller
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// hide hides the secrets among properties.
func (e *Env) hide(p *props.Props) {
	if e.Hide == nil {
		return
	}
	for _, secret := range p.Secrets() {
		e.Hide(secret)
	}
}

// The kinds of errors.
const (
	KindTask      = "choria.playbook/taskerror"
	KindAssertion = "choria.playbook/assertion"
	KindRequest   = "choria.playbook/request"
)

// A Failure is an error as plans see it.
type Failure struct {
	Msg     string         `json:"msg"`
	Kind    string         `json:"kind"`
	Details map[string]any `json:"details"`
}

// A Result is what the task did on one node or endpoint.
type Result struct {
	Host  string
	Value any // anything that marshals to JSON
	Error *Failure
}

// An attempter is one task whose properties are known.
type attempter interface {
	attempt(ctx context.Context, env *Env) attempt
}

// An attempt is what came of one try.
type attempt struct {
	results []Result
	success bool
	message string
	failure *Failure // set when nothing could be tried
	request string   // request id

	stdout, stderr string // of a command
}

// An Outcome is what came of a task.
type Outcome struct {
	Type        string
	Description string
	FailOK      bool
	Success     bool
	Message     string
	Results     []Result
	Failure     *Failure // set when the task could not be tried

	Start, End time.Time
	Tries      int
	Requests   []string // request ids

	// Stdout and Stderr are what a command printed in the last try, some megabytes at most.
	Stdout, Stderr string

	unknown []string // properties that the task does not have
}

// Error returns the failure that ends the playbook, nil when there is none or it may fail.
func (o *Outcome) Error() *Failure {
	if o.Success || o.FailOK {
		return nil
	}
	return &Failure{Msg: o.Message, Kind: KindTask, Details: map[string]any{"type": o.Type, "description": o.Description}}
}

// MarshalJSON encodes o as the Ruby side wants it.
func (o *Outcome) MarshalJSON() ([]byte, error) {
	type result struct {
		Value  any      `json:"value"`
		Type   string   `json:"type"`
		FailOK bool     `json:"fail_ok"`
		Error  *Failure `json:"error,omitempty"`
	}
	type host struct {
		Host   string `json:"host"`
		Result result `json:"result"`
	}
	results := make([]host, len(o.Results))
	for i, r := range o.Results {
		results[i] = host{r.Host, result{r.Value, o.Type, o.FailOK, r.Error}}
	}
	return json.Marshal(map[string]any{
		"results": results, "message": o.Message, "failed": o.Error() != nil, "exception": o.Failure,
	})
}

// Check makes sure that a task of type typ could be run with properties.
func Check(env *Env, typ string, properties map[string]any) error {
	_, _, err := prepare(env, typ, properties)
	return err
}

// A plan is how to run a task.
type plan struct {
	attempter
	tries           int
	before, between time.Duration
}

// prepare reads the properties of a task.
func prepare(env *Env, typ string, properties map[string]any) (*plan, *Outcome, error) {
	create, ok := types()[typ]
	if !ok && extension.Qualified(typ) {
		create, ok = newProgram(typ), true
	}
	if !ok {
		names := slices.Sorted(maps.Keys(types()))
		return nil, nil, fmt.Errorf("unknown type of task %q: want %s, or one of a module such as acme::page", typ, strings.Join(names, ", "))
	}
	p := props.New("the "+typ+" task", properties)
	o := &Outcome{
		Type:        typ,
		Description: p.Text("description", typ+" task"),
		FailOK:      p.Bool("fail_ok", false),
	}
	task := &plan{
		before:  p.Seconds("pre_sleep", 0),
		tries:   p.Int("tries", 1, 1),
		between: p.Seconds("try_sleep", 10*time.Second),
	}
	task.attempter = create(env, p)
	env.hide(p)
	if err := p.Err(); err != nil {
		return nil, nil, err
	}
	o.unknown = p.Unknown()
	return task, o, nil
}

// Run runs a task of type typ. The error is one in the properties, which is a mistake of the plan, or
// that of ctx; a task that fails is an Outcome.
func Run(ctx context.Context, env *Env, typ string, properties map[string]any) (*Outcome, error) {
	task, o, err := prepare(env, typ, properties)
	if err != nil {
		return nil, err
	}
	for _, name := range o.unknown {
		env.Log.Warning("The %s task has no property %q: it is ignored", typ, name)
	}

	o.Start = time.Now()
	env.Log.Notice("About to run task: %s", o.Description)
	if task.before > 0 {
		env.Log.Notice("Sleeping %s before the task", seconds(task.before))
		if err := Sleep(ctx, task.before); err != nil {
			return nil, err
		}
	}
	err = o.try(ctx, env, task)
	o.End = time.Now()
	if err != nil {
		return nil, err
	}
	if !o.Success && o.FailOK {
		env.Log.Warning("The task failed, which it may: %s", o.Message)
	}
	return o, nil
}

// try tries until the first success.
func (o *Outcome) try(ctx context.Context, env *Env, task *plan) error {
	for o.Tries = 1; ; o.Tries++ {
		tried := *env
		tried.try, tried.tries = o.Tries, task.tries
		a := task.attempt(ctx, &tried)
		if err := ctx.Err(); err != nil {
			return err
		}
		o.Results, o.Success, o.Message, o.Failure = a.results, a.success, a.message, a.failure
		o.Stdout, o.Stderr = a.stdout, a.stderr
		if a.request != "" {
			o.Requests = append(o.Requests, a.request)
		}
		if a.success {
			env.Log.Notice("%s", a.message)
			return nil
		}
		env.Log.Error("%s", a.message)
		if o.Tries == task.tries {
			return nil
		}
		env.Log.Warning("Try %d of %d failed, trying again in %s: %s", o.Tries, task.tries, seconds(task.between), a.message)
		if err := Sleep(ctx, task.between); err != nil {
			return err
		}
	}
}

// Sleep waits, or returns the error of ctx when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func seconds(d time.Duration) string {
	text := fmt.Sprintf("%.2f", d.Seconds())
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "1" {
		return "1 second"
	}
	return text + " seconds"
}

// plural is n things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (f *Failure) Error() string { return f.Msg }
