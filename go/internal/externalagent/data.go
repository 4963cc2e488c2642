package externalagent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/hotload"
)

// A query is what the program of a data plugin reads.
type query struct {
	Schema   string  `json:"$schema"`
	Protocol string  `json:"protocol"`
	Data     string  `json:"data"`  // name of the plugin
	Query    *string `json:"query"` // null when there is none
}

// Data returns the data plugin that f describes when it is an external one that is active on this
// node. See hotload.DataProvider.
func (r *Runner) Data(ctx context.Context, f hotload.File, d *ddl.Data) (*agent.DataPlugin, error) {
	path, err := r.usable(ctx, f, d.Metadata.Provider)
	if path == "" {
		return nil, err
	}
	return &agent.DataPlugin{DDL: d, Ask: func(ctx context.Context, text string) (map[string]any, error) {
		return r.ask(ctx, path, d, text)
	}}, nil
}

// ask asks a data plugin. What the description has a default for is there in any case.
func (r *Runner) ask(ctx context.Context, path string, d *ddl.Data, text string) (map[string]any, error) {
	name := d.Metadata.Name
	doc := query{Schema: schemas + "data_request.json", Protocol: queryProtocol, Data: name}
	if d.Query != nil && (text != "" || !d.Query.Optional) {
		doc.Query = &text
	}
	log := r.log().With("data", name)
	var result struct {
		Status  agent.Status   `json:"statuscode"`
		Message string         `json:"statusmsg"`
		Data    map[string]any `json:"data"`
	}
	how, err := r.call(ctx, &invocation{
		name: name, program: path, protocol: queryProtocol, request: doc, reply: &result, facts: r.facts(), log: log,
	})
	if err != nil {
		log.Warn("query failed", "err", err, "duration", how.duration.Round(time.Millisecond))
		return nil, fmt.Errorf("data plugin %s: %w", name, err)
	}
	if result.Status != agent.OK {
		return nil, fmt.Errorf("data plugin %s: %s", name, result.Message)
	}
	data := make(map[string]any, len(d.Output))
	for output, o := range d.Output {
		var value any
		if o.Default != nil && json.Unmarshal(o.Default, &value) == nil {
			data[output] = value
		}
	}
	maps.Copy(data, result.Data)
	return data, nil
}
