package transport

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/config"
)

// clientPing is the time between pings of a client, who wants to know soon that a broker is gone.
// Source: protocol section 9.3.
const clientPing = 30 * time.Second

// ClientOptions returns how a client connects: to the servers of its configuration, or of the
// federation it belongs to, under the name of its caller, for as long as wait says. tls is nil in
// tests alone, and not used when the configuration switches TLS off.
func ClientOptions(ctx context.Context, cfg *config.Config, caller string, tls *tls.Config, wait time.Duration, log *slog.Logger) (Options, error) {
	servers, err := Servers(ctx, cfg, true)
	if err != nil {
		return Options{}, err
	}
	if cfg.NoTLS {
		log.Warn("TLS is off: plugin.choria.lab.no_tls is for labs alone")
		tls = nil
	}
	return Options{
		Servers:         servers,
		Name:            caller,
		TLS:             tls,
		User:            cfg.NATSUser,
		Password:        cfg.NATSPassword,
		CredentialsFile: cfg.NATSCredentials,
		InboxPrefix:     ReplySubject(cfg.MainCollective, caller, "inbox"),
		ConnectTimeout:  cfg.ConnectTimeout,
		MaxWait:         wait,
		PingInterval:    clientPing,
		Log:             log,
	}, nil
}

// NATS returns the connection of the library, for what speaks to streams. It belongs to c, which
// closes it, and is another one after the library has given the one before up for good.
func (c *Conn) NATS() *nats.Conn { return c.nc.Load() }
