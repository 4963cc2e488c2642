package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// runConfig runs the command config with args and returns what it prints.
func runConfig(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = Main(t.Context(), "choria", append([]string{"config"}, args...), strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// configFiles writes a client's and a broker's configuration and returns their directory.
func configFiles(t *testing.T) string {
	t.Helper()
	t.Chdir(t.TempDir())
	dir := t.TempDir()
	for name, text := range map[string]string{
		"client.conf": `identity = ops.example.net
collectives = prod, dev
plugin.nats.pass = hunter2
plugin.choria.middleware_hosts = nats://joe:hunter2@a.example.net:4222
libdir = /opt/one:/opt/two
loglvel = warn
discovery_timeout = 90
`,
		"broker.conf": "identity = b\nplugin.choria.broker_network = 1\n",
		"server.conf": "identity = n1\nplugin.puppet.splay = true\n",
		"bad.conf":    "identity = n1\nttl = soon\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "plugin.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plugin.d", "choria.cfg"), []byte("srv_domain = example.net\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CHORIA_CONFIG", "CHORIA_SRV_DOMAIN", "CHORIA_FED_COLLECTIVE", "CHORIA_REGISTRY", "MCOLLECTIVE_NATS_PASSWORD", "MCOLLECTIVE_NATS_USERNAME", "MCOLLECTIVE_NATS_CREDENTIALS", "MCOLLECTIVE_EXTRA_OPTS"} {
		t.Setenv(name, "")
	}
	return dir
}

func TestConfigList(t *testing.T) {
	dir := configFiles(t)
	client := filepath.Join(dir, "client.conf")
	status, out, errs := runConfig(t, "-c", client)
	if want := "warning: " + client + `:6: unknown key "loglvel" is ignored; did you mean loglevel?` + "\n"; status != 0 || errs != want {
		t.Errorf("status %d, stderr %q, want %q", status, errs, want)
	}
	for _, want := range []string{
		`identity +CLIENT:1 +ops\.example\.net`,
		`collectives +CLIENT:2 +prod, dev`,
		`main_collective +default +prod`,
		`libdir +CLIENT:5 +/opt/one:/opt/two`,
		`loglvel +CLIENT:6 +warn`,
		`discovery_timeout +CLIENT:7 +1m30s`,
		`plugin\.nats\.pass +CLIENT:3 +\(masked\)`,
		`plugin\.choria\.middleware_hosts +CLIENT:4 +nats://\(masked\)@a\.example\.net:4222`,
		`plugin\.choria\.srv_domain +DIR/plugin\.d/choria\.cfg:1 +example\.net`,
		`color +default +true`,
	} {
		want = strings.ReplaceAll(strings.ReplaceAll(want, "CLIENT", regexp.QuoteMeta(client)), "DIR", regexp.QuoteMeta(dir))
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(out) {
			t.Errorf("no line %s in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, "rpcaudit") || strings.Contains(out, "plugin.nats.user") {
		t.Errorf("a secret, a server's setting or one without a value in\n%s", out)
	}
	if _, out, _ := runConfig(t, "-c", client, "--reveal"); strings.Count(out, "hunter2") != 2 {
		t.Errorf("--reveal shows\n%s", out)
	}
	if _, out, _ := runConfig(t, "-c", client, "--all"); !regexp.MustCompile(`(?m)^plugin\.choria\.puppetdb_host +default +\(SRV records, then puppet\)$`).MatchString(out) {
		t.Errorf("--all shows\n%s", out)
	}
}

// However wide a value or a source is, all values begin in the same column.
func TestConfigColumns(t *testing.T) {
	file := filepath.Join(configFiles(t), "wide.conf")
	wide := "/" + strings.Repeat("x", 200)
	if err := os.WriteFile(file, []byte("libdir = "+wide+"\nidentity = ops.example.net\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, out, _ := runConfig(t, "-c", file)
	columns := map[int]bool{}
	for _, value := range []string{wide, "ops.example.net", "true"} {
		at := strings.Index(out, "  "+value+"\n")
		if at < 0 {
			t.Fatalf("no line ends with %s in\n%s", value, out)
		}
		columns[at-strings.LastIndex(out[:at], "\n")] = true
	}
	if len(columns) != 1 {
		t.Errorf("values begin in columns %v of\n%s", columns, out)
	}
}

func TestConfigOfDaemons(t *testing.T) {
	dir := configFiles(t)
	for file, want := range map[string]struct{ has, not string }{
		"broker.conf": {"plugin.choria.network.client_port", "classesfile"},
		"server.conf": {"classesfile", "plugin.choria.network.client_port"},
	} {
		status, out, errs := runConfig(t, "--file", filepath.Join(dir, file))
		if status != 0 || errs != "" || !strings.Contains(out, want.has) || strings.Contains(out, want.not) {
			t.Errorf("%s: status %d, stderr %q\n%s", file, status, errs, out)
		}
	}
	if _, out, _ := runConfig(t, "--file", filepath.Join(dir, "server.conf"), "plugin.puppet.splay"); !strings.Contains(out, "Value: true") {
		t.Errorf("a plugin's setting: %s", out)
	}
}

func TestConfigKey(t *testing.T) {
	dir := configFiles(t)
	client := filepath.Join(dir, "client.conf")
	t.Setenv("CHORIA_SRV_DOMAIN", "env.example.net")
	_, out, _ := runConfig(t, "-c", client, "plugin.choria.srv_domain")
	want := `plugin.choria.srv_domain

         Value: env.example.net
          From: environment variable CHORIA_SRV_DOMAIN
          Type: string
       Default: domain of this machine
   Environment: CHORIA_SRV_DOMAIN

Domain of the SRV records.
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if _, out, _ := runConfig(t, "-c", client, "plugin.choria.use_srv_records"); !strings.HasPrefix(out, "plugin.choria.use_srv\n\n         Value: true\n") {
		t.Errorf("an alias: %s", out)
	}
	for key, hint := range map[string]string{
		"plugin.choria.midleware_hosts": "did you mean plugin.choria.middleware_hosts?",
		"discovery":                     "did you mean default_discovery_method or ",
		"xyzzy":                         "run choria config --all",
	} {
		status, out, errs := runConfig(t, "-c", client, key)
		if status != 1 || out != "" || !strings.Contains(errs, `error: no setting "`+key+`" is known or set`+"\nhint: "+hint) {
			t.Errorf("%s: status %d, %q, %q", key, status, out, errs)
		}
	}
}

func TestConfigJSON(t *testing.T) {
	dir := configFiles(t)
	client := filepath.Join(dir, "client.conf")
	var list struct {
		File     string
		Settings []map[string]any
	}
	_, out, _ := runConfig(t, "-c", client, "--json", "--all")
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.File != client {
		t.Fatalf("%v: %s", err, out)
	}
	values := map[string]any{}
	for _, s := range list.Settings {
		values[s["key"].(string)] = s["value"]
	}
	for key, want := range map[string]any{
		"collectives": []any{"prod", "dev"}, "color": true, "discovery_timeout": "1m30s", "plugin.choria.puppetdb_port": 8081.0,
		"plugin.nats.pass": "(masked)", "plugin.choria.middleware_hosts": []any{"nats://(masked)@a.example.net:4222"},
		"plugin.choria.federation.collectives": []any{},
	} {
		if !reflect.DeepEqual(values[key], want) {
			t.Errorf("%s = %#v, want %#v", key, values[key], want)
		}
	}
	_, out, _ = runConfig(t, "-c", client, "--json", "loglevel")
	want := `{
  "key": "loglevel",
  "value": "info",
  "source": "default",
  "type": "string",
  "default": "info",
  "accepted": [
    "debug",
    "info",
    "warn",
    "error",
    "fatal"
  ],
  "description": "Least level that is logged"
}
`
	if out != want {
		t.Errorf("got %s, want %s", out, want)
	}
}

func TestConfigUnreadable(t *testing.T) {
	dir := configFiles(t)
	for name, want := range map[string]string{
		"bad.conf":  "error: DIR/bad.conf:2: ttl: value \"soon\": want seconds, or numbers with the units ms, s, m, h, d, w, M (30 d), y, as 1h30m\nhint: correct or remove line 2 of DIR/bad.conf\n",
		"none.conf": "error: configuration: open DIR/none.conf: no such file or directory\nhint: write that file, or name another one with --config\n",
	} {
		status, out, errs := runConfig(t, "-c", filepath.Join(dir, name))
		if status != 1 || out != "" || errs != strings.ReplaceAll(want, "DIR", dir) {
			t.Errorf("%s: status %d, %q, %q", name, status, out, errs)
		}
	}
}
