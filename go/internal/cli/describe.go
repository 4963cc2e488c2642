package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// A describeCommand is one run of the command describe_filter.
type describeCommand struct {
	*env
	filterFlags
}

func addDescribeFilter(e *env, app *kingpin.Application) {
	c := &describeCommand{env: e}
	cmd := app.Command("describe_filter", "Says in words which nodes filter flags choose, and asks nobody.")
	cmd.HelpLong(fmt.Sprintf(`Examples:
  %[1]s describe_filter -W "role::web country=uk" -I /^web/

Exit status:
  0  described
  2  a filter is no good
`, e.name))
	c.filterFlags.add(cmd)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *describeCommand) run() error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	var all []string // of the conditions, which all must hold
	for _, fact := range f.Fact {
		all = append(all, "the fact "+fact.Name+" is "+factWords(fact.Operator, fact.Value))
	}
	for _, class := range f.Class {
		all = append(all, "one of the classes is "+nameWords(class))
	}
	for _, agent := range f.Agent {
		all = append(all, "one of the agents is "+nameWords(agent))
	}
	if len(f.Identity) > 0 {
		names := make([]string, len(f.Identity))
		for i, name := range f.Identity {
			names[i] = nameWords(name)
		}
		all = append(all, "the identity is "+strings.Join(names, " or "))
	}
	for _, compound := range f.Compound {
		all = append(all, "this is true: "+compound.Expr)
	}
	who := "of the main collective"
	if c.collective != "" {
		who = "of the collective " + c.collective
	}
	if len(all) == 0 {
		_, err = fmt.Fprintf(c.stdout, "All nodes %s.\n", printable(who))
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "Nodes %s for which all of this holds:\n\n  %s\n", printable(who), printable(strings.Join(all, "\n  ")))
	return err
}

// factWords says in words what a fact is compared with.
func factWords(operator, value string) string {
	words := map[string]string{
		"==": "equal to %s", "!=": "not equal to %s", "<": "less than %s", ">": "greater than %s",
		"<=": "at most %s", ">=": "at least %s", "=~": "like the regular expression %s",
	}
	return fmt.Sprintf(words[operator], value)
}

// nameWords says in words what a name is compared with.
func nameWords(name string) string {
	if len(name) > 1 && strings.HasPrefix(name, "/") && strings.HasSuffix(name, "/") {
		return "like the regular expression " + name
	}
	return name
}
