package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"choria.io/choria/go/internal/playbook/props"
)

// idle is how long a connection without use is kept.
const idle = 30 * time.Second

// maxAnswer is how long an answer of a server may be, in bytes; etcd keeps values up to 1.5 MB.
const maxAnswer = 16 << 20

// serverTimeout is how long one server may take to answer; then the next is asked.
const serverTimeout = 10 * time.Second

// etcdLocks is in front of the names of locks, so that they are no items.
const etcdLocks = "choria.lock/"

// etcd is the store whose items are keys in etcd, version 3. It uses the JSON form of the API that each server
// has beside that of gRPC: the library would make the program larger by 8 MB, more than half. Source:
// etcd.io, "gRPC gateway".
type etcd struct {
	urls           []string
	user, password string
	http           *http.Client
	ttl            time.Duration
}

func newEtcd(_ *Env, p *props.Props) Store {
	e := &etcd{urls: p.List("url"), user: p.Text("user", ""), password: p.Secret("password"), http: httpClient(p), ttl: ttl(p, 2)}
	if !p.Has("url") {
		e.urls = []string{"http://localhost:2379"}
	}
	for _, server := range e.urls {
		if u, err := url.Parse(server); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.Refuse("url", "want http://host:port or https://host:port, got %q", server)
		}
	}
	if len(e.urls) == 0 {
		p.Refuse("url", "want at least one")
	}
	return e
}

// The messages of the API. Keys and values are in base64 there, and whole numbers strings.
type (
	etcdKey struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value,omitempty"`
		Lease string `json:"lease,omitempty"`
	}
	etcdRange struct {
		Kvs []etcdKey `json:"kvs"`
	}
	etcdLease struct {
		ID  string `json:"ID"`
		TTL string `json:"TTL"`
	}
)

func (e *etcd) Read(ctx context.Context, item string) (any, error) {
	kv, err := e.get(ctx, item)
	if err != nil {
		return nil, err
	}
	if kv == nil {
		return nil, fmt.Errorf("etcd: %w", ErrMissing)
	}
	return string(kv.Value), nil
}

// get returns nil when there is no such key.
func (e *etcd) get(ctx context.Context, key string) (*etcdKey, error) {
	var found etcdRange
	if err := e.call(ctx, "kv/range", etcdKey{Key: []byte(key)}, &found); err != nil || len(found.Kvs) == 0 {
		return nil, err
	}
	return &found.Kvs[0], nil
}

func (e *etcd) Write(ctx context.Context, item string, value any) error {
	v, err := text("etcd", value)
	if err == nil {
		err = e.call(ctx, "kv/put", etcdKey{Key: []byte(item), Value: []byte(v)}, nil)
	}
	return err
}

func (e *etcd) Delete(ctx context.Context, item string) error {
	return e.call(ctx, "kv/deleterange", etcdKey{Key: []byte(item)}, nil)
}

// lock makes a key that goes with a lease.
func (e *etcd) lock(ctx context.Context, item string) (*Lock, error) {
	key := etcdLocks + item
	return poll(ctx, 500*time.Millisecond, func(ctx context.Context) (*Lock, error) {
		if kv, err := e.get(ctx, key); err != nil || kv != nil {
			return nil, err
		}
		since := time.Now()
		var granted etcdLease
		seconds := fmt.Sprint(int(e.ttl.Seconds()))
		if err := e.call(ctx, "lease/grant", etcdLease{ID: "0", TTL: seconds}, &granted); err != nil {
			return nil, err
		}
		kv := etcdKey{[]byte(key), []byte("choria playbook"), granted.ID}
		won, err := e.create(ctx, kv)
		if err != nil || !won {
			// Whatever has happened, nothing is left of it.
			background, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
			defer cancel()
			return nil, errors.Join(err, e.revoke(background, granted.ID))
		}
		return lease{
			since: since, ttl: e.ttl,
			renew:   func(ctx context.Context) error { return e.renew(ctx, kv) },
			release: func(ctx context.Context) error { return e.revoke(ctx, granted.ID) },
		}.hold(), nil
	})
}

// create makes a key unless it exists. One that exists may be ours: the answer of a server may get lost after
// it has made the key.
func (e *etcd) create(ctx context.Context, kv etcdKey) (won bool, err error) {
	var answer struct {
		Succeeded bool `json:"succeeded"`
		Responses []struct {
			Range etcdRange `json:"response_range"`
		} `json:"responses"`
	}
	err = e.call(ctx, "kv/txn", map[string]any{
		"compare": []any{map[string]any{"key": kv.Key, "target": "CREATE", "create_revision": "0", "result": "EQUAL"}},
		"success": []any{map[string]any{"request_put": kv}},
		"failure": []any{map[string]any{"request_range": etcdKey{Key: kv.Key}}},
	}, &answer)
	if err != nil || answer.Succeeded {
		return err == nil, err
	}
	return slices.ContainsFunc(answer.Responses, func(r struct {
		Range etcdRange `json:"response_range"`
	}) bool {
		return len(r.Range.Kvs) == 1 && r.Range.Kvs[0].Lease == kv.Lease
	}), nil
}

// renew renews the lease of a lock, whose key must still be there.
func (e *etcd) renew(ctx context.Context, lock etcdKey) error {
	var answer struct {
		Result etcdLease `json:"result"`
	}
	if err := e.call(ctx, "lease/keepalive", etcdLease{ID: lock.Lease}, &answer); err != nil {
		return err
	}
	if answer.Result.TTL == "" || answer.Result.TTL == "0" {
		return fmt.Errorf("etcd has ended its lease: %w", errGone)
	}
	kv, err := e.get(ctx, string(lock.Key))
	if err != nil {
		return err
	}
	if kv == nil || kv.Lease != lock.Lease {
		return fmt.Errorf("somebody has removed it from etcd: %w", errGone)
	}
	return nil
}

func (e *etcd) revoke(ctx context.Context, lease string) error {
	return e.call(ctx, "lease/revoke", etcdLease{ID: lease}, nil)
}

// call makes one call to the first server that can be reached.
func (e *etcd) call(ctx context.Context, path string, in, out any) error {
	var errs []error
	for _, server := range e.urls {
		err := e.ask(ctx, server, path, in, out)
		var refused *etcdError
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ask makes one call to one server, with a token if there are users.
func (e *etcd) ask(ctx context.Context, server, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	if e.user != "" {
		var answer struct{ Token string }
		credentials := map[string]string{"name": e.user, "password": e.password}
		if err := e.post(ctx, server, "auth/authenticate", "", credentials, &answer); err != nil {
			return err
		}
		return e.post(ctx, server, path, answer.Token, in, out)
	}
	return e.post(ctx, server, path, "", in, out)
}

// An etcdError is what a server answered that does not do what it was asked.
type etcdError struct{ server, status, message string }

func (e *etcdError) Error() string {
	return fmt.Sprintf("etcd %s: %s: %s", e.server, e.status, e.message)
}

func (e *etcd) post(ctx context.Context, server, path, token string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(server, "/")+"/v3/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	response, err := e.http.Do(request)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer response.Body.Close()
	answer := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		var failure struct{ Message, Error string }
		_ = json.NewDecoder(answer).Decode(&failure) // the status says enough when it has no words
		return &etcdError{server, response.Status, strings.ToValidUTF8(failure.Message, "?")}
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(answer).Decode(out); err != nil {
		return fmt.Errorf("etcd %s: answer: %w", server, err)
	}
	return nil
}
