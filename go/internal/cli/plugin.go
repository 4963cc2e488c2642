package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/rubyagent"
)

// A pluginCommand is one run of plugin doc or plugin list. It needs neither keys nor a connection,
// and without a configuration it knows what is built in.
type pluginCommand struct {
	*env
	plugin   string
	asJSON   bool
	markdown bool
}

func addPlugin(e *env, app *kingpin.Application) {
	cmd := app.Command("plugin", "Shows what agents and data plugins there are and how they are used.")

	d := &pluginCommand{env: e}
	doc := cmd.Command("doc", "Shows the actions of an agent with their inputs and outputs, or lists the plugins.")
	doc.HelpLong(fmt.Sprintf(`Agents are described by files NAME.json below choria/agent and mcollective/agent of the directories of libdir;
data plugins likewise. Those of the project are built in.

Examples:
  %[1]s plugin doc                    names and purposes
  %[1]s plugin doc rpcutil            all about an agent
  %[1]s plugin doc data/config_item   all about a data plugin
  %[1]s plugin doc rpcutil -j         the description itself
  %[1]s plugin doc rpcutil -m         as Markdown

Exit status: 1 when there is no such plugin.
`, e.name))
	doc.Arg("name", "Name of the plugin, with agent/ or data/ before it where both have it").PlaceHolder("NAME").StringVar(&d.plugin)
	doc.Flag("json", "As JSON").Short('j').BoolVar(&d.asJSON)
	doc.Flag("markdown", "As Markdown").Short('m').BoolVar(&d.markdown)
	doc.Action(func(*kingpin.ParseContext) error { return d.doc() })

	l := &pluginCommand{env: e}
	list := cmd.Command("list", "Lists agents and data plugins with their versions.")
	list.Flag("json", "As JSON").Short('j').BoolVar(&l.asJSON)
	list.Action(func(*kingpin.ParseContext) error { return l.list() })

	addPluginFiles(e, cmd)
}

// finder returns where descriptions are.
func (c *pluginCommand) finder() (*ddl.Finder, error) {
	cfg, err := config.LoadClient(c.config)
	if err != nil {
		if c.config == "" && errors.Is(err, fs.ErrNotExist) {
			return &ddl.Finder{Builtin: ddl.Builtin()}, nil // nobody has configured anything yet
		}
		return nil, err
	}
	return rubyagent.Finder(cfg, nil), nil
}

// warn tells of descriptions that are wrong and do not keep the others from being shown.
func (c *pluginCommand) warn(err error) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(c.stderr, "warning:", printable(line))
	}
}

// all returns all descriptions.
func (c *pluginCommand) all() ([]*ddl.Agent, []*ddl.Data, error) {
	f, err := c.finder()
	if err != nil {
		return nil, nil, err
	}
	agents, err := f.Agents()
	c.warn(err)
	data, err := f.Data()
	c.warn(err)
	return agents, data, nil
}

func (c *pluginCommand) doc() error {
	if c.plugin == "" {
		return c.known()
	}
	plugin, err := c.find()
	if err != nil {
		return err
	}
	switch {
	case c.asJSON:
		return c.json(plugin)
	case c.markdown:
		return c.asMarkdown(plugin)
	}
	c.asText(plugin)
	return nil
}

// find returns the description, a *ddl.Agent or a *ddl.Data, that the name is of.
func (c *pluginCommand) find() (any, error) {
	kind, name, ok := strings.Cut(c.plugin, "/")
	if !ok {
		kind, name = "", c.plugin
	}
	if kind != "" && kind != "agent" && kind != "data" {
		return nil, withHint(fmt.Errorf("plugin %q: no such kind of plugin", c.plugin), "name it agent/%[1]s or data/%[1]s", name)
	}
	f, err := c.finder()
	if err != nil {
		return nil, err
	}
	var missing *ddl.NotFoundError
	if kind != "data" {
		agent, err := f.Agent(name)
		if err == nil {
			return agent, nil
		}
		if !errors.As(err, &missing) {
			return nil, err
		}
	}
	var data []*ddl.Data
	if kind != "agent" {
		data, err = f.Data()
		c.warn(err)
		for _, d := range data {
			if d.Metadata.Name == name {
				return d, nil
			}
		}
	}

	var names []string
	if kind != "data" {
		agents, _ := f.Agents()
		for _, a := range agents {
			names = append(names, a.Metadata.Name)
		}
	}
	for _, d := range data {
		names = append(names, d.Metadata.Name)
	}
	err = error(missing)
	if missing == nil {
		err = fmt.Errorf("data plugin %q: no description found", name)
	}
	if near := nearest(name, names); near != "" {
		return nil, withHint(err, "did you mean %s?", near)
	}
	return nil, withHint(err, "%s plugin doc lists what there is", c.name)
}

// known lists names and purposes.
func (c *pluginCommand) known() error {
	agents, data, err := c.all()
	if err != nil {
		return err
	}
	purposes := map[string]map[string]string{"agent": {}, "data": {}}
	for _, a := range agents {
		purposes["agent"][a.Metadata.Name] = a.Metadata.Description
	}
	for _, d := range data {
		purposes["data"][d.Metadata.Name] = d.Metadata.Description
	}
	if c.asJSON {
		return c.json(purposes)
	}
	out := c.screen()
	if c.markdown {
		for _, m := range metadataOf(agents, data) {
			out.printf("* **%s**: %s\n", markdown(m.name()), markdown(m.Description))
		}
		return nil
	}
	out.printf("Known Plugins:\n\n  Agents:\n\n")
	for _, a := range agents {
		out.purpose(a.Metadata)
	}
	out.printf("\n  Data Providers:\n\n")
	for _, d := range data {
		out.purpose(d.Metadata)
	}
	out.printf("\n")
	return nil
}

func (s *screen) purpose(m ddl.Metadata) {
	pad := strings.Repeat(" ", max(0, 20-len(m.Name)))
	s.printf("%s%s: %s\n", pad, s.paint(bold, m.Name), printable(m.Description))
}

// A listed is one line of plugin list.
type listed struct {
	Type        string `json:"type"` // agent or data
	Name        string `json:"name"`
	Version     string `json:"version"`
	Provider    string `json:"provider"`
	Description string `json:"description"`
}

func (l listed) name() string { return l.Type + "/" + l.Name }

// metadataOf returns a line for each plugin.
func metadataOf(agents []*ddl.Agent, data []*ddl.Data) []listed {
	all := make([]listed, 0, len(agents)+len(data))
	add := func(kind string, m ddl.Metadata) {
		all = append(all, listed{kind, m.Name, m.Version, provider(m), m.Description})
	}
	for _, a := range agents {
		add("agent", a.Metadata)
	}
	for _, d := range data {
		add("data", d.Metadata)
	}
	return all
}

// provider is who runs a plugin: Ruby when nobody is named.
func provider(m ddl.Metadata) string {
	if m.Provider == "" {
		return "ruby"
	}
	return m.Provider
}

func (c *pluginCommand) list() error {
	agents, data, err := c.all()
	if err != nil {
		return err
	}
	all := metadataOf(agents, data)
	if c.asJSON {
		return c.json(all)
	}
	rows := [][]string{{"Type", "Name", "Version", "Provider", "Description"}}
	for _, l := range all {
		rows = append(rows, []string{l.Type, l.Name, l.Version, l.Provider, l.Description})
	}
	var widths [4]int
	for _, row := range rows {
		for i := range widths {
			row[i] = printable(row[i])
			widths[i] = max(widths[i], len(row[i]))
		}
	}
	out := c.screen()
	for _, row := range rows {
		for i, w := range widths {
			out.printf("%-*s  ", w, row[i])
		}
		out.printf("%s\n", printable(row[4]))
	}
	return nil
}

func (c *pluginCommand) screen() *screen { return screenOn(c.stdout, true) }

func (c *pluginCommand) json(v any) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
