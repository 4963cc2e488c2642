package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/client"
)

// A findCommand is one run of the command find.
type findCommand struct {
	*env
	discoveryFlags

	asJSON  bool
	verbose bool
	silent  bool
}

func addFind(e *env, app *kingpin.Application) {
	c := &findCommand{env: e}
	cmd := app.Command("find", "Finds nodes and prints their names.").Alias("discover")
	cmd.HelpLong(fmt.Sprintf(`Examples:
  %[1]s find -F country=uk -C role::web
  %[1]s find -S 'fact("memorysize_mb") > 4096 and not with("role::db")'
  %[1]s find --dm inventory --do file=nodes.yaml -I group:web
  %[1]s find -j | jq length

Exit status:
  0  nodes were found; with --json also when there are none, [] being the answer then
  1  an error, or no nodes were found
`, e.name))
	c.discoveryFlags.add(cmd)
	c.addConnection(cmd)
	cmd.Flag("json", "A JSON array").Short('j').BoolVar(&c.asJSON)
	cmd.Flag("verbose", "Tell how they were found").Short('v').BoolVar(&c.verbose)
	cmd.Flag("silent", "Only the names, whatever else is asked for").BoolVar(&c.silent)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *findCommand) run() error {
	d, err := c.discovery("")
	if err != nil {
		return err
	}
	if err := c.chain(&d, c.given()); err != nil {
		return err
	}
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	verbose := c.verbose && !c.silent && !c.asJSON
	if verbose {
		fmt.Fprintf(c.stdout, "Discovering nodes using the %s method .... ", cl.Method(d))
	}
	start := time.Now()
	names, err := cl.Discover(c.ctx, d)
	if err != nil {
		if verbose {
			fmt.Fprintln(c.stdout) // the message has its own line
		}
		return err
	}
	if c.asJSON {
		if names == nil {
			names = []string{}
		}
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(names)
	}
	if verbose {
		fmt.Fprintf(c.stdout, "%d\n\n", len(names))
	}
	for _, name := range names {
		fmt.Fprintln(c.stdout, name)
	}
	if verbose {
		fmt.Fprintf(c.stdout, "\nDiscovered %d nodes using the %s method in %.2f seconds\n", len(names), cl.Method(d), time.Since(start).Seconds())
	}
	if len(names) == 0 {
		if c.silent {
			return &exit{code: exitFailed}
		}
		return noNodes(client.Discovery{Filter: d.Filter})
	}
	return nil
}
