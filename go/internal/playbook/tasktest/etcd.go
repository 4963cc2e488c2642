package tasktest

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// FreePort returns the address of a port that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Etcd runs a real etcd until the test ends, and returns its URL.
func Etcd(t testing.TB) (url string) {
	t.Helper()
	url = "http://" + FreePort(t)
	cmd := exec.Command("etcd", "--data-dir", filepath.Join(t.TempDir(), "etcd"), "--unsafe-no-fsync", "--log-level", "error",
		"--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", "http://127.0.0.1:0")
	if err := cmd.Start(); err != nil {
		t.Fatalf("etcd: %v: install the package etcd-server", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get(url + "/health"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return url
			}
		}
		if time.Now().After(end) {
			t.Fatal("etcd: not ready within a minute")
		}
	}
}
