package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/store"
)

// shellStore is a program that keeps items in files of its working directory.
const shellStore = `#!/bin/sh
set -eu
[ "$1" = "--$CHORIA_DATA_ACTION" ]
case $1 in
--read) cat "$PREFIX$CHORIA_DATA_KEY" ;;
--write) printf '%s\n' "$CHORIA_DATA_VALUE" >"$PREFIX$CHORIA_DATA_KEY" ;;
--delete) rm -f "$PREFIX$CHORIA_DATA_KEY" ;;
esac
`

func TestShellStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store")
	if err := os.WriteFile(path, []byte(shellStore), 0o700); err != nil {
		t.Fatal(err)
	}
	slow := filepath.Join(dir, "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nsleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var warned []string
	env, ctx := store.NewEnv(os.Environ()), t.Context()
	env.Warn = func(text string) { warned = append(warned, text) }
	p := map[string]any{"type": "shell", "command": path, "cwd": dir, "environment": map[string]any{"PREFIX": "p-"}}
	for _, value := range []string{"text", "", "two\nlines\n", "a'b\"c$d `e`"} {
		if err := env.Write(ctx, "a_key-1", value, p); err != nil {
			t.Fatal(err)
		}
		if got, err := env.Read(ctx, "a_key-1", p); err != nil || got != value {
			t.Errorf("wrote %q, read %q, %v", value, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "p-a_key-1")); err != nil {
		t.Errorf("the program did not get its environment: %v", err)
	}
	if err := env.Delete(ctx, "a_key-1", p); err != nil {
		t.Error(err)
	}
	_, err := env.Read(ctx, "a_key-1", p)
	if want := `read data item "plan_store/a_key-1": ` + path + " --read: exit status 1"; err == nil || err.Error() != want {
		t.Errorf("read of a deleted item: %v, want %s", err, want)
	}
	if len(warned) != 1 || !strings.HasPrefix(warned[0], path+": cat: p-a_key-1: ") {
		t.Errorf("warnings %q; want what the program said", warned)
	}
	for why, change := range map[string]map[string]any{
		"is no program that can be run":               {"command": path + " --flag"},
		"is no directory":                             {"cwd": path},
		"slow --read: not done after 200ms":           {"command": slow, "timeout": json.Number("0.2")},
		`property "command" of the shell store: is r`: {"command": nil},
	} {
		q := map[string]any{"type": "shell", "command": path}
		for name, value := range change {
			q[name] = value
		}
		if _, err := env.Read(ctx, "x", q); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v: %v, want %s", change, err, why)
		}
	}
	if _, err := env.Read(ctx, "a.b", p); err == nil || !strings.Contains(err.Error(), "letters, digits, - and _ alone") {
		t.Errorf("name with a dot: %v", err)
	}
	if err := env.Write(ctx, "a", json.Number("1"), p); err == nil {
		t.Error("wrote a number to a store of text")
	}
}
