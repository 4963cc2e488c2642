// Command embedded is a daemon that has a Choria node in it: it looks from time to time whether something
// accepts connections, and has a circuit breaker that can be operated from anywhere.
//
//	embedded -broker broker.example.net:4222 -identity poller1.example.net -ssl /etc/poller/ssl \
//	    -target db.example.net:5432 -operators choria=alice.mcollective
//
// With this directory in the libdir of a client:
//
//	mco rpc switch info -T poller                           # how all pollers are
//	mco rpc switch pause -T poller -F poller.target=/^db/   # those that look at databases stop
//	mco rpc poller switch -T poller                         # what runs stops, and the other way round
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/ddl"
)

// The descriptions of our agents, which clients need, too.
//
//go:embed mcollective/agent/*.json
var descriptions embed.FS

// collective is a sub-collective of our own: requests to others never reach a poller.
const collective = "poller"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "embedded:", err)
		os.Exit(1)
	}
}

// run does what the command line says until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("embedded", flag.ContinueOnError)
	flags.SetOutput(stderr)
	broker := flags.String("broker", "localhost:4222", "broker, `host:port`")
	identity := flags.String("identity", "", "name of this node, default the host name")
	ssl := flags.String("ssl", "", "`directory` with ca.pem, IDENTITY.pem and IDENTITY.key")
	target := flags.String("target", "localhost:22", "what to look at, `host:port`")
	interval := flags.Duration("interval", 10*time.Second, "time between two looks")
	operators := flags.String("operators", "", "caller `ids` that may operate the circuit breaker, separated by commas; everybody may look")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *interval <= 0 {
		return errors.New("-interval: want more than 0")
	}
	if _, _, err := net.SplitHostPort(*target); err != nil {
		return fmt.Errorf("-target: %w", err)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	p := newPoller(*target, *interval)
	server, err := p.server(*identity, strings.Split(*operators, ","))
	if err != nil {
		return err
	}
	server.Brokers = []string{*broker}
	server.Log = log
	if *ssl != "" {
		server.TLS = &choria.TLS{
			CA:          filepath.Join(*ssl, "ca.pem"),
			Certificate: filepath.Join(*ssl, *identity+".pem"),
			Key:         filepath.Join(*ssl, *identity+".key"),
		}
	}
	server.Ready = func() { log.Info("ready for requests", "collective", collective) }
	server.Stopping = func() { log.Info("no more requests", "polls", p.info().Polls) }

	polling, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); p.run(polling) }()
	err = server.Run(ctx)
	cancel()
	<-ended
	return err
}

// server returns the node of the poller.
func (p *poller) server(identity string, operators []string) (*choria.Server, error) {
	breaker, err := p.agent("switch", map[string]agent.Action{
		"flip":   p.action(flip),
		"info":   p.action(nil),
		"pause":  p.action(func(string) string { return paused }),
		"resume": p.action(func(string) string { return running }),
	})
	if err != nil {
		return nil, err
	}
	named, err := p.agent("poller", map[string]agent.Action{"switch": p.action(flip)})
	if err != nil {
		return nil, err
	}
	return &choria.Server{
		Identity:    identity,
		Collectives: []string{collective},
		Agents:      []*agent.Agent{breaker, named},
		Facts:       p.facts,
		Classes:     func() []string { return []string{"poller"} },
		Component:   "poller",
		Authorize: func(r *agent.Request) bool {
			looks := r.Agent == "switch" && r.Action == "info" || r.Agent == "rpcutil" && r.Action == "ping"
			return looks || slices.Contains(operators, r.Caller)
		},
	}, nil
}

// agent returns an agent with the description of that name.
func (p *poller) agent(name string, actions map[string]agent.Action) (*agent.Agent, error) {
	data, err := descriptions.ReadFile("mcollective/agent/" + name + ".json")
	if err != nil {
		return nil, err
	}
	description, err := ddl.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s.json: %w", name, err)
	}
	return &agent.Agent{DDL: description, Actions: actions}, nil
}

func flip(mode string) string {
	if mode == running {
		return paused
	}
	return running
}

// action returns an action that changes the mode and tells it, or tells everything when change is nil.
func (p *poller) action(change func(string) string) agent.Action {
	return func(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
		if change == nil {
			reply.Data = p.info()
			return nil
		}
		reply.Data = map[string]string{"mode": p.set(change)}
		return nil
	}
}
