package transport

import (
	"math/rand/v2"
	"time"
)

// A backoff says how long to wait after a number of failures: first, and step more with each
// failure until max, times a random factor of 0.5 to 1.5, so that a fleet that lost its broker does
// not come back at once.
type backoff struct {
	first, step, max time.Duration
}

// Source: protocol section 9.3, "reconnects" and "first connect"; 44 and 11 steps.
var (
	reconnectBackoff = backoff{500 * time.Millisecond, 454 * time.Millisecond, 20 * time.Second}
	connectBackoff   = backoff{500 * time.Millisecond, 450 * time.Millisecond, 5 * time.Second}
)

// delay returns how long to wait after the given number of failures, which counts from 1.
func (b backoff) delay(failures int) time.Duration {
	d := b.max
	if n := max(failures-1, 0); n < int((b.max-b.first)/b.step)+1 {
		d = min(b.first+time.Duration(n)*b.step, b.max)
	}
	return d/2 + rand.N(d)
}
