package store_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/playbook/store"
	"choria.io/choria/go/internal/playbook/tasktest"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

// patience is how long to wait for what must come, on a machine that is busy with other tests.
const patience = time.Minute

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: waited in vain", what)
		}
	}
}

// startBroker runs a broker with streams until the test ends.
func startBroker(t testing.TB) (url string) {
	t.Helper()
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1",
		"plugin.choria.network.stream.store", t.TempDir(),
		"plugin.choria.network.stream.manage_streams", "false"), broker.Options{})
	return b.URL()
}

// connect returns the streams of a broker.
func connect(ctx context.Context, url string) (*streams.Conn, error) {
	conn, err := transport.Connect(ctx, transport.Options{Servers: []string{url}, ConnectTimeout: patience})
	if err != nil {
		return nil, err
	}
	return streams.On(conn), nil
}

// environment returns the environment of stores, with the streams of the broker at url, if there is one.
func environment(t testing.TB, url string) *store.Env {
	t.Helper()
	env := store.NewEnv([]string{"PATH=" + os.Getenv("PATH")})
	modules, err := filepath.Abs("../../../../examples/playbooks/modules")
	if err != nil {
		t.Fatal(err)
	}
	env.Modulepath = []string{modules}
	if url == "" {
		return env
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = conn.Transport().Close(ctx) // the broker may go first
	})
	env.Streams = func(context.Context) (*streams.Conn, error) { return conn, nil }
	return env
}

// A backend is one store to be tested.
type backend struct {
	name       string
	properties map[string]any
	textOnly   bool
	noLocks    bool
	noFights   bool   // not to be fought for, see TestFight
	broker     string // url

	ttl   time.Duration                                   // how long a lock outlives its holder at most; zero: not at all
	steal func(t *testing.T, env *store.Env, lock string) // takes a lock away from its holder, nil: impossible
}

// backends starts what all stores need.
func backends(t *testing.T) []backend {
	t.Helper()
	dir := t.TempDir()
	etcd, bucket := tasktest.Etcd(t), startBroker(t)
	stand, consul := tasktest.NewConsulStandIn(t)
	return []backend{
		{name: "memory", properties: map[string]any{"type": "memory"}},
		{name: "environment", properties: map[string]any{"type": "environment", "prefix": "P_"}, textOnly: true, noLocks: true},
		{name: "yaml file", properties: map[string]any{"type": "file", "file": filepath.Join(dir, "s.yaml"), "create": true}},
		{name: "json file", properties: map[string]any{"type": "file", "file": filepath.Join(dir, "s.json"), "format": "json", "create": true}},
		{
			name: "etcd", textOnly: true, ttl: 2 * time.Second,
			// The first of several servers cannot be reached.
			properties: map[string]any{"type": "etcd", "url": []any{"http://" + tasktest.FreePort(t), etcd}, "ttl": json.Number("2")},
			steal: func(t *testing.T, env *store.Env, lock string) {
				if err := env.Delete(t.Context(), "choria.lock/"+lock, map[string]any{"type": "etcd", "url": etcd}); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "kv", textOnly: true, ttl: 2 * time.Second, broker: bucket,
			properties: map[string]any{"type": "kv", "bucket": "plans", "create": true, "ttl": json.Number("2")},
			steal: func(t *testing.T, env *store.Env, lock string) {
				if err := env.Delete(t.Context(), lock, map[string]any{"type": "kv", "bucket": "plans_LOCKS"}); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "consul, a stand-in", textOnly: true, ttl: 10 * time.Second,
			properties: map[string]any{"type": "consul", "address": consul, "ttl": json.Number("10")},
			steal:      func(*testing.T, *store.Env, string) { stand.Lose() },
		},
		{
			// A program of a module; that locks end with their holder is up to it.
			name: "acme::directory", noFights: true,
			properties: map[string]any{"type": "acme::directory", "directory": t.TempDir(), "ttl": json.Number("60")},
		},
	}
}
