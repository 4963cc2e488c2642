package cli

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/lab/bench"
)

// A benchCommand is lab bench.
type benchCommand struct {
	labCommand
	options         bench.Options
	json, csv, plot string
}

func addBench(e *env, group *kingpin.CmdClause) {
	c := &benchCommand{labCommand: labCommand{env: e}}
	cmd := group.Command("bench", `Measures a network of the lab, beside what bare NATS takes, and holds it against the budgets.

A report goes to standard output, and to files of other formats if you name them. Adverse conditions are tried out when you name them: broker-killed, slow-client, stalled-client, vanishing-client, flooding-node, steady, or all of them.

  choria lab bench --nodes 2000
  choria lab bench --nodes 48000 --scenario all --json bench.json --plot bench.svg
  choria lab bench --nodes 500 --no-measure --scenario broker-killed

Exit status:
  0  all budgets are met
  1  a budget is missed, something was lost, or an error`)
	cmd.Flag("nodes", "How many nodes").Default("1000").IntVar(&c.network.Nodes)
	cmd.Flag("brokers", "How many brokers, in one cluster").Default("3").IntVar(&c.network.Brokers)
	c.addFlags(cmd)
	cmd.Flag("repeat", "How often each measurement is made").Default("5").IntVar(&c.options.Repeat)
	cmd.Flag("measure", "Measure what things cost, not only the scenarios").Default("true").BoolVar(&c.options.Measure)
	cmd.Flag("scenario", "Adverse conditions to try; may be given again").PlaceHolder("NAME").EnumsVar(&c.options.Scenarios, append(slices.Clone(bench.Scenarios), "all")...)
	cmd.Flag("json", "File to write the report to as JSON").PlaceHolder("FILE").StringVar(&c.json)
	cmd.Flag("csv", "File to write each single figure to").PlaceHolder("FILE").StringVar(&c.csv)
	cmd.Flag("plot", "File to draw the times to, as SVG").PlaceHolder("FILE").StringVar(&c.plot)
	cmd.Action(c.run)
}

func (c *benchCommand) run(*kingpin.ParseContext) error {
	if err := c.prepare(); err != nil {
		return err
	}
	if c.options.Repeat < 1 || c.options.Repeat > 1000 {
		return fmt.Errorf("lab bench: --repeat %d: want 1 to 1000", c.options.Repeat)
	}
	if slices.Contains(c.options.Scenarios, "all") {
		c.options.Scenarios = bench.Scenarios
	}
	if !c.quiet {
		c.options.Progress = c.env.stderr
	}
	report, err := bench.Run(c.env.ctx, c.network, c.options)
	if err != nil {
		return err
	}
	if err := report.Text(c.env.stdout); err != nil {
		return err
	}
	for _, out := range []struct {
		path  string
		write func(io.Writer) error
	}{{c.json, report.JSON}, {c.csv, report.CSV}, {c.plot, report.SVG}} {
		if err := writeTo(out.path, out.write); err != nil {
			return err
		}
	}
	if len(report.Missed()) > 0 {
		return &exit{code: exitFailed}
	}
	return nil
}

// writeTo writes a file, none when path is empty.
func writeTo(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
