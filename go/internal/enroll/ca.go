package enroll

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	answerTimeout = 30 * time.Second // for one answer of a CA
	maxAnswer     = 1 << 20          // bytes of an answer; certificates have a few thousand
	maxComplaint  = 500              // bytes of a refusal that are shown
)

// A ca is a Puppet certificate authority at one address. Source: protocol section 3.7.
type ca struct {
	server string // host:port
	roots  *x509.CertPool
	http   *http.Client
}

// authority returns the certificates of the CA and the address that it is to be spoken to. They are
// those in the file, or else fetched from the first server that answers.
func (r *Request) authority(ctx context.Context) (certs []*x509.Certificate, server string, err error) {
	var sum []byte
	if r.Fingerprint != "" {
		if sum, err = fingerprint(r.Fingerprint); err != nil {
			return nil, "", err
		}
	}
	if len(r.Servers) == 0 {
		return nil, "", errors.New("no server of a CA is known")
	}
	data, err := os.ReadFile(r.CA)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("CA certificate: %w", err)
	}
	fetched := err != nil
	if fetched {
		data, server, err = fetchCA(ctx, r.Servers)
	} else {
		server, err = reachable(ctx, r.Servers)
	}
	if err != nil {
		return nil, "", err
	}
	from := r.CA
	if fetched {
		from = "from " + server
	}
	if certs, err = parseCertificates(data); err != nil {
		return nil, "", fmt.Errorf("CA certificate %s: %w", from, err)
	}
	if sum != nil {
		if err := pinned(certs, sum); err != nil {
			return nil, "", hint(fmt.Errorf("CA certificate %s: is not the one with the given fingerprint: %w", from, err),
				"compare with the CA's own: openssl x509 -noout -fingerprint -sha256 -in ca.pem; nothing was sent to it")
		}
	}
	if fetched {
		var clean []byte // what is between certificates is not kept
		for _, c := range certs {
			clean = append(clean, encodeCertificate(c)...)
		}
		if err := create(r.CA, clean, 0o644); err != nil {
			return nil, "", fmt.Errorf("CA certificate %s: %w", r.CA, err)
		}
	}
	r.Progress.CA(server, r.CA, certs, fetched)
	return certs, server, nil
}

// fetchCA returns the certificates that the first of servers to answer says are the CA's.
func fetchCA(ctx context.Context, servers []string) (data []byte, server string, err error) {
	for _, server := range servers {
		// Who answers cannot be known before the CA is: this is what the certificate is fetched for.
		c := &ca{server: server, http: newHTTP(&tls.Config{InsecureSkipVerify: true})}
		var status int
		status, data, err = c.do(ctx, http.MethodGet, "certificate/ca", nil)
		if err == nil && status != http.StatusOK {
			err = c.refusal("CA certificate", status, data)
		}
		if err == nil || ctx.Err() != nil {
			return data, server, err
		}
	}
	return nil, "", err
}

// reachable returns the first of servers that accepts connections, or the first when none does.
func reachable(ctx context.Context, servers []string) (string, error) {
	if len(servers) == 1 {
		return servers[0], nil
	}
	for _, server := range servers {
		conn, err := (&net.Dialer{Timeout: answerTimeout / 3}).DialContext(ctx, "tcp", server)
		if err == nil {
			conn.Close()
			return server, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	return servers[0], nil
}

// newCA returns the CA at server, which has to have a certificate that one of authorities has issued.
func newCA(server string, authorities []*x509.Certificate) (*ca, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("CA %q: want host:port: %w", server, err)
	}
	pool := x509.NewCertPool()
	for _, c := range authorities {
		pool.AddCert(c)
	}
	return &ca{server: server, roots: pool, http: newHTTP(&tls.Config{RootCAs: pool})}, nil
}

func newHTTP(config *tls.Config) *http.Client {
	config.MinVersion = tls.VersionTLS12
	return &http.Client{
		Timeout: answerTimeout,
		// Waiting takes minutes, so a connection is not worth keeping.
		Transport:     &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// certificate returns the certificate for name, nil when there is none yet.
func (c *ca) certificate(ctx context.Context, name string) (*x509.Certificate, error) {
	status, data, err := c.do(ctx, http.MethodGet, "certificate/"+name, nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, c.refusal("certificate "+name, status, data)
	}
	certs, err := parseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: from %s: %w", name, c.server, err)
	}
	return certs[0], nil
}

// pending returns the request for name that the CA has, nil when it has none.
func (c *ca) pending(ctx context.Context, name string) (*x509.CertificateRequest, error) {
	status, data, err := c.do(ctx, http.MethodGet, "certificate_request/"+name, nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, c.refusal("request for "+name, status, data)
	}
	csr, err := parseCSR(data)
	if err != nil {
		return nil, fmt.Errorf("request for %s: from %s: %w", name, c.server, err)
	}
	return csr, nil
}

// submit gives the CA a request for name.
func (c *ca) submit(ctx context.Context, name string, csr *x509.CertificateRequest) error {
	status, data, err := c.do(ctx, http.MethodPut, "certificate_request/"+name, encodeCSR(csr.Raw))
	if err != nil {
		return err
	}
	if status != http.StatusOK && status != http.StatusNoContent {
		return c.refusal("request for "+name, status, data)
	}
	return nil
}

// do asks the CA and returns the answer, whatever its status.
func (c *ca) do(ctx context.Context, method, path string, body []byte) (status int, data []byte, err error) {
	at := url.URL{Scheme: "https", Host: c.server, Path: "/puppet-ca/v1/" + path, RawQuery: "environment=production"}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("CA %s: %w", c.server, err)
	}
	req.Header.Set("Accept", "text/plain, */*")
	if body != nil {
		req.Header.Set("Content-Type", "text/plain")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.unreached(err)
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, c.unreached(err)
	}
	if len(data) > maxAnswer {
		return 0, nil, fmt.Errorf("CA %s: answer is larger than %d bytes", c.server, maxAnswer)
	}
	return resp.StatusCode, data, nil
}

// unreached returns why there was no answer.
func (c *ca) unreached(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var unverified *tls.CertificateVerificationError
	var name x509.HostnameError
	switch {
	case errors.As(err, &name):
		names := slices.Sorted(slices.Values(name.Certificate.DNSNames)) // Puppet repeats some
		return hint(fmt.Errorf("CA %s: %w", c.server, err), "name it as its certificate does: %s", strings.Join(slices.Compact(names), ", "))
	case errors.As(err, &unverified):
		return hint(fmt.Errorf("CA %s: %w", c.server, err),
			"the CA certificate that is here is not of who answers there; if the CA was made anew, remove the certificate")
	}
	return &UnreachableError{Server: c.server, Err: err}
}

// refusal returns what the CA said that did not do as it was asked.
func (c *ca) refusal(what string, status int, data []byte) error {
	text := strings.TrimSpace(strings.ToValidUTF8(string(data[:min(len(data), maxComplaint)]), ""))
	if text == "" {
		text = http.StatusText(status)
	}
	err := fmt.Errorf("%s: refused by %s: %d %s", what, c.server, status, text)
	switch {
	case status >= 500:
		return &UnreachableError{Server: c.server, Err: fmt.Errorf("%s: %d %s", what, status, text), hint: "look at the log of Puppet Server"}
	case strings.Contains(text, "alternative names"):
		return hint(err, "leave out --dns, or set allow-subject-alt-names in the CA's ca.conf")
	case status == http.StatusForbidden:
		return hint(err, "the CA's auth.conf does not let machines without a certificate do this")
	}
	return err
}
