package task

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/playbook/props"
)

// httpTimeout is how long a server may take to answer completely unless the property timeout says so.
const httpTimeout = 60 * time.Second

// maxBody is how much of an answer is read, in bytes. More than that is a failure.
const maxBody = 16 << 20

// requestIDHeader names a try to the server, so that its logs and ours can be put side by side.
const requestIDHeader = "X-Choria-Request-ID"

// A call is one request to an HTTP server. It is sent anew for every try.
type call struct {
	method  string
	url     *url.URL
	header  http.Header
	body    []byte // nil: none
	timeout time.Duration
	tls     *tls.Config
}

// An answer is what a server answered.
type answer struct {
	id     string // of the request
	status int
	body   []byte
}

// newCall reads where to send a request, how to verify the server and how long to wait for it. The URL is the property
// of that name.
func newCall(p *props.Props, urlProperty, def string) *call {
	c := &call{method: http.MethodPost, header: http.Header{}, timeout: p.Seconds("timeout", httpTimeout), tls: p.TLS()}
	text := p.Text(urlProperty, def)
	if text == "" {
		p.Refuse(urlProperty, "is required")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // the error has the URL, and with it its password
		p.Refuse(urlProperty, "cannot be parsed as a URL")
		u = &url.URL{}
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		p.Refuse(urlProperty, "want a URL that begins with http:// or https:// and a host, got %q", shown(u))
	}
	c.url = u
	if password, ok := u.User.Password(); ok {
		p.Hide(password)
	}
	c.header.Set("User-Agent", "Choria Playbooks "+build.Version)
	return c
}

// shown is a URL as logs and messages have it: what is behind the path, and the user, may be secrets.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// set sets headers, over those that are there.
func (c *call) set(headers map[string]string) {
	for name, value := range headers {
		c.header.Set(name, value)
	}
}

// send sends the request once. The error never shows the URL or a header.
func (c *call) send(ctx context.Context) (*answer, error) {
	id, err := uuid.NewV4()
	if err != nil {
		return nil, fmt.Errorf("request id: %w", err)
	}
	a := &answer{id: id.String()}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	var body io.Reader
	if c.body != nil {
		body = bytes.NewReader(c.body)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, c.url.String(), body)
	if err != nil {
		return a, reason(err)
	}
	r.Header = c.header.Clone()
	r.Header.Set(requestIDHeader, a.id)
	r.Host = r.Header.Get("Host") // empty: that of the URL
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c.tls, DisableKeepAlives: true},
		// Data and credentials are for the server that was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err == nil {
		defer response.Body.Close()
		a.status = response.StatusCode
		a.body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return a, fmt.Errorf("no complete answer within %s", seconds(c.timeout))
	case err != nil:
		return a, reason(err)
	case len(a.body) > maxBody:
		return a, fmt.Errorf("the answer is larger than %d MiB", maxBody>>20)
	}
	return a, nil
}

// reason is an error of package http without the URL that it was for.
func reason(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// status is a status of HTTP in words.
func (a *answer) statusText() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)))
}
