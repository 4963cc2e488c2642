package rubyagent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/hotload"
)

// dataAgent is the name of the process that answers the queries of all data plugins.
const dataAgent = "data"

// A query is what the shim reads for a data plugin.
type query struct {
	Plugin string  `json:"dataplugin"`
	Query  *string `json:"query"`
}

// Data returns the data plugin that f describes when it is one in Ruby. See hotload.DataProvider.
func (r *Runner) Data(_ context.Context, f hotload.File, d *ddl.Data) (*agent.DataPlugin, error) {
	if !inRuby(d.Metadata.Provider) || r.Beside(f) == "" {
		return nil, nil
	}
	return &agent.DataPlugin{
		DDL:     d,
		Timeout: loadPatience + time.Duration(d.Metadata.Timeout)*time.Second,
		Ask: func(ctx context.Context, text string) (map[string]any, error) {
			return r.ask(ctx, d, text)
		},
	}, nil
}

// loadPatience is how much longer than its description says a query may take in which libraries are
// loaded. The library holds the query itself to its time, see ruby/choria/shim/stopwatch.rb.
const loadPatience = startPatience

// ask asks a data plugin.
func (r *Runner) ask(ctx context.Context, d *ddl.Data, text string) (map[string]any, error) {
	q := query{Plugin: d.Metadata.Name}
	if d.Query != nil && (text != "" || !d.Query.Optional) {
		q.Query = &text
	}
	doc, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	what := "data plugin " + d.Metadata.Name
	log := r.log.With("data", d.Metadata.Name)
	out, err := r.run(ctx, dataAgent, doc, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	reply := &agent.Reply{}
	if err := out.reply(what, log, reply); err != nil {
		return nil, err
	}
	if reply.Status != agent.OK {
		return nil, fmt.Errorf("%s: %s", what, reply.Message)
	}
	data := make(map[string]any)
	if raw, ok := reply.Data.(json.RawMessage); ok {
		if err := json.Unmarshal(raw, &data); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return data, nil
}
