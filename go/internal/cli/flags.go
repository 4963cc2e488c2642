package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/client"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/config"
)

// filterFlags are the flags that say which nodes.
type filterFlags struct {
	facts      []string
	classes    []string
	agents     []string
	identities []string
	combined   []string
	compound   string
	collective string

	method string // how nodes are found: others than the network have languages of their own
}

func (f *filterFlags) add(cmd *kingpin.CmdClause) {
	list := func(name string, short rune, target *[]string, placeholder, help string, aliases ...string) {
		cmd.Flag(name, help).Short(short).PlaceHolder(placeholder).StringsVar(target)
		for _, alias := range aliases {
			cmd.Flag(alias, help).Hidden().StringsVar(target)
		}
	}
	list("wf", 'F', &f.facts, "FACT=VALUE", "Nodes with a fact: NAME OP VALUE, OP being one of = != < > <= >= =~ (repeatable)", "with-fact")
	list("wc", 'C', &f.classes, "CLASS", "Nodes with a class, or with a class that matches /regex/ (repeatable)", "with-class")
	list("wa", 'A', &f.agents, "AGENT", "Nodes with an agent, or with one that matches /regex/ (repeatable)", "with-agent")
	list("wi", 'I', &f.identities, "NAME", "Nodes with that identity, or one that matches /regex/ (repeatable, any may match)", "with-identity")
	list("with", 'W', &f.combined, "FILTERS", "Classes and facts, separated by spaces (repeatable)")
	cmd.Flag("select", "Nodes for which an expression is true, such as 'with(\"os.family=Debian\") and not with(\"role::web\")'").Short('S').PlaceHolder("EXPR").StringVar(&f.compound)
	cmd.Flag("target", "Collective to use in place of the main one").Short('T').PlaceHolder("COLLECTIVE").StringVar(&f.collective)
}

// given reports whether any flag says which nodes.
func (f *filterFlags) given() bool {
	return len(f.facts)+len(f.classes)+len(f.agents)+len(f.identities)+len(f.combined) > 0 || f.compound != ""
}

// filter returns what the flags say.
func (f *filterFlags) filter() (filter.Filter, error) {
	out := filter.Filter{Class: f.classes, Agent: f.agents, Identity: f.identities}
	ours := slices.Contains([]string{"", "mc", client.Broadcast, "inventory"}, f.method)
	if ours {
		if err := f.check(); err != nil {
			return filter.Filter{}, err
		}
	}
	facts := f.facts
	for _, words := range f.combined {
		for _, word := range strings.Fields(words) {
			if _, err := filter.ParseFact(word); err == nil {
				facts = append(facts, word)
			} else {
				out.Class = append(out.Class, word)
			}
		}
	}
	for i, text := range facts {
		option := "-F"
		if i >= len(f.facts) {
			option = "-W"
		}
		fact, err := filter.ParseFact(text)
		if err != nil {
			return filter.Filter{}, &exit{exitValue, fmt.Errorf("%s: %w", option, err)} // which names the value
		}
		if err := fact.Check(); ours && err != nil {
			return filter.Filter{}, badValue(option, text, err)
		}
		out.Fact = append(out.Fact, fact)
	}
	if f.compound != "" {
		out.Compound = []filter.Compound{{Expr: f.compound}}
		if err := out.Compound[0].Validate(); err != nil {
			return filter.Filter{}, withHint(err, `as in 'with("os.family=Debian") and not with("role::web")', or 'mount("/srv").mounted == true'`)
		}
	}
	return out, nil
}

// check returns what is wrong with names and expressions: nodes would leave such a request alone without a word.
func (f *filterFlags) check() error {
	for _, names := range []struct {
		option string
		values []string
	}{{"-C", f.classes}, {"-A", f.agents}, {"-I", f.identities}} {
		for _, value := range names.values {
			if err := filter.CheckName(value); err != nil {
				return badValue(names.option, value, err)
			}
		}
	}
	if f.compound == "" {
		return nil
	}
	if err := filter.CheckExpression(f.compound); err != nil {
		return withHint(badValue("-S", f.compound, err), `an expression is true or false, such as with("os.family=Debian") and fact("processors.count") > 3`)
	}
	return nil
}

// badValue is the error of an option whose value is no good.
func badValue(option, value string, err error) error {
	return &exit{exitValue, fmt.Errorf("%s %q: %w", option, value, err)}
}

// discoveryFlags are the flags that say how nodes are found.
type discoveryFlags struct {
	filterFlags
	options []string
	nodes   string
	timeout seconds
	window  onOff
}

func (d *discoveryFlags) add(cmd *kingpin.CmdClause) {
	d.filterFlags.add(cmd)
	cmd.Flag("dm", "How to find nodes: "+strings.Join(client.Methods(), ", ")+", or a source of a module such as acme::hosts").PlaceHolder("METHOD").StringVar(&d.method)
	cmd.Flag("disc-method", "").Hidden().StringVar(&d.method)
	cmd.Flag("do", "Option of the discovery method (repeatable)").PlaceHolder("KEY=VALUE").StringsVar(&d.options)
	cmd.Flag("disc-option", "").Hidden().StringsVar(&d.options)
	cmd.Flag("nodes", "File with the names of nodes: text, JSON, YAML; - is standard input").PlaceHolder("FILE").StringVar(&d.nodes)
	cmd.Flag("discovery-timeout", "Longest time to wait for nodes to answer a discovery").PlaceHolder("SECONDS").SetValue(&d.timeout)
	cmd.Flag("dt", "").Hidden().SetValue(&d.timeout)
	cmd.Flag("discovery-window", "End a discovery when answers have dried up, which is the default; --no-discovery-window waits the whole time").Default("true").SetValue(&d.window)
}

// addConnection adds the flags of old clients that concern the connection.
func (e *env) addConnection(cmd *kingpin.CmdClause) {
	cmd.Flag("connection-timeout", "How long one attempt to connect to a broker may take").PlaceHolder("SECONDS").SetValue(&e.connectTimeout)
	var ignored seconds
	cmd.Flag("publish_timeout", "Accepted and not needed: requests are sent as fast as the broker takes them").PlaceHolder("SECONDS").SetValue(&ignored)
	cmd.Flag("threaded", "Accepted and always so: replies are received while requests are sent").Bool()
}

// discovery returns what the flags say, for nodes that have agent.
func (d *discoveryFlags) discovery(agent string) (client.Discovery, error) {
	f, err := d.filter()
	if err != nil {
		return client.Discovery{}, err
	}
	if agent != "" {
		f.Agent = append(f.Agent, agent)
	}
	out := client.Discovery{
		Filter:     f,
		Collective: d.collective,
		Method:     d.method,
		Timeout:    time.Duration(d.timeout),
		Fixed:      d.window.off(),
	}
	if d.nodes != "" {
		if d.method != "" && d.method != "flatfile" && d.method != "file" {
			return out, fmt.Errorf("--nodes: cannot be combined with --dm %s", d.method)
		}
		out.Method = "flatfile"
		out.Options = map[string]string{"file": d.nodes}
	}
	for _, pair := range d.options {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return out, fmt.Errorf("--do %q: want key=value", pair)
		}
		if out.Options == nil {
			out.Options = map[string]string{}
		}
		out.Options[key] = value
	}
	return out, nil
}

// seconds is a flag that takes a number of seconds, or a duration with a unit.
type seconds time.Duration

func (s *seconds) String() string { return "" }

// Set implements kingpin.Value.
func (s *seconds) Set(text string) error {
	d, err := config.ParseDuration(text)
	if n, ferr := strconv.ParseFloat(text, 64); ferr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q: want a number of seconds, or a duration such as 500ms or 2m", text)
	}
	*s = seconds(d)
	return nil
}

// onOff is a switch that knows whether it was given.
type onOff string

func (o *onOff) String() string   { return string(*o) }
func (o *onOff) IsBoolFlag() bool { return true }
func (o *onOff) off() bool        { return *o == "false" }

// Set implements kingpin.Value.
func (o *onOff) Set(text string) error {
	*o = onOff(text)
	return nil
}
