package rubyagent

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"choria.io/choria/go/internal/subprocess"
)

// logMark starts the lines of standard error that are messages of the agent's log, see
// logger/host_logger.rb.
const logMark = '\x1e'

// maxLogLines bounds what one action may log.
const maxLogLines = 1000

// A stderrLog takes what an action writes to standard error: messages go to the log, the rest is kept.
type stderrLog struct {
	log   *slog.Logger
	raw   []byte // the last maxStderr bytes
	lines int
}

func (s *stderrLog) buffer() subprocess.Buffer { return subprocess.Buffer{Line: s.line} }

func (s *stderrLog) line(line []byte) {
	if len(line) == 0 || line[0] != logMark {
		s.raw = append(append(s.raw, line...), '\n')
		if len(s.raw) > 2*maxStderr {
			s.raw = append(s.raw[:0], s.raw[len(s.raw)-maxStderr:]...)
		}
		return
	}
	s.lines++
	switch {
	case s.lines == maxLogLines:
		s.log.Warn("agent logs too much, the rest is dropped")
		return
	case s.lines > maxLogLines:
		return
	}
	word, text, _ := bytes.Cut(line[1:], []byte(" "))
	s.log.Log(context.Background(), level(string(word)), "message of the agent", "message", strings.ToValidUTF8(string(text), "?"))
}

// level returns the level of a word.
func level(word string) slog.Level {
	switch word {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error", "fatal":
		return slog.LevelError
	}
	return slog.LevelInfo
}
