package playbook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"choria.io/choria/go/internal/puppettask"
)

// A puppetServed is a network whose tasks of Puppet are given out by a Puppet Server.
type puppetServed interface {
	PuppetServer() (*puppettask.Server, error)
}

// puppetTask asks the Puppet Server for a task.
func puppetTask(ctx context.Context, c *call, params map[string]any) (any, error) {
	name, _ := params["task"].(string)
	environment, _ := params["environment"].(string)
	network, ok := c.s.Network.(puppetServed)
	if !ok {
		return nil, errors.New("there is no network that has a Puppet Server")
	}
	server, err := network.PuppetServer()
	if err != nil {
		return nil, err
	}
	task, err := server.Task(ctx, name, environment)
	if err != nil {
		return nil, err
	}
	var metadata map[string]json.RawMessage
	if err := json.Unmarshal(task.Metadata, &metadata); err != nil || metadata == nil {
		return nil, errors.Join(fmt.Errorf("metadata of task %s: want an object", name), err)
	}
	if len(metadata["parameters"]) == 0 || string(metadata["parameters"]) == "null" {
		metadata["parameters"] = json.RawMessage("{}")
	}
	files := task.Files
	if files == nil {
		files = []puppettask.File{}
	}
	return map[string]any{"metadata": metadata, "files": files}, nil
}

// encodeJSON returns a value as JSON on one line.
func encodeJSON(_ context.Context, _ *call, params map[string]any) (any, error) {
	var text bytes.Buffer
	err := writeJSON(&text, params["value"])
	return text.String(), err
}
