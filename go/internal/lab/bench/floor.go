package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/lab"
	"choria.io/choria/go/internal/lab/fleet"
	"choria.io/choria/go/internal/security"
)

// Subjects of the bare connections.
const (
	bareBroadcast = "lab.floor.all"
	bareDirected  = "lab.floor.node" // and .NUMBER
)

// patience is how long answers may take before they count as lost.
const patience = 2 * time.Minute

// dial makes a connection with nothing of Choria on it, with the certificate of the client.
func dial(site *lab.Site) (*nats.Conn, error) { return dialWith(site, func(*nats.Options) {}) }

// dialWith is dial with other options.
func dialWith(site *lab.Site, change func(*nats.Options)) (*nats.Conn, error) {
	cfg, err := config.LoadClient(site.Config)
	if err != nil {
		return nil, err
	}
	o := nats.Options{NoRandomize: true, Timeout: 20 * time.Second, AllowReconnect: true, MaxReconnect: -1, ReconnectWait: 100 * time.Millisecond}
	for _, address := range site.Brokers {
		o.Servers = append(o.Servers, "nats://"+address)
	}
	if !site.NoTLS {
		id, err := security.Load(cfg, security.ForClient, nil)
		if err != nil {
			return nil, err
		}
		o.Secure, o.TLSConfig = true, id.ClientTLS()
	}
	change(&o)
	return o.Connect()
}

// sizes are those of the messages of a request and its replies, in bytes.
type sizes struct{ request, reply int }

// overhear returns the sizes of the messages that act causes on two subjects.
func overhear(ctx context.Context, nc *nats.Conn, request, reply string, act func() error) (s sizes, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var subs [2]*nats.Subscription
	for i, subject := range []string{request, reply} {
		if subs[i], err = nc.SubscribeSync(subject); err != nil {
			return s, err
		}
		defer subs[i].Unsubscribe()
		if err := subs[i].AutoUnsubscribe(1); err != nil {
			return s, err
		}
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		return s, err
	}
	if err := act(); err != nil {
		return s, err
	}
	for i, size := range []*int{&s.request, &s.reply} {
		m, err := subs[i].NextMsgWithContext(ctx)
		if err != nil {
			return s, fmt.Errorf("overhear %s: %w", subs[i].Subject, err)
		}
		*size = len(m.Data)
	}
	return s, nil
}

// floors measures what bare connections take to carry the messages of ping and of a request to each
// node. The nodes are gone by now: there are as many bare connections in their place.
func (b *bench) floors(ctx context.Context, ping, rpc sizes) error {
	b.sayf("starting %d bare connections", b.nodes)
	stop, err := b.site.StartBare(ctx, fleet.Bare{Broadcast: bareBroadcast, Directed: bareDirected, Reply: rpc.reply})
	if err != nil {
		return err
	}
	defer stop()
	nc, err := dial(b.site)
	if err != nil {
		return err
	}
	defer nc.Close()

	broadcast := &Row{Name: "floor_broadcast", What: "floor: one broadcast, a reply from each", Unit: "s",
		Note: fmt.Sprintf("bare NATS: a request of %d bytes, replies of %d", ping.request, rpc.reply)}
	directed := &Row{Name: "floor_directed", What: "floor: one message to each, a reply from each", Unit: "s",
		Note: fmt.Sprintf("bare NATS: requests of %d bytes, replies of %d", rpc.request, rpc.reply)}
	all, one := make([]byte, ping.request), make([]byte, rpc.request)
	for i := range b.o.Repeat + 1 {
		b.sayf("floor, %d of %d", i, b.o.Repeat)
		err := b.timed(broadcast, func() error {
			return b.exchange(ctx, nc, func(reply string) error { return nc.PublishRequest(bareBroadcast, reply, all) })
		})
		if err != nil {
			return err
		}
		err = b.timed(directed, func() error {
			return b.exchange(ctx, nc, func(reply string) error {
				for i := range b.nodes {
					if err := nc.PublishRequest(bareDirected+"."+strconv.Itoa(i), reply, one); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if i == 0 { // that was to warm up
			broadcast.Values, broadcast.CPU, directed.Values, directed.CPU = nil, nil, nil, nil
		}
	}
	b.report.add(broadcast)
	b.report.add(directed)
	return nil
}

// exchange sends and returns when each bare connection has replied.
func (b *bench) exchange(ctx context.Context, nc *nats.Conn, send func(reply string) error) error {
	var (
		replies atomic.Int64
		done    = make(chan struct{})
	)
	subject := nats.NewInbox()
	sub, err := nc.Subscribe(subject, func(*nats.Msg) {
		if replies.Add(1) == int64(b.nodes) {
			close(done)
		}
	})
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	if err := send(subject); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("bare connections: %d of %d replied within %v", replies.Load(), b.nodes, patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}
