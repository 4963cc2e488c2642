package task

import (
	"fmt"
	"strings"
	"sync"
)

// A Progress is how far a request is.
type Progress struct {
	Name   string // agent#action
	Nodes  int    // that are asked, by all batches
	Done   int    // that have answered well
	Failed int    // that have answered that they failed

	Batch, Batches int // the one on its way, counted from 1
	Try, Tries     int // the one on its way, counted from 1
}

// Silent returns how many nodes have not answered yet.
func (p Progress) Silent() int { return max(0, p.Nodes-p.Done-p.Failed) }

// String is the progress on one line.
func (p Progress) String() string {
	text := fmt.Sprintf("%s: %d of %s done, %d failed, %d silent", p.Name, p.Done, plural(p.Nodes, "node"), p.Failed, p.Silent())
	var more []string
	if p.Batches > 1 {
		more = append(more, fmt.Sprintf("batch %d of %d", p.Batch, p.Batches))
	}
	if p.Tries > 1 {
		more = append(more, fmt.Sprintf("try %d of %d", p.Try, p.Tries))
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}

// A Watcher shows the progress of requests. It gets the one that begins, and returns what to call with each
// change and at the end.
type Watcher func(Progress) (update func(Progress), end func())

// A gauge measures the progress of one request. Its methods may be called concurrently.
type gauge struct {
	mu     sync.Mutex
	at     Progress
	update func(Progress)
	stop   func() // may be called more than once
}

// watch starts to measure, from at on.
func (e *Env) watch(at Progress) *gauge {
	g := &gauge{at: at, update: func(Progress) {}, stop: func() {}}
	g.at.Try, g.at.Tries = e.try, e.tries
	if e.Watch != nil {
		update, end := e.Watch(g.at)
		g.update, g.stop = update, sync.OnceFunc(end)
	}
	return g
}

// batch notes that a batch begins.
func (g *gauge) batch(n, of int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at.Batch, g.at.Batches = n, of
	g.update(g.at)
}

// reply notes a reply.
func (g *gauge) reply(failed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if failed {
		g.at.Failed++
	} else {
		g.at.Done++
	}
	g.update(g.at)
}
