package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

const patience = time.Minute

// runEnv makes the test binary the program itself.
const runEnv = "CHORIA_TEST_RUN_BROKER"

func TestMain(m *testing.M) {
	if os.Getenv(runEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// conf writes a configuration with the certificate of a broker, and returns its name.
func conf(t testing.TB, site *labtest.Site, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "broker.conf")
	lines = append([]string{
		"identity = broker.example.net",
		"plugin.choria.broker_network = true",
		"plugin.choria.use_srv = false",
		"plugin.choria.network.listen_address = 127.0.0.1",
		"plugin.choria.network.client_port = " + strconv.Itoa(labtest.Port(t)),
		"plugin.choria.network.tls_timeout = 30s",
		"plugin.security.provider = file",
		"plugin.security.file.certificate = " + site.Dir + "/broker.example.net.pem",
		"plugin.security.file.key = " + site.Dir + "/broker.example.net.key",
		"plugin.security.file.ca = " + site.Dir + "/ca.pem",
		"plugin.security.file.crl = " + site.Dir + "/crl.pem",
		"logfile = discard",
	}, lines...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func newSite(t testing.TB) *labtest.Site {
	t.Helper()
	site := labtest.NewSite(t)
	site.Issue(t, pki.Request{Name: "broker.example.net", IPs: []string{"127.0.0.1"}})
	return site
}

// TestProcess runs the program as the service manager does.
func TestProcess(t *testing.T) {
	site := newSite(t)
	dir := t.TempDir()
	logfile, pidfile := filepath.Join(dir, "broker.log"), filepath.Join(dir, "broker.pid")
	port, stats := labtest.Port(t), labtest.Port(t)
	file := conf(t, site, "logfile = "+logfile, fmt.Sprintf("plugin.choria.network.client_port = %d", port),
		fmt.Sprintf("plugin.choria.stats_port = %d", stats), "no.such.key = 1", "plugin.choria.network.client_signer_cert = /x")

	cmd := exec.Command(os.Args[0], "run", "--config", file, "--pid", pidfile)
	cmd.Env = append(os.Environ(), runEnv+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // ended already, unless the test failed

	logged := func() string {
		data, _ := os.ReadFile(logfile)
		return string(data)
	}
	until(t, "ready", func() bool { return strings.Contains(logged(), "broker is ready") })
	if !strings.Contains(logged(), "no.such.key") {
		t.Error("the unknown key is not logged")
	}
	if !strings.Contains(logged(), "plugin.choria.network.client_signer_cert: has no effect") {
		t.Error("the setting without effect is not logged")
	}
	if pid, err := os.ReadFile(pidfile); err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("pid file: %q, %v; want %d", pid, err, cmd.Process.Pid)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := transport.Connect(ctx, transport.Options{
		Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", port)}, ConnectTimeout: patience,
		TLS: site.Identity(t, "n1.example.net", security.ForServer).ClientTLS(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)

	for path, want := range map[string]string{
		"/choria/prometheus": `choria_certificate_expires_timestamp_seconds{identity="broker.example.net"} `,
		"/choria/metrics":    `choria_build_info{`,
		"/choria/":           `"identity":"broker.example.net"`,
		"/varz":              `broker.example.net`,
	} {
		if body := get(t, fmt.Sprintf("http://127.0.0.1:%d%s", stats, path)); !strings.Contains(body, want) {
			t.Errorf("%s: %.500s; want %s", path, body, want)
		}
	}

	if err := os.Rename(logfile, logfile+".1"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "the log is reopened", func() bool { return strings.Contains(logged(), "log reopened") })

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v: %s", err, out.String())
	}
	if !strings.Contains(logged(), "broker stopped") {
		t.Errorf("the end is not logged: %s", logged())
	}
	if _, err := os.Stat(pidfile); !os.IsNotExist(err) {
		t.Errorf("pid file after the end: %v; want it gone", err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestExitStatus(t *testing.T) {
	site, other := newSite(t), newSite(t)
	taken := labtest.Broker(t)
	takenPort := taken[strings.LastIndexByte(taken, ':')+1:]
	missing := filepath.Join(t.TempDir(), "missing.conf")
	tests := []struct {
		name   string
		args   []string
		status int
		out    string // part of standard output
		err    string // part of standard error
		hint   string
	}{
		{"help", []string{"--help"}, 0, "usage: choria-broker run", "", ""},
		{"help of run", []string{"run", "--help"}, 0, "usage: choria-broker run", "", ""},
		{"version", []string{"version"}, 0, ".", "", ""},
		{"nothing", nil, 2, "", "error: usage: want a command", ""},
		{"unknown command", []string{"dance"}, 2, "", `error: usage: unknown command "dance"`, ""},
		{"unknown flag", []string{"run", "--fast"}, 2, "", "error: usage: flag provided but not defined: -fast", ""},
		{"argument", []string{"run", "now"}, 2, "", `error: usage: unexpected argument "now"`, ""},
		{"no configuration", []string{"run", "--config", missing}, 1, "", missing, ""},
		{"nothing to run", []string{"run", "--config", conf(t, site, "plugin.choria.broker_network = false")}, 1, "", "there is nothing to run", "plugin.choria.broker_network = true"},
		{"store of streams", []string{"run", "--config", conf(t, site, "plugin.choria.network.stream.store = /proc/store")}, 1, "", "/broker.conf:13: plugin.choria.network.stream.store: /proc/store: no such file or directory", ""},
		{"retention of a stream", []string{"run", "--config", conf(t, site, "plugin.choria.network.stream.store = "+t.TempDir(), "plugin.choria.network.stream.event_retention = 1ms")}, 1, "", "/broker.conf:14: plugin.choria.network.stream.event_retention: 1ms", ""},
		{"federation without brokers", []string{"run", "--config", conf(t, site, "plugin.choria.broker_federation = yes")}, 1, "", "plugin.choria.federation_middleware_hosts is not set", ""},
		{"federation with a bad address", []string{"run", "--config", conf(t, site, "plugin.choria.broker_federation = yes", "plugin.choria.federation_middleware_hosts = fed")}, 1, "", "plugin.choria.federation_middleware_hosts", ""},
		{"site with a bad address", []string{"run", "--config", conf(t, site, "plugin.choria.broker_federation = yes", "plugin.choria.federation_middleware_hosts = fed:1", "plugin.choria.middleware_hosts = b:x")}, 1, "", "plugin.choria.middleware_hosts", ""},
		{"name of the site", []string{"run", "--config", conf(t, site, "plugin.choria.broker_federation = yes", "plugin.choria.federation_middleware_hosts = fed:1", "plugin.choria.federation.cluster = a.b")}, 1, "", `/broker.conf:15: plugin.choria.federation.cluster: "a.b": want a name without dots`, ""},
		{"bad value", []string{"run", "--config", conf(t, site, "plugin.choria.network.write_deadline = soon")}, 1, "", "plugin.choria.network.write_deadline", ""},
		{"bad peer", []string{"run", "--config", conf(t, site, "plugin.choria.network.peers = b2.example.net")}, 1, "", "plugin.choria.network.peers", ""},
		{"port taken", []string{"run", "--config", conf(t, site, "plugin.choria.network.client_port = "+takenPort)}, 1, "", "/broker.conf:13: plugin.choria.network.client_port: listen on 127.0.0.1:" + takenPort + ": address already in use", "another program has the port"},
		{"statistics port taken", []string{"run", "--config", conf(t, site, "plugin.choria.stats_port = "+takenPort)}, 1, "", "statistics on 127.0.0.1:" + takenPort, "plugin.choria.stats_port"},
		{"profiler port taken", []string{"run", "--config", conf(t, site, "plugin.choria.network.pprof_port = "+takenPort)}, 1, "", "plugin.choria.network.pprof_port: listen tcp 127.0.0.1:" + takenPort, "set another port"},
		{"certificate of another CA", []string{"run", "--config", conf(t, site, "plugin.security.file.ca = "+other.Dir+"/ca.pem", "plugin.security.file.crl = "+other.Dir+"/crl.pem")}, 1, "", "broker.example.net.pem", ""},
		{"no certificate", []string{"run", "--config", conf(t, site, "plugin.security.file.certificate = /no/such/file")}, 1, "", "/no/such/file", ""},
		{"pid file", []string{"run", "--config", conf(t, site), "--pid", "/no/such/dir/pid"}, 1, "", "pid file: ", ""},
		{"log file", []string{"run", "--config", conf(t, site, "logfile = /no/such/dir/log")}, 1, "", "/no/such/dir/log", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var stdout, stderr bytes.Buffer
			status := exit(run(ctx, tt.args, &stdout), &stderr)
			if status != tt.status || !strings.Contains(stdout.String(), tt.out) || !strings.Contains(stderr.String(), tt.err) {
				t.Errorf("status %d, output %q, error %q; want %d, %q, %q", status, stdout.String(), stderr.String(), tt.status, tt.out, tt.err)
			}
			if ctx.Err() != nil {
				t.Error("it ran until it was stopped")
			}
			_, hint, _ := strings.Cut(stderr.String(), "hint: ")
			if !strings.Contains(hint, tt.hint) {
				t.Errorf("hint %q; want %q", hint, tt.hint)
			}
		})
	}
}
