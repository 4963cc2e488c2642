package host

import (
	"context"
	"net"
	"sync"
	"time"
)

// dialing is how many connections to brokers a process makes at once. Real nodes have a processor each and
// may all come back at one moment; here thousands share one, and if they all shook hands at once, each would
// get so little of it that all exceed the time that a connection may take, and begin anew.
const dialing = 64

// turn is the longest that a connection may take: as long as nodes wait for one step of it, twice.
const turn = 4 * time.Second

// A pacer lets so many connections be made at a time.
type pacer struct {
	slots chan struct{} // holds a token for each connection that is being made
}

// dialFrom returns a function that connects from an address, empty for any, when it is its turn.
func (p pacer) dialFrom(source string) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{}
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			<-p.slots
			return nil, err
		}
		c := &pacedConn{Conn: conn, slots: p.slots}
		c.late = time.AfterFunc(turn, func() { c.made.Do(c.free) })
		return c, nil
	}
}

// A pacedConn gives its turn back when it is made, or closed, or takes too long.
type pacedConn struct {
	net.Conn
	slots chan struct{}
	made  sync.Once
	late  *time.Timer
}

// Types of TLS records. Source: RFC 8446 section 5.1.
const (
	recordChangeCipherSpec = 20
	recordHandshake        = 22
)

// Write implements net.Conn. A connection is made when the first thing is sent that is not part of a TLS
// handshake; in TLS 1.3 the last of those begins with a record of the other type.
func (c *pacedConn) Write(data []byte) (int, error) {
	if len(data) > 0 && data[0] != recordHandshake && data[0] != recordChangeCipherSpec {
		c.over()
	}
	return c.Conn.Write(data)
}

// Close implements net.Conn.
func (c *pacedConn) Close() error {
	c.over()
	return c.Conn.Close()
}

func (c *pacedConn) over() {
	c.late.Stop()
	c.made.Do(c.free)
}

func (c *pacedConn) free() { <-c.slots }
