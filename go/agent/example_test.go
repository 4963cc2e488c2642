package agent_test

import (
	"context"
	"encoding/json"
	"fmt"

	"choria.io/choria/go/agent"
)

// add is an action that adds two numbers. What does not fit its inputs is refused by Bind, with a message
// for the caller.
func add(_ context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		A int `json:"a"`
		B int `json:"b"`
	}
	if err := req.Bind(&in); err != nil {
		return err
	}
	if in.B == 0 {
		return agent.Errorf(agent.Aborted, "there is nothing to add")
	}
	reply.Data = map[string]int{"sum": in.A + in.B}
	return nil
}

func ExampleAction() {
	for _, data := range []string{`{"a":1,"b":2}`, `{"a":1,"b":0}`, `{"a":1,"b":"two"}`} {
		reply := &agent.Reply{}
		err := add(context.Background(), &agent.Request{Agent: "sums", Action: "add", Data: json.RawMessage(data)}, reply)
		fmt.Println(reply.Data, err)
	}
	// Output:
	// map[sum:3] <nil>
	// <nil> there is nothing to add
	// <nil> input "b" of sums#add: want an integer, not a string
}
