package node

import (
	"container/heap"
	"context"
	"time"
)

// A scheduler calls functions at their time, one after the other, from the goroutine of run. All
// nodes of a process share one, so that none needs a goroutine or a timer of its own. Functions
// must be quick: a slow one delays all others.
type scheduler struct {
	jobs jobs
}

// A job is one function and when it is next called.
type job struct {
	next time.Time
	f    func() time.Duration // returns how long until it is called again
}

// every arranges for f to be called after first, and then every interval. It is called before run.
func (s *scheduler) every(first, interval time.Duration, f func()) {
	s.next(first, func() time.Duration {
		f()
		return interval
	})
}

// next arranges for f to be called after first, and then after what it returns each time. It is
// called before run.
func (s *scheduler) next(first time.Duration, f func() time.Duration) {
	heap.Push(&s.jobs, job{time.Now().Add(first), f})
}

// run calls functions until ctx ends.
func (s *scheduler) run(ctx context.Context) {
	if len(s.jobs) == 0 {
		<-ctx.Done()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(s.jobs[0].next))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		// After a suspended night a job runs once and not for every interval it has missed.
		now := time.Now()
		for !s.jobs[0].next.After(now) && ctx.Err() == nil {
			s.jobs[0].next = now.Add(s.jobs[0].f())
			heap.Fix(&s.jobs, 0)
		}
	}
}

// jobs is a heap whose first element is the next to be called.
type jobs []job

func (j jobs) Len() int           { return len(j) }
func (j jobs) Less(a, b int) bool { return j[a].next.Before(j[b].next) }
func (j jobs) Swap(a, b int)      { j[a], j[b] = j[b], j[a] }
func (j *jobs) Push(x any)        { *j = append(*j, x.(job)) }
func (j *jobs) Pop() any {
	old := *j
	last := old[len(old)-1]
	*j = old[:len(old)-1]
	return last
}
