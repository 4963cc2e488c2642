package playbook_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook"
)

func TestCacheDir(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := func(name string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, loose := dir("open", 0o755), dir("loose", 0o777)
	sticky := dir("sticky", 0o777|os.ModeSticky)
	link := filepath.Join(base, "link")
	if err := os.Symlink(dir("target", 0o700), link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ value, want, err string }{
		{"off", "", ""},
		{"relative", "", "CHORIA_RUBY_CACHE=relative: want an absolute path, or off"},
		{filepath.Join(base, "new", "dir"), filepath.Join(base, "new", "dir"), ""},
		{filepath.Join(sticky, "dir"), filepath.Join(sticky, "dir"), ""},
		{open, "", "cache of Ruby code: " + open + " has mode 0755: want 0700"},
		{filepath.Join(loose, "dir"), "", "cache of Ruby code: " + loose + " can be written to by other users"},
		{link, "", "cache of Ruby code: " + link + " is no directory"},
		{file, "", "cache of Ruby code: mkdir " + file + ": not a directory"},
	}
	for _, tt := range tests {
		got, err := playbook.CacheDir(func(string) string { return tt.value })
		var message string
		if err != nil {
			message = err.Error()
		}
		if got != tt.want || message != tt.err {
			t.Errorf("%s: %q, %q; want %q, %q", tt.value, got, message, tt.want, tt.err)
		}
	}
	if st, err := os.Stat(filepath.Join(base, "new", "dir")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("new directory: %v, %v; want mode 0700", st, err)
	}
}

// TestCachedCode runs a playbook with the code that another has left, and with code that is damaged.
func TestCachedCode(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	run := func() string {
		t.Helper()
		s, out := newSession(t, "demo", nil)
		s.Cache = dir
		ready(t, s)
		if o, err := s.Run(t.Context(), nil); err != nil || o.Failure != nil {
			t.Fatal(err, o)
		}
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(found) != 1 || !strings.HasSuffix(found[0], ".code") {
			t.Fatalf("files %v, %v; want one with code; log\n%s", found, err, strings.Join(out.lines(), "\n"))
		}
		return found[0]
	}
	path := run()
	first, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	run()
	if second, err := os.Stat(path); err != nil || !os.SameFile(first, second) {
		t.Errorf("the second run wrote the code again (%v): it has not used that of the first", err)
	}
	if err := os.Truncate(path, first.Size()/2); err != nil {
		t.Fatal(err)
	}
	run()
	if third, err := os.Stat(path); err != nil || third.Size() < first.Size()/10*9 {
		t.Errorf("code that was cut short was not replaced: %v", err)
	}
}
