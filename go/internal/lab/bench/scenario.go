package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab/fleet"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
)

// Scenarios are the adverse conditions that Options.Scenarios may name, in the order in which they run
// best.
var Scenarios = []string{"broker-killed", "slow-client", "stalled-client", "vanishing-client", "flooding-node", "steady"}

// scenario runs one of Scenarios and adds how it went. Afterwards the network has to be as good as
// before.
func (b *bench) scenario(ctx context.Context, name string) error {
	row := &Row{Name: name, Unit: "s"}
	f := map[string]func(context.Context, *Row) error{
		"broker-killed":    b.brokerKilled,
		"slow-client":      b.slowClient,
		"stalled-client":   b.stalledClient,
		"vanishing-client": b.vanishingClient,
		"flooding-node":    b.floodingNode,
		"steady":           b.steady,
	}[name]
	if f == nil {
		return errors.New("there is no such scenario")
	}
	b.sayf("scenario %s", name)
	if err := f(ctx, row); err != nil {
		return err
	}
	if err := b.sound(ctx, row); err != nil {
		return err
	}
	b.report.add(row)
	return nil
}

// sound notes what is wrong with the network after a scenario: all nodes have to answer, once.
func (b *bench) sound(ctx context.Context, row *Row) error {
	s, err := b.ask(ctx, client.Request{Nodes: b.site.Nodes, Timeout: patience}, nil)
	if err != nil {
		return err
	}
	if len(s.NoResponse) > 0 || s.Duplicates > 0 {
		row.faultf("afterwards %d of %d nodes answered, %d twice", s.Responses, b.nodes, s.Duplicates)
	}
	return nil
}

// ask sends rpcutil ping and calls each for each reply. That the connection was lost is no error.
func (b *bench) ask(ctx context.Context, r client.Request, each func(client.Reply)) (client.Stats, error) {
	r.Agent, r.Action = "rpcutil", "ping"
	run, err := b.client.Start(ctx, r)
	if err != nil {
		return client.Stats{}, err
	}
	for reply := range run.Replies() {
		if each != nil {
			each(reply)
		}
	}
	if err := run.Err(); err != nil && !errors.Is(err, client.ErrConnectionLost) && !errors.Is(err, client.ErrRepliesDropped) {
		return client.Stats{}, err
	}
	return run.Stats(), ctx.Err()
}

// brokerKilled kills the last broker while a tenth of the replies have come. The nodes of the other
// brokers have to answer; those of the killed one may have been asked and not be heard, but then the
// client says so, and who is missing.
func (b *bench) brokerKilled(ctx context.Context, row *Row) error {
	row.What = "a broker is killed during a request to all nodes"
	names := b.site.BrokerNames()
	if len(names) < 2 {
		row.Note = "not done: there is one broker alone"
		return nil
	}
	victim := names[len(names)-1] // the client prefers the first
	before, err := b.site.BrokerConnections(ctx, len(names)-1)
	if err != nil {
		return err
	}
	replies := 0
	var kill error
	start := time.Now()
	s, err := b.ask(ctx, client.Request{Nodes: b.site.Nodes, Timeout: 10 * time.Second}, func(client.Reply) {
		if replies++; replies == max(1, b.nodes/10) {
			kill = b.site.Kill(victim)
		}
	})
	row.Values = []float64{time.Since(start).Seconds()}
	if err := errors.Join(err, kill); err != nil {
		return err
	}
	row.Note = fmt.Sprintf("%d of %d nodes had been on that broker; %d answered, %d were named as missing, %d of them as not connected",
		before, b.nodes, s.Responses, len(s.NoResponse), len(s.Absent))
	if s.Responses+len(s.NoResponse) != b.nodes {
		row.faultf("%d nodes are neither among the replies nor among the missing", b.nodes-s.Responses-len(s.NoResponse))
	}
	if len(s.NoResponse) > before {
		row.faultf("%d nodes are missing, but only %d can have been on that broker", len(s.NoResponse), before)
	}
	if s.Duplicates > 0 {
		row.faultf("%d nodes answered twice", s.Duplicates)
	}
	if err := b.site.Restart(victim); err != nil {
		return err
	}
	if err := b.site.WaitBrokers(ctx); err != nil {
		return err
	}
	return b.recover(ctx)
}

// recover returns when all nodes are back.
func (b *bench) recover(ctx context.Context) error {
	if err := b.site.WaitConnections(ctx, b.nodes); err != nil {
		return err
	}
	return b.site.WaitNodes(ctx)
}

// pause is how long a slow client does nothing.
const pause = 5 * time.Second

// slowClient stops looking at replies for a while.
func (b *bench) slowClient(ctx context.Context, row *Row) error {
	row.What = fmt.Sprintf("a client that does nothing for %v while replies arrive", pause)
	first := sync.OnceFunc(func() { time.Sleep(pause) })
	start := time.Now()
	s, err := b.ask(ctx, client.Request{Nodes: b.site.Nodes, Timeout: patience}, func(client.Reply) { first() })
	row.Values = []float64{time.Since(start).Seconds()}
	if len(s.NoResponse) > 0 || s.Duplicates > 0 {
		row.faultf("%d of %d replies, %d twice", s.Responses, b.nodes, s.Duplicates)
	}
	return err
}

// look is the time between looks at what is awaited.
const look = 50 * time.Millisecond

// Sizes of what a stalled client is sent: more than the broker and the sockets may hold for it.
const (
	stalledMessages = 2000
	stalledSize     = 64 << 10
)

// stalledClient is sent much and reads nothing. The broker has to let go of it.
func (b *bench) stalledClient(ctx context.Context, row *Row) error {
	row.What = "a client that reads nothing is cut off"
	socket := make(chan net.Conn, 1) // holds the one that is made
	victim, err := dialWith(b.site, func(o *nats.Options) {
		o.AllowReconnect = false
		o.CustomDialer = dialer(func(network, address string) (net.Conn, error) {
			c, err := net.DialTimeout(network, address, patience)
			if err != nil {
				return nil, err
			}
			s := &stallable{Conn: c, stall: make(chan struct{}), closed: make(chan struct{})}
			socket <- s
			return s, nil
		})
	})
	if err != nil {
		return err
	}
	defer victim.Close()
	if _, err := victim.Subscribe("lab.stalled", func(*nats.Msg) {}); err != nil {
		return err
	}
	if err := victim.FlushTimeout(patience); err != nil {
		return err
	}
	before, err := brokerMemory(b.site)
	if err != nil {
		return err
	}
	_, slow := b.site.Connections(ctx)
	close((<-socket).(*stallable).stall)

	sender, err := dial(b.site)
	if err != nil {
		return err
	}
	defer sender.Close()
	start := time.Now()
	message := make([]byte, stalledSize)
	peak := 0
	for range stalledMessages {
		if err := sender.Publish("lab.stalled", message); err != nil {
			return err
		}
	}
	if err := sender.FlushTimeout(patience); err != nil {
		return err
	}
	cut := false
	for !cut && time.Since(start) < time.Minute {
		now, err := brokerMemory(b.site)
		if err != nil {
			return err
		}
		peak = max(peak, sum(now)-sum(before))
		_, n := b.site.Connections(ctx)
		cut = n > slow
		time.Sleep(look)
	}
	row.Values = []float64{time.Since(start).Seconds()}
	row.Note = fmt.Sprintf("it was sent %d MB; the brokers grew by %d MB", stalledMessages*stalledSize>>20, max(peak, 0)>>10)
	if !cut {
		row.faultf("the broker has not cut it off within a minute")
	}
	return nil
}

type dialer func(network, address string) (net.Conn, error)

func (f dialer) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// A stallable connection stops reading when stall is closed.
type stallable struct {
	net.Conn
	stall  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (s *stallable) Read(p []byte) (int, error) {
	select {
	case <-s.stall:
		<-s.closed
		return 0, io.EOF
	default:
		return s.Conn.Read(p)
	}
}

func (s *stallable) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

// vanishingClient kills a client when the first reply has come.
func (b *bench) vanishingClient(ctx context.Context, row *Row) error {
	row.What = "a client is killed while replies arrive"
	cmd := exec.CommandContext(ctx, filepath.Join(b.site.Bin, "choria"), "rpc", "rpcutil", "ping", "--display", "all")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	cmd.Env = append(os.Environ(), b.site.Environ()...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	_, readErr := bufio.NewReader(out).ReadByte()
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	_ = cmd.Wait() // it was killed
	if readErr != nil {
		return fmt.Errorf("the client printed nothing: %w: %s", readErr, complaint.String())
	}
	row.Values = []float64{time.Since(start).Seconds()}
	return nil
}

// flood is how many replies a flooding node sends.
const flood = 200_000

// floodingNode answers a request very often in the name of a node. All other nodes have to be heard.
func (b *bench) floodingNode(ctx context.Context, row *Row) error {
	row.What = fmt.Sprintf("a node replies %d times", flood)
	name := b.site.Nodes[0]
	id, err := security.New(security.Options{
		Name: name, CA: filepath.Join(b.site.Dir, "ssl", "ca.pem"),
		Certificate: filepath.Join(b.site.Dir, "ssl", name+".pem"), Key: filepath.Join(b.site.Dir, "ssl", name+".key"),
	})
	if err != nil {
		return err
	}
	nc, err := dial(b.site)
	if err != nil {
		return err
	}
	defer nc.Close()
	ended := make(chan error, 1) // holds the one result
	_, err = nc.Subscribe(fleet.MainCollective+".node."+name, func(m *nats.Msg) {
		subject, reply, err := forge(m.Data, id, name)
		for i := 0; err == nil && i < flood; i++ {
			err = nc.Publish(subject, reply)
		}
		if err == nil {
			err = nc.FlushTimeout(patience)
		}
		ended <- err
	})
	if err != nil {
		return err
	}
	if err := nc.FlushTimeout(patience); err != nil {
		return err
	}
	before, err := resident(os.Getpid())
	if err != nil {
		return err
	}
	start := time.Now()
	s, err := b.ask(ctx, client.Request{Nodes: b.site.Nodes, Timeout: 30 * time.Second}, nil)
	if err != nil {
		return err
	}
	row.Values = []float64{time.Since(start).Seconds()}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("flood: %w", err)
		}
	case <-time.After(patience):
		return errors.New("the flood does not end")
	}
	after, err := resident(os.Getpid())
	if err != nil {
		return err
	}
	row.Note = fmt.Sprintf("%d of %d nodes were heard, %d further replies were counted; the client grew by %d MB", s.Responses, b.nodes, s.Duplicates, max(after-before, 0)>>10)
	if len(s.NoResponse) > 0 {
		row.faultf("%d nodes were not heard, such as %s", len(s.NoResponse), s.NoResponse[0])
	}
	return nil
}

// forge returns a reply to a request, as the node of that name would send it, and where to.
func forge(request []byte, id *security.Identity, name string) (subject string, reply []byte, err error) {
	t, err := protocol.DecodeTransport(request)
	if err != nil {
		return "", nil, err
	}
	req, err := protocol.OpenRequest(t, id, time.Now())
	if err != nil {
		return "", nil, err
	}
	data, err := protocol.SealReply(&protocol.Reply{
		Version: req.Version, RequestID: req.ID, Sender: name, Agent: req.Agent, Time: time.Now(),
		Body: []byte(`{"action":"ping","statuscode":0,"statusmsg":"OK","data":{"pong":0}}`),
	})
	if err != nil {
		return "", nil, err
	}
	reply, err = (&protocol.Transport{Version: req.Version, Sender: name, Data: data}).Encode()
	return t.ReplyTo, reply, err
}

// rate is how many requests a second the scenario steady makes.
const rate = 10

// steady asks 1 % of the nodes ten times a second. All nodes so often are more than a processor can
// verify signatures.
func (b *bench) steady(ctx context.Context, row *Row) error {
	few := max(1, b.nodes/100)
	row.What = fmt.Sprintf("%d requests a second, to %d nodes each", rate, few)
	grown := &Row{Name: "steady_growth", What: "growth of brokers, nodes and client by that", Unit: "%", Budget: most(steadyGrowth)}
	row.Values, grown.Values = nil, nil

	// The first seconds fill pools and caches; what comes after must not add to them.
	warm := b.o.Steady / 3
	asked, answered, late := 0, 0, 0
	before := 0
	next := time.Now()
	start := next
	nodes := slices.Clone(b.site.Nodes)
	for i := 0; time.Since(start) < b.o.Steady+warm; i++ {
		if before == 0 && time.Since(start) >= warm {
			var err error
			if before, err = b.footprint(); err != nil {
				return err
			}
		}
		from := i * few % max(1, len(nodes)-few+1)
		began := time.Now()
		s, err := b.ask(ctx, client.Request{Nodes: nodes[from : from+few], Timeout: 10 * time.Second}, nil)
		if err != nil {
			return err
		}
		row.Values = append(row.Values, time.Since(began).Seconds())
		asked += few
		answered += s.Responses
		if s.Duplicates > 0 {
			row.faultf("%d nodes answered twice", s.Duplicates)
		}
		next = next.Add(time.Second / rate)
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
		} else {
			late++
		}
	}
	after, err := b.footprint()
	if err != nil {
		return err
	}
	row.Note = fmt.Sprintf("%d requests in %v, %d of %d replies, %d requests began late", len(row.Values), (b.o.Steady + warm).Round(time.Second), answered, asked, late)
	if answered < asked {
		row.faultf("%d of %d replies were lost", asked-answered, asked)
	}
	grown.Values = []float64{100 * float64(after-before) / float64(before)}
	b.report.add(grown)
	return nil
}

// steadyGrowth is by how many percent memory may differ after a minute of requests: garbage that was
// not collected yet comes and goes.
const steadyGrowth = 10

// footprint returns the resident memory of brokers, nodes and this process in kB.
func (b *bench) footprint() (int, error) {
	brokers, err := brokerMemory(b.site)
	if err != nil {
		return 0, err
	}
	nodes, err := nodeMemory(b.site)
	if err != nil {
		return 0, err
	}
	own, err := resident(os.Getpid())
	return sum(brokers) + nodes + own, err
}
