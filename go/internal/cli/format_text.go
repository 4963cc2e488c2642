package cli

import (
	"encoding/json"
	"maps"
	"slices"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
)

// textFormat writes replies for people, in the layout that Choria has always had.
type textFormat struct {
	quiet
	bar   *bar
	later []client.Reply // while the progress bar has the screen

	unfinished bool // the line about the discovery waits for its end
}

func (f *textFormat) discovering() {
	if f.cmd.quietly {
		return
	}
	f.console.printf("Discovering nodes using the %s method .... ", f.method)
	f.unfinished = true
}

// found ends the line that discovering began, and shows what happens next.
func (f *textFormat) found() error {
	if f.cmd.quietly {
		return nil
	}
	f.console.printf("%d\n\n", f.discovered)
	f.unfinished = false
	if f.discovered == 0 {
		return nil
	}
	if !f.cmd.noProgress {
		f.bar = newBar(f.console, f.discovered)
	}
	if f.bar == nil {
		f.console.printf("Invoking %s#%s action\n\n", f.call.agent.Metadata.Name, f.call.action.Name)
	}
	return nil
}

func (f *textFormat) arrived() { f.bar.add(1) }

func (f *textFormat) reply(r client.Reply) error {
	if !f.cmd.shown(f.call, r.Status) {
		return nil
	}
	if f.bar != nil && f.cmd.output == "" {
		f.later = append(f.later, r)
		return nil
	}
	return f.write(r)
}

func (f *textFormat) end() error {
	f.bar.finish()
	for _, r := range f.later {
		if err := f.write(r); err != nil {
			return err
		}
	}
	f.summaries()
	return f.footer()
}

func (f *textFormat) failed(err error) error {
	// So that the message has its own line.
	if err != nil && f.unfinished {
		f.console.printf("\n")
	}
	f.bar.finish()
	return err
}

// statusLabels are what replies that are not good are headed with.
var statusLabels = map[agent.Status]string{
	agent.OK:            "",
	agent.Aborted:       "Request Aborted",
	agent.UnknownAction: "Unknown Action",
	agent.MissingData:   "Missing Request Data",
	agent.InvalidData:   "Invalid Request Data",
}

func statusLabel(s agent.Status) string {
	if label, ok := statusLabels[s]; ok {
		return label
	}
	return "Unknown Request Status"
}

// write shows one reply.
func (f *textFormat) write(r client.Reply) error {
	label := f.out.paint(red, statusLabel(r.Status))
	f.out.printf("%s %s\n\n", f.out.paint(white, pad(r.Sender, 40)), label)
	switch {
	case r.Status != agent.OK && !f.cmd.verbose:
		f.out.printf("    %s\n\n", f.out.paint(yellow, printable(r.Message)))
	case f.cmd.verbose:
		if r.Status != agent.OK {
			f.out.printf("    %s\n\n", f.out.paint(yellow, printable(r.Message)))
		}
		return f.writeJSON(r.Data)
	default:
		return f.writeData(r.Data)
	}
	return nil
}

// writeJSON shows data as it is.
func (f *textFormat) writeJSON(data json.RawMessage) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	text, err := json.MarshalIndent(v, jsonIndent, jsonIndent)
	if err != nil {
		return err
	}
	f.out.printf("%s%s\n\n", jsonIndent, printable(string(text)))
	return nil
}

// writeData shows data as labels and values.
func (f *textFormat) writeData(data json.RawMessage) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(withDefaults(f.call.action, data), &values); err != nil {
		f.out.printf("   %s\n\n", printable(valueText(data, 3)))
		return nil
	}
	names := slices.Sorted(maps.Keys(values))
	width := 0
	for _, name := range names {
		width = max(width, len([]rune(f.label(name))))
	}
	for _, name := range names {
		f.out.printf("%s: %s\n", padLeft(f.label(name), width+3), printable(valueText(values[name], width+5)))
	}
	f.out.printf("\n")
	return nil
}

// label returns what an output is called for people.
func (f *textFormat) label(output string) string { return outputLabel(f.call.action, output) }

func outputLabel(a *ddl.Action, output string) string {
	if o := a.Output[output]; o != nil && o.DisplayAs != "" {
		return o.DisplayAs
	}
	return printable(output)
}

// summaries shows what the aggregates of the action made of the replies.
func (f *textFormat) summaries() {
	for _, sum := range f.aggregator().Summaries() {
		f.out.printf("%s\n\n", f.out.paint(white, "Summary of "+f.label(sum.Output)+":"))
		if len(sum.Lines) == 0 {
			f.out.printf("   No summary received\n")
		}
		for _, line := range sum.Lines {
			f.out.printf("   %s\n", printable(line))
		}
		f.out.printf("\n")
	}
}
