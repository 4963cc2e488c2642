package streams

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Elections is the bucket in which processes elect a leader. Source: protocol section 10.4.
const Elections = "CHORIA_LEADER_ELECTION"

// ErrLost says that a process is not the leader any more.
var ErrLost = errors.New("the leadership is lost")

// An Election is one candidate for the leadership of something. The leader is whose name is the value of
// a key in a bucket whose values expire, and which it writes again before they do. Candidates of other
// Choria releases take part in the same way.
type Election struct {
	Bucket *Bucket // values have to expire; required
	Name   string  // of the election, the key; required
	Self   string  // this candidate; required
}

// Parts of the time that a value lives.
const (
	renewals  = 4 // attempts to write it again
	campaigns = 4 // attempts to become the leader
)

// Lead waits until this candidate is the leader, then calls lead with a context that ends when it is not
// any more: it wrote the value last so long ago that another may have become the leader, or somebody has
// taken the value away. That says errors.Is(context.Cause(ctx), ErrLost). When lead has returned the
// leadership is given up, and Lead returns what lead did. The end of ctx is no error before that.
func (e *Election) Lead(ctx context.Context, lead func(context.Context) error) error {
	info, err := e.Bucket.Info(ctx)
	if err != nil {
		return err
	}
	if info.TTL <= 0 {
		return fmt.Errorf("election %q: values of bucket %q do not expire, the leader could never be another one", e.Name, info.Name)
	}
	since, revision, err := e.campaign(ctx, info.TTL)
	if err != nil {
		return err
	}
	held, lose := context.WithCancelCause(ctx)
	done, kept := make(chan struct{}), make(chan uint64, 1)
	go func() {
		last, err := e.keep(ctx, done, info.TTL, since, revision)
		lose(err)
		kept <- last
	}()
	err = lead(held)
	close(done)
	last := <-kept
	lost := errors.Is(context.Cause(held), ErrLost)
	lose(nil)
	if lost {
		return err
	}
	// ctx may have ended; who comes next should not have to wait until the value expires.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	if resigned := e.Bucket.Delete(limited, e.Name, last); resigned != nil && !errors.Is(resigned, ErrConflict) {
		return errors.Join(err, resigned)
	}
	return err
}

// news gets something when the value, or a change of it, is of interest. That a value expires is not told.
func (e *Election) news(ctx context.Context, interest func(Entry) bool) <-chan struct{} {
	news := make(chan struct{}, 1)
	go func() {
		for entry, err := range e.Bucket.Watch(ctx, Watch{Key: e.Name}) {
			if err == nil && interest(entry) {
				select {
				case news <- struct{}{}:
				default: // it is going to look
				}
			}
		}
	}()
	return news
}

// campaign returns when this candidate is the leader: since when at most, and the revision of its value.
func (e *Election) campaign(ctx context.Context, ttl time.Duration) (since time.Time, revision uint64, err error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	vacant := e.news(watching, func(entry Entry) bool { return entry.Deleted })
	for {
		since = time.Now()
		revision, err = e.Bucket.Create(ctx, e.Name, []byte(e.Self))
		switch {
		case err == nil:
			return since, revision, nil
		case ctx.Err() != nil:
			return since, 0, ctx.Err()
		case !errors.Is(err, ErrExists) && !errors.Is(err, ErrSilent) && !errors.Is(err, ErrConflict):
			return since, 0, err
		}
		wait := ttl / campaigns
		select {
		case <-time.After(wait - rand.N(wait/4+1)):
		case <-vacant:
		case <-ctx.Done():
			return since, 0, ctx.Err()
		}
	}
}

// keep writes the value again and again until done. It returns the last revision, and ErrLost when the
// leadership is lost.
func (e *Election) keep(ctx context.Context, done <-chan struct{}, ttl time.Duration, since time.Time, revision uint64) (uint64, error) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	taken := e.news(watching, func(entry Entry) bool { return entry.Deleted || string(entry.Value) != e.Self })
	for {
		select {
		case <-done:
			return revision, nil
		case <-time.After(ttl / renewals):
		case <-taken: // an attempt says so for certain
		}
		// The value lives from when the broker has it, which is not before it was sent. The last third is for
		// who leads to come to an end.
		end := since.Add(ttl - ttl/3)
		attempt, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
		sent := time.Now()
		next, err := e.Bucket.Update(attempt, e.Name, []byte(e.Self), revision)
		cancel()
		switch {
		case err == nil:
			since, revision = sent, next
		case errors.Is(err, ErrConflict):
			return revision, fmt.Errorf("election %q: %w: somebody else has written the value", e.Name, ErrLost)
		case !time.Now().Before(end):
			return revision, fmt.Errorf("election %q: %w: the value could not be written in time", e.Name, ErrLost)
		}
	}
}
