package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
)

// pair runs a cluster of two brokers, and returns them with the configuration of a client that is
// the system user too.
func pair(t *testing.T) (brokers [2]*broker.Broker, config string) {
	t.Helper()
	site := labtest.NewSite(t)
	ports := [2]int{labtest.Port(t), labtest.Port(t)}
	for i := range brokers {
		name := fmt.Sprintf("b%d.example.net", i+1)
		cfg := labtest.BrokerConfig(t, "identity", name,
			"plugin.choria.network.peers", fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", ports[0], ports[1]),
			"plugin.choria.network.peer_port", strconv.Itoa(ports[i]),
			"plugin.choria.network.stream.store", t.TempDir(),
			"plugin.choria.network.system.user", "admin", "plugin.choria.network.system.password", "let me in")
		brokers[i] = labtest.RunBroker(t, cfg, broker.Options{Security: site.Identity(t, name, security.ForBroker)})
	}
	deadline := time.Now().Add(time.Minute)
	for brokers[0].Peers() == 0 || brokers[1].Peers() == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the brokers do not find each other")
		}
		time.Sleep(5 * time.Millisecond)
	}
	site.URL = brokers[0].URL()
	dir := writeConfigs(t, site, t.TempDir())
	base, err := os.ReadFile(filepath.Join(dir, "client.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "admin.cfg")
	text := string(base) + "plugin.choria.network.system.user = admin\nplugin.choria.network.system.password = let me in\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return brokers, config
}

// info runs broker info, and returns its output and exit status.
func info(t *testing.T, config string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	path, err := exec.LookPath("choria")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	cmd := exec.Command(path, append([]string{"broker", "info"}, args...)...)
	cmd.Env = append(os.Environ(), "CHORIA_CONFIG="+config, "MCOLLECTIVE_CERTNAME=alice.mcollective")
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the status says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

type brokerLine struct {
	Name               string
	Version            string
	Cluster            string
	Peers              []struct{ Name, RTT string }
	Connections        int
	In                 struct{ Messages, Bytes uint64 }
	Streams            *struct{ Enabled bool }
	CertificateExpires time.Time `json:"certificate_expires"`
}

func TestBrokerInfo(t *testing.T) {
	brokers, config := pair(t)
	for _, way := range []string{"system", "http"} {
		t.Run(way, func(t *testing.T) {
			args := []string{"--json", "--interval", "0.01", "--timeout", "30"}
			if way == "http" {
				for _, b := range brokers {
					srv := httptest.NewServer(b.Handler())
					defer srv.Close()
					args = append(args, "--url", srv.URL)
				}
			}
			stdout, stderr, status := info(t, config, args...)
			var got []brokerLine
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 || len(got) != 2 {
				t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
			}
			for i, b := range got {
				other := []string{"b2.example.net", "b1.example.net"}[i]
				if b.Name != []string{"b1.example.net", "b2.example.net"}[i] || b.Cluster != "CHORIA" || len(b.Peers) != 1 || b.Peers[0].Name != other ||
					!strings.Contains(b.Version, "nats 2.") || b.Connections == 0 || b.Streams == nil || !b.Streams.Enabled || time.Until(b.CertificateExpires) < time.Hour {
					t.Errorf("broker: %+v", b)
				}
			}
		})
	}
	stdout, stderr, status := info(t, config, "--interval", "0.01", "--timeout", "30")
	for _, want := range []string{"b1.example.net\n", "Cluster: CHORIA\n", "Peers: b2.example.net (", "messages/s", "Certificate: expires "} {
		if !strings.Contains(stdout, want) || status != 0 {
			t.Errorf("status %d, no %q in %s%s", status, want, stdout, stderr)
		}
	}
}

// TestBrokerInfoOfTheRest holds that what answers is shown, beside what does not.
func TestBrokerInfoOfTheRest(t *testing.T) {
	site := labtest.NewSite(t)
	b := labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "b1.example.net",
		"plugin.choria.network.peers", fmt.Sprintf("127.0.0.1:%d", labtest.Port(t)), "plugin.choria.network.peer_port", strconv.Itoa(labtest.Port(t))),
		broker.Options{Security: site.Identity(t, "b1.example.net", security.ForBroker)})
	here, gone := httptest.NewServer(b.Handler()), httptest.NewServer(nil)
	defer here.Close()
	gone.Close()
	stdout, stderr, status := info(t, "", "--interval", "0.01", "--timeout", "30", "--url", gone.URL, "--url", here.URL)
	if status != 3 || !strings.Contains(stdout, "b1.example.net\n") || !strings.Contains(stdout, "Missing: 1 of 1 peers\n") ||
		!strings.Contains(stderr, "error: no answer from "+gone.URL+"/varz: nobody listens on that port\n") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

func TestBrokerInfoErrors(t *testing.T) {
	site := labtest.TLSBroker(t, "plugin.choria.network.system.user", "admin", "plugin.choria.network.system.password", "right")
	config := filepath.Join(writeConfigs(t, site, t.TempDir()), "client.cfg")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(nil)
	srv.Close()
	ended := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	defer silent.Close()
	defer close(ended)
	local := filepath.Join(t.TempDir(), "broker.conf")
	if err := os.WriteFile(local, []byte("identity = b1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--url", "b1:8222"}, `error: --url "b1:8222": want http://HOST:PORT`},
		{[]string{"--url", srv.URL}, "error: " + srv.URL + "/varz: nobody listens on that port\nhint: is the broker running, and is that its plugin.choria.stats_port"},
		{[]string{"--url", silent.URL, "--timeout", "0.2"}, "error: " + silent.URL + "/varz: no answer in time\nhint: --timeout"},
		{[]string{"--url", strings.Replace(silent.URL, "http", "https", 1)}, "/varz: http: server gave HTTP response to HTTPS client\nhint: statistics ports speak http"},
		{[]string{"--user", "admin"}, "error: the password of the system user \"admin\" is not known\nhint: give --password-file"},
		{[]string{"--user", "admin", "--password-file", "/no/such/file"}, "error: --password-file: open /no/such/file"},
		{[]string{"--user", "admin", "--password-file", password, "--timeout", "1"}, "uthorization"},
		{[]string{"--user", "other", "--password-file", password}, "error: the broker does not know that system user\nhint: plugin.choria.network.system.user of the brokers"},
		{[]string{"--broker-config", local}, "broker.conf: plugin.choria.stats_port: the broker has no statistics port\nhint: set it"},
		{[]string{"--broker-config", "/no/such/file"}, "/no/such/file"},
	}
	for _, tt := range tests {
		if _, stderr, status := info(t, config, tt.args...); status != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: status %d, %s; want %s", tt.args, status, stderr, tt.want)
		}
	}
}
