package agents

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFstat(t *testing.T) {
	dir := t.TempDir()
	file, big := filepath.Join(dir, "motd"), filepath.Join(dir, "big")
	if err := os.WriteFile(file, []byte("hello\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxDigest+1); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	plugin := Fstat()
	ask := func(path string) map[string]any {
		t.Helper()
		got, err := plugin.Ask(t.Context(), path)
		if err != nil {
			t.Fatalf("fstat(%q): %v", path, err)
		}
		for name := range plugin.DDL.Output {
			if _, ok := got[name]; !ok {
				t.Errorf("fstat(%q) lacks %s, which its description has", path, name)
			}
		}
		if len(got) != len(plugin.DDL.Output) {
			t.Errorf("fstat(%q) = %v; want what its description has", path, got)
		}
		return got
	}
	got := ask(file)
	for name, want := range map[string]any{
		"present": 1, "output": "present", "size": int64(6), "mode": "100640", "type": "file",
		"md5": "b1946ac92492d2347c6235b4d2611184", "uid": uint32(os.Getuid()), "mtime_seconds": hourAgo.Unix(),
	} {
		if got[name] != want {
			t.Errorf("%s = %v (%[2]T); want %v", name, got[name], want)
		}
	}
	if age := got["mtime_age"].(int64); age < 3600 || age > 3700 {
		t.Errorf("mtime_age = %d; want an hour", age)
	}
	if got := ask(filepath.Join(dir, "none")); got["present"] != 0 || got["md5"] != "" || got["mtime_age"] != int64(0) {
		t.Errorf("of a file that is not there: %v", got)
	}
	if got := ask(big); got["md5"] != "" || got["size"] != int64(maxDigest+1) {
		t.Errorf("of a large file: %v; want no digest", got)
	}
	if got := ask(dir); got["type"] != "directory" || got["md5"] != "" {
		t.Errorf("of a directory: %v", got)
	}
}
