package ddl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// maxSize is the largest description that is read, in bytes. The largest known one has 14 kB.
const maxSize = 1 << 20

// maxTimeout is the longest timeout an agent may ask for, in seconds: a year. It keeps
// durations made of it from overflowing.
const maxTimeout = 365 * 24 * 3600

var (
	inputTypes   = []string{"string", "list", "boolean", "integer", "float", "number", "hash", "array"}
	displayModes = []string{"ok", "failed", "always"}
	impacts      = []string{"read", "change"}
)

// ErrNoMetadata is JSON that does not describe a plugin at all.
var ErrNoMetadata = errors.New("agent description: metadata: missing")

// Parse reads a JSON description and checks it. It takes what files in the field have and the
// schema has not: types in any case, int for integer, no display, a display of flatten, null for
// what is absent, numbers with a fraction of zero, and keys it does not know.
func Parse(data []byte) (*Agent, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("agent description: %d bytes, want at most %d", len(data), maxSize)
	}
	var doc struct {
		Schema   string            `json:"$schema"`
		Metadata json.RawMessage   `json:"metadata"`
		Actions  []json.RawMessage `json:"actions"`
	}
	if err := into(data, &doc); err != nil {
		return nil, fmt.Errorf("agent description: %w", err)
	}
	if absent(doc.Metadata) {
		return nil, ErrNoMetadata
	}

	a := &Agent{Schema: doc.Schema, Actions: make([]*Action, 0, len(doc.Actions))}
	if err := a.Metadata.parse(doc.Metadata); err != nil {
		where := "agent description"
		if isName(a.Metadata.Name) {
			where = fmt.Sprintf("agent %q", a.Metadata.Name)
		}
		return nil, fmt.Errorf("%s: metadata: %w", where, err)
	}
	for i, raw := range doc.Actions {
		act, err := parseAction(raw)
		if err == nil && a.Action(act.Name) != nil {
			err = errors.New("described twice")
		}
		if err != nil {
			where := fmt.Sprintf("action number %d", i+1)
			if act != nil && isName(act.Name) {
				where = fmt.Sprintf("action %q", act.Name)
			}
			return nil, fmt.Errorf("agent %q: %s: %w", a.Metadata.Name, where, err)
		}
		a.Actions = append(a.Actions, act)
	}
	return a, nil
}

func (m *Metadata) parse(data []byte) error {
	var raw struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Author      string   `json:"author"`
		License     string   `json:"license"`
		Version     string   `json:"version"`
		URL         string   `json:"url"`
		Timeout     *float64 `json:"timeout"`
		Provider    string   `json:"provider"`
		Service     bool     `json:"service"`
	}
	err := into(data, &raw)
	m.Name = raw.Name
	if err != nil {
		return err
	}
	if !isName(raw.Name) {
		return fmt.Errorf("name %q: want lower case letters, digits and underscores", raw.Name)
	}
	for _, f := range []struct{ key, value string }{
		{"description", raw.Description}, {"author", raw.Author}, {"license", raw.License},
		{"version", raw.Version}, {"url", raw.URL},
	} {
		if f.value == "" {
			return fmt.Errorf("%s: missing", f.key)
		}
	}
	if !isVersion(raw.Version) {
		return fmt.Errorf("version %q: want up to three numbers with dots between, as in 1.0.0", raw.Version)
	}
	if raw.Timeout == nil {
		return errors.New("timeout: missing")
	}
	timeout, ok := whole(*raw.Timeout, maxTimeout)
	if !ok {
		return fmt.Errorf("timeout %v: want whole seconds up to %d", *raw.Timeout, maxTimeout)
	}
	*m = Metadata{raw.Name, raw.Description, raw.Author, raw.License, raw.Version, raw.URL, timeout, raw.Provider, raw.Service}
	return nil
}

// parseAction also returns the action when it fails, with its name when that is known.
func parseAction(data []byte) (*Action, error) {
	var raw struct {
		Name        string                     `json:"action"`
		Description *string                    `json:"description"`
		Display     string                     `json:"display"`
		Input       map[string]json.RawMessage `json:"input"`
		Output      map[string]json.RawMessage `json:"output"`
		Aggregate   []json.RawMessage          `json:"aggregate"`
		Impact      string                     `json:"impact"`
		ExtraInputs bool                       `json:"extra_inputs"`
	}
	err := into(data, &raw)
	act := &Action{Name: raw.Name, Input: make(map[string]*Input), Output: make(map[string]*Output)}
	if err != nil {
		return act, err
	}
	if !isName(raw.Name) {
		return act, fmt.Errorf("name %q: want lower case letters, digits and underscores", raw.Name)
	}
	if raw.Description == nil {
		return act, errors.New("description: missing")
	}
	act.Description = *raw.Description
	act.Display = strings.ToLower(raw.Display)
	switch {
	case act.Display == "":
		act.Display = "failed"
	case act.Display == "flatten": // an old way of showing all replies
		act.Display = "always"
	case !slices.Contains(displayModes, act.Display):
		return act, fmt.Errorf("display %q: want ok, failed or always", raw.Display)
	}
	if raw.Impact != "" && !slices.Contains(impacts, raw.Impact) {
		return act, fmt.Errorf("impact %q: want read or change", raw.Impact)
	}
	act.Impact, act.ExtraInputs = raw.Impact, raw.ExtraInputs
	for _, name := range sortedKeys(raw.Input) {
		in, err := parseInput(name, raw.Input[name])
		if err != nil {
			return act, fmt.Errorf("input %q: %w", name, err)
		}
		act.Input[name] = in
	}
	for _, name := range sortedKeys(raw.Output) {
		out, err := parseOutput(raw.Output[name])
		if err != nil {
			return act, fmt.Errorf("output %q: %w", name, err)
		}
		act.Output[name] = out
	}
	for i, data := range raw.Aggregate {
		agg, err := parseAggregate(data)
		if err != nil {
			return act, fmt.Errorf("aggregate number %d: %w", i+1, err)
		}
		act.Aggregate = append(act.Aggregate, agg)
	}
	return act, nil
}

func parseInput(name string, data []byte) (*Input, error) {
	if !isInputName(name) {
		return nil, errors.New("name: want letters, digits and underscores")
	}
	var raw struct {
		Prompt      *string           `json:"prompt"`
		Description *string           `json:"description"`
		Type        *string           `json:"type"`
		Optional    bool              `json:"optional"`
		Default     json.RawMessage   `json:"default"`
		Validation  *string           `json:"validation"`
		MaxLength   *float64          `json:"maxlength"`
		List        []json.RawMessage `json:"list"`
		Sensitive   bool              `json:"sensitive"`
	}
	if err := into(data, &raw); err != nil {
		return nil, err
	}
	switch {
	case raw.Prompt == nil:
		return nil, errors.New("prompt: missing")
	case raw.Description == nil:
		return nil, errors.New("description: missing")
	case raw.Type == nil:
		return nil, errors.New("type: missing")
	}
	in := &Input{Prompt: *raw.Prompt, Description: *raw.Description, Optional: raw.Optional, Sensitive: raw.Sensitive}
	var err error
	if in.Type, err = parseType(*raw.Type); err != nil {
		return nil, err
	}
	if !absent(raw.Default) {
		in.Default = compact(raw.Default)
	}
	if raw.Validation != nil {
		in.Validation = *raw.Validation
	}
	if raw.MaxLength != nil {
		n, ok := whole(*raw.MaxLength, math.MaxInt32)
		if !ok {
			return nil, fmt.Errorf("maxlength %v: want a whole number that is not negative", *raw.MaxLength)
		}
		in.MaxLength = n
	}
	for _, member := range raw.List {
		in.List = append(in.List, Text(member))
	}
	switch in.Type {
	case "string":
		if raw.Validation == nil {
			return nil, errors.New("validation: missing, a string needs one")
		}
		if raw.MaxLength == nil {
			return nil, errors.New("maxlength: missing, a string needs one")
		}
	case "list":
		if raw.List == nil {
			return nil, errors.New("list: missing, a list needs the values it may have")
		}
	}
	return in, nil
}

func parseOutput(data []byte) (*Output, error) {
	var raw struct {
		Description *string         `json:"description"`
		DisplayAs   *string         `json:"display_as"`
		Type        *string         `json:"type"`
		Default     json.RawMessage `json:"default"`
	}
	if err := into(data, &raw); err != nil {
		return nil, err
	}
	switch {
	case raw.Description == nil:
		return nil, errors.New("description: missing")
	case raw.DisplayAs == nil:
		return nil, errors.New("display_as: missing")
	}
	out := &Output{Description: *raw.Description, DisplayAs: *raw.DisplayAs}
	if raw.Type != nil && *raw.Type != "" {
		var err error
		if out.Type, err = parseType(*raw.Type); err != nil {
			return nil, err
		}
	}
	if !absent(raw.Default) {
		out.Default = compact(raw.Default)
	}
	return out, nil
}

// parseAggregate takes arguments of any form, since their form is the function's business and
// functions that are not known here are passed over.
func parseAggregate(data []byte) (Aggregate, error) {
	var raw struct {
		Function string          `json:"function"`
		Args     json.RawMessage `json:"args"`
	}
	if err := into(data, &raw); err != nil {
		return Aggregate{}, err
	}
	if raw.Function == "" {
		return Aggregate{}, errors.New("function: missing")
	}
	agg := Aggregate{Function: raw.Function}
	if !absent(raw.Args) && json.Unmarshal(raw.Args, &agg.Args) != nil {
		agg.Args = []json.RawMessage{raw.Args}
	}
	for i, arg := range agg.Args {
		agg.Args[i] = compact(arg)
	}
	return agg, nil
}

func parseType(name string) (string, error) {
	t := strings.ToLower(name)
	if t == "int" {
		t = "integer"
	}
	if !slices.Contains(inputTypes, t) {
		return "", fmt.Errorf("type %q: want one of %s", name, strings.Join(inputTypes, ", "))
	}
	return t, nil
}

// into decodes one JSON object and says in plain words what does not fit.
func into(data []byte, v any) error {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("want a JSON object")
	}
	err := json.Unmarshal(data, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		what := wrong.Value
		if before, _, ok := strings.Cut(what, " "); ok { // "number 1.5" says the value too
			what = before
		}
		return fmt.Errorf("%s: want %s, not %s", wrong.Field, jsonKind(wrong.Type.Kind().String()), withArticle(what))
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	return err
}

// jsonKind names the JSON that a Go kind is decoded from.
func jsonKind(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "a boolean"
	case "slice":
		return "an array"
	case "map", "struct":
		return "an object"
	}
	return "a number"
}

func withArticle(what string) string {
	switch what {
	case "array", "object":
		return "an " + what
	case "bool":
		return "a boolean"
	}
	return "a " + what
}

// isName reports whether s may name an agent or an action.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// isInputName reports whether s may name an input. The schema has lower case alone; Ruby agents
// with capitals exist and work.
func isInputName(s string) bool { return isName(strings.ToLower(s)) }

// isVersion reports whether s has the form of the schema, a suffix as in 1.0.0-rc1 being let through.
func isVersion(s string) bool {
	if i := strings.IndexAny(s, "-+"); i > 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return false
	}
	for i, p := range parts {
		digits := p != "" && strings.Trim(p, "0123456789") == ""
		if !digits && !(p == "*" && i == len(parts)-1) {
			return false
		}
	}
	return true
}

// whole returns f as an integer when it is one from 0 to most.
func whole(f float64, most int) (int, bool) {
	if f < 0 || f > float64(most) || f != math.Trunc(f) {
		return 0, false
	}
	return int(f), true
}

// absent reports whether a JSON value was not there or null.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
