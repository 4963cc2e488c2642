package client

import "time"

// A window decides when answers to a broadcast have dried up. Nobody knows how many will come, so it
// goes by how they came so far: in a quiet network all of them are there within milliseconds of each
// other, in a slow one the first answer and the gaps between answers are slow too.
type window struct {
	floor  time.Duration // the shortest quiet time that ends it; zero means windowFloor
	least  time.Duration // after start, before which it does not end
	start  time.Time
	last   time.Time     // when the latest answer came; zero before the first
	widest time.Duration // the longest of the wait for the first answer and the gaps after it
}

const (
	// windowFloor is the shortest quiet time that ends a discovery: what the sliding window of
	// Choria has always been (plugin.choria.discovery.broadcast.windowed_timeout), which nodes are
	// known to keep up with.
	windowFloor = 300 * time.Millisecond

	// windowFactor is by how much a quiet time must exceed the longest wait seen so far.
	windowFactor = 4

	// windowShare is the part of all the time that answers have been coming for that a quiet time must
	// last: where thousands of nodes take seconds, one hiccup takes longer than all gaps before it.
	windowShare = 4

	// windowLongest is when a discovery ends although answers still come: nodes do not take so long,
	// but who invents answers might never end.
	windowLongest = time.Minute
)

// answer notes an answer that came at now.
func (w *window) answer(now time.Time) {
	since := w.last
	if since.IsZero() {
		since = w.start
	}
	w.widest = max(w.widest, now.Sub(since))
	w.last = now
}

// end returns when discovery ends if nobody else answers. It is false before the first answer: then
// only the timeout ends it.
func (w *window) end() (time.Time, bool) {
	if w.last.IsZero() {
		return time.Time{}, false
	}
	end := w.last.Add(max(windowFloor, w.floor, windowFactor*w.widest, w.last.Sub(w.start)/windowShare))
	if least := w.start.Add(w.least); end.Before(least) {
		end = least
	}
	return end, true
}
