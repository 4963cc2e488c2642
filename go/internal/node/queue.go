package node

import "sync"

// Limits of one agent of one node, so that slow actions of one agent never keep another one from
// answering, and memory stays bounded however many requests arrive.
const (
	maxRunning = 16
	maxWaiting = 256
)

// A queue runs functions in goroutines, maxRunning at once. Nothing runs in an empty one.
type queue struct {
	mu      sync.Mutex
	running int
	waiting []func(waited bool) // started in this order as soon as fewer than maxRunning run
}

// submit runs f soon in a goroutine, or reports that there is too much to do. f is told whether it had
// to wait for others.
func (q *queue) submit(f func(waited bool)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.running < maxRunning:
		q.running++
		go q.work(f)
	case len(q.waiting) < maxWaiting:
		q.waiting = append(q.waiting, f)
	default:
		return false
	}
	return true
}

// work runs f, then what waits.
func (q *queue) work(f func(waited bool)) {
	for waited := false; f != nil; waited = true {
		f(waited)
		f = q.next()
	}
}

func (q *queue) next() func(waited bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running--
		q.waiting = nil
		return nil
	}
	f := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	return f
}
