package broker

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// remember keeps the number of a connection, to look at its certificate again later.
func (a *authenticator) remember(c server.ClientAuthentication, cert *x509.Certificate) {
	if cert == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[c.GetID()] = struct{}{}
}

// dropRevoked closes the connections of clients that were revoked after they had connected. New
// connections are refused by the handshake.
func (a *authenticator) dropRevoked(ctx context.Context, every time.Duration) error {
	if a.verify == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			a.sweep()
		}
	}
}

func (a *authenticator) sweep() {
	a.mu.Lock()
	ids := make([]uint64, 0, len(a.ids))
	for id := range a.ids {
		ids = append(ids, id)
	}
	a.mu.Unlock()

	verify := a.verify.ServerTLS().VerifyConnection
	var ended []uint64
	for _, id := range ids {
		c := a.srv.GetClient(id)
		if c == nil {
			ended = append(ended, id)
			continue
		}
		state := c.GetTLSConnectionState()
		if state == nil {
			continue // it is being closed
		}
		if err := verify(*state); err != nil {
			a.log.Warn("connection closed", "peer", c.RemoteAddress().String(), "name", certName(verified(state)), "err", err)
			_ = a.srv.DisconnectClientByID(id) // fails when it has gone by itself
			ended = append(ended, id)
		}
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ended {
		delete(a.ids, id)
	}
}
