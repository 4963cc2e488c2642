package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/tidwall/gjson"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/filter"
	"choria.io/choria/go/internal/build"
)

// discover is the agent discovery: what contains ping is answered with pong.
func discover(body []byte) []byte {
	if !bytes.Contains(body, []byte("ping")) {
		return nil
	}
	return []byte("pong")
}

// rpcutil returns the actions of the agent rpcutil. Their inputs have been held against its description,
// so that those without inputs need not look.
func (n *Node) rpcutil() map[string]agent.Action {
	return map[string]agent.Action{
		"ping":            n.ping,
		"get_fact":        n.getFact,
		"get_facts":       n.getFacts,
		"get_config_item": n.getConfigItem,
		"get_data":        n.getData,
		"agent_inventory": n.agentInventory,
		"inventory":       n.inventory,
		"collective_info": n.collectiveInfo,
		"daemon_stats":    n.daemonStats,
	}
}

func (n *Node) ping(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
	reply.Data = struct {
		Pong int64 `json:"pong"`
	}{n.now().Unix()}
	return nil
}

func (n *Node) getFact(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Fact string `json:"fact"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	reply.Data = map[string]any{"fact": in.Fact, "value": n.fact(in.Fact)}
	return nil
}

// fact returns the value at a path of the facts, null when there is none.
func (n *Node) fact(path string) json.RawMessage {
	if len(path) > filter.MaxPath {
		return json.RawMessage("null")
	}
	value := gjson.GetBytes(n.facts(), path)
	if !value.Exists() || !json.Valid([]byte(value.Raw)) {
		return json.RawMessage("null")
	}
	return json.RawMessage(value.Raw)
}

func (n *Node) getFacts(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Facts string `json:"facts"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	values := make(map[string]json.RawMessage)
	for name := range strings.SplitSeq(in.Facts, ",") {
		if name = strings.TrimSpace(name); name != "" {
			values[name] = n.fact(name)
		}
	}
	reply.Data = map[string]any{"values": values}
	return nil
}

func (n *Node) getConfigItem(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Item string `json:"item"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	value, ok := n.configItem(in.Item)
	if !ok {
		return agent.Errorf(agent.Aborted, "no configuration item %q is known, or it is a secret", in.Item)
	}
	reply.Data = map[string]any{"item": in.Item, "value": value}
	return nil
}

func (n *Node) getData(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Source string  `json:"source"`
		Query  *string `json:"query"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	query := ""
	if in.Query != nil {
		query = *in.Query
	}
	data, err := n.callData(ctx, in.Source, query, in.Query != nil)
	if err != nil {
		return agent.Errorf(agent.Aborted, "%v", err)
	}
	reply.Data = data
	return nil
}

// agentInfo is one agent as agent_inventory shows it.
type agentInfo struct {
	Agent       string `json:"agent"`
	Name        string `json:"name"`
	License     string `json:"license"`
	Author      string `json:"author"`
	Timeout     int    `json:"timeout"`
	Version     string `json:"version"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Provider    string `json:"provider,omitempty"`
	Service     bool   `json:"service,omitempty"`
}

func (n *Node) agentInventory(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
	have := n.roster.Load()
	agents := make([]agentInfo, 0, len(have.names))
	for _, name := range have.names {
		agents = append(agents, describe(name, have.services[name].ddl))
	}
	reply.Data = map[string]any{"agents": agents}
	return nil
}

func describe(name string, d *ddl.Agent) agentInfo {
	m := d.Metadata
	return agentInfo{name, m.Name, m.License, m.Author, m.Timeout, m.Version, m.URL, m.Description, m.Provider, m.Service}
}

func (n *Node) inventory(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
	reply.Data = map[string]any{
		"agents":          n.names(),
		"facts":           n.facts(),
		"classes":         list(n.classes()),
		"version":         build.Version,
		"main_collective": n.cfg.MainCollective,
		"collectives":     n.cfg.Collectives,
		"data_plugins":    n.data.Load().names,
		"machines":        []any{},
		"upgradable":      false,
	}
	return nil
}

func (n *Node) collectiveInfo(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
	reply.Data = map[string]any{"main_collective": n.cfg.MainCollective, "collectives": n.cfg.Collectives}
	return nil
}

func (n *Node) daemonStats(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
	reply.Data = map[string]any{
		"agents":     n.names(),
		"configfile": n.cfg.File(),
		"version":    build.Version,
		"pid":        os.Getpid(),
		"starttime":  n.started.Unix(),
		"threads": []string{fmt.Sprintf("%s: %d goroutines on %d of %d cores",
			runtime.Version(), runtime.NumGoroutine(), runtime.GOMAXPROCS(0), runtime.NumCPU())},
		"times":       cpuTimes(),
		"total":       n.stats.total.Value(),
		"validated":   n.stats.validated.Value(),
		"unvalidated": n.stats.unvalidated.Value(),
		"passed":      n.stats.passed.Value(),
		"filtered":    n.stats.filtered.Value(),
		"ttlexpired":  n.stats.expired.Value(),
		"replies":     n.stats.replies.Value(),
		"events":      n.stats.events.Value(),
	}
	return nil
}

// cpuTimes returns the processor time of this process and of its children that have ended, in
// seconds, under the names that Ruby gives them.
func cpuTimes() map[string]float64 {
	var self, children syscall.Rusage
	// These fail only for a first argument that does not exist.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
	seconds := func(t syscall.Timeval) float64 { return time.Duration(t.Nano()).Seconds() }
	return map[string]float64{
		"utime":  seconds(self.Utime),
		"stime":  seconds(self.Stime),
		"cutime": seconds(children.Utime),
		"cstime": seconds(children.Stime),
	}
}
