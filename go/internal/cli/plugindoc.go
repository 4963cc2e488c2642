package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"choria.io/choria/go/ddl"
)

// A field is one line of what is said about an input, an output or a plugin.
type field struct{ label, value string }

func metadataFields(m ddl.Metadata) []field {
	fields := []field{
		{"Author", m.Author}, {"URL", m.URL}, {"License", m.License}, {"Timeout", fmt.Sprint(m.Timeout)}, {"Provider", provider(m)},
	}
	if m.Service {
		fields = append(fields, field{"Service", "true"})
	}
	return fields
}

func inputFields(in *ddl.Input) []field {
	fields := []field{{"Prompt", in.Prompt}, {"Type", title(in.Type)}, {"Optional", fmt.Sprint(in.Optional)}}
	if in.Validation != "" {
		fields = append(fields, field{"Validation", in.Validation})
	}
	if in.MaxLength > 0 {
		fields = append(fields, field{"Max Length", fmt.Sprint(in.MaxLength)})
	}
	if in.Type == "list" {
		fields = append(fields, field{"Enum", strings.Join(in.List, ", ")})
	}
	if in.Sensitive {
		fields = append(fields, field{"Sensitive", "true"})
	}
	if in.Default != nil {
		fields = append(fields, field{"Default", ddl.Text(in.Default)})
	}
	return fields
}

func outputFields(out *ddl.Output) []field {
	kind := "Undefined"
	if out.Type != "" {
		kind = title(out.Type)
	}
	fields := []field{{"Display As", out.DisplayAs}, {"Type", kind}}
	switch def := ddl.Text(out.Default); def {
	case "null", "false", "0", "", "[]", "{}": // what a reader assumes anyway
	default:
		fields = append(fields, field{"Default", def})
	}
	return fields
}

// impact says what an action does to a node.
func impact(a *ddl.Action) string {
	if a.Impact == "read" {
		return "read, it changes nothing"
	}
	return a.Impact
}

// title returns a word with a capital.
func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// asText writes all about a plugin for people.
func (c *pluginCommand) asText(plugin any) {
	s := c.screen()
	switch p := plugin.(type) {
	case *ddl.Agent:
		s.heading(p.Metadata, "Agent")
		s.printf("Available Actions: %s\n\nActions:\n", listOr(p.ActionNames(), "none"))
		for _, name := range p.ActionNames() {
			s.action(p.Action(name))
		}
	case *ddl.Data:
		s.heading(p.Metadata, "Data Plugin")
		if p.Query != nil {
			s.printf("Query:\n")
			s.item(2, "query", p.Query.Description, inputFields(p.Query))
		}
		s.outputs(0, p.Output)
	}
	s.printf("\n")
}

func listOr(names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	return strings.Join(names, ", ")
}

func (s *screen) heading(m ddl.Metadata, kind string) {
	s.printf("%s version %s\n\n%s\n\nPlugin Metadata:\n\n", s.paint(bold, title(m.Name)+" "+kind), printable(m.Version), printable(m.Description))
	for _, f := range metadataFields(m) {
		s.printf("  %8s: %s\n", f.label, printable(f.value))
	}
	s.printf("\n")
}

func (s *screen) action(a *ddl.Action) {
	s.printf("\n  %s Action:\n\n", s.paint(bold, a.Name))
	s.indented(4, a.Description)
	if a.Display != "failed" && a.Display != "" {
		s.printf("\n    Displaying %s\n", s.paint(bold, a.Display))
	}
	if a.Impact != "" {
		s.printf("\n    Impact: %s\n", s.paint(bold, impact(a)))
	}
	if len(a.Input) > 0 {
		s.printf("\n    Inputs:\n")
		for _, name := range slices.Sorted(maps.Keys(a.Input)) {
			s.item(6, name, a.Input[name].Description, inputFields(a.Input[name]))
		}
	}
	s.outputs(4, a.Output)
}

func (s *screen) outputs(indent int, outputs map[string]*ddl.Output) {
	if len(outputs) == 0 {
		return
	}
	s.printf("\n%sOutputs:\n", strings.Repeat(" ", indent))
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		s.item(indent+2, name, outputs[name].Description, outputFields(outputs[name]))
	}
}

// item writes an input or an output.
func (s *screen) item(indent int, name, description string, fields []field) {
	s.printf("\n%s%s:\n\n", strings.Repeat(" ", indent), s.paint(bold, printable(name)))
	s.indented(indent+2, description)
	s.printf("\n")
	for _, f := range fields {
		// A value may have several lines.
		value := strings.ReplaceAll(printable(f.value), "\n", "\n"+strings.Repeat(" ", indent+2)+"║"+strings.Repeat(" ", 14))
		s.printf("%s║%12s: %s\n", strings.Repeat(" ", indent+2), f.label, value)
	}
	s.printf("%s╙─\n", strings.Repeat(" ", indent+2))
}

// indented writes a text that may have several lines.
func (s *screen) indented(n int, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(printable(text), "\n"), "\n") {
		if line != "" {
			line = strings.Repeat(" ", n) + line
		}
		s.printf("%s\n", line)
	}
}

// asMarkdown writes all about a plugin as Markdown.
func (c *pluginCommand) asMarkdown(plugin any) error {
	w := &strings.Builder{}
	section := func(level int, name, description string, fields []field) {
		fmt.Fprintf(w, "%s %s\n\n%s\n\n", strings.Repeat("#", level), markdown(name), markdown(description))
		fmt.Fprintf(w, "| | |\n| --- | --- |\n")
		for _, f := range fields {
			fmt.Fprintf(w, "| %s | %s |\n", f.label, cell(f.value))
		}
		fmt.Fprintln(w)
	}
	outputs := func(level int, all map[string]*ddl.Output) {
		if len(all) == 0 {
			return
		}
		fmt.Fprintf(w, "%s Outputs\n\n", strings.Repeat("#", level))
		for _, name := range slices.Sorted(maps.Keys(all)) {
			section(level+1, name, all[name].Description, outputFields(all[name]))
		}
	}
	switch p := plugin.(type) {
	case *ddl.Agent:
		section(1, title(p.Metadata.Name)+" Agent version "+p.Metadata.Version, p.Metadata.Description, metadataFields(p.Metadata))
		for _, name := range p.ActionNames() {
			a := p.Action(name)
			fmt.Fprintf(w, "## %s Action\n\n%s\n\n", markdown(a.Name), markdown(a.Description))
			if a.Display != "failed" && a.Display != "" {
				fmt.Fprintf(w, "Displaying %s\n\n", a.Display)
			}
			if a.Impact != "" {
				fmt.Fprintf(w, "Impact: %s\n\n", impact(a))
			}
			if len(a.Input) > 0 {
				fmt.Fprint(w, "### Inputs\n\n")
			}
			for _, input := range slices.Sorted(maps.Keys(a.Input)) {
				section(4, input, a.Input[input].Description, inputFields(a.Input[input]))
			}
			outputs(3, a.Output)
		}
	case *ddl.Data:
		section(1, title(p.Metadata.Name)+" Data Plugin version "+p.Metadata.Version, p.Metadata.Description, metadataFields(p.Metadata))
		if p.Query != nil {
			section(2, "Query", p.Query.Description, inputFields(p.Query))
		}
		outputs(2, p.Output)
	}
	_, err := fmt.Fprint(c.stdout, strings.TrimRight(w.String(), "\n")+"\n")
	return err
}

// markdown escapes what would be markup.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range printable(s) {
		if strings.ContainsRune("\\`*_[]<>#|", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cell returns the value of a table's cell, which is one line.
func cell(s string) string { return strings.ReplaceAll(markdown(s), "\n", "<br>") }
