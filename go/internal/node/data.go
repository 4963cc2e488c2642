package node

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/config"
)

// license is the license of the project, as data plugins show it.
const license = "Apache-2.0"

// dataPlugins are the names of what dataFunctions returns, sorted.
var dataPlugins = []string{"choria", "config_item"}

// dataFunctions are what compound filters may call, and rpcutil#get_data too.
func (n *Node) dataFunctions() map[string]any {
	return map[string]any{
		"choria":      n.choriaData,
		"config_item": n.configData,
	}
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

// callData calls a data plugin by name, as rpcutil#get_data does.
func (n *Node) callData(source, query string, hasQuery bool) (map[string]any, error) {
	switch {
	case !slices.Contains(dataPlugins, source):
		return nil, fmt.Errorf("no data plugin is called %q; there are %s", source, strings.Join(dataPlugins, ", "))
	case source == "choria" && hasQuery:
		return nil, fmt.Errorf("data plugin choria takes no query")
	case source == "choria":
		return n.choriaData(), nil
	case !hasQuery:
		return nil, fmt.Errorf("data plugin %s wants a query", source)
	}
	return n.configData(query), nil
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
