package playbook

import (
	"context"
	"sync"

	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/puppettask"
	"choria.io/choria/go/internal/streams"
)

// Client returns the network of a client that is opened when it is first needed: a playbook that does not
// use the network needs no configuration for it. close closes the client if it was opened.
func Client(open func() (*client.Client, error)) (network task.Network, close func()) {
	n := &lazyClient{open: sync.OnceValues(open)}
	return n, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.opened != nil {
			_ = n.opened.Close() // nothing is on its way any more
		}
	}
}

type lazyClient struct {
	open func() (*client.Client, error)

	mu     sync.Mutex
	opened *client.Client
}

func (n *lazyClient) client() (*client.Client, error) {
	c, err := n.open()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.opened = c
	}
	return c, err
}

func (n *lazyClient) Discover(ctx context.Context, d client.Discovery) ([]string, error) {
	c, err := n.client()
	if err != nil {
		return nil, err
	}
	return c.Discover(ctx, d)
}

func (n *lazyClient) Start(ctx context.Context, r client.Request) (task.Request, error) {
	c, err := n.client()
	if err != nil {
		return nil, err
	}
	run, err := c.Start(ctx, r)
	if err != nil {
		return nil, err // not a nil *client.Run in an interface
	}
	return run, nil
}

func (n *lazyClient) DDL(agent string) (*ddl.Agent, error) {
	c, err := n.client()
	if err != nil {
		return nil, err
	}
	return c.DDL(agent)
}

func (n *lazyClient) Setting(key string) (string, bool) {
	c, err := n.client()
	if err != nil {
		return "", false
	}
	return c.Setting(key)
}

func (n *lazyClient) Caller() string {
	c, err := n.client()
	if err != nil {
		return ""
	}
	return c.Caller()
}

// PuppetServer returns the Puppet Server of the configuration.
func (n *lazyClient) PuppetServer() (*puppettask.Server, error) {
	c, err := n.client()
	if err != nil {
		return nil, err
	}
	address, config := c.PuppetServer()
	return &puppettask.Server{Address: address, TLS: config}, nil
}

// Streams returns a connection to the streams of the network that is opened when it is first needed. close
// closes it if it was opened.
func Streams(open func() (*streams.Conn, error)) (connect func(context.Context) (*streams.Conn, error), close func()) {
	var mu sync.Mutex
	var opened *streams.Conn
	connect = func(context.Context) (*streams.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if opened != nil {
			return opened, nil
		}
		var err error
		opened, err = open()
		return opened, err
	}
	return connect, func() {
		mu.Lock()
		defer mu.Unlock()
		if opened != nil {
			_ = opened.Close() // nothing is on its way any more
		}
	}
}
