// Package agent is what the author of an agent in Go writes.
package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"choria.io/choria/go/ddl"
)

// A Status says how an action went. The numbers are on the wire.
type Status int

// The statuses.
const (
	OK            Status = 0
	Aborted       Status = 1 // understood, could not complete; also: not authorized
	UnknownAction Status = 2
	MissingData   Status = 3
	InvalidData   Status = 4
	UnknownError  Status = 5
)

// An Agent is a set of actions with their description. Its actions may run concurrently.
type Agent struct {
	// DDL describes the agent; its actions have the names of Actions.
	DDL *ddl.Agent

	Actions map[string]Action

	// Any, when set, runs the actions that are not in Actions; agents outside this process use it.
	Any Action
}

// An Action runs one action. What it puts into reply is sent when it returns nil; an error other
// than an *Error becomes status UnknownError. It must return when ctx ends.
type Action func(ctx context.Context, req *Request, reply *Reply) error

// A Request is one request that has been verified, validated and authorized.
type Request struct {
	ID         string
	Agent      string
	Action     string
	Caller     string
	Sender     string
	Collective string
	Time       time.Time
	TTL        time.Duration
	Data       json.RawMessage // one JSON object; {} when the request had none

	// Permitted asks whether the caller may also run what its inputs name, as if that were an action of the
	// agent, and leaves a trace of it in the audit log. An agent that runs what others have written asks. Nil
	// permits all.
	Permitted func(action string) bool `json:"-"`
}

// A Reply is the answer of one node.
type Reply struct {
	Status  Status
	Message string // OK when empty and Status is OK
	Data    any    // what is marshalled as the data of the reply; nil is {}
}

// An Error is a failure with the status that it gets on the wire. Data that the action has put into
// its reply before failing is sent with it.
type Error struct {
	Status  Status
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an *Error. The message is for the caller: it crosses the network.
func Errorf(status Status, format string, args ...any) error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}
