package playbook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/security/pki"
)

// newNetwork runs a broker with TLS and nodes with all standard agents until the test ends, and returns the
// configuration of a client and the broker's port.
func newNetwork(t *testing.T, nodes ...string) (config, port string) {
	t.Helper()
	return newPuppetNetwork(t, t.TempDir(), nodes...)
}

// newPuppetNetwork is newNetwork with the state of the Puppet agents below dir/NODE: nothing a node is asked
// touches the Puppet agent of this machine.
func newPuppetNetwork(t *testing.T, dir string, nodes ...string) (config, port string) {
	t.Helper()
	return newServedNetwork(t, dir, func(*labtest.Site) map[string]string { return nil }, nodes...)
}

// newServedNetwork is newPuppetNetwork with further settings of nodes and client, which serve returns.
func newServedNetwork(t *testing.T, dir string, serve func(*labtest.Site) map[string]string, nodes ...string) (config, port string) {
	t.Helper()
	site := labtest.TLSBroker(t)
	more := serve(site)
	u, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for i, name := range nodes {
		site.Issue(t, pki.Request{Name: name})
		ready := make(chan struct{})
		for _, sub := range []string{"state", "run"} {
			if err := os.MkdirAll(filepath.Join(dir, name, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		s := &choria.Server{
			Settings: map[string]string{
				"plugin.puppet.statedir": filepath.Join(dir, name, "state"),
				"plugin.puppet.rundir":   filepath.Join(dir, name, "run"),

				"plugin.choria.tasks.directory": filepath.Join(dir, name, "tasks"),
			},
			Identity: name, Brokers: []string{u.Host}, Standard: true, Ready: func() { close(ready) },
			TLS: &choria.TLS{
				CA:          filepath.Join(site.Dir, "ca.pem"),
				Certificate: filepath.Join(site.Dir, name+".pem"),
				Key:         filepath.Join(site.Dir, name+".key"),
			},
			Facts: func() json.RawMessage {
				return fmt.Appendf(nil, `{"kernel":"Linux","role":%q,"cluster":%q}`, []string{"web", "db"}[i%2], []string{"alpha", "bravo"}[i%2])
			},
			Classes:   func() []string { return []string{"settings", "mcollective"} },
			Authorize: func(*agent.Request) bool { return true },
		}
		maps.Copy(s.Settings, more)
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("node %s: %v", name, err)
			}
		})
		select {
		case <-ready:
		case <-time.After(patience):
			t.Fatalf("node %s is not ready", name)
		}
	}
	const user = "alice.mcollective"
	site.Issue(t, pki.Request{Name: user, RSA: true})
	config = filepath.Join(t.TempDir(), "client.conf")
	text := fmt.Sprintf("identity = %[3]s\nplugin.choria.middleware_hosts = %[1]s\nplugin.choria.use_srv = false\nplugin.security.provider = file\n"+
		"plugin.security.file.ca = %[2]s/ca.pem\nplugin.security.file.certificate = %[2]s/%[3]s.pem\nplugin.security.file.key = %[2]s/%[3]s.key\n",
		u.Host, site.Dir, user)
	for key, value := range more {
		text += key + " = " + value + "\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, u.Port()
}

// TestNetwork runs all bundled suites on real nodes.
func TestNetwork(t *testing.T) {
	t.Parallel()
	nodes := []string{"n1.example.net", "n2.example.net", "n3.example.net"}
	config, port := newNetwork(t, nodes...)
	data, err := json.Marshal(map[string]any{
		"suites": []string{
			"cspec::discovery", "cspec::choria", "cspec::agents::filemgr", "cspec::agents::nettest", "cspec::agents::shell", "cspec::agents::process",
		},
		"discovery.all_nodes": nodes, "discovery.mcollective_nodes": nodes, "discovery.filtered_nodes": []string{nodes[2], nodes[0]},
		"discovery.fact_filter": []string{"role=web"},
		"nettest.fqdn":          "127.0.0.1", "nettest.port": port, "process.pattern": "playbook.test", "filemgr.directory": t.TempDir(),
		// Whether a process may send echo requests depends on the machine.
		"nettest.ping": false,
	})
	if err != nil {
		t.Fatal(err)
	}
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: config})
	})
	defer closeNetwork()
	path := filepath.Join(t.TempDir(), "report.json")
	o, s, out := runPlan(t, "cspec::suite", network, map[string]any{"data": dataFile(t, string(data)), "report": path, "pre_post": false})
	if !o.Success() {
		t.Errorf("%q, %+v\n%s\n%s", o.Failed, o.Failure, strings.Join(out.lines(), "\n"), readReport(t, path).text(s.Modulepath[0]))
	}
	want := `{"testsuites":[{"name":"mc discovery method","cases":4,"success":true},{"name":"choria","cases":1,"success":true},` +
		`{"name":"filemgr agent","cases":2,"success":true},{"name":"nettest agent","cases":2,"success":true},` +
		`{"name":"shell agent","cases":1,"success":true},{"name":"process agent","cases":1,"success":true}],"success":true}`
	if string(o.Result) != want {
		t.Errorf("summary %s\nwant %s", o.Result, want)
	}
	for _, suite := range readReport(t, path) {
		for _, c := range suite.Testcases {
			if len(c.Assertions) < 2 && c.Skipped == "" {
				t.Errorf("%s, %s: %d assertions; want some besides that the case has ended", suite.Suite, c.Case, len(c.Assertions))
			}
		}
	}
}

// TestNoConfiguration holds that a playbook that uses the network says what is wrong with its configuration,
// and that others do not need one.
func TestNoConfiguration(t *testing.T) {
	t.Parallel()
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: "/does/not/exist.conf"})
	})
	defer closeNetwork()
	if o, _, _ := runPlan(t, "demo::errors", network, map[string]any{"how": "fail"}); o.Failure.Msg != "as asked" {
		t.Errorf("failure %+v", o.Failure)
	}
	o, _, _ := runPlan(t, "demo::errors", network, map[string]any{"how": "discover"})
	if o.Failure == nil || !strings.Contains(o.Failure.Msg, "/does/not/exist.conf") || o.Failure.Line != 25 {
		t.Errorf("failure %+v", o.Failure)
	}
}
