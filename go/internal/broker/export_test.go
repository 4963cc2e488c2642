package broker

import "time"

// SetStoreCheck shortens the time between looks at the store; before Run.
func (b *Broker) SetStoreCheck(d time.Duration) { b.storeCheck = d }

// LoseStore does what the server does to itself when the disk is full.
func (b *Broker) LoseStore() error { return b.srv.Load().ShutdownJetStream() }

// SetLeafInterval shortens the time between looks at leafnodes; before Run.
func (b *Broker) SetLeafInterval(d time.Duration) { b.leafInterval = d }

// Leafnodes and Gateways return how many connections of that kind there are.
func (b *Broker) Leafnodes() int { return b.srv.Load().NumLeafNodes() }
func (b *Broker) Gateways() int  { return b.srv.Load().NumOutboundGateways() }
