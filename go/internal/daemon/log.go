package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// LevelFatal is the level of what ends the process, and the highest that logs can be cut down to.
const LevelFatal = slog.LevelError + 4

// logMode is the mode of new log files: the group may read what the daemon does.
const logMode = 0o640

// A Log is where a daemon logs to. Files get JSON lines, stdout and stderr get text.
type Log struct {
	*slog.Logger
	file *logFile // nil when it is not a file
}

// OpenLog opens file, which is a path, stdout, stderr or discard; empty means stdout. level is debug,
// info, warn, error or fatal.
func OpenLog(file, level string) (*Log, error) {
	l, err := parseLevel(level)
	if err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: nameFatal}
	switch file {
	case "", "stdout":
		return &Log{Logger: slog.New(slog.NewTextHandler(os.Stdout, o))}, nil
	case "stderr":
		return &Log{Logger: slog.New(slog.NewTextHandler(os.Stderr, o))}, nil
	case "discard":
		return &Log{Logger: slog.New(slog.DiscardHandler)}, nil
	}
	f := &logFile{path: file}
	if err := f.Reopen(); err != nil {
		return nil, err
	}
	return &Log{Logger: slog.New(slog.NewJSONHandler(f, o)), file: f}, nil
}

func parseLevel(level string) (slog.Level, error) {
	switch level {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "fatal":
		return LevelFatal, nil
	}
	return 0, fmt.Errorf("log level %q: want debug, info, warn, error or fatal", level)
}

// nameFatal gives the level that slog has no name for its own.
func nameFatal(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.LevelKey && len(groups) == 0 && a.Value.Kind() == slog.KindAny {
		if l, ok := a.Value.Any().(slog.Level); ok && l >= LevelFatal {
			a.Value = slog.StringValue("FATAL")
		}
	}
	return a
}

// Reopen opens the file anew, after it was renamed by a log rotation. What is logged meanwhile goes
// to one of the two files. When the new one cannot be opened the old one stays in use.
func (l *Log) Reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.Reopen()
}

// Close closes the file. What is logged later is lost.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// A logFile is a file that can be opened anew while it is written to.
type logFile struct {
	path string

	mu sync.Mutex
	f  *os.File
}

func (l *logFile) Reopen() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, logMode)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	l.mu.Lock()
	old := l.f
	l.f = f
	l.mu.Unlock()
	if old != nil {
		return old.Close() // no write is under way, they hold the lock
	}
	return nil
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Write(line)
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

// Reopener reopens l and the files of extra at each SIGHUP until ctx ends. It returns at once, and
// from then on the signal no longer ends the process.
func Reopener(ctx context.Context, l *Log, extra ...interface{ Reopen() error }) {
	signals := make(chan os.Signal, 1) // one is enough: the next reopens the files of all before it
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		// The signal stays caught: what comes after ctx has ended must not kill a process that is
		// on its way to an orderly end.
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			if err := l.Reopen(); err != nil {
				l.Error("log not reopened", "err", err)
			}
			for _, f := range extra {
				if err := f.Reopen(); err != nil {
					l.Error("file not reopened", "err", err)
				}
			}
			l.Info("log reopened")
		}
	}()
}

// discard returns log, or one that discards when it is nil.
func discard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
