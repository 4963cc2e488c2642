package broker

import "time"

// SetStoreCheck shortens the time between looks at the store; before Run.
func (b *Broker) SetStoreCheck(d time.Duration) { b.storeCheck = d }

// LoseStore does what the server does to itself when the disk is full.
func (b *Broker) LoseStore() error { return b.srv.Load().ShutdownJetStream() }
