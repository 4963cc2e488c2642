package security

// A hintError is an error that has a cure. The command line prints it after the error.
type hintError struct {
	error
	hint string
}

// hint returns err with its cure.
func hint(err error, cure string) error { return &hintError{err, cure} }

// Hint returns what the operator can do.
func (e *hintError) Hint() string { return e.hint }

// Unwrap returns the error without the cure.
func (e *hintError) Unwrap() error { return e.error }
