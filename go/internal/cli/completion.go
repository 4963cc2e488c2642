package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/client"
)

//go:embed completion.bash
var bashCompletion string

//go:embed completion.zsh
var zshCompletion string

//go:embed completion.fish
var fishCompletion string

// A completionCommand is one run of the command completion.
type completionCommand struct {
	*env

	list   string
	agent  string
	action string

	playbook   string
	modulepath string

	bash bool
	zsh  bool
	fish bool
}

func addCompletion(e *env, app *kingpin.Application) {
	c := &completionCommand{env: e}
	cmd := app.Command("completion", "Prints what makes a shell complete commands, agents, actions, inputs and playbooks.")
	cmd.HelpLong(fmt.Sprintf(`Examples:
  %[1]s completion --bash > /etc/bash_completion.d/%[1]s
  %[1]s completion --zsh > /usr/share/zsh/site-functions/_%[1]s
  %[1]s completion --fish > ~/.config/fish/completions/%[1]s.fish
`, e.name))
	cmd.Flag("bash", "The completion script for bash").BoolVar(&c.bash)
	cmd.Flag("zsh", "The completion script for zsh; with --list, descriptions too").BoolVar(&c.zsh)
	cmd.Flag("fish", "The completion script for fish; with --list, descriptions too").BoolVar(&c.fish)
	cmd.Flag("list", "").Hidden().EnumVar(&c.list, "agents", "actions", "inputs", "playbooks", "options")
	cmd.Flag("agent", "").Hidden().StringVar(&c.agent)
	cmd.Flag("action", "").Hidden().StringVar(&c.action)
	cmd.Flag("playbook", "").Hidden().StringVar(&c.playbook)
	cmd.Flag("modulepath", "").Hidden().StringVar(&c.modulepath)
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *completionCommand) run() error {
	switch {
	case c.list == "playbooks" || c.list == "options":
		return c.listPlaybooks()
	case c.list != "":
		return c.listNames()
	case c.bash:
		c.script(bashCompletion)
	case c.zsh:
		c.script(zshCompletion)
	case c.fish:
		c.script(fishCompletion)
	default:
		return errors.New("completion: want --bash, --zsh or --fish")
	}
	return nil
}

// script prints a script for the name that we are called by.
func (c *completionCommand) script(text string) {
	fmt.Fprint(c.stdout, strings.ReplaceAll(text, "PROGRAM", c.name))
}

// listNames prints what can stand at one place of a command line.
func (c *completionCommand) listNames() error {
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	names, err := c.candidates(cl)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch {
		case c.zsh:
			fmt.Fprintf(c.stdout, "%s:%s\n", name, firstLine(names[name]))
		case c.fish && c.list == "inputs":
			fmt.Fprintf(c.stdout, "%s=\t%s\n", name, firstLine(names[name]))
		case c.fish:
			fmt.Fprintf(c.stdout, "%s\t%s\n", name, firstLine(names[name]))
		default:
			fmt.Fprintln(c.stdout, name)
		}
	}
	return nil
}

// candidates returns names with their descriptions.
func (c *completionCommand) candidates(cl *client.Client) (map[string]string, error) {
	names := map[string]string{}
	if c.list == "agents" {
		all, _ := cl.DDLs() // a description that is wrong must not keep the others from being completed
		for _, d := range all {
			names[d.Metadata.Name] = d.Metadata.Description
		}
		return names, nil
	}
	if c.agent == "" {
		return nil, fmt.Errorf("completion --list %s: want --agent", c.list)
	}
	d, err := cl.DDL(c.agent)
	if err != nil {
		return nil, err
	}
	if c.list == "actions" {
		for _, a := range d.Actions {
			names[a.Name] = a.Description
		}
		return names, nil
	}
	a := d.Action(c.action)
	if a == nil {
		return nil, fmt.Errorf("agent %q: no action %q", c.agent, c.action)
	}
	for name, in := range a.Input {
		names[name] = in.Description
	}
	return names, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
