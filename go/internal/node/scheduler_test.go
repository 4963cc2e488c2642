package node

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var s scheduler
		calls := map[string][]time.Duration{}
		note := func(name string) func() {
			return func() { calls[name] = append(calls[name], time.Since(start)) }
		}
		s.every(3*time.Second, 10*time.Second, note("a"))
		s.every(time.Second, 5*time.Second, note("b"))
		s.every(4*time.Second, time.Hour, func() { time.Sleep(4 * time.Second) }) // holds the others up
		ctx, cancel := context.WithTimeout(t.Context(), 17*time.Second)
		defer cancel()
		s.run(ctx)
		want := map[string][]time.Duration{
			"a": {3 * time.Second, 13 * time.Second},
			// Due at 6 s it is late, and the interval counts from then on.
			"b": {1 * time.Second, 8 * time.Second, 13 * time.Second},
		}
		for name := range want {
			if !slices.Equal(calls[name], want[name]) {
				t.Errorf("%s was called at %v; want %v", name, calls[name], want[name])
			}
		}
	})
}

func TestSchedulerWithoutJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		new(scheduler).run(ctx)
		if d := time.Since(start); d != time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}
