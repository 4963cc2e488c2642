package task

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// natsTimeout is how long publishing may take unless the property timeout says so.
const natsTimeout = 10 * time.Second

// A publish task publishes one message: through the brokers of the network with the identity of the caller, or through
// others.
type publish struct {
	subject string
	data    []byte
	stream  bool // wait until a stream has it
	timeout time.Duration
	other   *transport.Options // nil: the brokers of the network
}

func newPublish(_ *Env, p *props.Props) attempter {
	t := &publish{
		subject: p.Required("subject"),
		stream:  p.Bool("stream", false),
		timeout: p.Seconds("timeout", natsTimeout),
	}
	if t.subject != "" && !transport.ValidSubject(t.subject) {
		p.Refuse("subject", "%q cannot be published to", t.subject)
	}
	switch data, _ := p.Get("data"); data := data.(type) {
	case nil:
	case string:
		t.data = []byte(data)
	default:
		var err error
		if t.data, err = json.Marshal(data); err != nil {
			p.Refuse("data", "cannot be written as JSON")
		}
	}
	servers := p.List("servers")
	if len(servers) == 0 {
		for _, name := range []string{"user", "password", "credentials", "ca", "cert", "key"} {
			if p.Has(name) {
				p.Refuse(name, "is for the brokers in servers, which are not given")
			}
		}
		return t
	}
	t.other = &transport.Options{Name: "choria playbook", User: p.Text("user", ""), Password: p.Secret("password"), TLS: p.TLS()}
	if p.Has("credentials") {
		t.other.CredentialsFile = p.Path("credentials")
	}
	for _, server := range servers {
		u, err := natsURL(server)
		if err != nil {
			p.Refuse("servers", "%s", err)
			continue
		}
		if u.Scheme == "tls" && t.other.TLS == nil {
			t.other.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.other.Servers = append(t.other.Servers, u.String())
	}
	return t
}

// natsURL parses host:port, nats://host:port or tls://host:port. Credentials are properties of their own.
func natsURL(server string) (*url.URL, error) {
	if !strings.Contains(server, "://") {
		server = "nats://" + server
	}
	u, err := url.Parse(server)
	switch {
	case err != nil:
		return nil, errors.New("a URL cannot be parsed")
	case u.User != nil:
		return nil, errors.New("a URL has credentials in it: they belong into user and password")
	case u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "":
		return nil, fmt.Errorf("want host:port, nats://host:port or tls://host:port, got %q", server)
	}
	if u.Port() == "" {
		u.Host += ":4222"
	}
	return u, nil
}

func (t *publish) attempt(ctx context.Context, env *Env) attempt {
	env.Log.Notice("Publishing %s to %s", plural(len(t.data), "byte"), t.subject)
	limited, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	host, stored, err := t.publish(limited, env)
	if err != nil && limited.Err() != nil {
		err = fmt.Errorf("not done within %s: %w", seconds(t.timeout), err)
	}
	if host == "" {
		host = "localhost" // nobody was reached
	}
	value := map[string]any{"subject": t.subject, "bytes": len(t.data)}
	result := Result{Host: host, Value: value}
	if err == nil {
		message := fmt.Sprintf("Message was published to %s", t.subject)
		if t.stream {
			value["stream"], value["sequence"] = stored.stream, stored.sequence
			message += fmt.Sprintf(" and is number %d of stream %s", stored.sequence, stored.stream)
		}
		return attempt{results: []Result{result}, success: true, message: message}
	}
	message := fmt.Sprintf("Message was not published to %s: %s", t.subject, err)
	result.Error = &Failure{Msg: message, Kind: KindTask, Details: map[string]any{"subject": t.subject}}
	return attempt{results: []Result{result}, message: message}
}

// stored is where a message is kept.
type stored struct {
	stream   string
	sequence uint64
}

// publish returns once the broker, or a stream, has the message, and which host that is.
func (t *publish) publish(ctx context.Context, env *Env) (host string, at stored, err error) {
	conn, done, err := t.connect(ctx, env)
	if err != nil {
		return "", at, err
	}
	defer done()
	if u, err := url.Parse(conn.Transport().Server()); err == nil {
		host = u.Hostname()
	}
	if t.stream {
		at.stream, at.sequence, err = conn.Publish(ctx, t.subject, t.data)
		return host, at, err
	}
	return host, at, conn.Transport().PublishConfirmed(ctx, t.subject, t.data)
}

// connect returns a connection to the brokers of the network, which stays, or to others, which done closes.
func (t *publish) connect(ctx context.Context, env *Env) (conn *streams.Conn, done func(), err error) {
	if t.other == nil {
		if env.Streams == nil {
			return nil, nil, errors.New("there is no network")
		}
		conn, err = env.Streams(ctx)
		return conn, func() {}, err
	}
	options := *t.other
	options.MaxWait = t.timeout
	other, err := transport.Connect(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	return streams.On(other), func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = other.Close(closing) // the message is there, or its error is known
	}, nil
}
