//go:build !unix

package daemon

import "time"

// usage returns the resident memory and the processor time of this process, 0 where they are not
// known.
func usage() (rss int64, cpu time.Duration) { return 0, 0 }
