package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"choria.io/choria/go/internal/playbook/store"
	"choria.io/choria/go/internal/playbook/tasktest"
)

func decode(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestContract is what every store does.
func TestContract(t *testing.T) {
	t.Parallel()
	stores := backends(t)
	values := []string{
		`"text"`, `""`, `"5"`, `"true"`, `"null"`, `"a: b # c"`, `"two\nlines\n"`, `"ünïcode"`, `"- x"`,
		`5`, `-5`, `12345678901`, `1.5`, `true`, `false`, `[]`, `["a",1,{"b":null}]`, `{"a.b":"x","k":{"l":[1.25]}}`,
	}
	for _, tt := range stores {
		t.Run(tt.name, func(t *testing.T) {
			ctx, env := t.Context(), environment(t, tt.broker)
			if _, err := env.Read(ctx, "missing", tt.properties); !errors.Is(err, store.ErrMissing) || !strings.Contains(err.Error(), `read data item "plan_store/missing"`) {
				t.Errorf("read of a missing item: %v", err)
			}
			withDefault := map[string]any{"default": decode(t, `["d"]`)}
			for name, value := range tt.properties {
				withDefault[name] = value
			}
			if got, err := env.Read(ctx, "missing", withDefault); err != nil || encode(t, got) != `["d"]` {
				t.Errorf("read of a missing item with a default: %v, %v", got, err)
			}
			for _, text := range values {
				value := decode(t, text)
				_, isText := value.(string)
				err := env.Write(ctx, "a.key", value, tt.properties)
				if tt.textOnly && !isText {
					if err == nil {
						t.Errorf("wrote %s to a store of text", text)
					}
					continue
				}
				if err != nil {
					t.Errorf("write %s: %v", text, err)
					continue
				}
				got, err := env.Read(ctx, "a.key", tt.properties)
				if err != nil || encode(t, got) != text {
					t.Errorf("wrote %s, read %s, %v", text, encode(t, got), err)
				}
			}
			if err := env.Write(ctx, "other", "x", tt.properties); err != nil {
				t.Error(err)
			}
			for range 2 { // the second time it is gone already
				if err := env.Delete(ctx, "a.key", tt.properties); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			if _, err := env.Read(ctx, "a.key", tt.properties); !errors.Is(err, store.ErrMissing) {
				t.Errorf("read of a deleted item: %v", err)
			}
			if got, err := env.Read(ctx, "other", tt.properties); err != nil || got != "x" {
				t.Errorf("the other item: %v, %v", got, err)
			}
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					if err := env.Write(ctx, fmt.Sprint("k", i), fmt.Sprint(i), tt.properties); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i := range 10 {
				if got, err := env.Read(ctx, fmt.Sprint("k", i), tt.properties); err != nil || got != fmt.Sprint(i) {
					t.Errorf("after concurrent writes k%d is %v, %v", i, got, err)
				}
			}
		})
	}
}

func TestEnvironmentReachesCommands(t *testing.T) {
	env := store.NewEnv([]string{"A=1", "B=2", "A=3"})
	p := map[string]any{"type": "environment"}
	if got, err := env.Read(t.Context(), "A", p); got != "3" || err != nil {
		t.Errorf("A is %v, %v; want the last", got, err)
	}
	if err := errors.Join(env.Write(t.Context(), "A", "x", p), env.Delete(t.Context(), "B", p)); err != nil {
		t.Fatal(err)
	}
	if got := env.Environ.List(); !reflect.DeepEqual(got, []string{"A=x"}) {
		t.Errorf("environment %q", got)
	}
	if os.Getenv("A") == "x" {
		t.Error("the environment of the process has changed")
	}
	for _, item := range []string{"A=B", "A\x00"} {
		if err := env.Write(t.Context(), item, "x", p); err == nil {
			t.Errorf("wrote %q", item)
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "# about\nb: 1\na.b: x\nc:\n  d: [1, 2]\n  5: five\n", 0o640)
	empty := write("empty.yaml", "", 0o600)
	list := write("list.yaml", "- 1\n", 0o600)
	broken := write("broken.yaml", "a: [1\n", 0o600)
	broken2 := write("broken.json", "a: 1\n", 0o600)
	inf := write("inf.yaml", "a: .inf\n", 0o600)
	missing := filepath.Join(dir, "missing.yaml")
	tests := []struct{ file, format, item, want, err string }{
		{good, "yaml", "b", "1", ""},
		{good, "yaml", "a.b", `"x"`, ""},
		{good, "yaml", "c", `{"5":"five","d":[1,2]}`, ""},
		{good, "yaml", "c.d", "", "file " + good + ": no such item"},
		{empty, "yaml", "b", "", "file " + empty + ": no such item"},
		{list, "yaml", "b", "", "file " + list + ": holds no mapping"},
		{broken, "yaml", "a", "", "file " + broken + ": is not YAML: "},
		{broken2, "json", "a", "", "file " + broken2 + ": is not JSON"},
		{inf, "yaml", "a", "", "a value cannot be passed on: "},
		{missing, "yaml", "a", "", "stat " + missing + ": no such file or directory"},
		{good, "toml", "a", "", `property "format" of the file store: want yaml or json, got "toml"`},
		{"", "yaml", "a", "", `property "file" of the file store: is required`},
	}
	env := store.NewEnv(nil)
	for _, tt := range tests {
		got, err := env.Read(t.Context(), tt.item, map[string]any{"type": "file", "file": tt.file, "format": tt.format})
		want := fmt.Sprintf("read data item %q: %s", "plan_store/"+tt.item, tt.err)
		switch {
		case tt.err == "" && (err != nil || encode(t, got) != tt.want):
			t.Errorf("%s of %s: %v, %v; want %s", tt.item, tt.file, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%s of %s: %v; want %s", tt.item, tt.file, err, want)
		}
	}

	link := filepath.Join(dir, "link.yaml")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	if err := env.Write(t.Context(), "b", "new", map[string]any{"type": "file", "file": link}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil || string(data) != "b: new\na.b: x\nc:\n  d:\n  - 1\n  - 2\n  \"5\": five\n" {
		t.Errorf("file %q, %v; want the order kept", data, err)
	}
	if st, err := os.Stat(good); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want it kept", st.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 7 {
		t.Errorf("%d files; want no temporary ones left", len(entries))
	}
	if err := env.Write(t.Context(), "a", "x", map[string]any{"type": "file", "file": missing}); err == nil {
		t.Error("wrote to a file that does not exist and is not to be created")
	}
	create := map[string]any{"type": "file", "file": missing, "create": true}
	if err := env.Write(t.Context(), "a", "x", create); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(missing); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("new file: %v, %v; want mode 0600", st, err)
	}
}

func TestUnknownType(t *testing.T) {
	_, err := store.NewEnv(nil).Read(t.Context(), "a", map[string]any{"type": "abacus"})
	if err == nil || err.Error() != `read data item "plan_store/a": unknown type of store "abacus": want consul, environment, etcd, external, file, kv, memory, shell, or one of a module such as acme::vault` {
		t.Errorf("error %v", err)
	}
}

// TestSecrets holds what stores say is secret: their credentials, and what is read with sensitive.
func TestSecrets(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", "from-environment")
	nowhere := "http://127.0.0.1:1" // nobody is asked
	tests := []struct {
		properties map[string]any
		hidden     []any
	}{
		{map[string]any{"type": "etcd", "url": nowhere, "user": "u", "password": "hunter22"}, []any{"hunter22"}},
		{map[string]any{"type": "consul", "address": nowhere, "token": "t0ken"}, []any{"from-environment", "t0ken"}},
		{map[string]any{"type": "memory", "sensitive": true, "default": []any{"x"}}, []any{[]any{"x"}}},
		{map[string]any{"type": "memory", "sensitive": false, "default": "x"}, nil},
		{map[string]any{"type": "memory", "default": "x"}, nil},
	}
	for _, tt := range tests {
		var hidden []any
		env := store.NewEnv(nil)
		env.Hide = func(secret any) { hidden = append(hidden, secret) }
		_, _ = env.Read(t.Context(), "item", tt.properties) // those that have a server have none here
		if !reflect.DeepEqual(hidden, tt.hidden) {
			t.Errorf("%v: hidden %q, want %q", tt.properties, hidden, tt.hidden)
		}
	}
	_, err := store.NewEnv(nil).Read(t.Context(), "item", map[string]any{"type": "etcd", "user": "u", "password": []any{"hunter22"}})
	if err == nil || !strings.HasSuffix(err.Error(), `property "password" of the etcd store: want a string, got a list`) {
		t.Errorf("error %v", err)
	}
}

// TestConsulItemsAndLocks holds that items and locks, which have the same names in Consul, do not spoil each other.
func TestConsulItemsAndLocks(t *testing.T) {
	t.Parallel()
	_, address := tasktest.NewConsulStandIn(t)
	env := environment(t, "")
	properties := map[string]any{"type": "consul", "address": address}
	if err := env.Write(t.Context(), "item", "x", properties); err != nil {
		t.Fatal(err)
	}
	want := `lock data item "plan_store/item": there is a data item of that name, which the end of the lock would delete`
	if _, err := env.Lock(t.Context(), "item", properties); err == nil || err.Error() != want {
		t.Errorf("lock of an item: %v; want %s", err, want)
	}
	if value, err := env.Read(t.Context(), "item", properties); err != nil || value != "x" {
		t.Errorf("the item is %q, %v", value, err)
	}
	lock, err := env.Lock(t.Context(), "lock", properties)
	if err != nil {
		t.Fatal(err)
	}
	want = `data item "plan_store/lock": it is a lock, which somebody holds`
	if err := env.Write(t.Context(), "lock", "x", properties); err == nil || err.Error() != "write "+want {
		t.Errorf("write to a lock: %v; want %s", err, want)
	}
	if err := env.Delete(t.Context(), "lock", properties); err == nil || err.Error() != "delete "+want {
		t.Errorf("delete of a lock: %v; want %s", err, want)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := env.Write(t.Context(), "lock", "x", properties); err != nil {
		t.Errorf("write where a lock was: %v", err)
	}
}
