package node

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLetOthersRun holds that what is ready to run has had its turn before an action is said to have timed out.
func TestLetOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const ready = 50
	var ran atomic.Int64
	var all sync.WaitGroup
	for range ready {
		all.Go(func() { ran.Add(1) })
	}
	letOthersRun()
	if n := ran.Load(); n != ready {
		t.Errorf("%d of %d that were ready have run", n, ready)
	}
	all.Wait()
}
