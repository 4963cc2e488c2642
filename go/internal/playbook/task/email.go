package task

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"

	"choria.io/choria/go/internal/playbook/props"
)

// emailTimeout is how long sending an email may take unless the property timeout says so.
const emailTimeout = 60 * time.Second

// maxSMTP is how much a mail server may say during one delivery, in bytes.
const maxSMTP = 1 << 20

// How an email task speaks TLS.
const (
	tlsOffered  = "offered"  // with STARTTLS, if the server has it
	tlsStart    = "starttls" // with STARTTLS, or not at all
	tlsImplicit = "implicit" // from the first byte on
	tlsNone     = "none"
)

// An email task hands one email to a mail server.
type email struct {
	server, host   string // host:port, host
	encryption     string
	tls            *tls.Config
	user, password string
	timeout        time.Duration

	from       *mail.Address
	to, cc     []*mail.Address
	recipients []string // of the envelope
	subject    string
	body       string
	headers    map[string]string
}

func newEmail(env *Env, p *props.Props) attempter {
	e := &email{
		server:     p.Text("server", "localhost"),
		encryption: p.Choice("tls", tlsOffered, tlsOffered, tlsStart, tlsImplicit, tlsNone),
		tls:        p.TLS(),
		user:       p.Text("user", ""),
		password:   p.Secret("password"),
		timeout:    p.Seconds("timeout", emailTimeout),
		to:         addresses(p, "to"),
		cc:         addresses(p, "cc"),
		subject:    p.Required("subject"),
		body:       p.Required("body"),
		headers:    map[string]string{"X-Choria-Playbook": env.Playbook},
	}
	if e.tls == nil {
		e.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if from := p.Required("from"); from != "" {
		e.from = address(p, "from", from)
	}
	for _, list := range [][]*mail.Address{e.to, e.cc, addresses(p, "bcc")} {
		for _, a := range list {
			e.recipients = append(e.recipients, a.Address)
		}
	}
	if len(e.recipients) == 0 {
		p.Refuse("to", "is required")
	}
	if (e.user == "") != (e.password == "") {
		p.Refuse("password", "user and password go together")
	}
	if strings.ContainsAny(e.subject, "\r\n") {
		p.Refuse("subject", "want one line")
	}
	maps.Copy(e.headers, p.Headers("headers"))
	host, port, err := net.SplitHostPort(e.server)
	if err != nil { // no port
		host, port = strings.Trim(e.server, "[]"), "25"
		if e.encryption == tlsImplicit {
			port = "465"
		}
	}
	if host == "" || strings.ContainsAny(e.server, " /@") {
		p.Refuse("server", "want a host or host:port, got %q", e.server)
	}
	e.host, e.server = host, net.JoinHostPort(host, port)
	e.tls.ServerName = host
	return e
}

func addresses(p *props.Props, name string) []*mail.Address {
	var list []*mail.Address
	for _, text := range p.List(name) {
		if a := address(p, name, text); a != nil {
			list = append(list, a)
		}
	}
	return list
}

func address(p *props.Props, name, text string) *mail.Address {
	a, err := mail.ParseAddress(text)
	if err != nil {
		p.Refuse(name, "%q is no address of email", text)
		return nil
	}
	return a
}

func (e *email) attempt(ctx context.Context, env *Env) attempt {
	env.Log.Notice("Sending an email to %s", strings.Join(e.recipients, ", "))
	id, err := e.send(ctx)
	result := Result{Host: e.host, Value: id}
	if err == nil {
		return attempt{results: []Result{result}, success: true, message: fmt.Sprintf("Email %s was sent through %s", id, e.server)}
	}
	message := fmt.Sprintf("Email was not sent through %s: %s", e.server, err)
	result.Value = ""
	result.Error = &Failure{Msg: message, Kind: KindTask, Details: map[string]any{"server": e.server, "to": e.recipients}}
	return attempt{results: []Result{result}, message: message}
}

// send sends the email and returns its message id. Unless all recipients are accepted none gets it, so that another
// try does not send it twice.
func (e *email) send(ctx context.Context) (id string, err error) {
	if e.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.timeout)
		defer cancel()
	}
	defer func() {
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("not done within %s", seconds(e.timeout))
		}
	}()
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.server)
	if err != nil {
		return "", err
	}
	defer socket.Close()
	// Whatever is waited for ends with the context.
	stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var conn net.Conn = &bounded{socket, io.LimitReader(socket, maxSMTP)}
	if e.encryption == tlsImplicit {
		conn = tls.Client(conn, e.tls)
	}
	c, err := smtp.NewClient(conn, e.host)
	if err != nil {
		return "", err
	}
	if err := e.greet(c); err != nil {
		return "", err
	}
	id, message, err := e.message()
	if err != nil {
		return "", err
	}
	if err := c.Mail(e.from.Address); err != nil {
		return "", fmt.Errorf("sender %s: %w", e.from.Address, err)
	}
	for _, to := range e.recipients {
		if err := c.Rcpt(to); err != nil {
			return "", fmt.Errorf("recipient %s: %w", to, err)
		}
	}
	w, err := c.Data()
	if err == nil {
		_, err = w.Write(message)
	}
	if err == nil {
		err = w.Close() // here the server takes it, or does not
	}
	if err != nil {
		return "", err
	}
	_ = c.Quit() // it was sent
	return id, nil
}

// greet says hello, goes over to TLS, and logs in.
func (e *email) greet(c *smtp.Client) error {
	if name, err := os.Hostname(); err == nil {
		if err := c.Hello(name); err != nil {
			return err
		}
	}
	offered, _ := c.Extension("STARTTLS")
	switch {
	case e.encryption == tlsStart && !offered:
		return errors.New("the server does not offer STARTTLS")
	case e.encryption == tlsStart, e.encryption == tlsOffered && offered:
		if err := c.StartTLS(e.tls); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if e.user == "" {
		return nil
	}
	_, methods := c.Extension("AUTH")
	var auth smtp.Auth
	switch words := strings.Fields(methods); {
	case slices.Contains(words, "PLAIN"):
		auth = smtp.PlainAuth("", e.user, e.password, e.host) // sends no password without TLS, but to this machine
	case slices.Contains(words, "CRAM-MD5"):
		auth = smtp.CRAMMD5Auth(e.user, e.password)
	default:
		return fmt.Errorf("the server offers neither PLAIN nor CRAM-MD5 to log in, but %q", methods)
	}
	if err := c.Auth(auth); err != nil {
		return fmt.Errorf("log in as %s: %w", e.user, err)
	}
	return nil
}

// message writes the email. Source: RFC 5322, RFC 2045.
func (e *email) message() (id string, message []byte, err error) {
	unique, err := uuid.NewV4()
	if err != nil {
		return "", nil, fmt.Errorf("message id: %w", err)
	}
	_, domain, _ := strings.Cut(e.from.Address, "@")
	id = "<" + unique.String() + "@" + domain + ">"
	var out bytes.Buffer
	header := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&out, "%s: %s\r\n", name, value)
		}
	}
	header("From", e.from.String())
	header("To", listed(e.to))
	header("Cc", listed(e.cc))
	header("Subject", mime.QEncoding.Encode("utf-8", e.subject))
	header("Date", time.Now().Format(time.RFC1123Z))
	header("Message-ID", id)
	for _, name := range slices.Sorted(maps.Keys(e.headers)) {
		header(name, mime.QEncoding.Encode("utf-8", e.headers[name]))
	}
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	out.WriteString("\r\n")
	w := quotedprintable.NewWriter(&out)
	_, err = io.WriteString(w, e.body)
	err = errors.Join(err, w.Close()) // writes the last line
	return id, out.Bytes(), err
}

// listed are addresses as a header has them, one a line.
func listed(list []*mail.Address) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ",\r\n ")
}

// bounded is a connection whose peer may say only so much.
type bounded struct {
	net.Conn
	r io.Reader
}

func (b *bounded) Read(p []byte) (int, error) { return b.r.Read(p) }
