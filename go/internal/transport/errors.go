package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// A ConnectError says which brokers were tried, for how long, and why each was not reached.
type ConnectError struct {
	Tried  []Attempt // one for each server, in the order in which they were first tried
	Waited time.Duration

	lookup error // why there are no servers
	cause  error // of the caller's context, nil when MaxWait was over
}

// An Attempt is the last attempt at one server.
type Attempt struct {
	Server string // URL without user and password
	Times  int    // how often it was tried
	Err    error  // why it was not reached, the last time
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("no broker reached within %v: %s", round(e.Waited), e.reasons())
}

// round shortens d to what a person reads.
func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// reasons lists the servers with the reason of each.
func (e *ConnectError) reasons() string {
	if e.lookup != nil {
		return e.lookup.Error()
	}
	if len(e.Tried) == 0 {
		return "nothing was tried"
	}
	var s []string
	for _, a := range e.Tried {
		s = append(s, fmt.Sprintf("%s: %v", a.Server, a.Err))
	}
	return strings.Join(s, "; ")
}

// Unwrap returns the reasons, and the error of the context that ended it.
func (e *ConnectError) Unwrap() []error {
	var errs []error
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	if e.lookup != nil {
		errs = append(errs, e.lookup)
	}
	for _, a := range e.Tried {
		errs = append(errs, a.Err)
	}
	return errs
}

// Hint returns what to do about the reason that needs a person most: a certificate that is not
// accepted, then a name that is not known, then a broker that is not there.
func (e *ConnectError) Hint() string {
	best, hint := 0, ""
	for _, a := range e.Tried {
		var r *reason
		if errors.As(a.Err, &r) && int(r.kind) > best {
			best, hint = int(r.kind), r.kind.hint()
		}
	}
	return hint
}

func (e *ConnectError) has(server string) bool {
	for _, a := range e.Tried {
		if a.Server == redact(server) {
			return true
		}
	}
	return false
}

func (e *ConnectError) add(server string, err error) {
	server = redact(server)
	for i := range e.Tried {
		if e.Tried[i].Server == server {
			e.Tried[i].Times++
			e.Tried[i].Err = err
			return
		}
	}
	e.Tried = append(e.Tried, Attempt{Server: server, Times: 1, Err: err})
}

// final reports whether no server can be reached by trying longer.
func (e *ConnectError) final() bool {
	for _, a := range e.Tried {
		var r *reason
		if !errors.As(a.Err, &r) || !r.kind.final() {
			return false
		}
	}
	return len(e.Tried) > 0
}

// kind sorts the reasons why a broker is not reached, by how much they need a person.
type kind int

const (
	other kind = iota
	timedOut
	refused
	unknownHost
	noTLS
	unauthorized
	wrongName
	ourCertificate
	expired
	unknownAuthority
)

// final reports whether trying again is useless while nobody changes anything.
func (k kind) final() bool { return k >= noTLS && k != unauthorized }

func (k kind) hint() string {
	switch k {
	case timedOut:
		return "is a firewall between this machine and the broker, or is the broker overloaded? plugin.choria.network.connect_timeout sets how long one attempt may take"
	case refused:
		return "is the broker running, and does plugin.choria.middleware_hosts (or the SRV records) give its address and port?"
	case unknownHost:
		return "check the names in plugin.choria.middleware_hosts; without that key and without SRV records the broker is puppet:4222"
	case noTLS:
		return "broker and client must agree on TLS: check the port, and plugin.security.provider on both sides"
	case unauthorized:
		return "the log of the broker says why it refused this connection"
	case wrongName:
		return "connect by a name that is in the broker's certificate, or issue it a certificate with this name; plugin.security.support_legacy_certificates accepts certificates without alternative names"
	case ourCertificate:
		return "our certificate must be from the CA that the broker trusts, current and not revoked; the log of the broker says which it is"
	case expired:
		return "issue a new certificate, or correct the clock of this machine"
	case unknownAuthority:
		return "the CA file of this machine must hold the CA that issued the broker's certificate"
	}
	return ""
}

// A reason says in words why one server was not reached.
type reason struct {
	kind kind
	text string
	err  error
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.err }

// explain puts into words what went wrong between us and server.
func explain(err error, server string) error {
	kind, text := classify(err, server)
	return &reason{kind, text, err}
}

func classify(err error, server string) (kind, string) {
	host := server
	if u, perr := url.Parse(server); perr == nil {
		host = u.Hostname()
	}
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		dns       *net.DNSError
		op        *net.OpError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &authority):
		issuer := ""
		if authority.Cert != nil && authority.Cert.Issuer.CommonName != "" {
			issuer = fmt.Sprintf(" (%q)", authority.Cert.Issuer.CommonName)
		}
		return unknownAuthority, "its certificate is signed by an unknown authority" + issuer
	case errors.As(err, &name):
		return wrongName, fmt.Sprintf("its certificate is not for %s but for %s", host, strings.Join(names(name.Certificate), ", "))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			return expired, "its certificate is not valid before " + invalid.Cert.NotBefore.UTC().Format(time.RFC3339)
		}
		if invalid.Cert != nil {
			return expired, "its certificate expired on " + invalid.Cert.NotAfter.UTC().Format(time.RFC3339)
		}
		return expired, "its certificate expired"
	case errors.As(err, &verify):
		return wrongName, "its certificate is not acceptable: " + verify.Err.Error()
	case errors.As(err, &op) && op.Op == "remote error":
		return ourCertificate, "it refused our certificate: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	case hungUp(err):
		return unauthorized, "it closed the connection at once"
	case errors.As(err, &record), errors.Is(err, nats.ErrSecureConnWanted):
		return noTLS, "it does not offer TLS"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return noTLS, "it requires TLS"
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return unknownHost, fmt.Sprintf("the host name %q is not known", dns.Name)
		}
		return unknownHost, fmt.Sprintf("looking up the host name %q: %s", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused, "connection refused"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return timedOut, "timed out"
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return other, "interrupted"
	}
	text := strings.TrimPrefix(err.Error(), "nats: ")
	if strings.Contains(strings.ToLower(text), "authorization violation") {
		return unauthorized, "it refused us: " + strings.ToLower(text)
	}
	return other, text
}

// hungUp reports whether the other side closed the connection, or said something that is not TLS
// where TLS was to begin, as a broker does before it closes the connection.
func hungUp(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &record) && string(record.RecordHeader[:4]) == "-ERR"
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// names returns what a certificate is for.
func names(cert *x509.Certificate) []string {
	if cert == nil {
		return []string{"nothing"}
	}
	list := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		list = append(list, cert.Subject.CommonName)
	}
	return list
}
