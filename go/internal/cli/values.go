package cli

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/pretty"

	"choria.io/choria/go/ddl"
)

// withDefaults returns data with the defaults of the outputs that it leaves out. Data that is no
// object is returned as it is.
func withDefaults(a *ddl.Action, data json.RawMessage) json.RawMessage {
	defaults := a.Defaults()
	if len(defaults) == 0 {
		return data
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(data, &got); err != nil {
		return data
	}
	added := false
	for name, value := range defaults {
		if _, ok := got[name]; ok {
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			continue
		}
		if got == nil {
			got = map[string]json.RawMessage{}
		}
		got[name] = raw
		added = true
	}
	if !added {
		return data
	}
	out, err := json.Marshal(got)
	if err != nil {
		return data
	}
	return out
}

// compactText returns a JSON value on one line: strings raw, null empty.
func compactText(value json.RawMessage) string {
	switch {
	case len(value) == 0 || string(value) == "null":
		return ""
	case value[0] == '"':
		var s string
		if json.Unmarshal(value, &s) == nil {
			return s
		}
	case value[0] == '{' || value[0] == '[':
		return string(pretty.Ugly(value))
	}
	return string(value)
}

// valueText returns a JSON value for people: strings raw, null empty, objects and arrays in lines of
// their own with sorted keys, arrays on one line where that is short. All lines but the first are
// indented.
func valueText(value json.RawMessage, indent int) string {
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return compactText(value)
	}
	lines := string(pretty.PrettyOptions(value, &pretty.Options{Width: 80, Indent: "  ", SortKeys: true}))
	return strings.ReplaceAll(strings.TrimRight(lines, "\n"), "\n", "\n"+strings.Repeat(" ", indent))
}
