// Package agents holds the agents that every node has: bolt_tasks, filemgr, nettest, package, process,
// puppet, service and shell, with the data of the Ruby agents of those names.
package agents

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
)

// A setting returns the value of a configuration key as written, such as plugin.shell.state_path.
// A nil setting has none.
type setting func(key string) (value string, ok bool)

// or returns the value of key, or other when it is not set.
func (s setting) or(key, other string) string {
	if s != nil {
		if v, ok := s(key); ok && v != "" {
			return v
		}
	}
	return other
}

// All returns all agents of the package but BoltTasks that make sense on this machine, sorted by name: package
// needs a package manager that it knows, puppet needs Puppet. get looks up configuration keys and may be nil.
func All(get func(key string) (value string, ok bool)) []*agent.Agent {
	all := []*agent.Agent{Filemgr(get), Nettest(), Package(get), Process(), Puppet(get), Service(get), Shell(get)}
	return slices.DeleteFunc(all, func(a *agent.Agent) bool { return a == nil })
}

// Data returns the data plugins of the package.
func Data() []*agent.DataPlugin { return []*agent.DataPlugin{Fstat()} }

// newAgent returns the agent of that name with its built-in description.
func newAgent(name string, actions map[string]agent.Action) *agent.Agent {
	return &agent.Agent{DDL: ddl.BuiltinAgent(name), Actions: actions}
}

// bind checks the inputs of req against the description of its agent and decodes them into v.
func bind(req *agent.Request, v any) error {
	description := ddl.BuiltinAgent(req.Agent)
	if len(req.Data) > 0 && description != nil {
		var inputs map[string]any
		dec := json.NewDecoder(bytes.NewReader(req.Data))
		dec.UseNumber()
		if err := dec.Decode(&inputs); err != nil || inputs == nil {
			return agent.Errorf(agent.InvalidData, "data of %s#%s: want a JSON object of inputs", req.Agent, req.Action)
		}
		if err := description.Validate(req.Action, inputs); err != nil {
			return agent.Errorf(agent.InvalidData, "%v", err)
		}
	} else if description != nil {
		if err := description.Validate(req.Action, nil); err != nil {
			return agent.Errorf(agent.InvalidData, "%v", err)
		}
	}
	return req.Bind(v)
}

// aborted turns an error into one with status Aborted, unless it has a status already. Nil stays nil.
func aborted(err error) error {
	var e *agent.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return agent.Errorf(agent.Aborted, "%v", err)
}

// What a broker carries in one message is 1 MiB by default. Protocol v1 quotes the JSON of a reply
// twice and then takes base64, which makes 4/3 of it; v2 takes base64 three times, which makes 64/27.
const (
	maxQuoted = 700 << 10 // bytes after quoting twice
	maxPlain  = 400 << 10 // bytes of the JSON itself
)

// fits reports whether data fits into one reply.
func fits(data any) bool {
	text, err := json.Marshal(data)
	if err != nil || len(text) > maxPlain {
		return false
	}
	// Quoting twice makes \\\" of a quotation mark and \\\\ of a backslash.
	special := bytes.Count(text, []byte{'"'}) + bytes.Count(text, []byte{'\\'})
	return len(text)+3*special <= maxQuoted
}
