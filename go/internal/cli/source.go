package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/nodes"
)

// ofModule makes d find the nodes that a source of a module knows, as in --dm acme::hosts. Its options are properties of the
// source, apart from modulepath, which says where modules are.
func (e *env) ofModule(d *client.Discovery) error {
	modulepath := modulePath(os.Geteuid())
	properties := map[string]any{}
	for name, value := range d.Options {
		if name == "modulepath" {
			modulepath = playbook.SplitModulepath(value)
			continue
		}
		properties[name] = value
	}
	warn := func(text string) { e.log().Warn("discovery program", "method", d.Method, "says", text) }
	names, err := nodes.Module(e.ctx, modulepath, d.Method, properties, warn)
	if err != nil {
		return withHint(fmt.Errorf("discovery method %s: %w", d.Method, err), "modules are looked for in %s; --do modulepath=PATH names other directories",
			strings.Join(modulepath, ", "))
	}
	// The client takes it from there as any list of names.
	list, err := json.Marshal(append([]string{}, names...))
	if err != nil {
		return err
	}
	e.result = bytes.NewReader(list)
	d.Method, d.Options = "flatfile", map[string]string{"file": "-", "format": "json"}
	return nil
}

// modulePath returns where the packages of Puppet look for modules: those of whoever is logged in, then those of the vendor.
func modulePath(uid int) []string {
	dirs := []string{"/etc/puppetlabs/code/modules", "/etc/puppet/code/modules"}
	if uid != 0 {
		dirs = nil
		if home, err := os.UserHomeDir(); err == nil {
			dirs = []string{filepath.Join(home, ".puppetlabs/etc/code/modules")}
		}
	}
	return append(dirs, "/opt/puppetlabs/puppet/modules", "/usr/share/puppet/modules")
}
