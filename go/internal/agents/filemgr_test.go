package agents

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"choria.io/choria/go/agent"
)

func TestFilemgrStatus(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hello")
	writeFile(t, path, "hello\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1700000000, 0)
	if err := os.Chtimes(path, when.Add(time.Minute), when); err != nil {
		t.Fatal(err)
	}
	got := mustCall(t, Filemgr(nil), "status", in{"file": path})
	want := in{
		"name": path, "output": "present", "present": 1.0, "size": 6.0, "mode": "100640", "type": "file",
		"md5":           "b1946ac92492d2347c6235b4d2611184",
		"mtime":         when.Format("2006-01-02 15:04:05 -0700"),
		"mtime_seconds": 1700000000.0,
		"atime":         when.Add(time.Minute).Format("2006-01-02 15:04:05 -0700"),
		"atime_seconds": 1700000060.0,
		"uid":           float64(os.Getuid()), "gid": float64(os.Getgid()),
		"dir_listing": nil,
	}
	if seconds := got["ctime_seconds"].(float64); time.Since(time.Unix(int64(seconds), 0)) > time.Hour ||
		got["ctime"] != time.Unix(int64(seconds), 0).Format("2006-01-02 15:04:05 -0700") {
		t.Errorf("ctime %v, %v", got["ctime"], seconds)
	}
	delete(got, "ctime")
	delete(got, "ctime_seconds")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("status of a file:\n got %v\nwant %v", got, want)
	}
}

func TestFilemgrTypes(t *testing.T) {
	dir := t.TempDir()
	join := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, join("file"), "")
	if err := os.Symlink("file", join("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nothing", join("dangling")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(join("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", join("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]string{
		dir: "directory", join("file"): "file", join("link"): "symlink", join("fifo"): "fifo", join("socket"): "socket", "/dev/null": "chardev",
	} {
		got := mustCall(t, Filemgr(nil), "status", in{"file": path})
		if got["type"] != want || got["present"] != 1.0 || (got["md5"] == 0.0) == (want == "file") {
			t.Errorf("%s: type %v, md5 %v; want %s", path, got["type"], got["md5"], want)
		}
	}

	for _, path := range []string{join("dangling"), join("nothing"), join("file/below")} {
		got, status, msg := call(t, t.Context(), Filemgr(nil), "status", in{"file": path})
		want := in{
			"name": path, "output": "not present", "present": 0.0, "size": 0.0, "mode": "0000", "type": "unknown", "md5": 0.0,
			"mtime": 0.0, "ctime": 0.0, "atime": 0.0, "mtime_seconds": 0.0, "ctime_seconds": 0.0, "atime_seconds": 0.0,
			"uid": 0.0, "gid": 0.0, "dir_listing": nil,
		}
		if status != agent.Aborted || msg != path+" does not exist" || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: status %d, %s\n got %v\nwant %v", path, status, msg, got, want)
		}
	}
	if _, status, _ := call(t, t.Context(), Filemgr(nil), "status", in{"file": "a\x00b"}); status != agent.Aborted {
		t.Errorf("a name with a zero byte: status %d; want 1", status)
	}
}

func TestFilemgrListing(t *testing.T) {
	dir := t.TempDir()
	status := func(path string) any {
		return mustCall(t, Filemgr(nil), "status", in{"file": path, "dirlist": true})["dir_listing"]
	}
	if got := status(dir); !reflect.DeepEqual(got, []any{}) {
		t.Errorf("listing of an empty directory = %v", got)
	}
	writeFile(t, filepath.Join(dir, "b"), "")
	writeFile(t, filepath.Join(dir, ".a"), "")
	if got := status(dir); !reflect.DeepEqual(got, []any{".a", "b"}) {
		t.Errorf("listing = %v", got)
	}
	if got := status(filepath.Join(dir, "b")); got != nil {
		t.Errorf("listing of a file = %v", got)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if got := status(link); !reflect.DeepEqual(got, []any{".a", "b"}) {
		t.Errorf("listing through a link = %v", got)
	}

	long := strings.Repeat("n", 200)
	for i := range 2500 {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("%s%d", long, i)), "")
	}
	got, code, msg := call(t, t.Context(), Filemgr(nil), "status", in{"file": dir, "dirlist": true})
	if want := dir + ": the list of its 2502 entries is too large for one reply"; code != agent.Aborted || msg != want || got["dir_listing"] != nil || got["present"] != 1.0 {
		t.Errorf("large directory: status %d, %s; want 1, %s", code, msg, want)
	}
}

func TestFilemgrTouchAndRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "touched")
	f := Filemgr(settings("plugin.filemgr.touch_file", path))

	_, status, msg := call(t, t.Context(), f, "remove", nil)
	if want := "remove " + path + ": it is not present"; status != agent.Aborted || msg != want {
		t.Errorf("remove of what is not there: status %d, %s; want 1, %s", status, msg, want)
	}
	mustCall(t, f, "touch", nil)
	if got := mustCall(t, f, "status", nil); got["name"] != path || got["size"] != 0.0 {
		t.Errorf("after touch: %v", got)
	}
	writeFile(t, path, "kept")
	if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	mustCall(t, f, "touch", in{"file": path})
	got := mustCall(t, f, "status", nil)
	if seconds := got["mtime_seconds"].(float64); got["size"] != 4.0 || time.Since(time.Unix(int64(seconds), 0)) > time.Hour {
		t.Errorf("after touch of an old file: %v", got)
	}
	mustCall(t, f, "remove", nil)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after remove: %v", err)
	}

	dir := t.TempDir()
	if _, status, msg := call(t, t.Context(), f, "remove", in{"file": dir}); status != agent.Aborted || !strings.HasPrefix(msg, "remove "+dir+": ") {
		t.Errorf("remove of a directory: status %d, %s", status, msg)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the empty directory is gone: %v", err)
	}
	missing := filepath.Join(dir, "no", "file")
	if _, status, msg := call(t, t.Context(), f, "touch", in{"file": missing}); status != agent.Aborted || msg != "touch "+missing+": no such file or directory" {
		t.Errorf("touch below nothing: status %d, %s", status, msg)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink("nothing", dangling); err != nil {
		t.Fatal(err)
	}
	mustCall(t, f, "remove", in{"file": dangling})
}

func TestFilemgrDefaultFile(t *testing.T) {
	f := &filemgr{}
	got, err := f.inputs(&agent.Request{Agent: "filemgr", Action: "status"})
	if err != nil || got.File != "/var/run/mcollective.plugin.filemgr.touch" {
		t.Errorf("default file %q, %v", got.File, err)
	}
}

// The digest of a large file ends with the request.
func TestFilemgrCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, status, msg := call(t, ctx, Filemgr(nil), "status", in{"file": path})
	if want := "md5 of " + path + ": context canceled"; status != agent.Aborted || msg != want || got["size"] != 1.0 {
		t.Errorf("cancelled: status %d, %s, %v; want 1, %s", status, msg, got, want)
	}
}
