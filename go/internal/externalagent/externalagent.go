// Package externalagent runs agents and data plugins that are programs in any language: one process for
// each request.
package externalagent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/hotload"
)

// Provider is what descriptions of external agents have as provider.
const Provider = "external"

// activationLimit is the default of Runner.ActivationLimit. Source: rpc section 5.
const activationLimit = 2 * time.Second

// A Runner runs external agents.
type Runner struct {
	// ConfigFile is the configuration of the server; programs are told of a file in plugin.d beside
	// it. Empty when there is none.
	ConfigFile string

	// Facts returns the facts of the node, one JSON object. Nil means none.
	Facts func() json.RawMessage

	// ActivationLimit is how long a program may take to say whether it works on this node. Zero means 2 s.
	ActivationLimit time.Duration

	Log *slog.Logger // nil discards
}

// facts returns what the file of facts has.
func (r *Runner) facts() json.RawMessage {
	if r.Facts == nil {
		return json.RawMessage("{}")
	}
	return r.Facts()
}

func (r *Runner) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// Beside stats the program of an agent. See hotload.Provider.
func (r *Runner) Beside(f hotload.File) string {
	if !placed(f) {
		return ""
	}
	for _, path := range programs(f) {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path + " " + hotload.Stamp(info)
		}
	}
	return ""
}

// placed reports whether the description is where external agents have it: NAME.json or NAME/NAME.json.
func placed(f hotload.File) bool {
	if filepath.Ext(f.Path) != ".json" {
		return false
	}
	return f.Depth == 0 || f.Depth == 1 && filepath.Base(filepath.Dir(f.Path)) == f.Name
}

// programs returns where the program of an agent may be, best first.
func programs(f hotload.File) []string {
	dir := filepath.Dir(f.Path)
	built := fmt.Sprintf("%s-%s_%s", f.Name, runtime.GOOS, runtime.GOARCH)
	paths := []string{filepath.Join(dir, f.Name), filepath.Join(dir, f.Name, built)}
	if f.Depth == 1 {
		paths = append(paths, filepath.Join(dir, built))
	}
	return paths
}

// program returns the program of an agent.
func program(f hotload.File) (string, error) {
	paths := programs(f)
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("no program: looked for %s", strings.Join(paths, ", "))
}

// Agent returns the agent that f describes when it is an external one that is active on this node.
// See hotload.Provider.
func (r *Runner) Agent(ctx context.Context, f hotload.File, d *ddl.Agent) (*agent.Agent, error) {
	path, err := r.usable(ctx, f, d.Metadata.Provider)
	if path == "" {
		return nil, err
	}
	return &agent.Agent{DDL: d, Any: func(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
		return r.act(ctx, path, d, req, reply)
	}}, nil
}

// usable returns the program of a plugin, empty when it is none of ours or is not active on this node.
func (r *Runner) usable(ctx context.Context, f hotload.File, provider string) (path string, err error) {
	if strings.ToLower(provider) != Provider || !placed(f) {
		return "", nil
	}
	if path, err = program(f); err != nil {
		return "", err
	}
	active, err := r.activate(ctx, f, path)
	if err != nil {
		return "", fmt.Errorf("activation: %w", err)
	}
	if !active {
		r.log().Info("plugin is not active on this node, its program says", f.Kind, f.Name)
		return "", nil
	}
	return path, nil
}

// Schemas and protocols of the documents. Source: rpc section 5; that of queries is our own.
const (
	schemas            = "https://choria.io/schemas/mcorpc/external/v1/"
	requestProtocol    = "io.choria.mcorpc.external.v1.rpc_request"
	activationProtocol = "io.choria.mcorpc.external.v1.activation_request"
	queryProtocol      = "io.choria.mcorpc.external.v1.data_request"
)

// activate asks a program whether it works on this node.
func (r *Runner) activate(ctx context.Context, f hotload.File, path string) (bool, error) {
	limit := r.ActivationLimit
	if limit <= 0 {
		limit = activationLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var reply struct {
		Activate bool `json:"activate"`
	}
	_, err := r.call(ctx, &invocation{
		name: f.Name, program: path, protocol: activationProtocol, reply: &reply,
		log: r.log().With(f.Kind, f.Name),
		request: map[string]string{
			"$schema":  schemas + "activation_request.json",
			"protocol": activationProtocol,
			f.Kind:     f.Name,
		},
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", hotload.ErrLater, err) // the machine may have had too much to do
	}
	return reply.Activate, err
}

// A request is what the program of an action reads.
type request struct {
	Schema     string          `json:"$schema"`
	Protocol   string          `json:"protocol"`
	Agent      string          `json:"agent"`
	Action     string          `json:"action"`
	ID         string          `json:"requestid"`
	Sender     string          `json:"senderid"`
	Caller     string          `json:"callerid"`
	Collective string          `json:"collective"`
	TTL        int64           `json:"ttl"`     // seconds
	Time       int64           `json:"msgtime"` // seconds since 1970
	Data       json.RawMessage `json:"data"`
}

// act runs one action.
func (r *Runner) act(ctx context.Context, path string, d *ddl.Agent, req *agent.Request, reply *agent.Reply) error {
	action := d.Action(req.Action)
	if action == nil {
		return agent.Errorf(agent.UnknownAction, "agent %s has no action %q", req.Agent, req.Action)
	}
	data, err := inputs(d, req)
	if err != nil {
		return err
	}
	log := r.log().With("request", req.ID, "agent", req.Agent, "action", req.Action)
	var result struct {
		Status  agent.Status   `json:"statuscode"`
		Message string         `json:"statusmsg"`
		Data    map[string]any `json:"data"`
	}
	how, err := r.call(ctx, &invocation{
		name: req.Agent, program: path, protocol: requestProtocol, reply: &result, facts: r.facts(), log: log,
		request: request{
			Schema: schemas + "rpc_request.json", Protocol: requestProtocol, Agent: req.Agent, Action: req.Action,
			ID: req.ID, Sender: req.Sender, Caller: req.Caller, Collective: req.Collective,
			TTL: int64(req.TTL / time.Second), Time: req.Time.Unix(), Data: data,
		},
	})
	if err == nil && (result.Status < agent.OK || result.Status > agent.UnknownError) {
		err = fmt.Errorf("status %d in the reply: want 0 to 5", result.Status)
	}
	if err != nil {
		log.Warn("action failed", "err", err, "duration", how.duration.Round(time.Millisecond))
		return agent.Errorf(agent.Aborted, "%s#%s: %v", req.Agent, req.Action, err)
	}
	reply.Status, reply.Message = result.Status, result.Message
	if result.Data == nil {
		result.Data = make(map[string]any)
	}
	if result.Status == agent.OK {
		for name, value := range action.Defaults() {
			if _, there := result.Data[name]; !there {
				result.Data[name] = value
			}
		}
	}
	reply.Data = result.Data
	return nil
}

// inputs returns the inputs of a request that fit the description, without what clients in Ruby add.
func inputs(d *ddl.Agent, req *agent.Request) (json.RawMessage, error) {
	data := make(map[string]any)
	if len(req.Data) > 0 {
		dec := json.NewDecoder(strings.NewReader(string(req.Data)))
		dec.UseNumber()
		if err := dec.Decode(&data); err != nil || data == nil {
			return nil, agent.Errorf(agent.InvalidData, "data of %s#%s: want a JSON object of inputs", req.Agent, req.Action)
		}
	}
	delete(data, "process_results")
	// The status is that of the reference. Source: rpc section 1.2.
	if err := d.Validate(req.Action, data); err != nil {
		return nil, agent.Errorf(agent.Aborted, "%v", err)
	}
	return json.Marshal(data)
}
