package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// A block is a loopback network 127.a.b.0/24 that one lab has for itself, so that labs side by side
// can all use the usual ports.
type block struct {
	a, b int
	lock net.Listener // holds the block: only one process can listen there
}

// claimPort is the port of x.x.x.254 that stands for having the block.
const claimPort = 4221

// claim takes a block that no other lab has.
func claim() (*block, error) {
	var last error
	for range 200 {
		b := &block{a: 64 + rand.IntN(128), b: rand.IntN(256)}
		lock, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", b.address(254), claimPort))
		if err == nil {
			b.lock = lock
			return b, nil
		}
		last = err
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("lab: no loopback network to be had: %w", last)
}

// address returns host number host of the block.
func (b *block) address(host int) string { return fmt.Sprintf("127.%d.%d.%d", b.a, b.b, host) }

func (b *block) release() { b.lock.Close() }
