package cli

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/protocol"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/transport"
)

// maxPage is the most bytes of one answer of a broker.
const maxPage = 8 << 20

// questions are what brokers are asked, and where by HTTP. What a server does not know stays empty.
var questions = []struct {
	name, path string
	into       func(*brokerState) any
}{
	{"VARZ", "/varz", func(s *brokerState) any { return &s.varz }},
	{"ROUTEZ", "/routez", func(s *brokerState) any { return &s.routes }},
	{"LEAFZ", "/leafz", func(s *brokerState) any { return &s.leafs }},
	{"GATEWAYZ", "/gatewayz", func(s *brokerState) any { return &s.gates }},
	{"JSZ", "/jsz", func(s *brokerState) any { return &s.streams }},
	{"CHORIA", "/choria/info", func(s *brokerState) any { return &s.about }},
}

// An httpProber reads statistics ports.
type httpProber struct {
	urls   []string
	client http.Client
	silent []string // which of them did not answer all, and why
}

func newHTTPProber(urls []string, timeout time.Duration) (*httpProber, error) {
	p := &httpProber{client: http.Client{Timeout: timeout}}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("--url %q: want http://HOST:PORT", text)
		}
		p.urls = append(p.urls, strings.TrimRight(text, "/"))
	}
	return p, nil
}

func (p *httpProber) close() { p.client.CloseIdleConnections() }

func (p *httpProber) all(ctx context.Context) (map[string]*brokerState, error) {
	states := map[string]*brokerState{}
	var failed []error
	var there []string
	for _, base := range p.urls {
		s, err := p.state(ctx, base)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			failed = append(failed, err)
			p.silent = append(p.silent, err.Error())
			continue
		}
		there = append(there, base)
		states[s.varz.Name] = s
	}
	if len(states) == 0 {
		return nil, errors.Join(failed...)
	}
	p.urls = there
	return states, nil
}

// state asks one broker everything.
func (p *httpProber) state(ctx context.Context, base string) (*brokerState, error) {
	s := &brokerState{}
	for _, q := range questions {
		into := q.into(s)
		if q.name == "CHORIA" {
			into = &struct {
				Data any `json:"data"`
			}{into}
		}
		err := p.get(ctx, base+q.path, into)
		if errors.Is(err, errNoPage) && q.name == "CHORIA" { // a broker of another release
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *httpProber) counts(ctx context.Context) (map[string]varz, error) {
	all := map[string]varz{}
	for _, base := range p.urls {
		var v varz
		if err := p.get(ctx, base+"/varz", &v); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			p.silent = append(p.silent, err.Error())
			continue
		}
		all[v.Name] = v
	}
	return all, nil
}

// errNoPage says that a server has no such page.
var errNoPage = errors.New("no such page; is it the statistics port of a broker?")

func (p *httpProber) get(ctx context.Context, page string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return unreachable(page, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", page, errNoPage)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", page, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return nil
}

// unreachable says why page could not be asked for.
func unreachable(page string, err error) error {
	var (
		outer  *url.Error
		dial   *net.OpError
		lookup *net.DNSError
		tls    x509.UnknownAuthorityError
		slow   interface{ Timeout() bool }
	)
	const running = "is the broker running, and is that its plugin.choria.stats_port at its plugin.choria.stats_address?"
	why, cure := err, running
	if errors.As(err, &outer) { // says the method and the page too
		why = outer.Err
	}
	switch {
	case errors.As(err, &lookup):
		why, cure = errors.New("no such host"), ""
		if !lookup.IsNotFound {
			why = fmt.Errorf("its name cannot be looked up: %s", lookup.Err)
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		why = errors.New("nobody listens on that port")
	case errors.As(err, &tls), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		cure = "statistics ports speak http"
	case errors.As(err, &slow) && slow.Timeout():
		why, cure = errors.New("no answer in time"), "--timeout is how long is waited"
	case errors.As(err, &dial):
		why = dial.Err
	}
	err = fmt.Errorf("%s: %w", page, why)
	if cure == "" {
		return err
	}
	return withHint(err, "%s", cure)
}

// A systemProber asks all brokers over the network, as the system user.
type systemProber struct {
	conn    *transport.Conn
	timeout time.Duration
}

// leastConnect is how long a broker is tried to be reached at least.
const leastConnect = 5 * time.Second

// dialSystem connects as the system user.
func dialSystem(ctx context.Context, cfg *config.Config, user, password string, timeout time.Duration, log *slog.Logger) (*systemProber, error) {
	id, err := security.Load(cfg, security.ForClient, log)
	if err != nil {
		return nil, err
	}
	o, err := transport.ClientOptions(ctx, cfg, id.Caller(), id.ClientTLS(), max(timeout, leastConnect), log)
	if err != nil {
		return nil, err
	}
	o.User, o.Password, o.CredentialsFile = user, password, ""
	conn, err := transport.Connect(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return &systemProber{conn, timeout}, nil
}

func (p *systemProber) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = p.conn.Close(ctx) // all that was wanted is here
}

func (p *systemProber) all(ctx context.Context) (map[string]*brokerState, error) {
	states := map[string]*brokerState{}
	answered := map[string]int{}
	var names []string
	for _, q := range questions {
		names = append(names, q.name)
	}
	err := p.ask(ctx, names, func(i int, broker string, data []byte) (done bool, err error) {
		s := states[broker]
		if s == nil {
			s = &brokerState{}
			states[broker] = s
		}
		if err := json.Unmarshal(data, questions[i].into(s)); err != nil {
			return false, fmt.Errorf("broker %s, %s: %w", broker, questions[i].name, err)
		}
		answered[broker]++
		return complete(states, answered), nil
	})
	if err != nil {
		return nil, err
	}
	for name, s := range states {
		if s.varz.Name == "" { // it was too slow for the rest
			delete(states, name)
		}
	}
	if len(states) == 0 {
		return nil, withHint(fmt.Errorf("no broker answered within %v", p.timeout), "the system user may be that of another account; --timeout waits longer")
	}
	return states, nil
}

// complete reports whether every broker that is known has answered everything.
func complete(states map[string]*brokerState, answered map[string]int) bool {
	for name, s := range states {
		if answered[name] < len(questions) {
			return false
		}
		for _, r := range s.routes.Routes {
			if states[r.Name] == nil {
				return false
			}
		}
	}
	return true
}

func (p *systemProber) counts(ctx context.Context) (map[string]varz, error) {
	all := map[string]varz{}
	err := p.ask(ctx, []string{"VARZ"}, func(_ int, broker string, data []byte) (done bool, err error) {
		var v varz
		if err := json.Unmarshal(data, &v); err != nil {
			return false, fmt.Errorf("broker %s, VARZ: %w", broker, err)
		}
		all[broker] = v
		return false, nil
	})
	return all, err
}

// errNotSystem says that the broker let the user in as any other client.
var errNotSystem = errors.New("the broker does not know that system user")

// askQuiet is how long nothing may come before those that were asked are taken to have answered.
const askQuiet = 250 * time.Millisecond

// ask asks all brokers each of the questions, and calls use with the number of the question and the
// answer until it is done, or all is quiet, or time is over.
func (p *systemProber) ask(ctx context.Context, names []string, use func(i int, broker string, data []byte) (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	type answer struct {
		i    int
		data []byte
		none bool // nobody is there to answer
	}
	answers := make(chan answer, 64) // of a large cluster; the function waits when it is full
	ended := make(chan struct{})
	defer close(ended)
	for i, name := range names {
		inbox := "_INBOX." + protocol.NewID()
		sub, err := p.conn.Subscribe(inbox, "", 1000, func(m transport.Msg) {
			select {
			case answers <- answer{i, m.Data, m.NoResponders}:
			case <-ended:
			}
		})
		if err != nil {
			return err
		}
		defer func() { _ = sub.Unsubscribe() }() // fails only without a connection
		if err := p.conn.PublishRequest("$SYS.REQ.SERVER.PING."+name, inbox, nil); err != nil {
			return err
		}
	}
	wait := time.NewTimer(p.timeout)
	defer wait.Stop()
	unheard := 0
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil
			}
			return ctx.Err()
		case <-wait.C:
			return nil
		case a := <-answers:
			if a.none { // one question may be new to the broker
				if unheard++; unheard == len(names) {
					return withHint(errNotSystem, "plugin.choria.network.system.user of the brokers is another one, or not set")
				}
				continue
			}
			var head struct {
				Server struct {
					Name string `json:"name"`
				} `json:"server"`
				Data  json.RawMessage `json:"data"`
				Error *struct {
					Description string `json:"description"`
				} `json:"error"`
			}
			if err := json.Unmarshal(a.data, &head); err != nil {
				return fmt.Errorf("answer to %s: %w", names[a.i], err)
			}
			if head.Server.Name == "" || head.Error != nil || len(head.Data) == 0 {
				continue
			}
			done, err := use(a.i, head.Server.Name, head.Data)
			if err != nil || done {
				return err
			}
			wait.Reset(askQuiet)
		}
	}
}
