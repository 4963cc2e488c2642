package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security/pki"
)

// patience is for what has to happen, on a machine that is busy with the tests of many packages.
const patience = 60 * time.Second

var build = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "choria-server-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "choria-server")
	// As make build does it: what is measured has to be what is shipped.
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := build(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// A daemon is a running choria-server.
type daemon struct {
	t      testing.TB
	cmd    *exec.Cmd
	dir    string // of its files
	stderr *bytes.Buffer
	ended  chan struct{}
	err    error // of Wait, once ended is closed
}

// settings returns the configuration of a node with TLS.
func settings(t testing.TB, site *labtest.Site, dir string, more ...string) string {
	t.Helper()
	site.Issue(t, pki.Request{Name: "n1.example.net", RSA: true})
	lines := []string{
		"identity = n1.example.net",
		"plugin.choria.middleware_hosts = " + strings.TrimPrefix(site.URL, "nats://"),
		"plugin.security.provider = file",
		"plugin.security.file.ca = " + site.Dir + "/ca.pem",
		"plugin.security.file.certificate = " + site.Dir + "/n1.example.net.pem",
		"plugin.security.file.key = " + site.Dir + "/n1.example.net.key",
		"logfile = " + dir + "/server.log",
		"plugin.choria.status_file_path = " + dir + "/status.json",
		"classesfile = " + dir + "/classes.txt",
	}
	return strings.Join(append(lines, more...), "\n") + "\n"
}

// start starts a choria-server and waits until it is ready.
func start(t testing.TB, config string, dir string) *daemon {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: dir, stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	d.cmd = exec.Command(path, "run", "--config", file, "--pid", filepath.Join(dir, "pid"))
	d.cmd.Stderr = d.stderr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		<-d.ended
	})
	d.await("the status file", func() bool {
		_, err := os.Stat(filepath.Join(dir, "status.json"))
		return err == nil
	})
	return d
}

// await waits until a condition holds.
func (d *daemon) await(what string, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-d.ended:
			d.t.Fatalf("choria-server ended while the test waited for %s: %v\n%s%s", what, d.err, d.stderr, d.log())
		default:
		}
		if time.Now().After(end) {
			d.t.Fatalf("waited %v for %s\n%s", patience, what, d.log())
		}
	}
}

func (d *daemon) log() string {
	data, _ := os.ReadFile(filepath.Join(d.dir, "server.log")) // there may be none yet
	return string(data)
}

// memory returns the lines of /proc/PID/status about resident memory, in kB.
func (d *daemon) memory() map[string]int {
	d.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	kB := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if fields := strings.Fields(rest); len(fields) == 2 && fields[1] == "kB" {
			kB[name], _ = strconv.Atoi(fields[0])
		}
	}
	return kB
}

// The memory of an idle server with TLS, statistics and all agents. Source: the budget of the design.
const (
	residentBudget  = 12 << 10 // kB
	anonymousBudget = 4 << 10  // kB
)

func TestIdleMemory(t *testing.T) {
	dir := t.TempDir()
	site := labtest.TLSBroker(t)
	port := freePort(t)
	d := start(t, settings(t, site, dir, "plugin.choria.stats_port = "+port), dir)
	if body := fetch(t, "http://127.0.0.1:"+port+"/choria/prometheus"); !strings.Contains(body, "choria_server_total{") {
		t.Errorf("statistics: %s", body)
	}
	var kB map[string]int
	defer func() {
		t.Logf("resident %d kB, anonymous %d kB, file %d kB", kB["VmRSS"], kB["RssAnon"], kB["RssFile"])
	}()
	d.await("the memory to shrink below the budget", func() bool {
		kB = d.memory()
		return kB["VmRSS"] <= residentBudget && kB["RssAnon"] <= anonymousBudget
	})
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return port
}

func fetch(t testing.TB, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

func TestSignals(t *testing.T) {
	dir := t.TempDir()
	site := labtest.TLSBroker(t)
	audit := filepath.Join(dir, "audit.log")
	d := start(t, settings(t, site, dir, "rpcaudit = 1", "plugin.rpcaudit.logfile = "+audit), dir)
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(d.cmd.Process.Pid) {
		t.Errorf("pid file: %q, %v; want %d", pid, err, d.cmd.Process.Pid)
	}
	log := filepath.Join(dir, "server.log")
	for _, path := range []string{log, audit} {
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.await("the files to be opened anew", func() bool {
		_, err1 := os.Stat(log)
		_, err2 := os.Stat(audit)
		return err1 == nil && err2 == nil
	})
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Fatal("choria-server does not end")
	}
	if d.err != nil {
		t.Errorf("exit status: %v\n%s", d.err, d.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "pid")); !os.IsNotExist(err) {
		t.Errorf("the pid file is still there: %v", err)
	}
	for line := range strings.Lines(d.log()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %s", line)
		}
	}
}

func TestCommandLine(t *testing.T) {
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.conf")
	if err := os.WriteFile(broken, []byte("identity = n1\nrpcaudit = perhaps\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   string
		status int
		stdout string
		stderr string // a part of it
	}{
		{"--help", 0, "usage: choria-server", ""},
		{"help", 0, "usage: choria-server", ""},
		{"run --help", 0, "usage: choria-server", ""},
		{"version", 0, ".", ""},
		{"--version", 0, ".", ""},
		{"", 2, "", "usage: choria-server"},
		{"walk", 2, "", `unknown command "walk"`},
		{"run now", 2, "", `unexpected argument "now"`},
		{"run --nosuch", 2, "", "flag provided but not defined: -nosuch"},
		{"run --config " + dir + "/missing.conf", 1, "", "missing.conf"},
		{"run --config " + broken, 1, "", broken + ":2"},
	}
	for _, tt := range tests {
		cmd := exec.Command(path, strings.Fields(tt.args)...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Run() // the exit status is looked at below
		if got := cmd.ProcessState.ExitCode(); got != tt.status {
			t.Errorf("choria-server %s: exit status %d; want %d\n%s", tt.args, got, tt.status, &stderr)
		}
		if !strings.Contains(stdout.String(), tt.stdout) || (tt.stdout == "") != (stdout.Len() == 0) {
			t.Errorf("choria-server %s: output %q; want %q", tt.args, &stdout, tt.stdout)
		}
		if !strings.Contains(stderr.String(), tt.stderr) || (tt.status == 0) != (stderr.Len() == 0) {
			t.Errorf("choria-server %s: errors %q; want %q", tt.args, &stderr, tt.stderr)
		}
		if tt.status == 1 && !strings.HasPrefix(stderr.String(), "error: ") {
			t.Errorf("choria-server %s: errors %q; want error: at the start", tt.args, &stderr)
		}
	}
}

// What would make the daemon big must not creep in. The budget of memory holds because of it.
func TestLinks(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, banned := range []string{
			"github.com/nats-io/nats-server", "github.com/alecthomas/kingpin", "github.com/jedib0t/go-pretty", "text/template", "html/template",
			"choria.io/choria/go/client", "choria.io/choria/go/internal/playbook", "choria.io/choria/go/internal/cli", "choria.io/choria/go/internal/broker",
		} {
			if dep == banned || strings.HasPrefix(dep, banned+"/") {
				t.Errorf("choria-server links %s", dep)
			}
		}
	}
}

// A service manager waits for this before it goes on, and ends what does not say it in time: it may not
// depend on whether there is a broker.
func TestStartsWithoutBroker(t *testing.T) {
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close() // takes connections, and never says a word
	site := labtest.NewSite(t)
	site.URL = "nats://" + nobody.Addr().String()
	config := settings(t, site, dir)
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "run", "--config", file)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	buf := make([]byte, 64)
	manager.SetReadDeadline(time.Now().Add(patience))
	if n, err := manager.Read(buf); err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("the service manager was told %q, %v; want READY=1", buf[:n], err)
	}
}
