// Package ddl reads agent descriptions: what actions take, return and how results are shown.
package ddl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schema is the name of the JSON schema of agent descriptions.
const Schema = "https://choria.io/schemas/mcorpc/ddl/v1/agent.json"

// An Agent describes an agent. It is a JSON document of schema [Schema]. What [Parse] returned is
// safe for concurrent use as long as nobody changes it.
type Agent struct {
	Schema   string    `json:"$schema,omitempty"`
	Metadata Metadata  `json:"metadata"`
	Actions  []*Action `json:"actions"`
}

// Metadata says what an agent is.
type Metadata struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Author      string `json:"author"`
	License     string `json:"license"`
	Version     string `json:"version"` // up to three numbers with dots between
	URL         string `json:"url"`
	Timeout     int    `json:"timeout"`            // seconds; see Agent.Timeout
	Provider    string `json:"provider,omitempty"` // ruby or empty, external, golang or free text
	Service     bool   `json:"service,omitempty"`  // one node of all answers a request
}

// An Action describes one action.
type Action struct {
	Name        string             `json:"action"`
	Description string             `json:"description"`
	Display     string             `json:"display"` // which replies to show: ok, failed or always; empty is failed
	Input       map[string]*Input  `json:"input"`
	Output      map[string]*Output `json:"output"`
	Aggregate   []Aggregate        `json:"aggregate,omitempty"`

	// Impact says what the action does to a node: read for one that only looks, change for one that
	// may change something. Empty: the author does not say. It is for people who write policies, and
	// decides nothing by itself.
	Impact string `json:"impact,omitempty"`

	// ExtraInputs says that the action takes inputs beside those in Input, as they come. Descriptions
	// of agents in Ruby do not say so and their nodes take extra inputs always.
	ExtraInputs bool `json:"extra_inputs,omitempty"`
}

// An Input describes one input of an action.
type Input struct {
	Prompt      string          `json:"prompt"`
	Description string          `json:"description"`
	Type        string          `json:"type"` // string, list, boolean, integer, float, number, hash or array
	Optional    bool            `json:"optional"`
	Default     json.RawMessage `json:"default,omitempty"`    // nil: none
	Validation  string          `json:"validation,omitempty"` // of strings: a pattern or the name of a validator; empty: anything
	MaxLength   int             `json:"maxlength,omitempty"`  // of strings, in bytes; zero: any length
	List        []string        `json:"list,omitempty"`       // the values a list may have
	Sensitive   bool            `json:"sensitive,omitempty"`  // a secret, which audits do not record
}

// MarshalJSON writes what the schema requires of an input of its type, zero values included.
func (in *Input) MarshalJSON() ([]byte, error) {
	type plain Input
	switch in.Type {
	case "string":
		return json.Marshal(struct {
			*plain
			Validation string `json:"validation"`
			MaxLength  int    `json:"maxlength"`
		}{(*plain)(in), in.Validation, in.MaxLength})
	case "list":
		list := in.List
		if list == nil {
			list = []string{}
		}
		return json.Marshal(struct {
			*plain
			List []string `json:"list"`
		}{(*plain)(in), list})
	}
	return json.Marshal((*plain)(in))
}

// An Output describes one output of an action.
type Output struct {
	Description string          `json:"description"`
	DisplayAs   string          `json:"display_as"`
	Type        string          `json:"type,omitempty"`    // as of inputs; empty: not said
	Default     json.RawMessage `json:"default,omitempty"` // nil: none
}

// An Aggregate says how the values of one output are summarised. The first argument is the name of
// the output as a JSON string, the second, if any, an object of options.
type Aggregate struct {
	Function string            `json:"function"`
	Args     []json.RawMessage `json:"args"`
}

// Action returns the action of that name, nil when there is none.
func (a *Agent) Action(name string) *Action {
	for _, act := range a.Actions {
		if act.Name == name {
			return act
		}
	}
	return nil
}

// ActionNames returns the names of all actions, sorted.
func (a *Agent) ActionNames() []string {
	names := make([]string, 0, len(a.Actions))
	for _, act := range a.Actions {
		names = append(names, act.Name)
	}
	slices.Sort(names)
	return names
}

// Timeout is how long an action may take: the timeout of the metadata, 10 s when that is 0.
func (a *Agent) Timeout() time.Duration {
	if a.Metadata.Timeout == 0 {
		return 10 * time.Second
	}
	return time.Duration(a.Metadata.Timeout) * time.Second
}

// Defaults returns the outputs that have a default, with it. The map is the caller's. Agents in
// other languages rely on a node to add these to what a successful action returned.
func (a *Action) Defaults() map[string]any {
	defaults := make(map[string]any)
	for name, out := range a.Output {
		if out.Default == nil {
			continue
		}
		if v, err := decode(out.Default); err == nil {
			defaults[name] = v
		}
	}
	return defaults
}

// action returns the action of that name or an error that lists those there are.
func (a *Agent) action(name string) (*Action, error) {
	if act := a.Action(name); act != nil {
		return act, nil
	}
	if len(a.Actions) == 0 {
		return nil, fmt.Errorf("agent %q has no action %q: it has none at all", a.Metadata.Name, name)
	}
	return nil, fmt.Errorf("agent %q has no action %q: it has %s", a.Metadata.Name, name, strings.Join(a.ActionNames(), ", "))
}
