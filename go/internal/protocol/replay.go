package protocol

import (
	"sync"
	"time"
)

// maxReplays is how many requests a Replay remembers when it is not told, some 50 bytes each: more
// than 160 a second with the usual ttl of a minute.
const maxReplays = 10_000

// A Replay remembers the requests that a node has started, for as long as they could be started
// again. The zero value is ready for use, takes no memory until there is something to remember, and
// may be used concurrently.
//
// Requests are told apart by their signed bytes and not by their id: the batches of one client share
// an id, and a client may sign another message with the id of an earlier one. How the signature is
// written, or by which certificate it is verified, makes no difference.
type Replay struct {
	// Max is how many requests are remembered. When there are more, those are forgotten that could be
	// started for the shortest time still. Zero means 10 000.
	Max int

	mu   sync.Mutex
	seen map[[16]byte]struct{}
	heap []remembered // the one to be forgotten next comes first
}

type remembered struct {
	until int64 // seconds since 1970
	key   [16]byte
}

// First reports whether req, which OpenRequest has returned, is seen for the first time, and
// remembers it. The caller has found that now is within its ttl.
func (r *Replay) First(req *Request, now time.Time) bool {
	key := [16]byte(req.Digest[:])
	until := req.Time.Add(req.TTL).Unix() + 1 // a fraction of a second must not be lost

	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.heap) > 0 && r.heap[0].until <= now.Unix() {
		r.forget()
	}
	if _, ok := r.seen[key]; ok {
		return false
	}
	limit := r.Max
	if limit <= 0 {
		limit = maxReplays
	}
	for len(r.heap) >= limit {
		r.forget()
	}
	if r.seen == nil {
		r.seen = make(map[[16]byte]struct{})
	}
	r.seen[key] = struct{}{}
	r.push(remembered{until, key})
	return true
}

// Len returns how many requests are remembered.
func (r *Replay) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heap)
}

// push adds e to the heap. container/heap would allocate for each.
func (r *Replay) push(e remembered) {
	r.heap = append(r.heap, e)
	h := r.heap
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].until <= h[i].until {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

// forget removes the first of the heap. With the last one the memory goes, since neither maps nor
// slices shrink.
func (r *Replay) forget() {
	h := r.heap
	delete(r.seen, h[0].key)
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	if last == 0 {
		r.seen, r.heap = nil, nil
		return
	}
	r.heap = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].until < h[child].until {
			child++
		}
		if h[i].until <= h[child].until {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
