package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/store"
)

// addStore writes a module with the store site::x, which is a shell script, and returns stores that know it.
func addStore(t testing.TB, text string) *store.Env {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "site", "choria", "stores", "x")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nrequest=$(cat)\ncase $request in\n"+text+"\nesac\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := store.NewEnv(os.Environ())
	env.Modulepath = []string{dir}
	return env
}

func TestProgramStore(t *testing.T) {
	t.Parallel()
	env := addStore(t, `*'"action":"read","item":"a"'*'"properties":{"path":"p"}'*) echo '{"value":{"n":1.50}}' ;;
*'"action":"read"'*) echo '{"missing":true}' ;;
*'"action":"write","item":"a"'*'"value":[1]'*) echo '{}' ;;
*'"action":"delete"'*) echo '{"error":"it is protected"}' ;;
*) echo '{"unsupported":true}' ;;`)
	ctx, p := t.Context(), map[string]any{"type": "site::x", "path": "p", "timeout": json.Number("1")}
	if value, err := env.Read(ctx, "a", p); err != nil || encode(t, value) != `{"n":1.50}` {
		t.Errorf("read: %v, %v", value, err)
	}
	if err := env.Write(ctx, "a", decode(t, "[1]"), p); err != nil {
		t.Errorf("write: %v", err)
	}
	if err := env.Delete(ctx, "a", p); err == nil || err.Error() != `delete data item "plan_store/a": it is protected` {
		t.Errorf("delete: %v", err)
	}
	if _, err := env.Lock(ctx, "a", p); err == nil || err.Error() != `lock data item "plan_store/a": the site::x store cannot lock` {
		t.Errorf("lock: %v", err)
	}
	_, err := env.Read(ctx, "a", map[string]any{"type": "site::gone"})
	if err == nil || !strings.HasPrefix(err.Error(), `read data item "plan_store/a": property "type" of the site::gone store: there is no program `) {
		t.Errorf("a store that is not there: %v", err)
	}
}

// TestProgramStoreLosesALock is about a store that gives a lock to others while it is held.
func TestProgramStoreLosesALock(t *testing.T) {
	t.Parallel()
	env := addStore(t, `*'"action":"lock"'*'"ttl":2'*) echo '{"held":true}' ;;
*'"action":"renew"'*) echo '{"held":false}' ;;
*) echo '{}' ;;`)
	lock, err := env.Lock(t.Context(), "l", map[string]any{"type": "site::x", "ttl": json.Number("2")})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "loss of the lock", func() bool { return lock.Lost() != nil })
	if err := lock.Release(t.Context()); err == nil {
		t.Error("a lost lock was released")
	}
}
