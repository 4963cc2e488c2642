package playbook

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// A Log writes the lines that a run has to say, as LEVEL: SOURCE: MESSAGE. Its methods may be called
// concurrently.
type Log struct {
	Out     io.Writer // gets debug, info and notice
	Err     io.Writer // gets all others
	Level   Level     // lines below are left out
	Colour  bool
	Secrets *Secrets

	// Keep keeps all lines that were written, for the report.
	Keep bool

	// Screen is where the progress of requests is shown while they are on their way. Nil: it is no terminal, and
	// the log itself says how far they are, Every now and then; zero means 10 s.
	Screen *Screen
	Every  time.Duration

	mu       sync.Mutex
	lines    []Line
	watching []*watched
	shown    bool      // there is a line below the log
	drawn    time.Time // when it was last drawn
}

// A Line is one line of the log.
type Line struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	From  string    `json:"from"`
	Text  string    `json:"msg"`
}

// Lines returns what was kept.
func (l *Log) Lines() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Line{}, l.lines...)
}

// Say writes one line. source may be empty.
func (l *Log) Say(level Level, source, text string) {
	if level < l.Level {
		return
	}
	text = printable(l.Secrets.Mask(text))
	line := levels[level].word + ": "
	if source != "" {
		line += source + ": "
	}
	line += text
	if colour := levels[level].colour; l.Colour && colour != "" {
		line = "\x1b[" + colour + "m" + line + "\x1b[0m"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Keep {
		l.lines = append(l.lines, Line{time.Now(), level.String(), source, text})
	}
	w := l.Out
	if level >= Warning {
		w = l.Err
	}
	l.erase()
	fmt.Fprintln(w, line)
	l.draw()
}

// printable keeps what nodes send from acting on the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) || unicode.Is(unicode.Variation_Selector, r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// A voice is the Log on behalf of one place in a plan.
type voice struct {
	log    *Log
	source string
}

func (v voice) Debug(format string, args ...any) {
	v.log.Say(Debug, v.source, fmt.Sprintf(format, args...))
}
func (v voice) Notice(format string, args ...any) {
	v.log.Say(Notice, v.source, fmt.Sprintf(format, args...))
}
func (v voice) Warning(format string, args ...any) {
	v.log.Say(Warning, v.source, fmt.Sprintf(format, args...))
}
func (v voice) Error(format string, args ...any) {
	v.log.Say(Err, v.source, fmt.Sprintf(format, args...))
}
