package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"choria.io/choria/go/internal/playbook/props"
)

// consulLock is the value of the key of a lock that is held.
const consulLock = "choria playbook"

// consul is the store whose items are keys of the key-value store of Consul, by way of the local agent.
type consul struct {
	client *api.Client
	ttl    time.Duration
}

func newConsul(_ *Env, p *props.Props) Store {
	config := api.DefaultConfig() // the environment variables of Consul's own tools count
	config.Address = p.Text("address", config.Address)
	p.Hide(config.Token) // of an environment variable
	if p.Has("token") {
		config.Token = p.Secret("token")
	}
	config.Datacenter = p.Text("datacenter", "")
	if p.Has("ca") || p.Has("cert") || p.Has("key") {
		config.HttpClient = httpClient(p)
		if !strings.Contains(config.Address, "://") {
			config.Scheme = "https"
		}
	}
	c := &consul{ttl: ttl(p, 10)}
	var err error
	if c.client, err = api.NewClient(config); err != nil {
		p.Refuse("address", "%s", err)
	}
	return c
}

func (c *consul) Read(ctx context.Context, item string) (any, error) {
	pair, err := c.get(ctx, item)
	switch {
	case err != nil:
		return nil, err
	case pair == nil:
		return nil, fmt.Errorf("consul: %w", ErrMissing)
	}
	return string(pair.Value), nil
}

func (c *consul) Write(ctx context.Context, item string, value any) error {
	v, err := text("consul", value)
	if err == nil {
		err = c.unlocked(ctx, item)
	}
	if err == nil {
		_, err = c.client.KV().Put(&api.KVPair{Key: item, Value: []byte(v)}, writing(ctx))
	}
	return err
}

func (c *consul) Delete(ctx context.Context, item string) error {
	err := c.unlocked(ctx, item)
	if err == nil {
		_, err = c.client.KV().Delete(item, writing(ctx))
	}
	return err
}

// unlocked makes sure that an item to be changed is no lock that somebody holds.
func (c *consul) unlocked(ctx context.Context, item string) error {
	pair, err := c.get(ctx, item)
	if err == nil && pair != nil && pair.Session != "" && string(pair.Value) == consulLock {
		err = errors.New("it is a lock, which somebody holds")
	}
	return err
}

// get returns nil when there is no such key.
func (c *consul) get(ctx context.Context, key string) (*api.KVPair, error) {
	pair, _, err := c.client.KV().Get(key, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	return pair, err
}

func writing(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }

// lock gives the key of that name to a session, which deletes it when it ends. It is the key itself, so that clients of
// other Choria releases, which lock that, are kept out; an item of that name would be deleted with the lock.
func (c *consul) lock(ctx context.Context, item string) (*Lock, error) {
	pair, err := c.get(ctx, item)
	switch {
	case err != nil:
		return nil, err
	case pair != nil && pair.LockIndex == 0: // nobody ever had it for a lock
		return nil, errors.New("there is a data item of that name, which the end of the lock would delete")
	}
	since := time.Now()
	session, _, err := c.client.Session().Create(&api.SessionEntry{
		Name: "choria playbook", TTL: c.ttl.String(), Behavior: api.SessionBehaviorDelete,
	}, writing(ctx))
	if err != nil {
		return nil, err
	}
	destroy := func(ctx context.Context) error {
		_, err := c.client.Session().Destroy(session, writing(ctx))
		return err
	}
	renew := func(ctx context.Context) error {
		entry, _, err := c.client.Session().Renew(session, writing(ctx))
		if err == nil && entry == nil {
			err = fmt.Errorf("consul has ended its session: %w", errGone)
		}
		return err
	}
	lock, err := poll(ctx, 2*time.Second, func(ctx context.Context) (*Lock, error) {
		if time.Since(since) > c.ttl/3 { // the session must not end while we wait
			start := time.Now()
			if err := renew(ctx); err != nil {
				return nil, err
			}
			since = start
		}
		pair := &api.KVPair{Key: item, Session: session, Value: []byte(consulLock)}
		won, _, err := c.client.KV().Acquire(pair, writing(ctx))
		if err != nil || !won {
			return nil, err
		}
		return lease{since: since, ttl: c.ttl, release: destroy, renew: func(ctx context.Context) error {
			if err := renew(ctx); err != nil {
				return err
			}
			return c.holds(ctx, item, session)
		}}.hold(), nil
	})
	if err != nil {
		background, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		err = errors.Join(err, destroy(background))
	}
	return lock, err
}

// holds makes sure that the key of a lock is still that of the session.
func (c *consul) holds(ctx context.Context, item, session string) error {
	pair, err := c.get(ctx, item)
	if err == nil && (pair == nil || pair.Session != session) {
		err = fmt.Errorf("somebody has removed it from consul: %w", errGone)
	}
	return err
}
