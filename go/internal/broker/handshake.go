package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"time"
)

const (
	// maxHandshakes is how many TLS handshakes with nodes and clients are under way at once. Many
	// more, as when a large network comes back, would get so little of the processor each that all
	// of them exceed their time, and try again. It has to be large enough for handshakes that wait
	// for a distant network: at 200 ms a round trip, 128 make 600 connections a second.
	maxHandshakes = 128

	// handshakeQueue is how long a handshake may wait for its turn. Who is turned away then tries
	// another broker, or this one a little later; for who waits for longer there would not be enough
	// left of the 2 s that nodes give to a connection.
	handshakeQueue = 1200 * time.Millisecond
)

// errBusy is why a handshake ended that had no turn.
var errBusy = errors.New("too many connections are being made at once")

// A gate lets a number of TLS handshakes pass at a time.
type gate struct {
	slots chan struct{} // holds a token for each handshake under way
}

func newGate(n int) *gate { return &gate{slots: make(chan struct{}, n)} }

// enter waits for a turn, which ends with the handshake.
func (g *gate) enter(hello *tls.ClientHelloInfo) error {
	ctx := hello.Context()
	select {
	case g.slots <- struct{}{}:
	default:
		timer := time.NewTimer(handshakeQueue)
		defer timer.Stop()
		select {
		case g.slots <- struct{}{}:
		case <-timer.C:
			return errBusy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	context.AfterFunc(ctx, func() { <-g.slots })
	return nil
}
