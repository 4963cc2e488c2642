package transport_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/internal/transport"
)

// A told collects what is logged, at all levels.
type told struct {
	mu      sync.Mutex
	records []slog.Record
}

func (l *told) Enabled(context.Context, slog.Level) bool { return true }
func (l *told) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *told) WithGroup(string) slog.Handler            { return l }

func (l *told) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r.Clone())
	return nil
}

// count returns how often something was said, and how often loudly.
func (l *told) count(message string) (all, loud int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if strings.HasPrefix(r.Message, message) {
			all++
			if r.Level >= slog.LevelWarn {
				loud++
			}
		}
	}
	return all, loud
}

// TestUnreachableIsSaidOnce holds that each time the brokers go away is one warning, however long they stay away,
// and that their return is told.
func TestUnreachableIsSaidOnce(t *testing.T) {
	const away = "no broker is reachable"
	addr := deafPort(t)
	log := &told{}
	connected := make(chan *transport.Conn, 1)
	go func() {
		c, err := transport.Connect(context1(t), transport.Options{Servers: []string{"nats://" + addr}, Log: slog.New(log), ConnectTimeout: 30 * time.Second})
		if err != nil {
			t.Error(err)
		}
		connected <- c
	}()
	until(t, "three attempts", func() bool { all, _ := log.count(away); return all >= 3 })
	stop := startAt(t, addr)
	c := receive(t, connected)
	if c == nil {
		return
	}
	before, loud := log.count(away)
	if loud != 1 {
		t.Errorf("%d warnings before there was a connection; want 1", loud)
	}
	stop()
	until(t, "two attempts to reconnect", func() bool { all, _ := log.count(away); return all >= before+2 })
	startAt(t, addr)
	until(t, "the connection to be back", func() bool { all, _ := log.count("reconnected"); return all == 1 })
	if _, loud := log.count(away); loud != 2 {
		t.Errorf("%d warnings; want one for each time", loud)
	}
	if _, loud := log.count("connection to broker lost"); loud != 1 {
		t.Errorf("%d warnings that the connection was lost; want 1", loud)
	}
	if err := c.Close(context1(t)); err != nil { // before the broker goes
		t.Error(err)
	}
}
