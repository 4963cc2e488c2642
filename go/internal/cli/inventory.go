package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/tidwall/pretty"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

// An inventoryCommand is one run of the command inventory.
type inventoryCommand struct {
	*env
	discoveryFlags

	node        string
	collectives bool
	facts       bool
}

func addInventory(e *env, app *kingpin.Application) {
	c := &inventoryCommand{env: e, facts: true}
	cmd := app.Command("inventory", "Shows what a node is: versions, statistics, agents, classes and facts.")
	cmd.HelpLong(fmt.Sprintf(`Examples:
  %[1]s inventory web1.example.net
  %[1]s inventory web1.example.net --no-facts
  %[1]s inventory --collectives

Exit status:
  0  shown
  1  an error, or the node did not answer
`, e.name))
	cmd.Arg("node", "Identity of the node").StringVar(&c.node)
	c.discoveryFlags.add(cmd)
	c.addConnection(cmd)
	cmd.Flag("collectives", "Report the collectives of all nodes instead").BoolVar(&c.collectives)
	cmd.Flag("lc", "").Hidden().BoolVar(&c.collectives)
	cmd.Flag("list-collectives", "").Hidden().BoolVar(&c.collectives)
	cmd.Flag("facts", "Show facts").Default("true").BoolVar(&c.facts)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *inventoryCommand) run() error {
	if c.node == "" && !c.collectives {
		return withHint(fmt.Errorf("inventory: want the identity of a node, or --collectives"), "%s find lists all nodes", c.name)
	}
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	out := screenOn(c.stdout, colored(cl))
	if c.collectives {
		return c.reportCollectives(cl, out)
	}
	return c.reportNode(cl, out)
}

// A nodeInventory is the reply of rpcutil#inventory.
type nodeInventory struct {
	Agents         []string        `json:"agents"`
	Facts          json.RawMessage `json:"facts"`
	Classes        []string        `json:"classes"`
	Version        string          `json:"version"`
	MainCollective string          `json:"main_collective"`
	Collectives    []string        `json:"collectives"`
	Machines       []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		State   string `json:"state"`
	} `json:"machines"`
	Upgradable bool `json:"upgradable"`
}

// nodeStats is the reply of rpcutil#daemon_stats.
type nodeStats struct {
	Version    string `json:"version"`
	StartTime  int64  `json:"starttime"`
	ConfigFile string `json:"configfile"`
	PID        int    `json:"pid"`
	Total      int64  `json:"total"`
	Passed     int64  `json:"passed"`
	Filtered   int64  `json:"filtered"`
	Expired    int64  `json:"ttlexpired"`
	Replies    int64  `json:"replies"`
	Events     int64  `json:"events"`
}

// ask runs an action on the node and decodes its reply.
func (c *inventoryCommand) ask(cl *client.Client, action string, into any) error {
	run, err := cl.Start(c.ctx, client.Request{Agent: "rpcutil", Action: action, Nodes: []string{c.node}, Collective: c.collective})
	if err != nil {
		return err
	}
	var failed error
	for r := range run.Replies() {
		if r.Status != agent.OK {
			failed = fmt.Errorf("%s: rpcutil#%s: %s", c.node, action, r.Message)
		} else if err := json.Unmarshal(r.Data, into); err != nil {
			failed = fmt.Errorf("%s: reply of rpcutil#%s: %w", c.node, action, err)
		}
	}
	switch s := run.Stats(); {
	case run.Err() != nil:
		return run.Err()
	case len(s.Absent) > 0:
		return withHint(fmt.Errorf("%s: no such node is connected", c.node), "%s find lists the nodes that are", c.name)
	case len(s.NoResponse) > 0:
		return fmt.Errorf("%s: did not answer within %v", c.node, s.RequestTime.Round(time.Millisecond))
	}
	return failed
}

func (c *inventoryCommand) reportNode(cl *client.Client, out *screen) error {
	var stats nodeStats
	if err := c.ask(cl, "daemon_stats", &stats); err != nil {
		return err
	}
	var inv nodeInventory
	if err := c.ask(cl, "inventory", &inv); err != nil {
		return err
	}
	out.printf("Inventory for %s\n\n", c.node)
	inv.statistics(out, stats)
	section := func(title string) { out.printf("  %s:\n\n", out.paint(white, title)) }

	section("Agents")
	slices.Sort(inv.Agents)
	out.columns(inv.Agents, 3, 15)
	section("Tagged Classes")
	slices.Sort(inv.Classes)
	out.columns(inv.Classes, 2, min(40, longest(inv.Classes)))
	if len(inv.Machines) > 0 {
		section("Autonomous Agents")
		w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		for _, m := range inv.Machines {
			fmt.Fprintf(w, "    %s\t%s\t%s\n", printable(m.Name), printable(m.Version), printable(m.State))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		out.printf("\n")
	}
	if c.facts {
		section("Facts")
		facts := pretty.PrettyOptions(inv.Facts, &pretty.Options{Width: 80, Prefix: "    ", Indent: "  ", SortKeys: true})
		out.printf("%s\n\n", printable(strings.TrimRight(string(facts), "\n")))
	}
	return nil
}

// statistics writes the first section.
func (inv *nodeInventory) statistics(out *screen, s nodeStats) {
	version := inv.Version
	if version == "" {
		version = s.Version
	}
	if inv.Upgradable {
		version += " (a newer version is available)"
	}
	out.printf("  %s:\n\n", out.paint(white, "Choria Server Statistics"))
	line := func(label, value string) { out.printf("%s: %s\n", padLeft(label, 27), printable(value)) }
	count := func(label string, n int64) { line(label, strconv.FormatInt(n, 10)) }
	line("Version", version)
	line("Start Time", time.Unix(s.StartTime, 0).UTC().Format("2006-01-02 15:04:05 -0700 MST"))
	line("Config File", s.ConfigFile)
	line("Collectives", strings.Join(inv.Collectives, ", "))
	line("Main Collective", inv.MainCollective)
	line("Process ID", strconv.Itoa(s.PID))
	count("Total Messages", s.Total)
	count("Messages Passed Filters", s.Passed)
	count("Messages Filtered", s.Filtered)
	count("Expired Messages", s.Expired)
	count("Replies Sent", s.Replies)
	count("Events Published", s.Events)
	out.printf("\n")
}

// columns writes names in n columns, down the first, then down the next.
func (s *screen) columns(names []string, n, width int) {
	rows := (len(names) + n - 1) / n
	for row := range rows {
		cells := make([]string, n)
		for col := range n {
			name := ""
			if i := col*rows + row; i < len(names) {
				name = printable(names[i])
			}
			cells[col] = pad(name, width)
		}
		s.printf("    %s\n", strings.Join(cells, " "))
	}
	s.printf("\n")
}

func longest(names []string) int {
	width := 0
	for _, name := range names {
		width = max(width, len([]rune(name)))
	}
	return width
}

// reportCollectives counts the nodes of each collective.
func (c *inventoryCommand) reportCollectives(cl *client.Client, out *screen) error {
	if c.node != "" {
		c.identities = append(c.identities, c.node)
	}
	nodes, filter, err := c.findNodes(cl, &c.discoveryFlags, "rpcutil")
	if err != nil {
		return err
	}
	run, err := cl.Start(c.ctx, client.Request{Agent: "rpcutil", Action: "collective_info", Nodes: nodes, Filter: filter, Collective: c.collective})
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for r := range run.Replies() {
		var info struct {
			Collectives []string `json:"collectives"`
		}
		if r.Status != agent.OK || json.Unmarshal(r.Data, &info) != nil {
			fmt.Fprintf(c.stderr, "error: %s: %s\n", r.Sender, printable(r.Message))
			continue
		}
		for _, name := range info.Collectives {
			counts[printable(name)]++
		}
	}
	names := slices.Sorted(maps.Keys(counts))
	slices.SortStableFunc(names, func(a, b string) int { return counts[b] - counts[a] })
	t := newTable()
	title := fmt.Sprintf("Collective Report for %d nodes", run.Stats().Responses)
	t.SetTitle(title)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, WidthMin: len(title) - len("Nodes")}}) // so that the title fits
	t.AppendHeader(table.Row{"Collective", "Nodes"})
	for _, name := range names {
		t.AppendRow(table.Row{name, counts[name]})
	}
	out.printf("%s\n", t.Render())
	out.names("No Responses from", run.Stats().NoResponse, false)
	return outcome(run)
}
