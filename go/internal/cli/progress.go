package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// A bar shows on a terminal how many of the nodes have answered. Its methods do nothing on nil.
type bar struct {
	screen *screen
	total  int
	done   int
	width  int // of the part in brackets, with them
	start  time.Time
	drawn  time.Time
	over   bool
}

const (
	minBar   = 35                    // columns; narrower is no use
	maxBar   = 80                    // columns
	barSpace = 30                    // columns for the numbers beside the bar
	redraw   = 50 * time.Millisecond // between drawings
)

// newBar starts a bar on a terminal that is wide enough, and returns nil elsewhere.
func newBar(s *screen, total int) *bar {
	f, ok := s.Writer.(*os.File)
	if !ok || !terminal(f) {
		return nil
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	width := min(maxBar, columns-barSpace)
	if err != nil || width < minBar {
		return nil
	}
	b := &bar{screen: s, total: total, width: width, start: time.Now()}
	b.draw()
	return b
}

// add counts n more.
func (b *bar) add(n int) {
	if b == nil || b.over {
		return
	}
	b.done = min(b.done+n, b.total)
	if b.done == b.total || time.Since(b.drawn) >= redraw {
		b.draw()
	}
}

// finish leaves the bar as it is and goes on below it.
func (b *bar) finish() {
	if b == nil || b.over {
		return
	}
	b.draw()
	b.over = true
	b.screen.printf("\n\n")
}

func (b *bar) draw() {
	b.drawn = time.Now()
	b.screen.printf("\r%s", b.line(time.Since(b.start)))
}

// line returns the bar as it looks after some time.
func (b *bar) line(elapsed time.Duration) string {
	inner := b.width - 2
	filled := inner * b.done / b.total
	rest := strings.Repeat("-", inner-filled)
	full := strings.Repeat("=", filled)
	if filled > 0 && filled < inner {
		full = full[1:] + ">"
	}
	return fmt.Sprintf("%d / %d %5s [%s%s] %3d%%", b.done, b.total, elapsed.Truncate(time.Second), full, rest, 100*b.done/b.total)
}
