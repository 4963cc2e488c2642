package node_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// builtinNode runs a node with facts and classes, and returns a caller for it.
func builtinNode(t *testing.T) (*running, *caller) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"facts.yaml":  "country: mt\nos:\n  family: RedHat\n  release: {major: \"9\"}\nload: 1.5\n\"a.b\": dotted\ndisks: [{size: 1}, {size: 2}]\n",
		"more.json":   `{"big":12345678901234567890,"country":"uk"}`,
		"classes.txt": "settings\nnginx\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net",
		"plugin.yaml", dir+"/facts.yaml:"+dir+"/more.json",
		"classesfile", dir+"/classes.txt",
		"collectives", "mcollective,prod",
		"plugin.nats.pass", "s3cret",
		"plugin.choria.stats_port", "8222",
		"soft_shutdown_timeout", "3",
		"plugin.demo.own", "as written",
	)
	return run(t, o), newCaller(t, url)
}

func TestRPCUtil(t *testing.T) {
	n, c := builtinNode(t)
	tests := []struct {
		action, data string
		status       int
		want         string // the whole data, or the message of a failure
	}{
		{"get_fact", `{"fact":"os.release.major"}`, 0, `{"fact":"os.release.major","value":"9"}`},
		{"get_fact", `{"fact":"os"}`, 0, `{"fact":"os","value":{"family":"RedHat","release":{"major":"9"}}}`},
		{"get_fact", `{"fact":"country"}`, 0, `{"fact":"country","value":"uk"}`},
		{"get_fact", `{"fact":"big"}`, 0, `{"fact":"big","value":12345678901234567890}`},
		{"get_fact", `{"fact":"nope"}`, 0, `{"fact":"nope","value":null}`},
		{"get_fact", `{"fact":"a\\.b"}`, 0, `{"fact":"a\\.b","value":"dotted"}`},
		{"get_fact", `{"fact":"disks.#"}`, 0, `{"fact":"disks.#","value":2}`},
		{"get_fact", `{"fact":"disks.1.size"}`, 0, `{"fact":"disks.1.size","value":2}`},
		{"get_fact", `{"fact":"disks.#.size"}`, 0, `{"fact":"disks.#.size","value":[1,2]}`},
		{"get_fact", `{}`, 3, `missing`},
		{"get_fact", `{"fact":"` + strings.Repeat("x", 513) + `"}`, 4, `fact`},
		{"get_facts", `{"facts":"country,nope,load"}`, 0, `{"values":{"country":"uk","nope":null,"load":1.5}}`},
		{"get_config_item", `{"item":"collectives"}`, 0, `{"item":"collectives","value":["mcollective","prod"]}`},
		{"get_config_item", `{"item":"plugin.choria.stats_port"}`, 0, `{"item":"plugin.choria.stats_port","value":8222}`},
		{"get_config_item", `{"item":"rpcauthorization"}`, 0, `{"item":"rpcauthorization","value":false}`},
		{"get_config_item", `{"item":"soft_shutdown_timeout"}`, 0, `{"item":"soft_shutdown_timeout","value":3}`},
		{"get_config_item", `{"item":"plugin.rpcaudit.logfile.mode"}`, 0, `{"item":"plugin.rpcaudit.logfile.mode","value":"0600"}`},
		{"get_config_item", `{"item":"libdir"}`, 0, `{"item":"libdir","value":[]}`},
		{"get_config_item", `{"item":"plugin.demo.own"}`, 0, `{"item":"plugin.demo.own","value":"as written"}`},
		{"get_config_item", `{"item":"plugin.nats.pass"}`, 1, `no configuration item "plugin.nats.pass"`},
		{"get_config_item", `{"item":"plugin.no.such"}`, 1, `no configuration item "plugin.no.such"`},
		{"get_data", `{"source":"config_item","query":"identity"}`, 0, `{"present":true,"value":"n1.example.net"}`},
		{"get_data", `{"source":"config_item","query":"plugin.no.such"}`, 0, `{"present":false,"value":null}`},
		{"get_data", `{"source":"agent","query":"nope"}`, 0, `{"activated":false,"agent":"nope","author":"","description":"","license":"","provider":"","timeout":0,"url":"","version":""}`},
		{"get_data", `{"source":"agent","query":"No pe"}`, 1, `query of data plugin agent: "No pe" does not match ^[a-z0-9_]+$`},
		{"get_data", `{"source":"config_item"}`, 1, `data plugin config_item wants a query`},
		{"get_data", `{"source":"choria","query":"x"}`, 1, `data plugin choria takes no query`},
		{"get_data", `{"source":"puppet"}`, 1, `no data plugin is called "puppet"; there are agent, choria, config_item`},
		{"collective_info", ``, 0, `{"main_collective":"mcollective","collectives":["mcollective","prod"]}`},
		{"ping", `{"x":1}`, 4, `x`},
	}
	for _, tt := range tests {
		got := c.call("n1.example.net", "rpcutil", tt.action, tt.data)
		if int(got.status) != tt.status {
			t.Errorf("%s %.80s: status %d, %q; want %d", tt.action, tt.data, got.status, got.message, tt.status)
			continue
		}
		if tt.status != 0 {
			if !strings.Contains(got.message, tt.want) {
				t.Errorf("%s %.80s: message %q; want %q in it", tt.action, tt.data, got.message, tt.want)
			}
			continue
		}
		if !sameJSON(t, string(got.data), tt.want) {
			t.Errorf("%s %.80s: %s; want %s", tt.action, tt.data, got.data, tt.want)
		}
	}

	if pong := get[struct{ Pong int64 }](c, "rpcutil", "ping", "").Pong; time.Since(time.Unix(pong, 0)).Abs() > time.Minute {
		t.Errorf("pong is %d", pong)
	}
	inventory := get[map[string]any](c, "rpcutil", "inventory", "")
	for name, want := range map[string]any{
		"agents":          []any{"choria_util", "discovery", "rpcutil"},
		"classes":         []any{"nginx", "settings"},
		"version":         build.Version,
		"main_collective": "mcollective",
		"collectives":     []any{"mcollective", "prod"},
		"data_plugins":    []any{"agent", "choria", "config_item"},
		"machines":        []any{},
		"upgradable":      false,
	} {
		if !reflect.DeepEqual(inventory[name], want) {
			t.Errorf("inventory: %s is %#v; want %#v", name, inventory[name], want)
		}
	}
	if facts, ok := inventory["facts"].(map[string]any); !ok || facts["country"] != "uk" || facts["load"] != 1.5 {
		t.Errorf("inventory: facts are %v", inventory["facts"])
	}
	agents := get[struct{ Agents []map[string]any }](c, "rpcutil", "agent_inventory", "").Agents
	if len(agents) != 3 || agents[2]["agent"] != "rpcutil" || agents[2]["name"] != "rpcutil" || agents[2]["timeout"] != 2.0 || agents[2]["provider"] != "golang" {
		t.Errorf("agent_inventory: %v", agents)
	}
	stats := get[map[string]any](c, "rpcutil", "daemon_stats", "")
	if stats["pid"] != float64(os.Getpid()) || stats["version"] != build.Version || stats["total"].(float64) < 30 ||
		stats["events"] != 1.0 || stats["unvalidated"] != 0.0 || stats["configfile"] != "" {
		t.Errorf("daemon_stats: %v", stats)
	}
	for _, name := range []string{"utime", "stime", "cutime", "cstime"} {
		if _, ok := stats["times"].(map[string]any)[name].(float64); !ok {
			t.Errorf("daemon_stats: times are %v", stats["times"])
		}
	}
	data := get[map[string]any](c, "rpcutil", "get_data", `{"source":"choria"}`)
	for _, name := range strings.Fields("agents agents_count built classes classes_count commit configfile connected_broker cpus events " +
		"filtered go_version goroutines license machines machines_count passed pid provisioning replies total ttlexpired unvalidated uptime validated version") {
		if _, ok := data[name]; !ok {
			t.Errorf("data plugin choria has no %s", name)
		}
	}
	if len(data) != 26 || data["agents_count"] != 3.0 || data["classes_count"] != 2.0 {
		t.Errorf("data plugin choria: %v", data)
	}
	if n.count("replies") == 0 {
		t.Error("no replies are counted")
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	parse := func(text string) any {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return v
	}
	return reflect.DeepEqual(parse(a), parse(b))
}

// What an action returns is what its description declares.
func TestOutputsAreDeclared(t *testing.T) {
	_, c := builtinNode(t)
	inputs := map[string]string{
		"get_fact": `{"fact":"os"}`, "get_facts": `{"facts":"os"}`, "get_config_item": `{"item":"identity"}`,
	}
	for _, name := range []string{"rpcutil", "choria_util"} {
		for _, action := range ddl.BuiltinAgent(name).Actions {
			if action.Name == "get_data" || action.Name == "machine_state" || action.Name == "machine_transition" {
				continue // without declared outputs, or bound to fail
			}
			got := get[map[string]any](c, name, action.Name, inputs[action.Name])
			for output := range action.Output {
				if _, ok := got[output]; !ok {
					t.Errorf("%s#%s lacks output %s", name, action.Name, output)
				}
			}
			for output := range got {
				if action.Output[output] == nil {
					t.Errorf("%s#%s has undeclared output %s", name, action.Name, output)
				}
			}
		}
	}
}

func TestChoriaUtil(t *testing.T) {
	_, c := builtinNode(t)
	info := get[map[string]any](c, "choria_util", "info", "")
	if info["choria_version"] != "choria "+build.Version || info["connector_tls"] != false || info["secure_protocol"] != true ||
		!strings.HasPrefix(info["connected_server"].(string), "nats://127.0.0.1:") || info["client_stats"].(map[string]any)["in_msgs"].(float64) < 1 {
		t.Errorf("info: %v", info)
	}
	states := c.call("n1.example.net", "choria_util", "machine_states", "")
	if !sameJSON(t, string(states.data), `{"machine_names":[],"machine_ids":[],"states":{}}`) {
		t.Errorf("machine_states: %s", states.data)
	}
	for action, data := range map[string]string{
		"machine_state":      `{"name":"demo"}`,
		"machine_transition": `{"name":"demo","transition":"go"}`,
	} {
		got := c.call("n1.example.net", "choria_util", action, data)
		if got.status != 1 || got.message != "no autonomous agent matches" {
			t.Errorf("%s: %d %q", action, got.status, got.message)
		}
	}
	if got := c.call("n1.example.net", "choria_util", "machine_state", ""); got.status != 1 || !strings.Contains(got.message, "want instance, name or path") {
		t.Errorf("machine_state: %d %q", got.status, got.message)
	}
}

// Compound filters can ask the data plugins.
func TestCompoundFilters(t *testing.T) {
	_, c := builtinNode(t)
	for expr, want := range map[string]bool{
		`choria().classes_count == 2 && config_item("identity").value == "n1.example.net"`:             true,
		`config_item("plugin.nats.pass").present`:                                                      false,
		`config_item("soft_shutdown_timeout").value >= 3`:                                              true,
		`agent("rpcutil").activated and agent("rpcutil").timeout == 2 and not agent("nope").activated`: true,
		`agent("no such").activated`:                                                                   false, // the query does not fit
		`with("nginx") and fact("os.family") == "RedHat"`:                                              true,
	} {
		r := request()
		if err := json.Unmarshal(fmt.Appendf(nil, `{"fact":[],"cf_class":[],"agent":[],"identity":[],"compound":[[{"expr":%q}]]}`, expr), &r.Filter); err != nil {
			t.Fatal(err)
		}
		subject := transport.NodeSubject("mcollective", "n1.example.net")
		c.send(subject, r)
		marker := request()
		c.send(subject, marker)
		got := c.next()
		if want {
			if got.RequestID != r.ID {
				t.Errorf("%s: does not match", expr)
				continue
			}
			got = c.next()
		}
		if got.RequestID != marker.ID {
			t.Errorf("%s: matches", expr)
			c.next()
		}
	}
}

func TestLifecycle(t *testing.T) {
	url := labtest.Broker(t)
	events := make(chan lifecycle.Event, 100)
	observer := connect(t, url)
	_, err := observer.Subscribe(lifecycle.Subjects, "", 100, func(m transport.Msg) {
		e, err := lifecycle.Decode(m.Data)
		if err != nil || m.Subject != lifecycle.Subject(e) {
			t.Errorf("event %s on %s: %v", m.Data, m.Subject, err)
		}
		events <- e
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := observer.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ legacy, component, want string }{
		{"false", "", "server"},
		{"true", "backplane", "backplane"},
	} {
		o := options(t, url, "n1.example.net", "plugin.choria.legacy_lifecycle_format", tt.legacy)
		o.Component = tt.component
		n := run(t, o)
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []lifecycle.Type{lifecycle.Startup, lifecycle.Shutdown} {
			var e lifecycle.Event
			for e.Type != want { // alive may come in between, once in 30 times
				select {
				case e = <-events:
				case <-time.After(patience):
					t.Fatalf("no %s event", want)
				}
			}
			if e.Identity != "n1.example.net" || e.Component != tt.want {
				t.Errorf("event %+v", e)
			}
			if want == lifecycle.Startup && e.Version != build.Version {
				t.Errorf("event %+v", e)
			}
		}
		if got := n.count("events"); got < 2 {
			t.Errorf("%d events counted; want 2", got)
		}
	}
}

func TestStatusFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	url := labtest.Broker(t)
	o := options(t, url, "n1.example.net", "plugin.choria.status_file_path", path, "plugin.choria.status_update_interval", "1")
	o.Expires = time.Date(2068, 1, 1, 0, 0, 0, 0, time.UTC)
	run(t, o)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.FileMode(0o644) {
		t.Errorf("mode of the status file is %v; want 0644", info.Mode())
	}
	read := func() (m map[string]any, text string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return m, string(data)
	}
	_, text := read()
	want := `{"identity":"n1.example.net","uptime":0,"connected_server":"` + url + `","last_message":0,"provisioning_mode":false,` +
		`"stats":{"total":0,"valid":0,"invalid":0,"passed":0,"filtered":0,"replies":0,"ttlexpired":0,"events":1},` +
		`"certificate_expires":"2068-01-01T00:00:00Z","token_expires":"0001-01-01T00:00:00Z"}`
	if got := strings.Replace(text, `"uptime":1`, `"uptime":0`, 1); got != want {
		t.Errorf("status file %s; want %s", text, want)
	}
	newCaller(t, url).call("n1.example.net", "rpcutil", "ping", "")
	await(t, "the status file to change", func() bool {
		m, _ := read()
		return m["stats"].(map[string]any)["replies"] == 1.0 && m["last_message"].(float64) > 0
	})
}
