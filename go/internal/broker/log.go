package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
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

// unverified ends what the server says of TLS settings that leave the verification of other brokers to
// the function in them, which ours do: the server does not look for one.
const unverified = "will not be verified. DO NOT USE IN PRODUCTION!"

func (l *natsLogger) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.HasSuffix(text, unverified) {
		return
	}
	l.say(slog.LevelWarn, text)
}

// ofBroker matches what the server says of a connection with another broker: its address, the kind, as
// in rid:12, and the text.
var ofBroker = regexp.MustCompile(`^(\S+) - ([rgl]id)\w*:\d+ - (.+)$`)

// kinds are those kinds.
var kinds = map[string]string{"rid": "cluster", "gid": "gateway", "lid": "leafnode"}

// cures are what to do about some of these texts, of which they are parts.
var cures = []struct{ part, cure string }{
	{"first record does not look like a TLS handshake", "plugin.choria.network.peer_tls has to be the same on all brokers"},
	{"certificate is valid for", "the list of peers has to name brokers as their certificates do"},
	{"certificate signed by unknown authority", "brokers have to trust the same authority: plugin.security.file.ca"},
}

// say gives a warning or an error to the log, unless it was said of late.
func (l *natsLogger) say(level slog.Level, text string) {
	ctx := context.Background() // which the server does not have
	m := ofBroker.FindStringSubmatch(text)
	if m == nil {
		if l.isNew(text) {
			l.log.Log(ctx, level, "nats", "text", text)
		}
		return
	}
	peer, kind, why := m[1], kinds[m[2]], m[3]
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		host = peer
	}
	if !l.isNew(kind + " " + host + " " + why) { // each attempt has another port
		return
	}
	attrs := []any{"kind", kind, "peer", peer, "err", why}
	for _, c := range cures {
		if strings.Contains(why, c.part) {
			attrs = append(attrs, "cure", c.cure)
		}
	}
	l.log.Log(ctx, level, "trouble with another broker", attrs...)
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
	l.say(slog.LevelError, fmt.Sprintf(format, v...))
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
