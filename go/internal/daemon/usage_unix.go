//go:build unix

package daemon

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// usage returns the resident memory in bytes, 0 where it is not known, and the processor time of
// this process.
func usage() (rss int64, cpu time.Duration) {
	if data, err := os.ReadFile("/proc/self/statm"); err == nil { // proc(5): size and resident, in pages
		var size, pages int64
		if n, _ := fmt.Sscan(string(data), &size, &pages); n == 2 {
			rss = pages * int64(os.Getpagesize())
		}
	}
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) == nil {
		cpu = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	return rss, cpu
}
