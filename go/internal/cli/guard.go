package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// exitPipe is the status of a command whose output nobody reads any more: that of a process which SIGPIPE has ended.
const exitPipe = 128 + int(syscall.SIGPIPE)

// errInterrupted is the error of what a signal has ended.
var errInterrupted = errors.New("interrupted")

// guarded runs what must not end without having cleaned up. The context of e ends with the first signal that tells us
// to end: also that of a terminal that goes away, and that of output which nobody reads any more. abort is closed by a
// second one that a person or a supervisor sent, and the third kills.
func (e *env) guarded(run func(abort <-chan struct{}) error) error {
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	outer := e.ctx
	e.ctx = ctx
	defer func() { e.ctx = outer }()

	wanted := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		wanted = append(wanted, syscall.SIGHUP)
	}
	received := make(chan os.Signal, 8) // as many as may come while one is looked at; one signal tells as much as two
	signal.Notify(received, wanted...)
	abort, done, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	piped := false // read after ended
	go func() {
		defer close(ended)
		for told := false; ; {
			select {
			case s := <-received:
				switch {
				case s == syscall.SIGPIPE: // comes with every line
					piped = true
				case s == syscall.SIGHUP: // a shell and the kernel may both send it
				case told:
					signal.Reset(os.Interrupt, syscall.SIGTERM)
					close(abort)
					<-done
					return
				}
				told = told || s != syscall.SIGPIPE
				cancel()
			case <-done:
				return
			}
		}
	}()
	err := run(abort)
	interrupted := ctx.Err() != nil
	signal.Stop(received)
	close(done)
	<-ended
	for len(received) > 0 {
		piped = <-received == syscall.SIGPIPE || piped
	}
	switch {
	case piped && (err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, context.Canceled)):
		return &exit{code: exitPipe}
	case piped:
		return &exit{exitPipe, err}
	case interrupted && err != nil && errors.Is(err, context.Canceled):
		return &exit{exitInterrupted, errInterrupted}
	}
	return err
}
