package node

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/build"
)

// choriaUtil returns the actions of the agent choria_util. This daemon runs no autonomous agents,
// which is what the machine_ actions say.
func (n *Node) choriaUtil() map[string]agent.Action {
	return map[string]agent.Action{
		"info":               n.info,
		"machine_states":     n.machineStates,
		"machine_state":      n.machineState,
		"machine_transition": n.machineTransition,
	}
}

func (n *Node) info(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	stats := n.conn.Stats()
	facter, _ := exec.LookPath("facter") // none is a fine answer
	domain := n.cfg.Domain(ctx)
	reply.Data = map[string]any{
		"security":         n.cfg.SecurityProvider,
		"secure_protocol":  true,
		"connector":        "nats",
		"connector_tls":    n.server.TLS != nil,
		"path":             os.Getenv("PATH"),
		"choria_version":   "choria " + build.Version,
		"client_version":   moduleVersion("github.com/nats-io/nats.go"),
		"client_flavour":   "nats.go " + runtime.Version(),
		"client_options":   n.clientOptions(),
		"connected_server": n.conn.Server(),
		"client_stats": map[string]uint64{
			"in_msgs":    stats.InMsgs,
			"out_msgs":   stats.OutMsgs,
			"in_bytes":   stats.InBytes,
			"out_bytes":  stats.OutBytes,
			"reconnects": stats.Reconnects,
		},
		"facter_domain":      domain,
		"facter_command":     facter,
		"srv_domain":         domain,
		"using_srv":          n.cfg.UseSRV && len(n.cfg.MiddlewareHosts) == 0,
		"middleware_servers": n.brokers(),
	}
	return nil
}

// brokers returns the brokers that this node was told to connect to, or else the one it found.
func (n *Node) brokers() []string {
	switch server := n.conn.Server(); {
	case len(n.server.Servers) > 0:
		return n.server.Servers
	case len(n.cfg.MiddlewareHosts) > 0:
		return n.cfg.MiddlewareHosts
	case server != "":
		return []string{server}
	}
	return []string{}
}

// Settings of the connection that transport leaves as the library has them, or fixes.
const (
	reconnectsForEver   = -1
	maxOutstandingPings = 2
	firstReconnectWait  = 500 * time.Millisecond
)

// clientOptions describes the connection. Times are in nanoseconds, as Go writes durations.
func (n *Node) clientOptions() map[string]any {
	return map[string]any{
		"servers":                n.brokers(),
		"dont_randomize_servers": true,
		"name":                   n.server.Name,
		"pedantic":               false,
		"secure":                 n.server.TLS != nil,
		"allow_reconnect":        true,
		"max_reconnect_attempts": reconnectsForEver,
		"reconnect_time_wait":    firstReconnectWait,
		"connect_timeout":        cmp.Or(n.server.ConnectTimeout, 2*time.Second),
		"ping_interval":          cmp.Or(n.server.PingInterval, 2*time.Minute),
		"max_outstanding_pings":  maxOutstandingPings,
	}
}

// moduleVersion returns the version of a module that is linked into this program.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

func (n *Node) machineStates(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
	reply.Data = map[string]any{"machine_names": []string{}, "machine_ids": []string{}, "states": map[string]any{}}
	return nil
}

// machineSelector is how the machine_ actions name an autonomous agent; what is empty matches any.
type machineSelector struct {
	Instance string `json:"instance"`
	Name     string `json:"name"`
	Path     string `json:"path"`
}

func (n *Node) machineState(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in machineSelector
	if err := req.Bind(&in); err != nil {
		return err
	}
	reply.Data = map[string]any{"name": "unknown", "state": "unknown", "version": "unknown"}
	if in == (machineSelector{}) {
		return agent.Errorf(agent.Aborted, "want instance, name or path of an autonomous agent")
	}
	return agent.Errorf(agent.Aborted, "no autonomous agent matches")
}

func (n *Node) machineTransition(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		machineSelector
		Version    string `json:"version"`
		Transition string `json:"transition"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	reply.Data = map[string]any{"success": false}
	return agent.Errorf(agent.Aborted, "no autonomous agent matches")
}
