package ddl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Fault says what is wrong with an input.
type Fault int

// The faults. Inputs are checked in this order, so that an Unknown one means the others are right.
const (
	Invalid Fault = iota // the value does not fit
	Missing              // required and not given
	Unknown              // the action does not take it
)

// An InputError is an input that was refused.
type InputError struct {
	Agent, Action, Input string

	Fault  Fault
	Reason string
}

func (e *InputError) Error() string {
	return fmt.Sprintf("input %q of %s#%s: %s", e.Input, e.Agent, e.Action, e.Reason)
}

// Arguments turns inputs typed as text into values of the types that the action declares, fills in
// defaults and validates. Names are taken in any case. Errors name agent, action, input, value and
// rule; those that are about one input are of type *InputError.
func (a *Agent) Arguments(action string, text map[string]string) (map[string]any, error) {
	act, err := a.action(action)
	if err != nil {
		return nil, err
	}
	data := make(map[string]any, len(text))
	for _, given := range sortedKeys(text) {
		name := given
		if act.Input[name] == nil && (!act.ExtraInputs || act.Input[strings.ToLower(given)] != nil) {
			name = strings.ToLower(given)
		}
		if _, twice := data[name]; twice {
			return nil, a.refuse(act, name, Invalid, "given twice")
		}
		in := act.Input[name]
		if in == nil && act.ExtraInputs {
			data[name] = text[given]
			continue
		}
		if in == nil {
			return nil, a.unknown(act, given)
		}
		v, err := in.fromText(text[given])
		if err != nil && in.Sensitive {
			err = fmt.Errorf("the value, which is a secret, is not a valid %s", in.Type)
		}
		if err != nil {
			return nil, a.refuse(act, name, Invalid, err.Error())
		}
		data[name] = v
	}
	return a.Complete(action, data)
}

// Complete is Arguments for inputs that are typed already: it validates them and returns a copy with the defaults of
// missing inputs. Numbers may be any Go number or json.Number. An input that is nil counts as missing.
func (a *Agent) Complete(action string, data map[string]any) (map[string]any, error) {
	act, err := a.action(action)
	if err != nil {
		return nil, err
	}
	full := maps.Clone(data)
	if full == nil {
		full = make(map[string]any)
	}
	var added []string
	for name, in := range act.Input {
		if full[name] != nil {
			continue
		}
		delete(full, name)
		if v, ok := in.defaultValue(); ok {
			full[name] = v
			added = append(added, name)
		}
	}
	// What the author of the agent wrote as default is right by definition.
	if err := a.check(act, full, added); err != nil {
		return nil, err
	}
	return full, nil
}

// Validate checks typed inputs, as a node does before it runs an action; nothing is filled in.
// The key process_results, which clients in Ruby add to all inputs, is passed over.
func (a *Agent) Validate(action string, data map[string]any) error {
	act, err := a.action(action)
	if err != nil {
		return err
	}
	return a.check(act, data, nil)
}

// check validates all inputs but those named in trusted.
func (a *Agent) check(act *Action, data map[string]any, trusted []string) error {
	names := sortedKeys(act.Input)
	for _, name := range names {
		v := data[name]
		if v == nil || slices.Contains(trusted, name) {
			continue
		}
		if reason := act.Input[name].check(v); reason != "" {
			value := shown(v)
			if act.Input[name].Sensitive {
				value = "the value, which is a secret,"
			}
			return a.refuse(act, name, Invalid, value+" "+reason)
		}
	}
	for _, name := range names {
		if in := act.Input[name]; data[name] == nil && !in.Optional {
			reason := "missing"
			if in.Description != "" {
				reason += " (" + in.Description + ")"
			}
			return a.refuse(act, name, Missing, reason)
		}
	}
	for _, name := range sortedKeys(data) {
		if act.Input[name] == nil && !act.ExtraInputs && name != "process_results" {
			return a.unknown(act, name)
		}
	}
	return nil
}

func (a *Agent) refuse(act *Action, input string, f Fault, reason string) error {
	return &InputError{Agent: a.Metadata.Name, Action: act.Name, Input: input, Fault: f, Reason: reason}
}

func (a *Agent) unknown(act *Action, input string) error {
	reason := "no such input, the action takes none"
	if len(act.Input) > 0 {
		reason = "no such input, the action takes " + strings.Join(sortedKeys(act.Input), ", ")
	}
	return a.refuse(act, cut(input, 80), Unknown, reason)
}

// defaultValue returns the default in the type of the input, if there is one. Descriptions made
// from Ruby ones have defaults such as "false" for a boolean.
func (in *Input) defaultValue() (any, bool) {
	if in.Default == nil {
		return nil, false
	}
	v, err := decode(in.Default)
	if err != nil || v == nil {
		return nil, false
	}
	switch d := v.(type) {
	case string:
		if typed, err := in.fromText(d); err == nil {
			return typed, true
		}
	case json.Number:
		if in.Type == "string" || in.Type == "list" {
			return d.String(), true
		}
		if typed, err := in.fromText(d.String()); err == nil {
			return typed, true
		}
	}
	return v, true
}

// fromText turns text into a value of the type of the input.
func (in *Input) fromText(text string) (any, error) {
	bad := func() (any, error) {
		return nil, fmt.Errorf("%s is not a valid %s", shown(text), in.Type)
	}
	switch in.Type {
	case "integer":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad()
		}
		return n, nil
	case "float", "number":
		f, err := strconv.ParseFloat(text, 64)
		// Go also reads hexadecimal, infinities and what is no number; JSON has none of them.
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || strings.ContainsAny(text, "xX_") {
			return bad()
		}
		return f, nil
	case "boolean":
		switch strings.ToLower(text) {
		case "1", "t", "true", "y", "yes":
			return true, nil
		case "0", "f", "false", "n", "no":
			return false, nil
		}
		return bad()
	case "hash", "array":
		v, err := decode([]byte(text))
		if err != nil {
			return bad()
		}
		_, isHash := v.(map[string]any)
		_, isArray := v.([]any)
		if in.Type == "hash" && !isHash || in.Type == "array" && !isArray {
			return bad()
		}
		return v, nil
	}
	return text, nil
}
