package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/jedib0t/go-pretty/v6/table"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

// A factsCommand is one run of the command facts.
type factsCommand struct {
	*env
	discoveryFlags

	fact    string
	list    bool
	reverse bool
	asTable bool
	asJSON  bool
	verbose bool
}

func addFacts(e *env, app *kingpin.Application) {
	c := &factsCommand{env: e}
	cmd := app.Command("facts", "Reports the values of a fact over all nodes.")
	cmd.HelpLong(fmt.Sprintf(`Dots descend into structured facts: os.family, mountpoints./.size, processors.models.0.

Examples:
  %[1]s facts os.family
  %[1]s facts memorysize_mb -C role::db --show-nodes
  %[1]s facts kernelrelease --table --reverse

Exit status: as of %[1]s rpc.
`, e.name))
	cmd.Arg("fact", "Name of the fact").Required().StringVar(&c.fact)
	c.discoveryFlags.add(cmd)
	c.addConnection(cmd)
	cmd.Flag("table", "As a table").Short('t').BoolVar(&c.asTable)
	cmd.Flag("json", "As JSON").Short('j').BoolVar(&c.asJSON)
	cmd.Flag("show-nodes", "List the nodes that have each value").Short('n').BoolVar(&c.list)
	cmd.Flag("reverse", "The most frequent value first").Short('r').BoolVar(&c.reverse)
	cmd.Flag("verbose", "The same as --show-nodes").Short('v').BoolVar(&c.verbose)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

// A factValue is a value and who has it.
type factValue struct {
	text  string
	nodes []string
}

func (c *factsCommand) run() error {
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	call, err := c.call(cl, "rpcutil", "get_fact", []string{"fact=" + c.fact})
	if err != nil {
		return err
	}
	start := time.Now()
	nodes, filter, err := c.findNodes(cl, &c.discoveryFlags, "rpcutil")
	if err != nil {
		return err
	}
	run, err := cl.Start(c.ctx, client.Request{Agent: "rpcutil", Action: "get_fact", Data: call.inputs, Nodes: nodes, Filter: filter, Collective: c.collective})
	if err != nil {
		return err
	}
	found := map[string][]string{}
	for r := range run.Replies() {
		if r.Status != agent.OK {
			fmt.Fprintf(c.stderr, "error: %s: %s\n", r.Sender, printable(r.Message))
			continue
		}
		text := factText(r.Data)
		found[text] = append(found[text], r.Sender)
	}
	s := run.Stats()
	out := screenOn(c.stdout, colored(cl))
	if err := c.show(out, found); err != nil {
		return err
	}
	if !c.asJSON {
		out.finished(s.Responses, s.Discovered, fmt.Sprintf("%.2fs", time.Since(start).Seconds()))
		out.names("No Responses from", s.NoResponse, c.verbose)
	}
	return outcome(run)
}

// factText returns the value in a reply of get_fact: strings raw, others compact JSON.
func factText(data json.RawMessage) string {
	var d struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(data, &d); err != nil || len(d.Value) == 0 || string(d.Value) == "null" {
		return "nil"
	}
	return compactText(d.Value)
}

// show writes what was found in the form asked for.
func (c *factsCommand) show(out *screen, found map[string][]string) error {
	if c.asJSON {
		return writeFactsJSON(out, found)
	}
	var values []factValue
	for _, text := range slices.Sorted(maps.Keys(found)) {
		slices.Sort(found[text])
		values = append(values, factValue{printable(text), found[text]})
	}
	slices.SortStableFunc(values, func(a, b factValue) int { return len(a.nodes) - len(b.nodes) })
	if c.reverse {
		slices.Reverse(values)
	}
	list := c.list || c.verbose
	if c.asTable {
		c.table(out, values, list)
		return nil
	}
	out.printf("Report for fact: %s\n\n", printable(c.fact))
	width := 0
	for _, v := range values {
		width = max(width, len([]rune(v.text)))
	}
	for _, v := range values {
		out.printf("  %s found %d times\n", pad(v.text, width), len(v.nodes))
		if list {
			out.printf("\n    %s\n\n", strings.Join(v.nodes, "\n    "))
		}
	}
	return nil
}

// table writes the values as a table.
func (c *factsCommand) table(out *screen, values []factValue, list bool) {
	t := newTable()
	head := table.Row{"Fact", "Matches"}
	if list {
		head = append(head, "Nodes")
	}
	t.AppendHeader(head)
	for _, v := range values {
		row := table.Row{v.text, len(v.nodes)}
		if list {
			row = append(row, strings.Join(v.nodes, "\n"))
		}
		t.AppendRow(row)
	}
	out.printf("%s\n", t.Render())
}

// writeFactsJSON writes values with their count and nodes.
func writeFactsJSON(out *screen, found map[string][]string) error {
	type entry struct {
		Count int      `json:"count"`
		Nodes []string `json:"identities"`
	}
	report := map[string]entry{}
	for text, nodes := range found {
		slices.Sort(nodes)
		report[text] = entry{len(nodes), nodes}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}
