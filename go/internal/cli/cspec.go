package cli

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/cspec"
)

// exampleSuites are the modules that cspec init writes.
//
//go:embed cspec
var exampleSuites embed.FS

// A cspecCommand is one run of a command below cspec.
type cspecCommand struct {
	*env

	dir        string
	data       string
	report     string
	modulepath string
	loglevel   string
	only       []string
	failFast   bool
	prePost    bool
	junit      string
	tap        string
	html       string
	prometheus string
}

func addCspec(e *env, app *kingpin.Application) {
	c := &cspecCommand{env: e}
	cmd := app.Command("cspec", "Tests the whole network with suites written as playbooks.")
	cmd.HelpLong(fmt.Sprintf(`Examples:
  %[1]s cspec init specs
  %[1]s cspec run specs/suite.yaml --html report.html
  %[1]s cspec run specs/suite.yaml --only quick
  %[1]s cspec report cspec.json --junit junit.xml --tap=-

Exit status:
  0  all cases passed
  1  a case failed, or an error
  2  the data file or the report is of no use; nothing was run
  3  there is no usable Puppet
`, e.name))

	init := cmd.Command("init", "Writes a data file for this network and a module with a first suite.")
	init.Arg("dir", "Where to write them").Default("cspec").StringVar(&c.dir)
	init.Action(func(*kingpin.ParseContext) error { return c.init() })

	run := cmd.Command("run", "Runs the suites that a data file lists.")
	run.Arg("data", "The data file").Default("suite.yaml").StringVar(&c.data)
	run.Flag("report", "The report, a JSON file").PlaceHolder("FILE").Default("cspec.json").StringVar(&c.report)
	run.Flag("modulepath", "Directories of modules, separated by colons; otherwise modules beside the data file, if there is such a directory").
		PlaceHolder("PATH").StringVar(&c.modulepath)
	run.Flag("only", "Run only cases with this tag; may be given repeatedly").PlaceHolder("TAG").StringsVar(&c.only)
	run.Flag("fail-fast", "End with the first assertion that fails").BoolVar(&c.failFast)
	run.Flag("pre-post", "Disable the Puppet agent everywhere before, and enable it after").BoolVar(&c.prePost)
	run.Flag("loglevel", "Which lines to show, as in playbook run").PlaceHolder("LEVEL").Default("info").StringVar(&c.loglevel)
	run.Action(func(*kingpin.ParseContext) error { return c.guarded(c.run) })

	report := cmd.Command("report", "Turns a report into other formats.")
	report.Arg("report", "The report, a JSON file").Required().StringVar(&c.report)
	report.Action(func(*kingpin.ParseContext) error { return c.convert() })

	for _, sub := range []*kingpin.CmdClause{run, report} {
		sub.Flag("junit", "Write JUnit XML").PlaceHolder("FILE").StringVar(&c.junit)
		sub.Flag("tap", "Write the Test Anything Protocol").PlaceHolder("FILE").StringVar(&c.tap)
		sub.Flag("html", "Write one self-contained HTML page").PlaceHolder("FILE").StringVar(&c.html)
		sub.Flag("prometheus", "Write metrics for the textfile collector of node_exporter").PlaceHolder("FILE").StringVar(&c.prometheus)
	}
}

// init writes what a first run needs. Nothing that exists is overwritten.
func (c *cspecCommand) init() error {
	data := filepath.Join(c.dir, "suite.yaml")
	if _, err := os.Lstat(data); err == nil {
		return withHint(fmt.Errorf("%s: exists already", data), "%s cspec init DIR writes to another directory", c.name)
	}
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	names, err := cl.Discover(c.ctx, client.Discovery{})
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return noNodes(client.Discovery{})
	}
	text, err := suiteData(names)
	if err != nil {
		return err
	}
	modules, err := fs.Sub(exampleSuites, "cspec")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fmt.Errorf("directory %s: %w", c.dir, err)
	}
	if err := os.CopyFS(filepath.Join(c.dir, "modules"), modules); err != nil {
		return fmt.Errorf("directory %s: %w", c.dir, err)
	}
	if err := create(data, text); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Wrote %s, for %d nodes, and the module network beside it. Run it:\n\n  %s cspec run %s\n", data, len(names), c.name, data)
	return nil
}

// suiteData is the data file of a network with these nodes.
func suiteData(nodes []string) (string, error) {
	var b strings.Builder
	b.WriteString("# What cspec run tests. A suite is a playbook of a module in modules/, or one of the bundled ones, such as\n" +
		"# cspec::agents::filemgr.\nsuites:\n  - network::basics\n\n# The nodes that the network should have.\nnetwork.nodes:\n")
	for _, name := range nodes {
		quoted, err := json.Marshal(name) // is YAML too, whatever the name
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  - %s\n", quoted)
	}
	return b.String(), nil
}

// create writes a file that does not exist yet.
func create(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// run runs cspec::suite, and writes the other formats whether or not a case failed.
func (c *cspecCommand) run(abort <-chan struct{}) error {
	args := []string{"cspec::suite", "--loglevel", c.loglevel, "--param", "data=" + c.data, "--param", "report=" + c.report}
	if c.modulepath == "" {
		beside := filepath.Join(filepath.Dir(c.data), "modules")
		if st, err := os.Stat(beside); err == nil && st.IsDir() {
			c.modulepath = beside
		}
	}
	if c.modulepath != "" {
		args = append(args, "--modulepath", c.modulepath)
	}
	input, err := json.Marshal(map[string]any{"only": append([]string{}, c.only...), "fail_fast": c.failFast, "pre_post": c.prePost})
	if err != nil {
		return err
	}
	p := &playbookCommand{env: c.env, abort: abort}
	ran := p.exit(p.run(append(args, "--input", string(input))))
	if _, err := os.Stat(c.report); err != nil && ran != nil {
		return ran // which says why there is no report
	}
	if err := c.formats(); err != nil {
		return errors.Join(ran, err)
	}
	return ran
}

func (c *cspecCommand) convert() error {
	if !c.wanted() {
		return withHint(errors.New("report: want a format to write"), "--junit FILE, --tap FILE, --html FILE or --prometheus FILE; --tap=- writes to standard output")
	}
	return c.formats()
}

// wanted reports whether a format was asked for.
func (c *cspecCommand) wanted() bool {
	return c.junit != "" || c.tap != "" || c.html != "" || c.prometheus != ""
}

// formats writes the formats that were asked for.
func (c *cspecCommand) formats() error {
	if !c.wanted() {
		return nil
	}
	r, err := cspec.Read(c.report)
	if err != nil {
		return err
	}
	return errors.Join(c.format(c.junit, r.JUnit), c.format(c.tap, r.TAP), c.format(c.html, r.HTML), c.metrics(r))
}

// format writes one format to a file; - is standard output, and nothing is written to no file.
func (c *cspecCommand) format(path string, write func(io.Writer) error) error {
	switch path {
	case "":
		return nil
	case "-":
		return write(c.stdout)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return errors.Join(write(f), f.Close())
}

// metrics writes the metrics. Who collects them may look at any time, and never sees half a file.
func (c *cspecCommand) metrics(r cspec.Report) error {
	if c.prometheus == "" || c.prometheus == "-" {
		return c.format(c.prometheus, r.Prometheus)
	}
	next := c.prometheus + ".new" // a name that the collector leaves alone
	if err := c.format(next, r.Prometheus); err != nil {
		os.Remove(next) // which may not be there
		return err
	}
	if err := os.Rename(next, c.prometheus); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
