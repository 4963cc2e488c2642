package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// repeatAfter is how long a warning or an error of the NATS server is not said again. It has some that
// come each second for as long as something lasts.
const repeatAfter = 10 * time.Minute

// maxRemembered bounds the texts that are remembered for that.
const maxRemembered = 256

// natsLogger gives what the NATS server logs to ours. The server leaves passwords out.
type natsLogger struct {
	log   *slog.Logger
	fatal chan string // holds the first; after it the server is of no use

	mu   sync.Mutex
	said map[string]time.Time // warnings and errors
}

func newNATSLogger(log *slog.Logger) *natsLogger {
	return &natsLogger{log: log, fatal: make(chan string, 1), said: map[string]time.Time{}}
}

func (l *natsLogger) Noticef(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.HasSuffix(text, "Route connection created") {
		l.forget(unreachable[0].what) // if it is lost again, that is news
	}
	l.log.Info("nats", "text", text)
}

func (l *natsLogger) Warnf(format string, v ...any) {
	if text := fmt.Sprintf(format, v...); l.isNew(text) {
		l.log.Warn("nats", "text", text)
	}
}

// unreachable are the errors of the server about other brokers, by how their formats begin. The last
// value is the error.
var unreachable = []struct{ format, what string }{
	{"Error trying to connect to route ", "another broker of the cluster is not reachable"},
	{"Error trying to connect as leafnode ", "the broker to be a leafnode of is not reachable"},
	{"Error connecting to %s gateway ", "a broker of another cluster is not reachable"},
}

func (l *natsLogger) Errorf(format string, v ...any) {
	for _, u := range unreachable {
		if !strings.HasPrefix(format, u.format) || len(v) == 0 {
			continue
		}
		if err, ok := v[len(v)-1].(error); ok {
			if why := dialError(err); l.isNew(u.what + ": " + why) {
				l.log.Warn(u.what, "err", why)
			}
			return
		}
	}
	if text := fmt.Sprintf(format, v...); l.isNew(text) {
		l.log.Error("nats", "text", text)
	}
}

// dialError returns address and reason of an error of a connection that was not made.
func dialError(err error) string {
	var op *net.OpError
	var errno syscall.Errno
	if errors.As(err, &op) && errors.As(err, &errno) && op.Addr != nil {
		return fmt.Sprintf("%s: %s", op.Addr, errno)
	}
	return err.Error()
}

// isNew reports whether text was not said of late.
func (l *natsLogger) isNew(text string) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.said[text]; ok && now.Sub(at) < repeatAfter {
		return false
	}
	if len(l.said) >= maxRemembered {
		clear(l.said)
	}
	l.said[text] = now
	return true
}

// forget makes texts that begin so news again.
func (l *natsLogger) forget(prefix string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range l.said {
		if strings.HasPrefix(text, prefix) {
			delete(l.said, text)
		}
	}
}

func (l *natsLogger) Debugf(format string, v ...any) {
	l.log.Debug("nats", "text", fmt.Sprintf(format, v...))
}

// Tracef is not called: traces hold messages.
func (l *natsLogger) Tracef(string, ...any) {}

func (l *natsLogger) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
