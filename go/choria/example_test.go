package choria_test

import (
	"context"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/ddl"
)

const greeterDDL = `{
  "$schema": "https://choria.io/schemas/mcorpc/ddl/v1/agent.json",
  "metadata": {
    "name": "greeter", "description": "Greets", "author": "Example", "license": "Apache-2.0",
    "version": "1.0.0", "url": "https://example.net", "timeout": 5, "provider": "golang"
  },
  "actions": [{
    "action": "greet", "description": "Greets somebody", "display": "always",
    "input": {"name": {"prompt": "Name", "description": "Whom to greet", "type": "string",
                       "optional": false, "validation": "^\\w+$", "maxlength": 40}},
    "output": {"greeting": {"description": "What was said", "display_as": "Greeting"}}
  }]
}`

// greet is the action greet of the agent greeter. Its inputs have been validated.
func greet(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	if in.Name == "nobody" {
		return agent.Errorf(agent.Aborted, "there is nobody to greet")
	}
	reply.Data = map[string]string{"greeting": "Hello " + in.Name}
	return nil
}

// newGreeter returns a node that has the agent. Its keys are in a directory, by its name.
func newGreeter(identity, broker, dir string) (*choria.Server, error) {
	description, err := ddl.Parse([]byte(greeterDDL))
	if err != nil {
		return nil, err
	}
	return &choria.Server{
		Identity:    identity,
		Collectives: []string{"mcollective"},
		Brokers:     []string{broker},
		TLS: &choria.TLS{
			CA:          filepath.Join(dir, "ca.pem"),
			Certificate: filepath.Join(dir, identity+".pem"),
			Key:         filepath.Join(dir, identity+".key"),
		},
		Agents:    []*agent.Agent{{DDL: description, Actions: map[string]agent.Action{"greet": greet}}},
		Authorize: func(r *agent.Request) bool { return r.Agent == "greeter" || r.Action == "ping" },
	}, nil
}

// A program that answers "choria rpc greeter greet name=World".
func Example() {
	server, err := newGreeter("greeter1.example.net", "broker.example.net:4222", "/etc/greeter")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
