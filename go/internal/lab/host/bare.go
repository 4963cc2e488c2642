package host

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/lab/fleet"
	"choria.io/choria/go/internal/security"
)

// A bare makes connections that answer without looking at what they get, in the way of any program
// that uses NATS: what they take is the floor that nodes are held against.
type bare struct {
	spec  *fleet.Spec
	tls   *tls.Config // nil: none
	reply []byte
	log   *slog.Logger
}

func newBare(s *fleet.Spec, log *slog.Logger) (*bare, error) {
	b := &bare{spec: s, log: log, reply: make([]byte, s.Bare.Reply)}
	if s.Bare.Name == "" {
		return b, nil
	}
	id, err := security.New(security.Options{
		Name:        s.Bare.Name,
		CA:          filepath.Join(s.Keys, "ca.pem"),
		Certificate: filepath.Join(s.Keys, s.Bare.Name+".pem"),
		Key:         filepath.Join(s.Keys, s.Bare.Name+".key"),
		Log:         log,
	})
	if err != nil {
		return nil, err
	}
	b.tls = id.ClientTLS()
	return b, nil
}

// bareTimeout is how long a bare connection may take to be made.
const bareTimeout = 10 * time.Second

// connect makes connection i and keeps it until ctx ends.
func (b *bare) connect(ctx context.Context, i int, ready func()) error {
	n, err := b.spec.Node(i)
	if err != nil {
		return err
	}
	o := nats.Options{
		Servers:     []string{"nats://" + n.Brokers[0]},
		Name:        n.Name,
		NoRandomize: true,
		Timeout:     bareTimeout,
		Dialer:      &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(n.Source)}, Timeout: bareTimeout},
	}
	if b.tls != nil {
		o.Secure, o.TLSConfig = true, b.tls
	}
	nc, err := o.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	answer := func(m *nats.Msg) {
		if err := nc.Publish(m.Reply, b.reply); err != nil {
			b.log.Warn("bare reply not sent", "err", err)
		}
	}
	for _, subject := range []string{b.spec.Bare.Broadcast, b.spec.Bare.Directed + "." + strconv.Itoa(i)} {
		if _, err := nc.Subscribe(subject, answer); err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
	}
	if err := nc.FlushTimeout(bareTimeout); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	return nil
}
