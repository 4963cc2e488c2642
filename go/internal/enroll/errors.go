package enroll

import (
	"fmt"
	"time"
)

// An UnsignedError says that the CA has not signed a request in time. Running the same request again
// goes on waiting.
type UnsignedError struct {
	Name   string
	Server string        // host:port
	Waited time.Duration // zero: it was asked for once
	Err    error         // why the CA was not to be asked the last time, if so
}

func (e *UnsignedError) Error() string {
	text := fmt.Sprintf("certificate %s: not signed yet", e.Name)
	if e.Waited > 0 {
		text = fmt.Sprintf("certificate %s: not signed after %s", e.Name, e.Waited.Round(time.Second))
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns why the CA was not to be asked the last time, if so.
func (e *UnsignedError) Unwrap() error { return e.Err }

// Hint returns what the operator can do.
func (e *UnsignedError) Hint() string {
	return fmt.Sprintf("on the CA, %s: puppetserver ca sign --certname %s; then run the same command again", e.Server, e.Name)
}

// An UnreachableError says that a CA did not answer, or that it could not.
type UnreachableError struct {
	Server string // host:port
	Err    error
	hint   string
}

func (e *UnreachableError) Error() string { return "CA " + e.Server + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint returns what the operator can do.
func (e *UnreachableError) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	return "set plugin.choria.puppetca_host and plugin.choria.puppetca_port to where the Puppet CA answers, or name it with --ca"
}

// A hintError is an error that has a cure.
type hintError struct {
	error
	hint string
}

func hint(err error, cure string, args ...any) error {
	return &hintError{err, fmt.Sprintf(cure, args...)}
}

// Hint returns what the operator can do.
func (e *hintError) Hint() string { return e.hint }

// Unwrap returns the error without the cure.
func (e *hintError) Unwrap() error { return e.error }
