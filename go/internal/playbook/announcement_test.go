package playbook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/store"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// A slackServer answers as Slack does, and keeps what it is told.
type slackServer struct {
	token string // it lets nobody else in

	mu       sync.Mutex
	messages []string
}

func (s *slackServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		Channel     string
		Attachments []struct{ Text, Color, Pretext string }
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &message)
	}
	switch {
	case err != nil || len(message.Attachments) != 1:
		fmt.Fprint(w, `{"ok":false,"error":"invalid_json"}`)
		return
	case r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+s.token:
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	a := message.Attachments[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, fmt.Sprintf("%s %s [%s] %s", message.Channel, a.Color, a.Pretext, a.Text))
	fmt.Fprint(w, `{"ok":true}`)
}

func (s *slackServer) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// wait waits until a condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%s: waited in vain", what)
			return
		}
	}
}

// TestDisablePuppetAndWait runs the example acme::disable_puppet_and_wait against the puppet agent of real nodes, a Slack on
// loopback and a stand-in for Consul, which cannot be had where this is tested. Somebody else has the lock first, and
// one node applies a catalog when it is disabled.
func TestDisablePuppetAndWait(t *testing.T) {
	t.Parallel()
	slack := &slackServer{token: "xoxb-17-planted"}
	slackAt := httptest.NewServer(slack)
	defer slackAt.Close()
	consul, consulAt := tasktest.NewConsulStandIn(t)
	const key = "locks/puppet/alpha"
	other, err := store.NewEnv(nil).Lock(t.Context(), key, map[string]any{"type": "consul", "address": consulAt, "ttl": json.Number("60")})
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	nodes := []string{"a1.example.net", "b1.example.net", "a2.example.net"} // clusters alpha, bravo, alpha
	config, _ := newPuppetNetwork(t, dir, nodes...)
	network, closeNetwork := playbook.Client(func() (*client.Client, error) {
		return client.Open(t.Context(), client.Options{Config: config})
	})
	defer closeNetwork()
	state := func(node, name string) string { return filepath.Join(dir, node, "state", name) }
	disabled := func(node string) bool {
		_, err := os.Stat(state(node, "agent_disabled.lock"))
		return err == nil
	}
	for _, node := range nodes { // an agent idles only where its daemon runs
		p := puppetDaemon(t, "puppet agent", filepath.Join(dir, node, "runs"))
		if err := os.WriteFile(filepath.Join(dir, node, "run/agent.pid"), []byte(strconv.Itoa(p.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	applies := puppetDaemon(t, "puppet agent: applying configuration", filepath.Join(dir, "applies"))
	catalog := state("a2.example.net", "agent_catalog_run.lock")
	if err := os.WriteFile(catalog, []byte(strconv.Itoa(applies.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(t.TempDir(), "acme.yaml")
	text := fmt.Sprintf("slack.token: %s\nslack.channel: '#ops'\nslack.url: %s\nconsul.address: %s\n", slack.token, slackAt.URL, consulAt)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	modules, err := filepath.Abs("../../../examples/playbooks/modules")
	if err != nil {
		t.Fatal(err)
	}
	s, out := newSession(t, "acme::disable_puppet_and_wait", network)
	s.Modulepath = []string{modules}
	if r := ready(t, s); r.Plan == nil {
		t.Fatalf("%+v", r.Error)
	}
	var world sync.WaitGroup
	world.Go(func() {
		wait(t, "the plan wants the lock", func() bool { return consul.Refused() > 0 })
		for _, node := range nodes {
			if disabled(node) {
				t.Errorf("%s was disabled without the lock", node)
			}
		}
		if err := other.Release(t.Context()); err != nil {
			t.Error(err)
		}
		wait(t, "the nodes are disabled", func() bool { return disabled("a1.example.net") && disabled("a2.example.net") })
		wait(t, "the plan waits", func() bool {
			return strings.Contains(strings.Join(out.lines(), "\n"), "Try 1 of 10 failed, trying again in 20 seconds")
		})
		if !consul.Locked(key) || consul.TTL(key) != "1m0s" {
			t.Errorf("while it waits: locked %v, ttl %s", consul.Locked(key), consul.TTL(key))
		}
		if got := slack.told(); len(got) != 1 {
			t.Errorf("while it waits Slack was told %q", got)
		}
		if err := os.Remove(catalog); err != nil {
			t.Error(err)
		}
	})
	o, err := s.Run(t.Context(), map[string]any{"cluster": "alpha", "settings": settings})
	if err != nil {
		t.Fatal(err)
	}
	world.Wait()
	log := strings.Join(out.lines(), "\n")
	if !o.Success() {
		t.Fatalf("%+v\n%s", o.Failure, log)
	}
	var found []string
	if err := json.Unmarshal(o.Result, &found); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if !slices.Equal(found, []string{"a1.example.net", "a2.example.net"}) {
		t.Errorf("the playbook returned %s", o.Result)
	}
	if disabled("b1.example.net") {
		t.Error("a node of another cluster is disabled")
	}
	if data, err := os.ReadFile(state("a1.example.net", "agent_disabled.lock")); err != nil || string(data) != `{"disabled_message":"the Puppet Server is restarted"}` {
		t.Errorf("the lock of the agent is %s, %v", data, err)
	}
	if consul.Locked(key) {
		t.Error("the lock was not released")
	}
	const from = "[playbook acme::disable_puppet_and_wait] "
	want := []string{
		"#ops warning " + from + "Disabling Puppet in cluster alpha",
		"#ops good " + from + "Puppet is disabled on 2 nodes of cluster alpha, and idle",
	}
	if got := slack.told(); !slices.Equal(got, want) {
		t.Errorf("Slack was told %q", got)
	}
	for _, line := range []string{"All of 2 nodes have the agents needed", "Message was sent to Slack channel #ops"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log does not say %q:\n%s", line, log)
		}
	}
	if strings.Contains(log, slack.token) {
		t.Errorf("the log has the token:\n%s", log)
	}
}
