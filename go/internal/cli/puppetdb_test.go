//go:build puppetserver

package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// command sends one command to PuppetDB and waits until it is carried out.
func command(t *testing.T, name string, version int, certname string, body any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{
		"command": {name}, "version": {fmt.Sprint(version)}, "certname": {certname},
		"producer-timestamp": {stamp}, "secondsToWaitForCompletion": {"60"},
	}
	resp, err := http.Post("http://"+setting(t, "CHORIA_TEST_PUPPETDB_HTTP")+"/pdb/cmd/v1?"+query.Encode(), "application/json", strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	var done struct{ Processed bool }
	if err := json.Unmarshal(answer, &done); err != nil || !done.Processed {
		t.Fatalf("%s for %s: %d %s", name, certname, resp.StatusCode, answer)
	}
}

var stamp = time.Now().UTC().Format(time.RFC3339)

// fact and resource are how PuppetDB takes the facts and the catalog of a node.
type facts = map[string]any

func resource(kind, title string, tags ...string) map[string]any {
	return map[string]any{"type": kind, "title": title, "tags": append([]string{strings.ToLower(kind)}, tags...), "exported": false, "file": "/site.pp", "line": 1, "parameters": map[string]any{}}
}

// addNode tells PuppetDB of a node, as Puppet Server does after a run of its agent.
func addNode(t *testing.T, name string, values facts, resources ...map[string]any) {
	t.Helper()
	command(t, "replace_facts", 5, name, map[string]any{
		"certname": name, "environment": "production", "producer_timestamp": stamp, "producer": "localhost", "values": values,
	})
	command(t, "replace_catalog", 9, name, map[string]any{
		"certname": name, "environment": "production", "producer_timestamp": stamp, "producer": "localhost",
		"version": "1", "transaction_uuid": nil, "catalog_uuid": nil, "code_id": nil, "job_id": nil,
		"resources": append([]map[string]any{resource("Stage", "main")}, resources...), "edges": []any{},
	})
}

func member(collectives ...string) map[string]any {
	return map[string]any{"server": map[string]any{"collectives": collectives}}
}

// runAgent runs a real Puppet agent once, which changes nothing, and returns when its facts and its
// catalog are in PuppetDB.
func runAgent(t *testing.T, name string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	_, port, _ := net.SplitHostPort(setting(t, "CHORIA_TEST_PUPPETSERVER"))
	cmd := exec.CommandContext(t.Context(), "puppet", "agent", "--test", "--noop", "--server", "localhost", "--serverport", port, "--certname", name,
		"--confdir", filepath.Join(dir, "conf"), "--vardir", filepath.Join(dir, "var"), "--ssldir", filepath.Join(dir, "ssl"), "--rundir", filepath.Join(dir, "run"),
		"--logdir", filepath.Join(dir, "log"), "--statedir", filepath.Join(dir, "state"), "--codedir", filepath.Join(dir, "code"), "--no-report")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("puppet agent: %v: %s", err, out)
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		resp, err := http.Get("http://" + setting(t, "CHORIA_TEST_PUPPETDB_HTTP") + "/pdb/query/v4/nodes/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var node struct {
			Facts   *string `json:"facts_timestamp"`
			Catalog *string `json:"catalog_timestamp"`
		}
		err = json.NewDecoder(resp.Body).Decode(&node)
		resp.Body.Close()
		if err == nil && node.Facts != nil && node.Catalog != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("PuppetDB has no catalog of %s after two minutes", name)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// writeCode writes files of the production environment.
func writeCode(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(setting(t, "CHORIA_TEST_PUPPET_CODE"), "environments", "production", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPuppetDBDiscovery(t *testing.T) {
	// A node as it is after a real run: classes, tags of files, facts of a module.
	writeCode(t, map[string]string{
		"modules/choria/manifests/service.pp": "class choria::service { }\n",
		"modules/role/manifests/web.pp":       "class role::web { }\n",
		"modules/role/facts.d/role.json":      `{"mcollective": {"server": {"collectives": ["mcollective", "eu"]}}, "role": "web", "rack": {"unit": 7, "lights": ["red", "green"]}}`,
		"manifests/site.pp": "node default {\n  include choria::service\n  include role::web\n" +
			"  file { '/nonexistent/choria/agent/puppet.rb': ensure => file, tag => ['mcollective_agent_puppet_server'] }\n}\n",
	})
	runAgent(t, "web1.automatic")

	server := resource("Class", "Choria::Service")
	addNode(t, "db1", facts{"mcollective": member("mcollective"), "role": "Db", "cpus": 4, "is_virtual": true, "my fact": facts{"a.b": "x"}, `odd"`: "q"},
		server, resource("Class", "Role::Db"), resource("File", "/agent/package", "mcollective_agent_package_server"))
	addNode(t, "old1", facts{"mcollective": member("other", "mcollective"), "role": "db", "cpus": "4", "is_virtual": "true"},
		resource("Class", "Mcollective::Service"))
	addNode(t, "printer", facts{"role": `x" or certname ~ "`}) // no server at all
	addNode(t, "gone", facts{"mcollective": member("mcollective"), "role": "db"}, server)
	command(t, "deactivate_node", 3, "gone", map[string]any{"certname": "gone", "producer_timestamp": time.Now().UTC().Add(time.Second).Format(time.RFC3339)})

	p := newPerson(t, "finder.automatic")
	if status, out := p.enroll(); status != 0 {
		t.Fatal(out)
	}
	host, port, _ := net.SplitHostPort(setting(t, "CHORIA_TEST_PUPPETDB"))
	config := fmt.Sprintf("plugin.choria.puppetdb_host = %s\nplugin.choria.puppetdb_port = %s\ncollectives = mcollective,eu,nowhere\ndefault_discovery_method = choria\n", host, port)
	if err := os.WriteFile(filepath.Join(p.home, ".choriarc"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}

	const all = "db1 old1 web1.automatic"
	long := []string{"-A", "rpcutil"}
	for i := range 60 {
		long = append(long, "-I", fmt.Sprintf("/^(db|none)%d$/", i))
	}
	tests := []struct {
		args string
		want string // names, or what is in the error when the status is not 0
	}{
		{"", all},
		{"-T eu", "web1.automatic"},
		{"-T nowhere", ""},
		{"-C role::web", "web1.automatic"},
		{"-C ROLE::web", "web1.automatic"},
		{"-C /^role::D/", "db1"},
		{"-C role::web -C role::db", ""},
		{"-A puppet", "web1.automatic"},
		{"-A /pack/", "db1"},
		{"-A rpcutil", all},
		{"-I db1 -I /^WEB/", "db1 web1.automatic"},
		{`-I /^\w+1\./`, "web1.automatic"},
		{"-I nobody-knows-it", "nobody-knows-it"}, // names alone are not looked up
		{"-I nobody-knows-it -F role=web", ""},
		{`-I pql:nodes[certname]{certname="printer"}`, ""}, // in no collective
		{`-I pql:nodes[certname]{certname="db1"} -I old1`, "db1 old1"},
		{"-F role=web", "web1.automatic"},
		{"-F role!=web", "db1 old1"},
		{"-F role=~/^DB$/", "db1 old1"},
		{"-F cpus=4", "db1 old1"},
		{"-F cpus!=4", "web1.automatic"},
		{"-F cpus>=4", "db1"},
		{"-F cpus>4", ""},
		{"-F is_virtual=true -F cpus=4", "db1 old1"},
		{"-F rack.unit=7", "web1.automatic"},
		{"-F rack.lights.1=green", "web1.automatic"},
		{"-F rack.lights.0=green", ""},
		{`-F role=x"_or_certname_~_"`, ""},
		{`-F role=\`, ""},
		{`-C x"}_or_certname_~_".`, ""},
		{`-I /[/`, "error: discovery method puppetdb: PuppetDB " + setting(t, "CHORIA_TEST_PUPPETDB") + ": "},
		{"-F role<x", "PuppetDB orders numbers alone"},
		{`--do query=nodes[certname]{certname="printer"}`, "printer"},
		{`--dm pql --do query=nodes[certname]{certname="printer"}`, "printer"},
		{`--dm pql`, "want the option query=PQL"},
		{`--do query=nodes[certname`, "400 Bad Request: PQL parse error"},
		{`--do query=facts[value]{name="role"}`, "a row has no certname"},
	}
	for _, tt := range tests {
		var args []string
		for _, arg := range strings.Fields(tt.args) {
			args = append(args, strings.ReplaceAll(arg, "_or_", " or ")) // spaces for the injections
		}
		check(t, p, tt.args, args, tt.want)
	}
	check(t, p, "a long query", long, "db1")
	check(t, p, "a fact with a space and a dot", []string{"-F", `my fact.a\.b=x`}, "db1")
	check(t, p, "a compound filter", []string{"--dm", "puppetdb", "-F", "role=web"}, "web1.automatic")

	// Who has no certificate of the CA is not answered.
	stranger := newPerson(t, "stranger")
	if err := os.WriteFile(filepath.Join(stranger.home, ".choriarc"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out := stranger.run("find"); status == 0 {
		t.Errorf("without a certificate: %s", out)
	}
}

func check(t *testing.T, p *person, name string, args []string, want string) {
	t.Helper()
	status, out := p.run(append([]string{"find"}, args...)...)
	got := strings.Join(strings.Fields(out), " ")
	switch {
	case status == 0 && got != want:
		t.Errorf("find %s: %q, want %q", name, got, want)
	case status != 0 && want == "" && !strings.Contains(out, "no nodes"):
		t.Errorf("find %s: exit status %d, %s; want that no nodes were found", name, status, out)
	case status != 0 && (want != "" && !strings.Contains(out, want)):
		t.Errorf("find %s: exit status %d, %s", name, status, out)
	}
}
