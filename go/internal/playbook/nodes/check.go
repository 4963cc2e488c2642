package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook/task"
)

// ask sends one request to nodes, all of which must answer well. each gets the replies.
func ask(ctx context.Context, env *task.Env, nodes []string, action string, each func(client.Reply)) error {
	run, err := env.Network.Start(ctx, client.Request{Agent: "rpcutil", Action: action, Nodes: nodes})
	if err != nil {
		return fmt.Errorf("rpcutil#%s: %w", action, err)
	}
	var failed []string
	for reply := range run.Replies() {
		if reply.Status != agent.OK {
			env.Log.Warning("%s rpcutil#%s failed: %s", reply.Sender, action, reply.Message)
			failed = append(failed, reply.Sender)
			continue
		}
		each(reply)
	}
	if err := run.Err(); err != nil {
		return fmt.Errorf("rpcutil#%s: %w", action, err)
	}
	stats := run.Stats()
	slices.Sort(failed)
	switch {
	case len(stats.NoResponse) > 0:
		return fmt.Errorf("rpcutil#%s: no response from %s", action, strings.Join(stats.NoResponse, ", "))
	case len(failed) > 0:
		return fmt.Errorf("rpcutil#%s failed on %s", action, strings.Join(failed, ", "))
	}
	return nil
}

// reach makes sure that all nodes can be reached.
func reach(ctx context.Context, env *task.Env, nodes []string) error {
	env.Log.Notice("Testing the connectivity of %s", count(len(nodes)))
	if err := ask(ctx, env, nodes, "ping", func(client.Reply) {}); err != nil {
		return fmt.Errorf("connectivity test: %w", err)
	}
	env.Log.Notice("All of %s can be reached", count(len(nodes)))
	return nil
}

// checkAgents makes sure that every node has the agents of uses, in versions that are in its ranges.
func checkAgents(ctx context.Context, env *task.Env, nodes []string, uses map[string]string) error {
	env.Log.Notice("Checking the agents of %s", count(len(nodes)))
	problems := 0
	problem := func(format string, args ...any) {
		problems++
		env.Log.Warning(format, args...)
	}
	err := ask(ctx, env, nodes, "agent_inventory", func(r client.Reply) {
		versions, err := inventory(r.Data)
		if err != nil {
			problem("%s: inventory of agents: %s", r.Sender, err)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(uses)) {
			version, ok := versions[name]
			if !ok {
				problem("%s does not have agent %s", r.Sender, name)
			} else if !within(version, uses[name]) {
				problem("%s has agent %s version %s, want %s", r.Sender, name, version, uses[name])
			}
		}
	})
	if err != nil {
		return fmt.Errorf("inventory of agents: %w", err)
	}
	if problems > 0 {
		return fmt.Errorf("agents of nodes do not fit: %d problems", problems)
	}
	env.Log.Notice("All of %s have the agents needed", count(len(nodes)))
	return nil
}

func inventory(data json.RawMessage) (map[string]string, error) {
	var reply struct {
		Agents []struct {
			Agent   string `json:"agent"`
			Version string `json:"version"`
		} `json:"agents"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, err
	}
	versions := make(map[string]string, len(reply.Agents))
	for _, a := range reply.Agents {
		versions[a.Agent] = a.Version
	}
	return versions, nil
}

// operatorSpace is what Puppet allows between an operator and its version.
var operatorSpace = regexp.MustCompile(`([<>=~^]) +`)

// parseRange parses a range of versions as Puppet writes them: ">= 1.2.0 < 2.0.0", "~ 1.2", "1.x".
func parseRange(text string) (*semver.Constraints, error) {
	c, err := semver.NewConstraint(operatorSpace.ReplaceAllString(strings.TrimSpace(text), "$1"))
	if err != nil {
		return nil, fmt.Errorf("version range %q: %w", text, err)
	}
	return c, nil
}

// within reports whether version is in a range. A version of two parts is taken for one of three.
func within(version, versions string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return false
	}
	c, err := parseRange(versions)
	return err == nil && c.Check(v)
}
