package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/jsonscan"
)

// notAuthorized is all that a caller learns about a denied request. Source: protocol section 7.3.
const notAuthorized = "You are not authorized to call this agent or action"

// A call is the body of an RPC request. Who makes it and when stands in the request around it.
type call struct {
	Agent  string
	Action string
	Data   json.RawMessage // one object
}

// A result is the body of an RPC reply.
type result struct {
	Action  string       `json:"action"`
	Status  agent.Status `json:"statuscode"`
	Message string       `json:"statusmsg"`
	Data    any          `json:"data"`
}

var noData = json.RawMessage("{}")

// rpcError returns the body of a reply that says only what went wrong.
func rpcError(action string, status agent.Status, message string) []byte {
	body, err := json.Marshal(result{action, status, message, noData})
	if err != nil {
		panic(err) // strings, a number and an empty object always encode
	}
	return body
}

// callMembers are the members of a body. Others, as the caller that Ruby clients add, are passed over.
var callMembers = []string{"agent", "action", "data"}

// parseCall decodes a body. Data that is missing is {}.
func parseCall(body []byte) (*call, error) {
	var c call
	s := jsonscan.New(body)
	_, err := s.Object(callMembers, func(i int) (err error) {
		switch i {
		case 0:
			c.Agent, err = s.String()
		case 1:
			c.Action, err = s.String()
		case 2:
			c.Data, err = s.Raw()
		}
		return err
	})
	if err == nil {
		err = s.End()
	}
	switch {
	case err != nil:
		return nil, err
	case c.Agent == "" || c.Action == "":
		return nil, errors.New("agent or action is missing")
	case len(c.Data) == 0 || string(c.Data) == "null":
		c.Data = noData
	case c.Data[0] != '{':
		return nil, errors.New("data is not an object")
	}
	return &c, nil
}

// answer authorizes and runs an RPC request, and returns the body of the reply.
func (n *Node) answer(ctx context.Context, s *service, e *exchange) []byte {
	req := &agent.Request{
		ID:         e.req.ID,
		Agent:      s.name,
		Action:     e.call.Action,
		Caller:     e.req.Caller,
		Sender:     e.req.Sender,
		Collective: e.req.Collective,
		Time:       e.req.Time,
		TTL:        e.req.TTL,
		Data:       e.call.Data,
	}
	if !n.authorize(s, req, e.call.Agent, "") {
		return rpcError(req.Action, agent.Aborted, notAuthorized)
	}
	req.Permitted = func(action string) bool {
		named := *req
		named.Action, named.Data = action, s.masked(req)
		return n.authorize(s, &named, s.name, req.Action)
	}
	waited, node := !e.clock.deadline.IsZero(), ctx
	ctx = e.start(ctx, s)
	// The time of one that begins now cannot be over, even if the processor was given to others meanwhile.
	if node.Err() != nil || waited && ctx.Err() != nil {
		return rpcError(req.Action, agent.Aborted, n.ended(s)) // it has waited for too long
	}
	if n.log.Enabled(ctx, slog.LevelDebug) { // boxing what is then not logged costs allocations
		n.log.Debug("request", "request", req.ID, "caller", req.Caller, "agent", s.name, "action", req.Action, "collective", req.Collective)
	}

	reply := &agent.Reply{}
	var err error
	if _, ok := s.agent.Actions[req.Action]; ok {
		err = validate(s, req)
	}
	if err == nil {
		err = n.call(ctx, s.action(req.Action), req, reply)
	}
	e.clock.end()
	return n.encode(ctx, s, req, reply, err)
}

// call runs an action; a panic in it is an error of the action and not of the daemon.
func (n *Node) call(ctx context.Context, run agent.Action, req *agent.Request, reply *agent.Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.log.Error("panic in an action", "request", req.ID, "agent", req.Agent, "action", req.Action,
				"err", fmt.Sprint(p), "stack", string(debug.Stack()))
			*reply = agent.Reply{}
			err = agent.Errorf(agent.UnknownError, "%s#%s has a defect and crashed, see the log of the node", req.Agent, req.Action)
		}
	}()
	return run(ctx, req, reply)
}

// encode makes the body of the reply out of what an action returned.
func (n *Node) encode(ctx context.Context, s *service, req *agent.Request, reply *agent.Reply, err error) []byte {
	r := result{req.Action, reply.Status, reply.Message, reply.Data}
	if err != nil {
		r.Status, r.Message = n.failure(ctx, s, err)
	}
	if r.Message == "" && r.Status == agent.OK {
		r.Message = "OK"
	}
	if r.Data == nil {
		r.Data = noData
	}
	body, err := marshal(r)
	if err != nil {
		n.log.Error("data of a reply cannot be encoded", "request", req.ID, "agent", s.name, "action", req.Action, "err", err)
		return rpcError(req.Action, agent.UnknownError, "the data of the reply cannot be encoded: "+err.Error())
	}
	return body
}

// failure returns the status and message for what an action returned.
func (n *Node) failure(ctx context.Context, s *service, err error) (agent.Status, string) {
	var e *agent.Error
	switch {
	case errors.As(err, &e):
		return e.Status, e.Message
	case ctx.Err() != nil:
		return agent.Aborted, n.ended(s)
	}
	return agent.UnknownError, err.Error()
}

// ended says why the context of an action ended.
func (n *Node) ended(s *service) string {
	if n.work.closing() {
		return "the node is stopping"
	}
	return timedOut(s)
}

// marshal encodes v; agents may put anything into their data, types with a faulty MarshalJSON too.
func marshal(v any) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return json.Marshal(v)
}

// validate checks the inputs of a request against the description of its agent.
func validate(s *service, req *agent.Request) error {
	var inputs map[string]any
	if len(req.Data) > len(noData) {
		var err error
		if inputs, err = decodeInputs(req.Data); err != nil {
			return agent.Errorf(agent.InvalidData, "data of %s#%s: %v", req.Agent, req.Action, err)
		}
	}
	if err := s.ddl.Validate(req.Action, inputs); err != nil {
		return refusal(err)
	}
	return nil
}

// refusal gives the error of a description the status that callers expect.
func refusal(err error) error {
	status := agent.InvalidData
	var e *ddl.InputError
	if errors.As(err, &e) && e.Fault == ddl.Missing {
		status = agent.MissingData
	}
	return agent.Errorf(status, "%v", err)
}

// decodeInputs decodes data with its numbers as they are written.
func decodeInputs(data json.RawMessage) (inputs map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&inputs)
	return inputs, err
}
