package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/config"
)

// license is the license of the project, as data plugins show it.
const license = "Apache-2.0"

// A dataRoster is the data plugins that a node has at one time. It is never changed; another takes its place.
type dataRoster struct {
	plugins map[string]*agent.DataPlugin
	names   []string // sorted
	foreign []string // those that not every node has, sorted; they may take long
}

// ownData are the data plugins that every node has. They answer at once.
func (n *Node) ownData() []*agent.DataPlugin {
	return []*agent.DataPlugin{
		{DDL: ddl.BuiltinDataPlugin("agent"), Ask: n.agentData},
		{DDL: ddl.BuiltinDataPlugin("choria"), Ask: func(context.Context, string) (map[string]any, error) { return n.choriaData(), nil }},
		{DDL: ddl.BuiltinDataPlugin("config_item"), Ask: func(_ context.Context, key string) (map[string]any, error) { return n.configData(key), nil }},
	}
}

// isOwnData reports whether every node has a data plugin of that name.
func isOwnData(name string) bool { return name == "agent" || name == "choria" || name == "config_item" }

// loadData takes in the data plugins that the node is made with.
func (n *Node) loadData(more []*agent.DataPlugin) error {
	plugins := make(map[string]*agent.DataPlugin)
	for _, p := range append(n.ownData(), more...) {
		if p == nil || p.DDL == nil || p.Ask == nil {
			return errors.New("node: a data plugin without a description or a function")
		}
		name := p.DDL.Metadata.Name
		if plugins[name] != nil {
			return fmt.Errorf("node: two data plugins are called %s", name)
		}
		plugins[name] = p
	}
	n.setData(plugins)
	return nil
}

// InstallData adds a data plugin while the node runs, or before. It may not have the name of one that
// the node was made with.
func (n *Node) InstallData(p *agent.DataPlugin) error {
	if p == nil || p.DDL == nil || p.Ask == nil {
		return errors.New("node: a data plugin without a description or a function")
	}
	n.changing.Lock()
	defer n.changing.Unlock()
	name := p.DDL.Metadata.Name
	plugins := maps.Clone(n.data.Load().plugins)
	if old := plugins[name]; old != nil && !n.foreignData[name] {
		return fmt.Errorf("data plugin %s: this node has one of its own", name)
	}
	if n.foreignData == nil {
		n.foreignData = make(map[string]bool)
	}
	n.foreignData[name] = true
	plugins[name] = p
	n.setData(plugins)
	return nil
}

// UninstallData removes a data plugin that InstallData has added.
func (n *Node) UninstallData(name string) {
	n.changing.Lock()
	defer n.changing.Unlock()
	if !n.foreignData[name] {
		return
	}
	delete(n.foreignData, name)
	plugins := maps.Clone(n.data.Load().plugins)
	delete(plugins, name)
	n.setData(plugins)
}

// setData makes these the data plugins of the node, and the functions of its compound filters.
func (n *Node) setData(plugins map[string]*agent.DataPlugin) {
	d := &dataRoster{plugins: plugins, names: slices.Sorted(maps.Keys(plugins))}
	functions := make(map[string]any, len(plugins))
	for name, p := range plugins {
		functions[name] = function(p)
	}
	d.foreign = slices.DeleteFunc(slices.Clone(d.names), isOwnData)
	n.data.Store(d)
	n.filter.Store(&filter.Node{
		Identity:  n.identity,
		Agents:    n.names,
		Classes:   n.classes,
		Facts:     n.facts,
		Functions: functions,
	})
}

// function returns what a filter calls: name(), name("query"), or either.
func function(p *agent.DataPlugin) any {
	switch {
	case p.DDL.Query == nil:
		return func() (map[string]any, error) { return ask(context.Background(), p, "", false) }
	case p.DDL.Query.Optional:
		return func(query ...string) (map[string]any, error) {
			if len(query) > 1 {
				return nil, fmt.Errorf("data plugin %s takes one query", p.DDL.Metadata.Name)
			}
			return ask(context.Background(), p, strings.Join(query, ""), len(query) == 1)
		}
	}
	return func(query string) (map[string]any, error) { return ask(context.Background(), p, query, true) }
}

// ask asks one data plugin for as long as it may take.
func ask(ctx context.Context, p *agent.DataPlugin, query string, given bool) (map[string]any, error) {
	if err := p.DDL.Validate(query, given); err != nil {
		return nil, err
	}
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = max(time.Second, time.Duration(p.DDL.Metadata.Timeout)*time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.Ask(ctx, query)
}

// agentData is the data plugin agent: one agent of the node, or that it has none of that name.
func (n *Node) agentData(_ context.Context, name string) (map[string]any, error) {
	info := agentInfo{Agent: name}
	s := n.service(name)
	if s != nil {
		info = describe(name, s.ddl)
	}
	return map[string]any{
		"activated":   s != nil,
		"agent":       info.Agent,
		"author":      info.Author,
		"description": info.Description,
		"license":     info.License,
		"provider":    info.Provider,
		"timeout":     info.Timeout,
		"url":         info.URL,
		"version":     info.Version,
	}, nil
}

// choriaData is the data plugin choria: the daemon about itself.
func (n *Node) choriaData() map[string]any {
	classes := n.classes()
	return map[string]any{
		"agents":           n.names(),
		"agents_count":     len(n.names()),
		"built":            "", // builds are reproducible and bear no date
		"classes":          list(classes),
		"classes_count":    len(classes),
		"commit":           build.Commit,
		"configfile":       n.cfg.File(),
		"connected_broker": n.conn.Server(),
		"cpus":             runtime.NumCPU(),
		"events":           n.stats.events.Value(),
		"filtered":         n.stats.filtered.Value(),
		"go_version":       runtime.Version(),
		"goroutines":       runtime.NumGoroutine(),
		"license":          license,
		"machines":         []string{},
		"machines_count":   0,
		"passed":           n.stats.passed.Value(),
		"pid":              os.Getpid(),
		"provisioning":     false,
		"replies":          n.stats.replies.Value(),
		"total":            n.stats.total.Value(),
		"ttlexpired":       n.stats.expired.Value(),
		"unvalidated":      n.stats.unvalidated.Value(),
		"uptime":           n.uptime(),
		"validated":        n.stats.validated.Value(),
		"version":          build.Version,
	}
}

// configData is the data plugin config_item: one key of the configuration.
func (n *Node) configData(key string) map[string]any {
	value, ok := n.configItem(key)
	return map[string]any{"present": ok, "value": value}
}

// configItem returns what is in force for a key as JSON has it: durations in seconds, as they are
// written, and modes in octal. Passwords and the like are as good as absent.
func (n *Node) configItem(key string) (value any, ok bool) {
	v, _, ok := n.cfg.Value(key)
	if !ok || config.Secret(key) {
		return nil, false
	}
	switch v := v.(type) {
	case time.Duration:
		if v%time.Second == 0 {
			return int64(v / time.Second), true
		}
		return v.Seconds(), true
	case fs.FileMode:
		return fmt.Sprintf("%#o", v.Perm()), true
	case []string:
		return list(v), true
	}
	return v, true
}

// callData calls a data plugin by name, as rpcutil#get_data and policies do.
func (n *Node) callData(ctx context.Context, source, query string, given bool) (map[string]any, error) {
	have := n.data.Load()
	p := have.plugins[source]
	if p == nil {
		return nil, fmt.Errorf("no data plugin is called %q; there are %s", source, strings.Join(have.names, ", "))
	}
	return ask(ctx, p, query, given)
}

// uptime returns how long the node has been running, in whole seconds.
func (n *Node) uptime() int64 { return int64(time.Since(n.started) / time.Second) }

// list is s as JSON has to show it: an empty list and never null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
