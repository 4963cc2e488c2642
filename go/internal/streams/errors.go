package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What callers branch on. They come wrapped in an *Error that says what they are about.
var (
	ErrOff      = errors.New("the broker has no streams")
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrConflict = errors.New("somebody else has changed it meanwhile")
	ErrSilent   = errors.New("no answer from the brokers that keep streams")
	ErrTooOld   = errors.New("the broker is too old for it")
)

// An Error is one of the errors above, or what the broker said.
type Error struct {
	What string // bucket "locks", key "x"
	Err  error
}

func (e *Error) Error() string { return e.What + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Hint says what a person can do about it.
func (e *Error) Hint() string {
	switch {
	case errors.Is(e.Err, ErrOff):
		return "set plugin.choria.network.stream.store to a directory in the configuration of the brokers"
	case errors.Is(e.Err, ErrSilent):
		return "more than half of the brokers that keep it have to run, with room on their disks; \"choria broker info\" shows how they are"
	}
	return ""
}

// Codes of errors that the library has no name for. Source: errors.json of the NATS server.
const (
	codeNoResources     = 10023
	codeNoPeers         = 10005
	codeNotAvailable    = 10008
	codeSubjectsOverlap = 10065
	codeStorage         = 10047
)

// explain returns err, which came of doing something with what, as one of ours. It keeps nil and the
// end of the caller's context.
func explain(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known := kind(err); known != nil {
		return &Error{what, known}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return &Error{what, errors.New(api.Description)}
	}
	return &Error{what, err}
}

func kind(err error) error {
	for _, known := range []struct{ is, as error }{
		{jetstream.ErrJetStreamNotEnabled, ErrOff},
		{jetstream.ErrJetStreamNotEnabledForAccount, ErrOff},
		{nats.ErrNoResponders, ErrOff},
		{jetstream.ErrStreamNotFound, ErrNotFound},
		{jetstream.ErrBucketNotFound, ErrNotFound},
		{jetstream.ErrKeyNotFound, ErrNotFound},
		{jetstream.ErrKeyDeleted, ErrNotFound},
		{jetstream.ErrMsgNotFound, ErrNotFound},
		{jetstream.ErrKeyExists, ErrExists},
		{jetstream.ErrBucketExists, ErrExists},
		{jetstream.ErrStreamNameAlreadyInUse, ErrExists},
		{jetstream.ErrNoStreamResponse, ErrSilent},
		{jetstream.ErrLimitMarkerTTLNotSupported, ErrTooOld},
		{nats.ErrTimeout, ErrSilent},
		{context.DeadlineExceeded, ErrSilent},
	} {
		if errors.Is(err, known.is) {
			return known.as
		}
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return nil
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return ErrConflict
	case codeNotAvailable:
		return ErrSilent
	case codeNoPeers:
		return errors.New("there are fewer brokers with streams than copies are wanted")
	case codeSubjectsOverlap:
		return errors.New("another stream has some of its subjects")
	case codeNoResources, codeStorage:
		return fmt.Errorf("the brokers have no room for it: %s", api.Description)
	}
	return nil
}
