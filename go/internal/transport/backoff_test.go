package transport

import (
	"testing"
	"time"
)

// TestBackoff holds that waits grow up to the longest one, and that a fleet which lost its broker at one moment
// is spread over as long as it waits.
func TestBackoff(t *testing.T) {
	for name, b := range map[string]backoff{"reconnect": reconnectBackoff, "connect": connectBackoff} {
		for _, failures := range []int{0, 1, 2, 10, 43, 1000, 1 << 40} {
			middle := min(b.first+time.Duration(min(max(failures-1, 0), 1000))*b.step, b.max)
			const fleet = 1000
			var quarters [4]int // of the time between the earliest and the latest
			for range fleet {
				d := b.delay(failures)
				if d < middle/2 || d >= middle/2+middle {
					t.Fatalf("%s after %d failures: %v; want %v to %v", name, failures, d, middle/2, middle/2+middle)
				}
				quarters[4*(d-middle/2)/middle]++
			}
			for i, n := range quarters { // of 250 each; 150 are seven standard deviations away
				if n < 150 || n > 350 {
					t.Errorf("%s after %d failures: %d of %d come back in quarter %d of the time", name, failures, n, fleet, i+1)
				}
			}
		}
	}
}
