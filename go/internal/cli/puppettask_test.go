//go:build puppetserver

package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/internal/broker"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
)

// startServedNode runs a broker and a node, both with certificates of the real CA, whose tasks come from the real Puppet
// Server. It returns the settings of its clients.
func startServedNode(t *testing.T, name string) (settings string) {
	t.Helper()
	ssl := filepath.Join(filepath.Dir(filepath.Dir(setting(t, "CHORIA_TEST_PUPPET_CONF"))), "ssl")
	ca := filepath.Join(ssl, "certs", "ca.pem")
	pair := func(name string) (cert, key string) {
		return filepath.Join(ssl, "certs", name+".pem"), filepath.Join(ssl, "private_keys", name+".pem")
	}
	cert, key := pair("localhost") // that of Puppet Server, on whose machine a broker may be
	id, err := security.New(security.Options{For: security.ForBroker, Name: "localhost", Certificate: cert, Key: key, CA: ca})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(labtest.RunBroker(t, labtest.BrokerConfig(t, "identity", "localhost"), broker.Options{Security: id}).URL())
	if err != nil {
		t.Fatal(err)
	}
	middleware := net.JoinHostPort("localhost", u.Port())
	host, port, err := net.SplitHostPort(setting(t, "CHORIA_TEST_PUPPETSERVER"))
	if err != nil {
		t.Fatal(err)
	}

	puppetCA(t, "generate", "--certname", name)
	cert, key = pair(name)
	ready, ended := make(chan struct{}), make(chan error, 1)
	node := &choria.Server{
		Identity: name, Brokers: []string{middleware}, Standard: true, Ready: func() { close(ready) },
		TLS: &choria.TLS{CA: ca, Certificate: cert, Key: key},
		Settings: map[string]string{
			"plugin.choria.puppetserver_host": host, "plugin.choria.puppetserver_port": port,
			"plugin.choria.tasks.directory": filepath.Join(t.TempDir(), "tasks"), "plugin.choria.network.connect_timeout": "60s",
		},
		Authorize: func(*agent.Request) bool { return true },
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- node.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("node: %v", err)
		}
	})
	select {
	case <-ready:
	case <-time.After(2 * time.Minute):
		t.Fatal("the node is not ready after two minutes")
	}
	return fmt.Sprintf("plugin.choria.middleware_hosts = %s\nplugin.choria.use_srv = false\nplugin.choria.puppetserver_host = %s\nplugin.choria.puppetserver_port = %s\n",
		middleware, host, port)
}

// TestPuppetServerTask runs a task of a module that a real Puppet Server has: what it is, its files, and what comes of it.
func TestPuppetServerTask(t *testing.T) {
	writeCode(t, map[string]string{
		"modules/demo/tasks/greet.json": `{"description":"Greets","input_method":"environment","parameters":{"name":{"type":"String[1]"}},
			"files":["demo/files/words.txt"]}`,
		"modules/demo/tasks/greet.sh":    "#!/bin/sh\nprintf '{\"greeting\":\"%s %s\"}' \"$(cat \"$PT__installdir/demo/files/words.txt\")\" \"$PT_name\"\n",
		"modules/demo/files/words.txt":   "good evening",
		"modules/demo/tasks/broken.sh":   "#!/bin/sh\necho no luck >&2\nexit 3\n",
		"modules/demo/metadata.json":     `{"name":"acme-demo","version":"1.0.0","author":"acme","license":"Apache-2.0","summary":"","source":"","dependencies":[]}`,
		"modules/demo/manifests/init.pp": "class demo { }\n",
	})
	const node = "tasks.automatic"
	settings := startServedNode(t, node)
	p := newPerson(t, "tasker.automatic")
	if status, out := p.enroll(); status != 0 {
		t.Fatal(out)
	}
	if err := os.WriteFile(filepath.Join(p.home, ".choriarc"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(task, inputs string) (int, string) {
		return p.run("playbook", "run", "choria::tasks::run", "--json", "--nodes", node, "--task", task, "--inputs", inputs)
	}

	status, out := run("demo::greet", `{"name":"bob"}`)
	var result struct {
		Result []map[string]struct {
			Value struct {
				Data struct{ Stdout string }
			}
		}
	}
	_, document, _ := strings.Cut("\n"+out, "\n{\n")
	if err := json.Unmarshal([]byte("{"+document), &result); err != nil || status != 0 || len(result.Result) != 1 {
		t.Fatalf("exit status %d, %v: %s", status, err, out)
	}
	if got := result.Result[0][node].Value.Data.Stdout; got != `{"greeting":"good evening bob"}` {
		t.Errorf("the task printed %q\n%s", got, out)
	}

	status, out = run("demo::greet", `{"nmae":"bob"}`)
	if status != 1 {
		t.Errorf("wrong parameter: exit status %d", status)
	}
	contains(t, "wrong parameter", out, "there is no parameter 'nmae'", "'name' is missing")

	status, out = run("demo::broken", `{}`)
	if status != 1 {
		t.Errorf("a task that fails: exit status %d", status)
	}
	contains(t, "a task that fails", out, node, "exit")

	status, out = run("demo::gone", `{}`)
	if status != 1 {
		t.Errorf("no such task: exit status %d", status)
	}
	contains(t, "no such task", out, "404")
}
