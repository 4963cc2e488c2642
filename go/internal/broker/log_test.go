package broker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestServerIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newNATSLogger(slog.New(slog.NewTextHandler(&out, nil)))
		lines := func() int {
			defer out.Reset()
			return strings.Count(out.String(), "\n")
		}
		for i := range 100 {
			l.Warnf("Waiting for %s", "routing")
			l.Errorf("Error trying to connect to route (attempt %v): %v", i, errors.New("refused"))
		}
		if n := lines(); n != 2 {
			t.Errorf("%d lines, want one of each", n)
		}
		l.Noticef("127.0.0.1:5222 - rid:1 - Route connection created")
		l.Errorf("Error trying to connect to route (attempt %v): %v", 1, errors.New("refused"))
		l.Warnf("Waiting for %s", "routing")
		if n := lines(); n != 2 {
			t.Errorf("%d lines, want that of the connection and what it made news", n)
		}
		time.Sleep(repeatAfter)
		l.Warnf("Waiting for %s", "routing")
		if n := lines(); n != 1 {
			t.Errorf("%d lines after a while, want 1", n)
		}
		for i := range 10 * maxRemembered {
			l.Warnf("%s", fmt.Sprint(i))
		}
		if n := lines(); n != 10*maxRemembered || len(l.said) > maxRemembered {
			t.Errorf("%d lines, %d remembered", n, len(l.said))
		}
	})
}
