package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/vectors"
)

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// records returns the JSON lines of path.
func records(t *testing.T, path string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(data)) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		all = append(all, r)
	}
	return all
}

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "choria.log")
	l, err := OpenLog(path, "warn")
	if err != nil {
		t.Fatal(err)
	}
	l.Info("not shown")
	l.Warn("shown", "level", "mine")
	l.Log(t.Context(), LevelFatal, "the end", slog.Group("g", "level", 1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := records(t, path)
	if len(got) != 2 || got[0]["msg"] != "shown" || got[0]["time"] == nil || got[1]["level"] != "FATAL" {
		t.Errorf("logged %v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v, %v; want at most 0640", info.Mode(), err)
	}
}

func TestLogLevels(t *testing.T) {
	levels := []string{"debug", "info", "warn", "error", "fatal"}
	for i, level := range levels {
		path := filepath.Join(t.TempDir(), "log")
		l, err := OpenLog(path, level)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, LevelFatal} {
			l.Log(t.Context(), at, "x")
		}
		if n := len(records(t, path)); n != len(levels)-i {
			t.Errorf("level %s logs %d of 5 levels, want %d", level, n, len(levels)-i)
		}
		l.Close()
	}
	if _, err := OpenLog("discard", "loud"); err == nil || err.Error() != `log level "loud": want debug, info, warn, error or fatal` {
		t.Errorf("error %v", err)
	}
	dir := t.TempDir()
	if _, err := OpenLog(dir, "info"); err == nil || !strings.HasPrefix(err.Error(), "log file: open "+dir+": ") {
		t.Errorf("error %v", err)
	}
}

func TestLogStreams(t *testing.T) {
	for _, name := range []string{"", "stdout", "stderr", "discard"} {
		l, err := OpenLog(name, "error")
		if err != nil {
			t.Fatal(err)
		}
		if l.Enabled(t.Context(), slog.LevelInfo) {
			t.Errorf("%q logs info at level error", name)
		}
		if err := errors.Join(l.Reopen(), l.Close()); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Not a line is lost while the log is rotated under those who write to it.
func TestReopenLosesNothing(t *testing.T) {
	const writers, lines, rotations = 4, 500, 20
	dir := t.TempDir()
	path := filepath.Join(dir, "choria.log")
	l, err := OpenLog(path, "info")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				l.Info("line", "id", fmt.Sprintf("%d.%d", w, i))
			}
		})
	}
	for i := range rotations {
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	l.Close()
	files, _ := filepath.Glob(path + "*")
	seen := map[any]int{}
	for _, f := range files {
		for _, r := range records(t, f) {
			seen[r["id"]]++
		}
	}
	if len(files) != rotations+1 || len(seen) != writers*lines {
		t.Errorf("%d files with %d different lines, want %d with %d", len(files), len(seen), rotations+1, writers*lines)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("line %v is there %d times", id, n)
		}
	}
}

func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(filepath.Join(dir, "a"), "info")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reopen = %v", err)
	}
	l.Info("still here")
	if got := records(t, filepath.Join(dir+".old", "a")); len(got) != 1 {
		t.Errorf("logged %v", got)
	}
}

// A reopenable counts and may fail.
type reopenable struct {
	n   atomic.Int32
	err error
}

func (r *reopenable) Reopen() error { r.n.Add(1); return r.err }

func TestReopener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path, "info")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	good, bad := &reopenable{}, &reopenable{err: errors.New("disk on fire")}
	Reopener(ctx, l, bad, good)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is reopened", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(data), "log reopened")
	})
	if got := records(t, path); good.n.Load() != 1 || got[0]["err"] != "disk on fire" {
		t.Errorf("%d reopened; logged %v", good.n.Load(), got)
	}
}

// serve runs s on a free port and returns its address.
func serve(t *testing.T, s *Stats) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.listener = ln
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return ln.Addr().String()
}

func get(t *testing.T, url string) (status int, kind, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(data)
}

func TestStats(t *testing.T) {
	m := metrics.New()
	m.Counter("choria_server_total", "Messages", "identity", "n1").Add(7)
	addr := serve(t, &Stats{
		Identity: "n1", ConfigFile: "/etc/choria/server.conf", Metrics: m,
		Other: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "other "+r.URL.Path) }),
	})
	for _, path := range []string{"/choria/prometheus", "/choria/metrics"} {
		status, kind, body := get(t, "http://"+addr+path)
		if status != 200 || kind != "text/plain; version=0.0.4; charset=utf-8" ||
			!strings.Contains(body, `choria_build_info{identity="n1",sha="`) || !strings.Contains(body, "choria_server_total{identity=\"n1\"} 7\n") {
			t.Errorf("%s: %d, %s, %s", path, status, kind, body)
		}
	}
	for _, path := range []string{"/choria", "/choria/"} {
		status, kind, body := get(t, "http://"+addr+path)
		var got struct {
			Build    map[string]any `json:"build"`
			System   map[string]any `json:"system"`
			File     string         `json:"config_file"`
			Identity string         `json:"identity"`
		}
		dec := json.NewDecoder(strings.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil || status != 200 || kind != "application/json" {
			t.Errorf("%s: %d, %s, %v", path, status, kind, err)
		}
		for _, key := range []string{"version", "sha", "build_date", "license", "tls", "secure", "go", "max_broker_clients"} {
			if _, ok := got.Build[key]; !ok {
				t.Errorf("no build.%s in %s", key, body)
			}
		}
		if rss, _ := got.System["rss"].(float64); runtime.GOOS == "linux" && rss < 1<<20 {
			t.Errorf("rss %v", rss)
		}
		if cpu, _ := got.System["cpu_percent"].(float64); cpu <= 0 || got.System["cpu_cores"] != float64(runtime.NumCPU()) {
			t.Errorf("system %v", got.System)
		}
		if got.File != "/etc/choria/server.conf" || got.Identity != "n1" {
			t.Errorf("%s", body)
		}
	}
	if status, _, body := get(t, "http://"+addr+"/varz"); status != 200 || body != "other /varz" {
		t.Errorf("/varz: %d, %s", status, body)
	}
}

func TestStatsAlone(t *testing.T) {
	addr := serve(t, &Stats{Identity: "n1"})
	if status, _, body := get(t, "http://"+addr+"/choria/metrics"); status != 200 || body != "" {
		t.Errorf("no metrics: %d, %q", status, body)
	}
	if status, _, _ := get(t, "http://"+addr+"/varz"); status != 404 {
		t.Errorf("/varz: %d, want 404", status)
	}
	resp, err := http.Post("http://"+addr+"/choria/", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 {
		t.Errorf("POST: %d, want 405", resp.StatusCode)
	}
}

func TestStatsPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	err = (&Stats{Address: "127.0.0.1", Port: port}).Run(t.Context())
	var h interface{ Hint() string }
	if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("statistics on 127.0.0.1:%d: ", port)) ||
		!errors.As(err, &h) || !strings.Contains(h.Hint(), "plugin.choria.stats_port") {
		t.Errorf("Run = %v", err)
	}
}

func TestStatsOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := metrics.New()
	if err := (&Stats{Metrics: m}).Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
	if v := m.Counter("choria_build_info", "", "version", build.Version, "sha", build.Commit, "identity", "").Value(); v != 1 {
		t.Errorf("choria_build_info %d without a port, want 1", v)
	}
}

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	remove, err := WritePIDFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != fmt.Sprintf("%d\n", os.Getpid()) {
		t.Errorf("%q, %v", data, err)
	}
	remove()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not removed: %v", err)
	}
	if remove, err = WritePIDFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	remove()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another process's file is gone: %v", err)
	}
	if _, err := WritePIDFile(filepath.Join(path, "x")); err == nil || !strings.HasPrefix(err.Error(), "pid file: ") {
		t.Errorf("error %v", err)
	}
	if remove, err := WritePIDFile(""); err != nil {
		t.Error(err)
	} else {
		remove()
	}
}

func TestWriteStatus(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(vectors.Dir(t), "status", "server_status_v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var status any
	if err := json.Unmarshal(want, &status); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "status.json")
	// A reader never sees half a file.
	stop, read := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				read <- nil
				return
			default:
			}
			data, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil || !json.Valid(data) {
				read <- fmt.Errorf("read %q, %v", data, err)
				return
			}
		}
	}()
	for range 200 {
		if err := WriteStatus(path, status); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-read; err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(path)
	var got any
	if err != nil || json.Unmarshal(data, &got) != nil || !reflect.DeepEqual(got, status) || strings.HasSuffix(string(data), "\n") {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := WriteStatus(path, func() {}); err == nil {
		t.Error("a function is no status")
	}
	if err := WriteStatus(filepath.Join(dir, "none", "x"), status); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "status file: ") {
		t.Errorf("error %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%v left in the directory", files)
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	for _, state := range []string{Ready, Stopping} {
		if err := Notify(state); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != state {
			t.Errorf("received %q, %v; want %q", buf[:n], err, state)
		}
	}
	t.Setenv("NOTIFY_SOCKET", path+".none")
	if err := Notify(Ready); err == nil {
		t.Error("no error without anybody there")
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify(Ready); err != nil {
		t.Error(err)
	}
}

// A process that has just started its Reopener survives SIGHUP, and writes text to stderr.
func TestDaemonProcess(t *testing.T) {
	if os.Getenv("DAEMON_TEST_PROCESS") != "" {
		l, err := OpenLog("stderr", "info")
		if err != nil {
			t.Fatal(err)
		}
		Reopener(t.Context(), l)
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDaemonProcess$")
	cmd.Env = append(os.Environ(), "DAEMON_TEST_PROCESS=1")
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	cmd.Process.Signal(syscall.SIGHUP)
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil || !strings.Contains(line, `level=INFO msg="log reopened"`) {
		t.Errorf("stderr %q, %v", line, err)
	}
	io.WriteString(stdin, "\n")
	io.Copy(io.Discard, stdout)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
