package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"choria.io/choria/go/internal/playbook/props"
)

// A locker is a store that has locks.
type locker interface {
	// lock waits for the lock of item until ctx ends. A lock that may have been taken when an error is
	// returned must end by itself.
	lock(ctx context.Context, item string) (*Lock, error)
}

// lockTimeout is how long to wait for a lock unless the property timeout says so.
const lockTimeout = 120 * time.Second

// releaseTimeout is how long a release may take; what is not released then goes after its ttl.
const releaseTimeout = 10 * time.Second

// errHeld is the error of a lock that was waited for until the time was up.
var errHeld = errors.New("somebody else has it")

// A Lock is one that was taken. Of a store that lets locks go after a time it is renewed until it is released.
type Lock struct {
	release func(context.Context) error
	lost    chan struct{} // closed once it is lost
	why     error         // read after lost
	stop    func()        // ends the renewal, and waits for that
}

// Lock takes a lock of the store that properties describe. The property timeout says for how many seconds to
// wait for it.
func (e *Env) Lock(ctx context.Context, item string, properties map[string]any) (*Lock, error) {
	s, p, err := e.open(properties)
	if err != nil {
		return nil, failed("lock", item, err)
	}
	l, ok := s.(locker)
	if !ok {
		return nil, failed("lock", item, fmt.Errorf("the %s store has no locks", properties["type"]))
	}
	timeout := p.Seconds("timeout", lockTimeout)
	if err := p.Err(); err != nil {
		return nil, failed("lock", item, err)
	}
	// A timeout of no time is one try.
	waiting, cancel := context.WithTimeout(ctx, max(timeout, time.Millisecond))
	defer cancel()
	lock, err := l.lock(waiting, item)
	switch {
	case err == nil:
		return lock, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errHeld) || waiting.Err() != nil:
		seconds := strconv.FormatFloat(timeout.Seconds(), 'f', -1, 64)
		return nil, failed("lock", item, fmt.Errorf("not obtained within %s seconds: %w", seconds, err))
	}
	return nil, failed("lock", item, err)
}

// Lost returns why the lock is not held any more, nil while it is.
func (l *Lock) Lost() error {
	select {
	case <-l.lost:
		return l.why
	default:
		return nil
	}
}

// Release gives the lock back. It must be called once.
func (l *Lock) Release(ctx context.Context) error {
	if l.stop != nil {
		l.stop()
	}
	if err := l.Lost(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	return l.release(ctx)
}

// held returns a lock that stays until it is released, or this process ends.
func held(release func() error) *Lock {
	return &Lock{release: func(context.Context) error { return release() }}
}

// errGone is the error of renewing a lock that is not ours any more.
var errGone = errors.New("the lock is gone")

// A lease is a lock that the store lets go unless it is renewed.
type lease struct {
	since   time.Time // before it was taken
	ttl     time.Duration
	renew   func(context.Context) error // errGone says that there is nothing to renew
	release func(context.Context) error
}

// hold renews the lease, three times in its time, until the lock is released. Trouble is overcome by trying
// again; once the time of the lease is over, the lock counts as lost, whatever the store thinks.
func (s lease) hold() *Lock {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lock{release: s.release, lost: make(chan struct{})}
	done := make(chan struct{})
	l.stop = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		if err := s.keep(ctx); err != nil {
			l.why = err
			close(l.lost)
		}
	}()
	return l
}

// keep returns nil when ctx ends, and else why the lease is lost.
func (s lease) keep(ctx context.Context) error {
	trouble := errors.New("this process has not run for so long") // stopped, or starved
	for wait := s.ttl / 3; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(wait, time.Until(s.since.Add(s.ttl)))):
		}
		start := time.Now()
		end := s.since.Add(s.ttl)
		if !start.Before(end) {
			return fmt.Errorf("it could not be renewed for %s: %w", s.ttl, trouble)
		}
		attempt, cancel := context.WithDeadline(ctx, end)
		err := s.renew(attempt)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			s.since, wait = start, s.ttl/3
		case errors.Is(err, errGone):
			return err
		default:
			trouble, wait = err, s.ttl/10
		}
	}
}

// poll calls try until it has a lock, or ctx ends.
func poll(ctx context.Context, every time.Duration, try func(context.Context) (*Lock, error)) (*Lock, error) {
	for {
		lock, err := try(ctx)
		switch {
		case ctx.Err() != nil && lock == nil:
			return nil, errHeld
		case err != nil || lock != nil:
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, errHeld
		case <-time.After(every):
		}
	}
}

// ttl reads how long a lock outlives its holder.
func ttl(p *props.Props, least int) time.Duration {
	return time.Duration(p.Int("ttl", 10, least)) * time.Second
}
