package cli

import (
	"fmt"

	"choria.io/choria/go/internal/playbook"
)

// listPlaybooks prints the names of playbooks, or the options of running one: its parameters, and what every run
// takes.
func (c *completionCommand) listPlaybooks() error {
	return c.guarded(c.printPlaybooks)
}

func (c *completionCommand) printPlaybooks(abort <-chan struct{}) error {
	p := &playbookCommand{env: c.env, modulepath: c.modulepath, abort: abort}
	s := p.session(c.playbook, p.path(), playbook.Err, true)
	defer s.Close()
	ready, err := p.start(s)
	if c.list == "playbooks" {
		if err != nil {
			return err
		}
		names, _ := playbook.List(ready.Modulepath, "")
		for _, name := range names {
			fmt.Fprintln(c.stdout, name)
		}
		return nil
	}
	// A playbook that is not there yet, or not right, must not keep the other options from being completed.
	var sig *playbook.Signature
	if err == nil {
		sig = ready.Plan
	}
	for _, name := range playbook.OptionNames(sig) {
		fmt.Fprintln(c.stdout, name)
	}
	return nil
}
