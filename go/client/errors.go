package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What callers branch on. All of them come wrapped in what they are about.
var (
	// ErrNoNodes means that nobody is left to ask.
	ErrNoNodes = errors.New("no nodes discovered")

	// ErrConnectionLost means that the broker went away during a request and nodes that were asked
	// did not answer. The request was not sent again, since nodes might have run it twice.
	ErrConnectionLost = errors.New("connection to the broker lost during the request")

	// ErrRepliesDropped means that replies came faster than they were iterated, so that some were
	// dropped before the client saw who sent them.
	ErrRepliesDropped = errors.New("replies dropped because they were iterated too slowly")
)

// An UnreachableError means that no broker accepted the connection. Its text says which were tried,
// for how long, and why each refused.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string { return e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// An UnknownCollectiveError means that the configuration does not list a collective.
type UnknownCollectiveError struct {
	Collective string
	Known      []string
}

func (e *UnknownCollectiveError) Error() string {
	return fmt.Sprintf("collective %q: not one of the collectives of this client", e.Collective)
}

// Hint says what a person can do about it.
func (e *UnknownCollectiveError) Hint() string {
	return "choose one of " + strings.Join(e.Known, ", ") + ", or add it to collectives in the configuration"
}

// An UnknownMethodError means that there is no discovery method of that name.
type UnknownMethodError struct {
	Method string
	Known  []string
}

func (e *UnknownMethodError) Error() string {
	return fmt.Sprintf("discovery method %q: no such method", e.Method)
}

// Hint says what a person can do about it.
func (e *UnknownMethodError) Hint() string { return "choose one of " + strings.Join(e.Known, ", ") }

// lostError is ErrConnectionLost with the names of those that did not answer.
func lostError(missing []string) error {
	if len(missing) == 0 { // of a broadcast nobody knows who should have answered
		return ErrConnectionLost
	}
	const shown = 10
	names := slices.Sorted(slices.Values(missing))
	more := ""
	if len(names) > shown {
		more = fmt.Sprintf(" and %d more", len(names)-shown)
		names = names[:shown]
	}
	return fmt.Errorf("%w: no answer from %s%s", ErrConnectionLost, strings.Join(names, ", "), more)
}
