package cli

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

// tableFormat writes the good replies as a table, a column for each declared output.
type tableFormat struct {
	textFormat
	table   table.Writer
	outputs []string
}

func (f *tableFormat) begin(s *show) {
	f.textFormat.begin(s)
	f.outputs = slices.Sorted(maps.Keys(f.call.action.Output))
	head := table.Row{"Sender"}
	for _, name := range f.outputs {
		head = append(head, f.label(name))
	}
	f.table = newTable()
	f.table.AppendHeader(head)
}

func (f *tableFormat) reply(r client.Reply) error {
	if r.Status != agent.OK {
		return nil
	}
	var data map[string]json.RawMessage
	if err := json.Unmarshal(withDefaults(f.call.action, r.Data), &data); err != nil {
		data = nil // something other than an object has no outputs
	}
	row := table.Row{r.Sender}
	for _, name := range f.outputs {
		row = append(row, printable(compactText(data[name])))
	}
	f.table.AppendRow(row)
	return nil
}

func (f *tableFormat) end() error {
	f.bar.finish()
	f.out.printf("%s\n\n", f.table.Render())
	return f.footer()
}

// newTable returns an empty table with the frame that all tables have.
func newTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleRounded
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	return t
}
