package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/filter"
)

// inventory matches filters against nodes described in a JSON or YAML file. Options: file, otherwise
// plugin.choria.discovery.inventory.source; novalidate, true to accept a file with mistakes in parts
// that are not needed.
var inventory = Method{
	Name:    "inventory",
	Options: []string{"file", "novalidate"},
	Find:    findInInventory,
}

// An inventoryFile is the document of
// https://choria.io/schemas/choria/discovery/v1/inventory_file.json.
type inventoryFile struct {
	Groups []inventoryGroup `json:"groups"`
	Nodes  []inventoryNode  `json:"nodes"`
}

type inventoryGroup struct {
	Name   string `json:"name"`
	Filter struct {
		Agents     []string `json:"agents"`
		Classes    []string `json:"classes"`
		Facts      []string `json:"facts"`
		Identities []string `json:"identities"`
		Compound   string   `json:"compound"`
	} `json:"filter"`
}

type inventoryNode struct {
	Name        string          `json:"name"`
	Collectives []string        `json:"collectives"`
	Facts       json.RawMessage `json:"facts"`
	Classes     []string        `json:"classes"`
	Agents      []string        `json:"agents"`
}

func findInInventory(_ context.Context, env *Env, q Query) ([]string, error) {
	path := q.Options["file"]
	if path == "" {
		path = env.setting("plugin.choria.discovery.inventory.source")
	}
	if path == "" {
		return nil, errors.New("no file given: want the option file=PATH or plugin.choria.discovery.inventory.source")
	}
	inv, err := readInventory(expand(path))
	if err != nil {
		return nil, err
	}
	lax, _ := strconv.ParseBool(q.Options["novalidate"])
	if !lax {
		if err := inv.validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	groups, err := groupNames(q.Filter)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return inv.match(q.Filter, q.Collective)
	}
	var names []string
	for _, name := range groups {
		found, err := inv.group(name, q.Filter.Agent)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

// readInventory reads the file at path, YAML unless it ends in json.
func readInventory(path string) (*inventoryFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) != ".json" {
		if data, err = yaml.YAMLToJSON(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	var inv inventoryFile
	if err := json.Unmarshal(data, &inv); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &inv, nil
}

// validate returns the first thing that is wrong with the file.
func (inv *inventoryFile) validate() error {
	seen := map[string]bool{}
	for i, n := range inv.Nodes {
		switch {
		case !ValidName(n.Name):
			return fmt.Errorf("node %d: %q is no host name", i+1, n.Name)
		case seen[n.Name]:
			return fmt.Errorf("node %q: listed twice", n.Name)
		case len(n.Facts) > 0 && n.Facts[0] != '{' && string(n.Facts) != "null":
			return fmt.Errorf("node %q: facts is no map", n.Name)
		}
		seen[n.Name] = true
	}
	for i, g := range inv.Groups {
		if g.Name == "" || strings.Trim(g.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return fmt.Errorf("group %d: %q is no group name: want letters, digits, _ and -", i+1, g.Name)
		}
		if _, err := g.filter(); err != nil {
			return fmt.Errorf("group %q: %w", g.Name, err)
		}
	}
	return nil
}

// groupNames returns the groups that identity filters of the form group:NAME ask for. They cannot be
// mixed with others, since a group is a whole filter.
func groupNames(f filter.Filter) ([]string, error) {
	var groups []string
	for _, id := range f.Identity {
		if name, ok := strings.CutPrefix(id, "group:"); ok {
			groups = append(groups, name)
		}
	}
	if len(groups) == 0 {
		return nil, nil
	}
	if len(groups) < len(f.Identity) || len(f.Class)+len(f.Fact)+len(f.Compound) > 0 || len(f.Agent) > 1 {
		return nil, errors.New("identity group:NAME is a whole filter, which cannot be combined with others")
	}
	return groups, nil
}

// group returns the nodes that the stored filter of that name matches and that have agents. Groups
// span collectives.
func (inv *inventoryFile) group(name string, agents []string) ([]string, error) {
	i := slices.IndexFunc(inv.Groups, func(g inventoryGroup) bool { return g.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("group %q: not in the inventory", name)
	}
	f, err := inv.Groups[i].filter()
	if err != nil {
		return nil, fmt.Errorf("group %q: %w", name, err)
	}
	f.Agent = append(f.Agent, agents...)
	return inv.match(f, "")
}

// filter returns the filter that the group stores.
func (g *inventoryGroup) filter() (filter.Filter, error) {
	f := filter.Filter{Agent: slices.Clone(g.Filter.Agents), Class: g.Filter.Classes, Identity: g.Filter.Identities}
	for _, text := range g.Filter.Facts {
		fact, err := filter.ParseFact(text)
		if err != nil {
			return filter.Filter{}, err
		}
		f.Fact = append(f.Fact, fact)
	}
	if g.Filter.Compound != "" {
		f.Compound = []filter.Compound{{Expr: g.Filter.Compound}}
	}
	return f, nil
}

// match returns the nodes of collective, or of any when that is empty, that f is for.
func (inv *inventoryFile) match(f filter.Filter, collective string) ([]string, error) {
	var names []string
	for _, n := range inv.Nodes {
		if collective != "" && len(n.Collectives) > 0 && !slices.Contains(n.Collectives, collective) {
			continue
		}
		facts := n.Facts
		if len(facts) == 0 || string(facts) == "null" {
			facts = json.RawMessage("{}")
		}
		ok, err := f.Match(&filter.Node{
			Identity: n.Name,
			Agents:   func() []string { return n.Agents },
			Classes:  func() []string { return n.Classes },
			Facts:    func() json.RawMessage { return facts },
		})
		if err != nil {
			return nil, fmt.Errorf("node %q: %w", n.Name, err)
		}
		if ok {
			names = append(names, n.Name)
		}
	}
	return names, nil
}
