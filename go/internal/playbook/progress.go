package playbook

import (
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"choria.io/choria/go/internal/playbook/task"
)

const (
	redraw = 50 * time.Millisecond // between drawings of a line on a terminal, at least
	report = 10 * time.Second      // between lines about a request elsewhere, unless Log.Every says otherwise
)

// A Screen is a terminal, on which the progress of requests is shown below the log.
type Screen struct {
	io.Writer
	Columns func() int // how wide it is; less than 20 shows nothing
}

// watched is a request that is on its way.
type watched struct {
	source string
	at     task.Progress
}

// watch shows the progress of a request, on a line below the log where that is a terminal, and otherwise in the log
// now and then, until end is called. The functions that it returns may be called concurrently.
func (l *Log) watch(source string, at task.Progress) (update func(task.Progress), end func()) {
	w := &watched{source, at}
	l.mu.Lock()
	l.watching = append(l.watching, w)
	l.draw()
	l.mu.Unlock()

	stop := func() {}
	if l.Screen == nil {
		stop = l.reportOn(w)
	}
	update = func(at task.Progress) {
		l.mu.Lock()
		defer l.mu.Unlock()
		w.at = at
		if time.Since(l.drawn) >= redraw {
			l.draw()
		}
	}
	return update, func() {
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watching = slices.DeleteFunc(l.watching, func(other *watched) bool { return other == w })
		l.draw()
	}
}

// reportOn says how far a request is every now and then, until stop is called.
func (l *Log) reportOn(w *watched) (stop func()) {
	every := l.Every
	if every == 0 {
		every = report
	}
	ticker := time.NewTicker(every)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				l.mu.Lock()
				text := w.at.String()
				l.mu.Unlock()
				l.Say(Notice, w.source, text)
			case <-ended:
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

// erase removes the line below the log. l.mu is held.
func (l *Log) erase() {
	if l.shown {
		fmt.Fprint(l.Screen, "\r\x1b[K")
		l.shown = false
	}
}

// draw shows the line below the log, when there is something to show. l.mu is held.
func (l *Log) draw() {
	if l.Screen == nil {
		return
	}
	l.erase()
	columns := l.Screen.Columns()
	if len(l.watching) == 0 || columns < 20 {
		return
	}
	text := l.watching[0].at.String()
	if n := len(l.watching) - 1; n > 0 {
		text = fmt.Sprintf("[+%d] %s", n, text)
	}
	text = printable(text)
	for utf8.RuneCountInString(text) >= columns { // the last column would start a new line
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	fmt.Fprint(l.Screen, text)
	l.shown, l.drawn = true, time.Now()
}
