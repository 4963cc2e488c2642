package ddl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Ruby returns the description in the language that Ruby agents have theirs in.
func (a *Agent) Ruby() string {
	w := &rubyWriter{}
	w.metadata(a.Metadata)
	for _, act := range a.Actions {
		w.printf("\naction %s, :description => %s do\n", rubyString(act.Name), rubyString(act.Description))
		display := act.Display
		if display == "" {
			display = "failed"
		}
		w.printf("  display :%s\n", display)
		for _, name := range sortedKeys(act.Input) {
			w.input(name, act.Input[name])
		}
		w.outputs(act.Output)
		w.aggregates(act.Aggregate)
		w.printf("end\n")
	}
	return w.String()
}

// Ruby returns the description in the language that data plugins in Ruby have theirs in.
func (d *Data) Ruby() string {
	w := &rubyWriter{}
	w.metadata(d.Metadata)
	w.printf("\ndataquery :description => %s do\n", rubyString(d.Metadata.Description))
	if d.Query != nil {
		w.input("query", d.Query)
	}
	w.outputs(d.Output)
	w.printf("end\n")
	return w.String()
}

type rubyWriter struct{ strings.Builder }

func (w *rubyWriter) printf(format string, args ...any) { fmt.Fprintf(w, format, args...) }

// properties writes a call with named arguments, one a line: word, what may come first, and props.
func (w *rubyWriter) properties(word, first string, props [][2]string) {
	var args []string
	if first != "" {
		args = append(args, first)
	}
	for _, p := range props {
		args = append(args, ":"+p[0]+" => "+p[1])
	}
	w.printf("%s %s\n", word, strings.Join(args, ",\n"+strings.Repeat(" ", len(word)+1)))
}

func (w *rubyWriter) metadata(m Metadata) {
	props := [][2]string{
		{"name", rubyString(m.Name)}, {"description", rubyString(m.Description)}, {"author", rubyString(m.Author)},
		{"license", rubyString(m.License)}, {"version", rubyString(m.Version)}, {"url", rubyString(m.URL)},
	}
	if m.Provider != "" {
		props = append(props, [2]string{"provider", rubyString(m.Provider)})
	}
	if m.Service {
		props = append(props, [2]string{"service", "true"})
	}
	w.properties("metadata", "", append(props, [2]string{"timeout", fmt.Sprint(m.Timeout)}))
}

func (w *rubyWriter) input(name string, in *Input) {
	props := [][2]string{
		{"prompt", rubyString(in.Prompt)}, {"description", rubyString(in.Description)}, {"type", ":" + in.Type},
	}
	if in.Default != nil {
		props = append(props, [2]string{"default", rubyValue(in.Default)})
	}
	switch in.Type {
	case "string":
		validation := rubyString(in.Validation)
		if isName(in.Validation) && strings.Trim(in.Validation[:1], "0123456789") != "" { // of a validator
			validation = ":" + in.Validation
		}
		props = append(props, [2]string{"validation", validation}, [2]string{"maxlength", fmt.Sprint(in.MaxLength)})
	case "list":
		props = append(props, [2]string{"list", rubyOf(in.List)})
	}
	w.printf("\n")
	w.properties("  input", rubySymbol(name), append(props, [2]string{"optional", fmt.Sprint(in.Optional)}))
}

func (w *rubyWriter) outputs(outputs map[string]*Output) {
	for _, name := range sortedKeys(outputs) {
		out := outputs[name]
		props := [][2]string{{"description", rubyString(out.Description)}, {"display_as", rubyString(out.DisplayAs)}}
		if out.Type != "" {
			props = append(props, [2]string{"type", ":" + out.Type})
		}
		if out.Default != nil {
			props = append(props, [2]string{"default", rubyValue(out.Default)})
		}
		w.printf("\n")
		w.properties("  output", rubySymbol(name), props)
	}
}

func (w *rubyWriter) aggregates(all []Aggregate) {
	if len(all) == 0 {
		return
	}
	w.printf("\n  summarize do\n")
	for _, agg := range all {
		args := make([]string, 0, len(agg.Args))
		for i, arg := range agg.Args {
			var options map[string]any
			switch {
			case i == 0:
				args = append(args, rubySymbol(Text(arg)))
			case json.Unmarshal(arg, &options) == nil:
				for _, key := range sortedKeys(options) {
					args = append(args, rubySymbol(key)+" => "+rubyOf(options[key]))
				}
			}
		}
		w.printf("    aggregate %s(%s)\n", agg.Function, strings.Join(args, ", "))
	}
	w.printf("  end\n")
}

// rubyString quotes a text so that Ruby takes it as it is.
func rubyString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func rubySymbol(name string) string {
	if isInputName(name) && strings.Trim(name[:1], "0123456789") != "" {
		return ":" + name
	}
	return ":" + rubyString(name)
}

// rubyValue returns a JSON value in Ruby.
func rubyValue(raw json.RawMessage) string {
	v, err := decode(raw)
	if err != nil {
		return "nil"
	}
	return rubyOf(v)
}

func rubyOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return rubyString(v)
	case []string:
		all := make([]string, len(v))
		for i, s := range v {
			all[i] = rubyString(s)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case []any:
		all := make([]string, len(v))
		for i, item := range v {
			all[i] = rubyOf(item)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		all := make([]string, 0, len(v))
		for key, item := range v {
			all = append(all, rubyString(key)+" => "+rubyOf(item))
		}
		slices.Sort(all)
		return "{" + strings.Join(all, ", ") + "}"
	}
	return fmt.Sprint(v)
}
