package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
)

const (
	// maxLine is more than a message of 16 MiB has, the most that an adapter carries.
	maxLine = 64 << 20

	// ackTimeout is how long the server may take to acknowledge a message.
	ackTimeout = 5 * time.Second

	// maxInFlight is how many messages may be without acknowledgement; more wait.
	maxInFlight = 2048

	// A server is taken for gone when it has not answered so many pings, so many seconds apart.
	pingInterval = 2
	maxPings     = 3

	// redial is how long an attempt to connect is not repeated.
	redial = time.Second
)

// Settings are the first line of the input.
type Settings struct {
	Servers  []string `json:"servers"` // URLs
	Cluster  string   `json:"cluster"`
	Client   string   `json:"client"`
	Topic    string   `json:"topic"`
	User     string   `json:"user"`
	Password string   `json:"password"`

	TLS         bool   `json:"tls"`
	CA          string `json:"ca"` // names of PEM files; no CA means those of the system
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// A message is one further line of the input.
type message struct {
	N    uint64          `json:"n"`
	Data json.RawMessage `json:"data"`
}

// An answer is a line of the output.
type answer struct {
	N       uint64 `json:"n"`
	Error   string `json:"error,omitempty"`
	Refused bool   `json:"refused,omitempty"` // no use in trying again
}

// A sink publishes what its input says.
type sink struct {
	settings Settings
	options  []nats.Option

	waiting sync.WaitGroup // for acknowledgements

	outMu sync.Mutex
	out   *json.Encoder
	err   error // of writing answers

	mu    sync.Mutex
	nc    *nats.Conn // of conn
	conn  stan.Conn  // nil when there is none
	tried time.Time  // to connect, last
	why   error      // there is no connection
}

// run publishes what in says until that ends, and returns when all is answered.
func run(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	if !lines.Scan() {
		return errors.Join(errors.New("no settings in the input: this program is started by choria-broker"), lines.Err())
	}
	s := &sink{out: json.NewEncoder(out)}
	if err := json.Unmarshal(lines.Bytes(), &s.settings); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	var err error
	if s.options, err = s.settings.options(); err != nil {
		return err
	}
	defer s.disconnect(nil)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("message: %w", err)
		}
		s.publish(m.N, m.Data)
		s.outMu.Lock()
		err := s.err
		s.outMu.Unlock()
		if err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	s.waiting.Wait()
	return lines.Err()
}

// options returns how to connect to NATS, which NATS Streaming is on top of.
func (s *Settings) options() ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(s.Client),
		// A connection that is lost is made again by the sink, as one of NATS Streaming: the server
		// would not know that of a client which comes back.
		nats.NoReconnect(),
	}
	if s.User != "" {
		options = append(options, nats.UserInfo(s.User, s.Password))
	}
	if !s.TLS {
		return options, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		data, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s: holds no PEM certificate", s.CA)
		}
	}
	if s.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return append(options, nats.Secure(c)), nil
}

// publish sends one message, whose answer comes when the server has acknowledged it.
func (s *sink) publish(n uint64, data []byte) {
	conn, err := s.connected()
	if err != nil {
		s.answer(n, err)
		return
	}
	s.waiting.Add(1)
	_, err = conn.PublishAsync(s.settings.Topic, data, func(_ string, err error) {
		defer s.waiting.Done()
		s.answer(n, err)
	})
	if err != nil {
		s.waiting.Done()
		s.answer(n, err)
	}
}

func (s *sink) answer(n uint64, err error) {
	a := answer{N: n}
	if err != nil {
		a.Error = err.Error()
		a.Refused = errors.Is(err, nats.ErrMaxPayload)
	}
	s.outMu.Lock()
	defer s.outMu.Unlock()
	if err := s.out.Encode(a); err != nil && s.err == nil {
		s.err = err
	}
}

// connected returns a connection, which it makes if there is none.
func (s *sink) connected() (stan.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return s.conn, nil
	}
	if time.Since(s.tried) < redial {
		return nil, s.why
	}
	s.tried = time.Now()
	s.why = s.connect()
	return s.conn, s.why
}

// connect makes a connection. s.mu is held.
func (s *sink) connect() error {
	nc, err := nats.Connect(strings.Join(s.settings.Servers, ","), s.options...)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", strings.Join(s.settings.Servers, ", "), err)
	}
	conn, err := stan.Connect(s.settings.Cluster, s.settings.Client, stan.NatsConn(nc),
		stan.PubAckWait(ackTimeout), stan.MaxPubAcksInflight(maxInFlight), stan.Pings(pingInterval, maxPings),
		stan.SetConnectionLostHandler(func(lost stan.Conn, err error) {
			fmt.Fprintln(os.Stderr, "connection lost:", err)
			s.disconnect(lost)
		}))
	if err != nil {
		nc.Close()
		return fmt.Errorf("cluster %q: %w", s.settings.Cluster, err)
	}
	s.nc, s.conn = nc, conn
	return nil
}

// disconnect gives a connection up, whichever it is for nil.
func (s *sink) disconnect(lost stan.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || lost != nil && lost != s.conn {
		return
	}
	if lost == nil { // the server is there, and told
		_ = s.conn.Close()
	}
	s.nc.Close() // conn does not close what it did not make
	s.nc, s.conn = nil, nil
	s.why = errors.New("the connection is lost")
}
