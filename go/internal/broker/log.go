package broker

import (
	"fmt"
	"log/slog"
)

// natsLogger gives what the NATS server logs to ours. The server leaves passwords out.
type natsLogger struct {
	log   *slog.Logger
	fatal chan string // holds the first; after it the server is of no use
}

func (l *natsLogger) Noticef(format string, v ...any) {
	l.log.Info("nats", "text", fmt.Sprintf(format, v...))
}

func (l *natsLogger) Warnf(format string, v ...any) {
	l.log.Warn("nats", "text", fmt.Sprintf(format, v...))
}

func (l *natsLogger) Errorf(format string, v ...any) {
	l.log.Error("nats", "text", fmt.Sprintf(format, v...))
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
