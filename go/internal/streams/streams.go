// Package streams gives clients the streams of brokers: messages that are kept, and key-value
// buckets.
//
// The broker keeps them with NATS JetStream; this package has of it what the project uses, with
// errors that say what to do.
package streams

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// connectTimeout is how long Open tries to reach a broker: long enough for one that restarts.
const connectTimeout = 20 * time.Second

// answerTimeout is how long a broker may take to answer one question, where the context of the
// caller has no deadline.
const answerTimeout = 10 * time.Second

// A Conn speaks to the streams of a network. Its methods may be called concurrently.
type Conn struct {
	conn  *transport.Conn
	owned bool // conn was made by Open
}

// Open connects as a client with the configuration of its user.
func Open(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Conn, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	id, err := security.Load(cfg, security.ForClient, log)
	if err != nil {
		return nil, err
	}
	o, err := transport.ClientOptions(ctx, cfg, id.Caller(), id.ClientTLS(), connectTimeout, log)
	if err != nil {
		return nil, err
	}
	conn, err := transport.Connect(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return &Conn{conn: conn, owned: true}, nil
}

// On returns the streams behind a connection that the caller keeps and closes.
func On(conn *transport.Conn) *Conn { return &Conn{conn: conn} }

// Transport returns the connection, for plain messages.
func (c *Conn) Transport() *transport.Conn { return c.conn }

// Close ends the connection if Open made it.
func (c *Conn) Close() error {
	if !c.owned {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return c.conn.Close(ctx)
}

// js returns the library's view. It is made for each use, which costs no more than a structure: the
// connection below may have become another one.
func (c *Conn) js() (jetstream.JetStream, error) {
	js, err := jetstream.New(c.conn.NATS(), jetstream.WithDefaultTimeout(answerTimeout))
	if err != nil {
		return nil, fmt.Errorf("streams: %w", err)
	}
	return js, nil
}
