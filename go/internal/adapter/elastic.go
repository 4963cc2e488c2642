package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"choria.io/choria/go/internal/jsonscan"
	"choria.io/choria/go/internal/transport"
)

// maxBulkAnswer is more than an answer about batchMessages messages has.
const maxBulkAnswer = 4 << 20

// loadElastic reads the settings of an adapter that publishes to Elasticsearch or OpenSearch.
func loadElastic(k keys, s *Settings) (opener, error) {
	if index := strings.ReplaceAll(s.Topic, "%s", "x"); !validIndex(index) {
		return nil, k.wrong("stream.topic", fmt.Errorf("%q: want the name of an index: lower case letters, digits and . _ -, not beginning with . _ -", s.Topic))
	}
	e := &elastic{index: s.Topic}
	for _, item := range k.list("stream.urls") {
		u, err := url.Parse(item)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, k.wrong("stream.urls", errors.New("want URLs like https://search.example.net:9200, separated by commas, without a password"))
		}
		e.urls = append(e.urls, strings.TrimSuffix(u.String(), "/")+"/_bulk")
	}
	if len(e.urls) == 0 {
		return nil, k.wrong("stream.urls", errors.New("is not set: want URLs like https://search.example.net:9200"))
	}
	user := k.text("stream.user")
	password, err := k.secret("stream.password_file")
	if err != nil {
		return nil, err
	}
	key, err := k.secret("stream.api_key_file")
	if err != nil {
		return nil, err
	}
	switch {
	case key != "" && user != "":
		return nil, k.wrong("stream.api_key_file", errors.New("is set, and so is stream.user: want one of them"))
	case user != "" && password == "":
		return nil, k.wrong("stream.password_file", errors.New("is not set, and stream.user is"))
	case key != "":
		e.authorize = func(r *http.Request) { r.Header.Set("Authorization", "ApiKey "+key) }
	case user != "":
		e.authorize = func(r *http.Request) { r.SetBasicAuth(user, password) }
	default:
		e.authorize = func(*http.Request) {}
	}
	c, err := k.tls()
	if err != nil {
		return nil, err
	}
	e.client = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: s.Adapter.OutputWorkers, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: publishTimeout,
		},
		// A password is for the servers that are configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(transport.Options, int) (Sink, error) { return e, nil }, nil
}

// validIndex reports whether s may be an index. Source: Elasticsearch, "Create index", naming.
func validIndex(s string) bool {
	return s != "" && len(s) <= 255 && !strings.Contains("._-", s[:1]) && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.')
	})
}

// An elastic publishes to an index, or a data stream, by the bulk interface. Documents have the ID of
// the message, so that one that comes again is recognized.
type elastic struct {
	urls      []string // of the bulk interface, of servers of one cluster
	index     string   // %s stands for the sender, in lower case
	authorize func(*http.Request)
	client    *http.Client

	next atomic.Uint32 // that is used: another one after a failure
}

// Publish sends all messages in one request, and reports what the server says of each.
func (e *elastic) Publish(ctx context.Context, batch []Message) []error {
	at := e.next.Load()
	target := e.urls[at%uint32(len(e.urls))]
	status, answer, err := e.post(ctx, target, e.body(batch))
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", target, err)
	case status == http.StatusRequestEntityTooLarge && len(batch) > 1:
		half := len(batch) / 2
		return append(e.Publish(ctx, batch[:half]), e.Publish(ctx, batch[half:])...)
	case status == http.StatusRequestEntityTooLarge:
		return all(batch, fmt.Errorf("%w: %s: larger than it accepts", ErrRefused, target))
	case status != http.StatusOK:
		err = fmt.Errorf("%s: %s%s", target, http.StatusText(status), reason(answer))
	default:
		var results []error
		if results, err = e.results(batch, answer); err == nil {
			return results
		}
		err = fmt.Errorf("%s: %w", target, err)
	}
	e.next.CompareAndSwap(at, at+1)
	return all(batch, err)
}

// body returns what the bulk interface wants: for each message a line that says what to do, and the
// document, which has no line breaks.
func (e *elastic) body(batch []Message) []byte {
	size := 0
	for i := range batch {
		size += len(batch[i].Data) + len(batch[i].ID) + len(e.index) + len(batch[i].Sender) + 48
	}
	b := make([]byte, 0, size)
	for i := range batch {
		b = append(b, `{"create":{"_index":`...)
		b = jsonscan.AppendString(b, strings.ReplaceAll(e.index, "%s", strings.ToLower(batch[i].Sender)))
		b = append(b, `,"_id":`...)
		b = jsonscan.AppendString(b, elasticID(batch[i].ID))
		b = append(b, "}}\n"...)
		b = append(b, batch[i].Data...)
		b = append(b, '\n')
	}
	return b
}

// maxElasticID is how many bytes an ID may have. Source: Elasticsearch, "_id field".
const maxElasticID = 512

// elasticID returns the ID of a document. The end of a long one is what differs.
func elasticID(id string) string { return id[max(0, len(id)-maxElasticID):] }

func (e *elastic) post(ctx context.Context, target string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	e.authorize(r)
	a, err := e.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which is said anyway
		}
		return 0, nil, err
	}
	defer a.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(a.Body, maxBulkAnswer+1))
	if err == nil && len(answer) > maxBulkAnswer {
		err = fmt.Errorf("answer of more than %d bytes", maxBulkAnswer)
	}
	return a.StatusCode, answer, err
}

// A bulkItem is what became of one message.
type bulkItem struct {
	Status int             `json:"status"`
	Error  json.RawMessage `json:"error"`
}

// results reads the answer of the bulk interface.
func (e *elastic) results(batch []Message, answer []byte) ([]error, error) {
	var a struct {
		Items []struct {
			Create bulkItem `json:"create"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("not the answer of a bulk interface: %w", err)
	}
	if len(a.Items) != len(batch) {
		return nil, fmt.Errorf("an answer about %d documents of %d", len(a.Items), len(batch))
	}
	results := make([]error, len(batch))
	for i, item := range a.Items {
		switch status := item.Create.Status; {
		case status >= 200 && status < 300:
		case status == http.StatusConflict: // it has a document of this ID: this one
		case status == http.StatusBadRequest:
			results[i] = fmt.Errorf("%w: index %s:%s", ErrRefused, e.index, reason(item.Create.Error))
		default: // too many requests above all
			results[i] = fmt.Errorf("index %s: %s%s", e.index, http.StatusText(status), reason(item.Create.Error))
		}
	}
	return results, nil
}

// reason returns what an answer says is wrong, with a blank before it, empty when it says nothing that
// can be read.
func reason(answer []byte) string {
	var a struct {
		Error struct {
			Reason string `json:"reason"`
		} `json:"error"`
		Reason string `json:"reason"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return ""
	}
	if a.Reason == "" {
		a.Reason = a.Error.Reason
	}
	if a.Reason == "" {
		return ""
	}
	return fmt.Sprintf(" %.200q", a.Reason)
}

func (e *elastic) Close() error {
	e.client.CloseIdleConnections()
	return nil
}
