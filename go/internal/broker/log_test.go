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

func TestServerOnOtherBrokers(t *testing.T) {
	var out bytes.Buffer
	l := newNATSLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	for port := range 10 { // as the server has it: the address is in the format
		l.Errorf(fmt.Sprintf("10.0.0.1:%d - rid:%d - %s", 40000+port, port, "TLS %s handshake error: %v"), "route", "tls: first record does not look like a TLS handshake")
		l.Warnf(fmt.Sprintf("[::1]:%d - lid_ws:%d - %s", 40000+port, port, "%s"), "odd")
		l.Errorf("10.0.0.2:1 - cid:%d - slow", port)                                                                      // of clients each is told
		l.Warnf("TLS certificate chain and hostname of solicited routes will not be verified. DO NOT USE IN PRODUCTION!") // they are
	}
	want := `level=ERROR msg="trouble with another broker" kind=cluster peer=10.0.0.1:40000 err="TLS route handshake error: tls: first record does not look like a TLS handshake" cure="plugin.choria.network.peer_tls has to be the same on all brokers"
level=WARN msg="trouble with another broker" kind=leafnode peer=[::1]:40000 err=odd
level=ERROR msg=nats text="10.0.0.2:1 - cid:0 - slow"
`
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 12 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
