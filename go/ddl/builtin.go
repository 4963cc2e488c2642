package ddl

import (
	"embed"
	"fmt"
	"slices"
	"sync"
)

//go:embed builtin/agent/*.json builtin/data/*.json
var builtinFiles embed.FS

// builtinNames are the agents that a node has without any plugin, sorted.
var builtinNames = []string{"bolt_tasks", "choria_util", "filemgr", "nettest", "package", "process", "puppet", "rpcutil", "service", "shell"}

// parseBuiltin parses the embedded descriptions once for all nodes and clients of a process, and
// only in a process that asks for them.
var parseBuiltin = sync.OnceValue(func() map[string]*Agent {
	agents := make(map[string]*Agent)
	for _, name := range append([]string{"discovery"}, builtinNames...) {
		data, err := builtinFiles.ReadFile("builtin/agent/" + name + ".json")
		if err != nil {
			panic(err) // the name is not that of an embedded file: the program is wrong
		}
		a, err := Parse(data)
		if err != nil {
			panic(fmt.Sprintf("builtin/agent/%s.json: %v", name, err))
		}
		agents[name] = a
	}
	return agents
})

// Builtin returns the descriptions of the agents that are compiled in, sorted by name. They are
// shared by the whole process and must not be changed.
func Builtin() []*Agent {
	all := parseBuiltin()
	agents := make([]*Agent, 0, len(builtinNames))
	for _, name := range builtinNames {
		agents = append(agents, all[name])
	}
	return agents
}

// BuiltinAgent returns the description of one agent that is compiled in, nil for any other name.
// The name discovery gives metadata alone: what answers discovery is no agent that takes requests,
// but it is listed in inventories.
func BuiltinAgent(name string) *Agent { return parseBuiltin()[name] }

// parseBuiltinData parses the embedded descriptions of data plugins.
var parseBuiltinData = sync.OnceValue(func() []*Data {
	var all []*Data
	for _, name := range []string{"agent", "choria", "config_item", "fstat"} {
		text, err := builtinFiles.ReadFile("builtin/data/" + name + ".json")
		if err != nil {
			panic(err)
		}
		d, err := ParseData(text)
		if err != nil {
			panic(fmt.Sprintf("builtin/data/%s.json: %v", name, err))
		}
		all = append(all, d)
	}
	return all
})

// BuiltinDataPlugin returns the description of one data plugin that is compiled in, nil for any other
// name.
func BuiltinDataPlugin(name string) *Data {
	for _, d := range parseBuiltinData() {
		if d.Metadata.Name == name {
			return d
		}
	}
	return nil
}

// BuiltinData returns the descriptions of the data plugins that are compiled in, sorted by name.
// They are shared by the whole process and must not be changed.
func BuiltinData() []*Data { return slices.Clone(parseBuiltinData()) }
