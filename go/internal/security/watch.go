package security

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookInterval is how often at most the files behind a watched value are looked at.
const lookInterval = time.Second

// A watched value is made from files, and made anew when one of them changes. It needs no
// goroutine: who uses the value looks at the files, now and then. That costs a stat of each file a
// second in a busy process, nothing in an idle one, and thousands may live in one process.
type watched[T any] struct {
	files []string

	// load makes the value. The one in use is handed in, nil the first time.
	load func(old *T) (*T, error)

	// refused is told why a changed file is not used, once for each change. The value in use stays.
	refused func(error)

	value atomic.Pointer[T]
	start time.Time    // when open was called; carries the monotonic clock
	next  atomic.Int64 // when to look again, nanoseconds after start

	mu   sync.Mutex
	seen []os.FileInfo // what load last read; nil where there was no file
}

// open loads the value the first time.
func (w *watched[T]) open() error {
	w.start = time.Now()
	w.next.Store(int64(lookInterval))
	// What is seen is noted before it is read: a change in between is then found again later.
	w.seen = w.stat()
	v, err := w.load(nil)
	if err != nil {
		return err
	}
	w.value.Store(v)
	return nil
}

// get returns the value, made anew if it is time to look and a file has changed.
func (w *watched[T]) get() *T {
	if int64(time.Since(w.start)) >= w.next.Load() && w.mu.TryLock() {
		w.look()
		w.mu.Unlock()
	}
	return w.value.Load()
}

// look reloads the value if a file changed. w.mu is held; others use the old value meanwhile.
func (w *watched[T]) look() {
	defer func() { w.next.Store(int64(time.Since(w.start) + lookInterval)) }()
	now := w.stat()
	if sameFiles(now, w.seen) {
		return
	}
	w.seen = now
	v, err := w.load(w.value.Load())
	if err != nil {
		w.refused(err)
		return
	}
	w.value.Store(v)
}

func (w *watched[T]) stat() []os.FileInfo {
	out := make([]os.FileInfo, len(w.files))
	for i, f := range w.files {
		if info, err := os.Stat(f); err == nil {
			out[i] = info
		}
	}
	return out
}

// sameFiles reports whether nothing changed: not the file that a name stands for, nor its time,
// size or mode. The mode counts since a key that others may read is refused.
func sameFiles(a, b []os.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			if a[i] != b[i] {
				return false
			}
			continue
		}
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() || a[i].Mode() != b[i].Mode() {
			return false
		}
	}
	return true
}
