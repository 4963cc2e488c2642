package discovery

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// puppetDB asks PuppetDB, which knows of all nodes that Puppet manages, also of those that are not
// connected now. The option query is a whole PQL query that takes the place of filters; its rows have
// to have a certname.
var puppetDB = Method{
	Name:    "puppetdb",
	Aliases: []string{"choria"},
	Options: []string{"query"},
	Find:    findInPuppetDB,
}

// pqlQuery asks PuppetDB with a whole query in PQL, the option query.
var pqlQuery = Method{
	Name:    "pql",
	Options: []string{"query"},
	Find: func(ctx context.Context, env *Env, q Query) ([]string, error) {
		if q.Options["query"] == "" {
			return nil, errors.New("no query given: want the option query=PQL")
		}
		return findInPuppetDB(ctx, env, q)
	},
}

const (
	// puppetDBTimeout is for one query to one server. It has nothing to do with how long nodes are
	// waited for: what PuppetDB answers in seconds on a large site is complete.
	puppetDBTimeout = 30 * time.Second

	// maxQuery is how long a query may be to be part of a URL, with its encoding; Jetty takes 8 kB of
	// header. Longer ones are posted.
	maxQuery = 4096

	// maxAnswer is how much of an answer is read: a row takes some 60 bytes, so this is a million nodes.
	maxAnswer = 64 << 20

	// maxComplaint is how much of what a server complains about is shown.
	maxComplaint = 500
)

func findInPuppetDB(ctx context.Context, env *Env, q Query) ([]string, error) {
	query := q.Options["query"]
	switch names, literal := Literals(q.Filter); {
	case query != "" && len(q.Filter.Identity)+len(q.Filter.Class)+len(q.Filter.Fact)+len(q.Filter.Compound) > 0:
		return nil, errors.New("the option query is the whole question: filters cannot be combined with it")
	case query != "":
	case literal:
		return names, nil
	default:
		var err error
		if query, err = pql(q.Filter, q.Collective); err != nil {
			return nil, err
		}
	}
	if env.PuppetDB == nil {
		return nil, errors.New("there is no PuppetDB to ask")
	}
	db := env.PuppetDB(ctx)
	return db.Nodes(ctx, query)
}

// A PuppetDB answers queries in PQL.
type PuppetDB struct {
	Servers []string                      // host:port, tried in this order
	TLS     func(host string) *tls.Config // how to speak to a host; the client's certificate is in it

	most int64 // bytes of an answer that are read; zero means maxAnswer
}

// A PuppetDBError is why a PuppetDB did not answer.
type PuppetDBError struct {
	Server string // host:port
	Err    error
	hint   string
}

func (e *PuppetDBError) Error() string { return "PuppetDB " + e.Server + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *PuppetDBError) Unwrap() error { return e.Err }

// Hint returns what the operator can do.
func (e *PuppetDBError) Hint() string { return e.hint }

// Nodes returns the certnames of the rows that a query finds, without those of deactivated nodes.
func (p PuppetDB) Nodes(ctx context.Context, query string) ([]string, error) {
	err := errors.New("no server of PuppetDB is known")
	for _, server := range p.Servers {
		var names []string
		var answered bool
		names, answered, err = p.ask(ctx, server, query)
		if err == nil {
			return names, nil
		}
		if answered || ctx.Err() != nil {
			break // others would say the same
		}
	}
	return nil, err
}

// ask asks one server; answered says that it did, if only to refuse.
func (p PuppetDB) ask(ctx context.Context, server, query string) (names []string, answered bool, err error) {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return nil, false, fmt.Errorf("PuppetDB %q: want host:port: %w", server, err)
	}
	ctx, cancel := context.WithTimeout(ctx, puppetDBTimeout)
	defer cancel()
	req, err := queryRequest(ctx, server, query)
	if err != nil {
		return nil, false, err
	}
	c := &http.Client{
		Transport: &http.Transport{TLSClientConfig: p.TLS(host), DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // our certificate is for this server
		},
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, false, unreached(ctx, server, err)
	}
	defer resp.Body.Close()
	most := p.most
	if most == 0 {
		most = maxAnswer
	}
	body := &io.LimitedReader{R: resp.Body, N: most + 1}
	if resp.StatusCode != http.StatusOK {
		return nil, resp.StatusCode < 500, refusal(server, resp.StatusCode, body)
	}
	names, err = certnames(body)
	switch {
	case body.N == 0:
		return nil, true, &PuppetDBError{Server: server, Err: fmt.Errorf("answer is larger than %d MiB", most>>20)}
	case err != nil:
		return nil, true, &PuppetDBError{Server: server, Err: fmt.Errorf("answer: %w", err)}
	}
	return names, true, nil
}

// queryRequest returns the request that asks server.
func queryRequest(ctx context.Context, server, query string) (*http.Request, error) {
	at := url.URL{Scheme: "https", Host: server, Path: "/pdb/query/v4"}
	if encoded := (url.Values{"query": {query}}).Encode(); len(encoded) <= maxQuery {
		at.RawQuery = encoded
		return http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	}
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// unreached returns why there was no answer. The query, which is in the message of package http, is
// not repeated.
func unreached(ctx context.Context, server string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	e := &PuppetDBError{Server: server, Err: err, hint: "set plugin.choria.puppetdb_host and plugin.choria.puppetdb_port to where PuppetDB answers, or find nodes with --dm mc"}
	var refused *tls.CertificateVerificationError
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		e.Err = fmt.Errorf("no answer within %v", puppetDBTimeout)
	case errors.As(err, &refused):
		e.hint = "PuppetDB's certificate has to come from the CA that this client trusts, and to be for the name in plugin.choria.puppetdb_host"
	}
	return e
}

// refusal returns what a server said that did not answer the question.
func refusal(server string, status int, body io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(body, maxComplaint)) // what came before an error is good enough
	e := &PuppetDBError{Server: server}
	switch complaint := strings.TrimSpace(strings.ToValidUTF8(string(text), "")); {
	case status >= 300 && status < 400:
		e.Err = fmt.Errorf("redirects elsewhere (%d), which is not followed", status)
	case complaint == "":
		e.Err = fmt.Errorf("%d %s", status, http.StatusText(status))
	default:
		e.Err = fmt.Errorf("%d %s: %s", status, http.StatusText(status), complaint)
	}
	if status == http.StatusForbidden || status == http.StatusUnauthorized {
		e.hint = "this client's certificate may not ask: see certificate-allowlist and auth.conf of PuppetDB"
	}
	return e
}

// certnames reads rows one by one.
func certnames(r io.Reader) ([]string, error) {
	dec := json.NewDecoder(r)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.Join(errors.New("no list of rows"), err)
	}
	short := errors.New("it ends too early")
	var names []string
	for dec.More() {
		var row struct {
			Certname    string           `json:"certname"`
			Deactivated *json.RawMessage `json:"deactivated"` // null, or when
		}
		switch err := dec.Decode(&row); {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil, short
		case err != nil:
			return nil, err
		}
		if row.Certname == "" {
			return nil, errors.New("a row has no certname: select it in the query")
		}
		if row.Deactivated == nil {
			names = append(names, row.Certname)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, short
	}
	return names, nil
}
