package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// write writes files, by path below a new directory, and returns the directory.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// alone takes this process's environment out of what is loaded.
func alone(t *testing.T) {
	t.Helper()
	for _, k := range Known() {
		if k.Env != "" {
			t.Setenv(k.Env, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Chdir(t.TempDir())
}

func TestLoad(t *testing.T) {
	alone(t)
	dir := write(t, map[string]string{
		"server.conf": "\xef\xbb\xbf# a comment\r\n" +
			"identity = n1.example.net\r\n" +
			"\n" +
			"  collectives=prod ,dev,, prod\n" +
			"classesfile = /a = b # not a comment\n" +
			"loglevel = DEBUG\n" +
			"logfile =\n" +
			"plugin.yaml = /etc/a.yaml:/etc/b.json\n" +
			"plugin.yaml = ~/c.yaml\n" +
			"plugin.choria.use_srv_records = n\n" +
			"ttl = 30\n" +
			"ttl = 90\n" +
			"registerinterval = 2h30m\n" +
			"plugin.rpcaudit.logfile.mode = 0640\n" +
			"plugin.choria.security.certname_whitelist = /\\.ops$/, ^bob$\n" +
			"plugin.puppet.command = /usr/bin/puppet agent\n" +
			"plugin.filemgr.activate_agent = no\n" +
			"plugin.choria.network.gateway_remote.london.tls.verify = f\n" +
			"plugin.choria.adapter.inv.ingest.workers = 3\n" +
			"registration = inventory_content\n" +
			"factsource = yaml\n",
		"plugin.d/choria.cfg":      "middleware_hosts = nats1.example.net:4222, tls://[2001:db8::1]:4222\nttl_typo = 1\n",
		"plugin.d/puppet.cfg":      "splay = true\n",
		"plugin.d/puppet.cfg.bak":  "splay = false\n",
		"plugin.d/.hidden.cfg":     "x = y\n",
		"plugin.d/nested/deep.cfg": "x = y\n",
	})
	c, err := Load(filepath.Join(dir, "server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	home, _ := os.UserHomeDir()
	for name, is := range map[string][2]any{
		"Identity":               {c.Identity, "n1.example.net"},
		"Collectives":            {c.Collectives, []string{"prod", "dev"}},
		"MainCollective":         {c.MainCollective, "prod"},
		"RegistrationCollective": {c.RegistrationCollective, "prod"},
		"ClassesFile":            {c.ClassesFile, "/a = b # not a comment"},
		"LogLevel":               {c.LogLevel, "debug"},
		"LogFile":                {c.LogFile, "stdout"},
		"FactFiles":              {c.FactFiles, []string{"/etc/a.yaml", "/etc/b.json", home + "/c.yaml"}},
		"UseSRV":                 {c.UseSRV, false},
		"TTL":                    {c.TTL, 90 * time.Second},
		"RegisterInterval":       {c.RegisterInterval, 150 * time.Minute},
		"AuditLogMode":           {c.AuditLogMode, os.FileMode(0o640)},
		"AllowedCertnames":       {c.AllowedCertnames, []string{`\.ops$`, "^bob$"}},
		"PrivilegedUsers":        {c.PrivilegedUsers, []string{`\.privileged.mcollective$`, `\.privileged.choria$`}},
		"MiddlewareHosts":        {c.MiddlewareHosts, []string{"nats1.example.net:4222", "tls://[2001:db8::1]:4222"}},
		"Registration":           {c.Registration, []string{"inventory_content"}},
		"ConnectTimeout":         {c.ConnectTimeout, 2 * time.Second},
		"puppet section":         {c.Section("plugin.puppet."), map[string]string{"command": "/usr/bin/puppet agent", "splay": "true"}},
		"activate":               {c.Bool("plugin.filemgr.activate_agent"), false},
		"activate others":        {c.Bool("plugin.shell.activate_agent"), true},
		"verify":                 {c.Bool("plugin.choria.network.gateway_remote.london.tls.verify"), false},
		"verify others":          {c.Bool("plugin.choria.network.gateway_remote.paris.tls.verify"), true},
		"workers":                {c.Int("plugin.choria.adapter.inv.ingest.workers"), 3},
		"queue_len":              {c.Int("plugin.choria.adapter.inv.queue_len"), 1000},
		"File":                   {c.File(), filepath.Join(dir, "server.conf")},
	} {
		if !reflect.DeepEqual(is[0], is[1]) {
			t.Errorf("%s = %#v, want %#v", name, is[0], is[1])
		}
	}
	for key, want := range map[string]string{
		"identity":                       "server.conf:2",
		"plugin.choria.middleware_hosts": "plugin.d/choria.cfg:1",
		"plugin.yaml":                    "server.conf:9",
		"plugin.choria.use_srv":          "server.conf:10",
		"plugin.choria.use_srv_records":  "server.conf:10",
		"plugin.puppet.splay":            "plugin.d/puppet.cfg:1",
	} {
		if _, src, ok := c.Raw(key); !ok || src.String() != filepath.Join(dir, want) {
			t.Errorf("Raw(%s) from %s, %v; want %s", key, src, ok, want)
		}
	}
	if raw, _, _ := c.Raw("plugin.yaml"); raw != "/etc/a.yaml:/etc/b.json:~/c.yaml" {
		t.Errorf("plugin.yaml as written = %q", raw)
	}
	if raw, src, ok := c.Raw("logfile"); ok {
		t.Errorf("logfile is set to %q at %s by a line without a value", raw, src)
	}
	want := []string{filepath.Join(dir, "plugin.d/choria.cfg") + `:2: unknown key "plugin.choria.ttl_typo" is ignored`}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

func TestWarnings(t *testing.T) {
	alone(t)
	dir := write(t, map[string]string{"broker.conf": `identity = b
plugin.choria.network.client_prot = 4222
plugin.choria.network.client_prot = 4223
plugin.mcollective.anything = 1
securityprovider = choria
plugin.choria.network.operator_account = x
this line is none
= neither
rpclimit_method = first
plugin.choria.network.tls_timeout = 5m
main_collective = other
plugin.choria.network.stats_port = 1
`})
	path := filepath.Join(dir, "broker.conf")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		path + `:2: unknown key "plugin.choria.network.client_prot" is ignored; did you mean plugin.choria.network.client_port?`,
		path + `:7: ignored: want key = value`,
		path + `:8: ignored: want key = value`,
		path + `:9: unknown key "rpclimit_method" is ignored; did you mean rpclimitmethod?`,
		path + `:10: plugin.choria.network.tls_timeout: value "5m": using the largest that is accepted, 1m`,
		path + `:12: unknown key "plugin.choria.network.stats_port" is ignored; did you mean plugin.choria.stats_port?`,
		path + `:11: main_collective "other" is none of collectives (mcollective)`,
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.TLSTimeout != time.Minute {
		t.Errorf("TLSTimeout = %s, want 1m", c.TLSTimeout)
	}
}

func TestManyWarnings(t *testing.T) {
	c := New()
	l := loader{c: c, scope: "SB"}
	l.lines("f", "", []byte(strings.Repeat("libdir = /x\n", maxItems+5)+strings.Repeat("nonsense\n", 200)))
	if w := c.Warnings(); len(w) != maxWarnings+1 || w[maxWarnings] != "and 150 more" {
		t.Errorf("%d warnings, the last is %q", len(w), w[len(w)-1])
	}
	if len(c.LibDirs) != maxItems+1 || len(l.errs) != 4 {
		t.Errorf("%d paths, %d errors", len(c.LibDirs), len(l.errs))
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ key, value, want string }{
		{"plugin.choria.use_srv", "maybe", `want true or false (also yes, no, 1, 0, y, n, t, f)`},
		{"loglevel", "verbose", `want one of debug, info, warn, error, fatal`},
		{"registration", "inventory_content, agentlist", `want one of file_content, inventory_content`},
		{"ttl", "1.5", `want seconds, or numbers with the units ms, s, m, h, d, w, M (30 d), y, as 1h30m`},
		{"ttl", "0", `want at least 1s`},
		{"ttl", "-5", `want seconds, or numbers with the units ms, s, m, h, d, w, M (30 d), y, as 1h30m`},
		{"plugin.choria.stats_port", "65536", `want a whole number from 0 to 65535`},
		{"plugin.choria.stats_port", "http", `want a whole number from 0 to 65535`},
		{"plugin.choria.network.client_port", "-2", `want a whole number from -1 to 65535`},
		{"plugin.choria.registration.size_trigger", "-1", `want a whole number, at least 0`},
		{"plugin.rpcaudit.logfile.mode", "rw", `want a file mode in octal, as 0640`},
		{"plugin.rpcaudit.logfile.mode", "4755", `want a file mode in octal, as 0640`},
		{"identity", "n1 example", `want letters, digits, _, - and . alone`},
		{"collectives", "a b", `want names without spaces, * and >`},
		{"collectives", " , ", `want at least one name`},
		{"main_collective", ">", `want names without spaces, * and >`},
		{"plugin.choria.security.privileged_users", "(", "want regular expressions, and \"(\" is none: error parsing regexp: missing closing ): `(`"},
		{"plugin.choria.middleware_hosts", "a:1,b", `want host:port, nats://host:port, tls://host:port or wss://host:port, separated by commas`},
		{"plugin.choria.adapter.x.queue_len", "many", `want a whole number from 1 to 1000000`},
		{"plugin.choria.adapter.x.stream.workers", "1000000", `want a whole number from 1 to 256`},
		{"plugin.filemgr.activate_agent", "perhaps", `want true or false (also yes, no, 1, 0, y, n, t, f)`},
		{"plugin.security.pkcs11.slot", "x", `want a whole number`},
	}
	alone(t)
	var file strings.Builder
	for _, tt := range tests {
		err := New().Set(tt.key, tt.value)
		var v *ValueError
		if want := tt.key + `: value "` + strings.TrimSpace(tt.value) + `": ` + tt.want; !errors.As(err, &v) || err.Error() != want || v.Hint() != "" {
			t.Errorf("Set(%s, %q) = %v, want %s", tt.key, tt.value, err, want)
		}
		file.WriteString(tt.key + " = " + tt.value + "\n")
	}

	path := filepath.Join(write(t, map[string]string{"server.conf": file.String()}), "server.conf")
	_, err := Load(path)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxErrors+1 || lines[maxErrors] != "and 2 more" {
		t.Errorf("%d lines of errors, the last is %q", len(lines), lines[len(lines)-1])
	}
	if want := path + `:2: loglevel: value "verbose": want one of debug, info, warn, error, fatal`; lines[1] != want {
		t.Errorf("error %q, want %q", lines[1], want)
	}
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() != "correct or remove line 1 of "+path {
		t.Errorf("hint %q", h.Hint())
	}
}

func TestSecretsStayOut(t *testing.T) {
	err := New().Set("plugin.choria.middleware_hosts", "nats://joe:hunter2@a:1, nats://b:hunter2@c")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "@a:1") {
		t.Errorf("error %v", err)
	}
	for key, want := range map[string]bool{
		"plugin.nats.pass": true, "plugin.choria.network.system.password": true, "plugin.x.api_token": true,
		"plugin.x.secret": true, "plugin.choria.network.provisioning.client_password": true,
		"plugin.nats.user": false, "plugin.security.choria.token_file": false, "plugin.x.bypass": false,
	} {
		if Secret(key) != want {
			t.Errorf("Secret(%s) = %v", key, !want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	alone(t)
	dir := write(t, map[string]string{
		"long.conf":               "a = " + strings.Repeat("x", maxLine) + "\n",
		"large.conf":              strings.Repeat("#\n", maxFile/2+1),
		"binary.conf":             "a = b\n\x00\n",
		"dir/x":                   "",
		"plugin.d/x":              "",
		"a/a.conf":                "",
		"a/plugin.d":              "a file",
		"b/b.conf":                "identity = b\n",
		"b/plugin.d/choria.cfg/x": "",
	})
	for name, want := range map[string]string{
		"none.conf":   "configuration: open DIR/none.conf: no such file or directory",
		"long.conf":   "DIR/long.conf: line 1: longer than 1048576 bytes",
		"large.conf":  "configuration: DIR/large.conf: larger than 4194304 bytes",
		"binary.conf": "DIR/binary.conf: line 2: not a text file",
		"dir":         "configuration: read DIR/dir: is a directory",
		"a/a.conf":    "configuration: open DIR/a/plugin.d: not a directory",
		"b/b.conf":    "configuration: read DIR/b/plugin.d/choria.cfg: is a directory",
	} {
		_, err := Load(filepath.Join(dir, name))
		if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		var h interface{ Hint() string }
		if has := errors.As(err, &h); has != (name == "none.conf") {
			t.Errorf("%s: has a hint: %v", name, has)
		}
	}
}

func TestEnvironment(t *testing.T) {
	alone(t)
	t.Setenv("CHORIA_SRV_DOMAIN", "env.example.net")
	t.Setenv("MCOLLECTIVE_NATS_USERNAME", "joe")
	t.Setenv("CHORIA_FED_COLLECTIVE", "london, paris")
	dir := write(t, map[string]string{"c.conf": "identity = c\nplugin.choria.srv_domain = file.example.net\n"})
	path := filepath.Join(dir, "c.conf")

	c, err := LoadClient(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.SRVDomain != "env.example.net" || c.NATSUser != "joe" || !slices.Equal(c.FederationCollectives, []string{"london", "paris"}) {
		t.Errorf("client: domain %q, user %q, federations %q", c.SRVDomain, c.NATSUser, c.FederationCollectives)
	}
	if _, src, _ := c.Raw("plugin.choria.srv_domain"); src.String() != "environment variable CHORIA_SRV_DOMAIN" {
		t.Errorf("source %s", src)
	}
	if c.Domain(t.Context()) != "env.example.net" {
		t.Errorf("Domain = %q", c.Domain(t.Context()))
	}

	// Only clients are federated: in a broker's file that would turn its own connections round.
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if s.SRVDomain != "env.example.net" || s.FederationCollectives != nil {
		t.Errorf("server: domain %q, federations %q", s.SRVDomain, s.FederationCollectives)
	}
}

func TestClientFiles(t *testing.T) {
	alone(t)
	home, _ := os.UserHomeDir()
	files := []string{home + "/.choriarc", home + "/.mcollective", "/etc/choria/client.conf", "/usr/local/etc/choria/client.conf", "/etc/puppetlabs/mcollective/client.cfg"}
	if got := ClientFiles(); !slices.Equal(got, files) {
		t.Errorf("ClientFiles = %q, want %q", got, files)
	}
	if found, tried := findClient(); found == "" { // else this machine has one of those outside of the home directory
		_, err := LoadClient("")
		if want := "no client configuration found: tried " + strings.Join(files, ", "); err == nil || err.Error() != want || !slices.Equal(tried, files) {
			t.Errorf("error %v, want %s", err, want)
		}
		var h interface{ Hint() string }
		if !errors.As(err, &h) || h.Hint() == "" {
			t.Error("no hint")
		}
	}

	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(".mcollective", "identity = second\n")
	put("plugin.d/choria.cfg", "srv_domain = not.read.below.home\n")
	c, err := LoadClient("")
	if err != nil || c.Identity != "second" || c.SRVDomain != "" {
		t.Fatalf("%v: %+v", err, c)
	}
	put(".choriarc", "identity = first\n")
	if c, err := LoadClient(""); err != nil || c.Identity != "first" {
		t.Errorf("%v: %+v", err, c)
	}

	// Project files, from the root down, over a named file too.
	put("work/choria.conf", "identity = outer\nloglevel = warn\n")
	put("work/a/b/choria.conf", "identity = inner\n")
	t.Chdir(filepath.Join(home, "work/a/b"))
	if c, err := LoadClient(""); err != nil || c.Identity != "inner" || c.LogLevel != "warn" {
		t.Errorf("%v: %+v", err, c)
	}
	if c, err := Load(filepath.Join(home, ".choriarc")); err != nil || c.Identity != "first" {
		t.Errorf("a server read project files: %v: %+v", err, c)
	}

	// A project file of somebody else is not read.
	inner := filepath.Join(home, "work/a/b/choria.conf")
	if err := os.Chmod(inner, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err = LoadClient("")
	if want := []string{"project file " + inner + " is ignored: everybody may write to it"}; err != nil || c.Identity != "outer" || !slices.Equal(c.Warnings(), want) {
		t.Errorf("%v: identity %q, warnings %q", err, c.Identity, c.Warnings())
	}
}

func TestDurations(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		back string
	}{
		{"0", 0, "0s"}, {"60", time.Minute, "1m"}, {"1d", 24 * time.Hour, "24h"}, {"1w", 168 * time.Hour, "168h"},
		{"1M", 720 * time.Hour, "720h"}, {"1y", 8760 * time.Hour, "8760h"}, {"1d12h", 36 * time.Hour, "36h"},
		{"1.5h", 90 * time.Minute, "1h30m"}, {"250ms", 250 * time.Millisecond, "250ms"}, {"10m", 10 * time.Minute, "10m"},
		{"1m30s", 90 * time.Second, "1m30s"}, {"1h5s", 3605 * time.Second, "1h0m5s"}, {"20us", 20 * time.Microsecond, "20µs"},
		{"1µs", time.Microsecond, "1µs"}, {"5ns", 5, "5ns"}, {"10s", 10 * time.Second, "10s"},
	}
	for _, tt := range tests {
		got, err := ParseDuration(tt.in)
		if err != nil || got != tt.want || FormatDuration(got) != tt.back {
			t.Errorf("ParseDuration(%q) = %s, %v; want %s", tt.in, FormatDuration(got), err, tt.back)
		}
	}
	for _, in := range []string{"", "-1", "1x", "h", "1.2.3s", "1 h", "1h30", "1e3s", "300y", "9223372037", "99999999999999999999", "+5s", ".", "1.s5"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %s, want an error", in, got)
		}
	}
}

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"puppet:4222":           "nats://puppet:4222",
		"tls://a.example.net:1": "tls://a.example.net:1",
		"nats://u:p@a:4222":     "nats://u:p@a:4222",
		"[2001:db8::1]:4222":    "nats://[2001:db8::1]:4222",
		"wss://a:443/choria":    "wss://a:443/choria",
		"127.0.0.1:65535":       "nats://127.0.0.1:65535",
	} {
		if u, err := ParseHost(in); err != nil || u.String() != want {
			t.Errorf("ParseHost(%q) = %v, %v; want %s", in, u, err, want)
		}
	}
	for _, in := range []string{"", "a", "a:", ":4222", "a:0", "a:65536", "a:x", "http://a:1", "2001:db8::1:4222", "a b:1", "nats://a:1/x", "a:1?x", "a:1#x", "nats:a:1", "%zz:1"} {
		if u, err := ParseHost(in); err == nil {
			t.Errorf("ParseHost(%q) = %v, want an error", in, u)
		}
	}
}

func TestNewAndSet(t *testing.T) {
	a, b := New(), New()
	if a.Identity != "" || a.TTL != time.Minute || a.MainCollective != "mcollective" || !a.UseSRV || a.File() != "" {
		t.Errorf("New: %+v", a)
	}
	for _, kv := range [][2]string{{"collectives", "x, y"}, {"libdir", "/a"}, {"libdir", "/b"}, {"default_discovery_options", "a=1,2"}, {"default_discovery_options", "b=2"}, {"no_such_key", "1"}, {"identity", ""}} {
		if err := a.Set(kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	if a.MainCollective != "x" || !slices.Equal(a.LibDirs, []string{"/a", "/b"}) || !slices.Equal(a.DiscoveryOptions, []string{"a=1,2", "b=2"}) {
		t.Errorf("Set: %+v", a)
	}
	if b.MainCollective != "mcollective" || b.LibDirs != nil || len(b.Keys()) != 0 {
		t.Errorf("another configuration changed: %+v", b)
	}
	if want := []string{"collectives", "default_discovery_options", "libdir", "no_such_key"}; !slices.Equal(a.Keys(), want) {
		t.Errorf("Keys = %q, want %q", a.Keys(), want)
	}
	if want := []string{`unknown key "no_such_key" is ignored`}; !slices.Equal(a.Warnings(), want) {
		t.Errorf("warnings %q", a.Warnings())
	}
	if err := b.Set("plugin.security.provider", "choria"); err != nil || b.MainCollective != "choria" {
		t.Errorf("%v: the provider choria has the main collective %q", err, b.MainCollective)
	}
	if v, src, ok := a.Value("libdir"); !ok || src.String() != "the program" || !reflect.DeepEqual(v, []string{"/a", "/b"}) {
		t.Errorf("Value(libdir) = %v, %s, %v", v, src, ok)
	}
	if _, _, ok := a.Value("nothing"); ok {
		t.Error("an unknown key has a value")
	}
}

// Thousands of nodes in one process each have a configuration.
func TestSize(t *testing.T) {
	const n = 1000
	list := make([]*Config, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range list {
		c := New()
		for _, kv := range [...][2]string{{"identity", "n1.example.net"}, {"plugin.choria.middleware_hosts", "a:1"}} {
			if err := c.Set(kv[0], kv[1]); err != nil {
				t.Fatal(err)
			}
		}
		list[i] = c
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes each", each)
	if each > 5000 {
		t.Errorf("a configuration takes %d bytes, want at most 5000", each)
	}
	runtime.KeepAlive(list)
}

func BenchmarkNewAndSet(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := New().Set("identity", "n1.example.net"); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("identity = n1\n# x\nplugin.yaml=/a:/b\nttl=1h\n"))
	f.Add([]byte("\xef\xbb\xbfcollectives = a,b\r\nregistration=file_content\n=x\ny"))
	f.Add([]byte("plugin.choria.middleware_hosts = nats://a:b@c:1, [::1]:2\nplugin.rpcaudit.logfile.mode=0600"))
	f.Add([]byte("plugin.choria.adapter.a.type = jetstream\nplugin.x.activate_agent=1\nunknown=\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := New()
		l := loader{c: c, scope: "SB"}
		l.lines("f", "", data)
		c.derive()
		if c.MainCollective == "" || len(c.Collectives) == 0 || c.TTL < time.Second || strings.ContainsAny(c.Identity, " \n*>") {
			t.Errorf("%q: %+v", data, c)
		}
		for _, key := range c.Keys() {
			if _, src, ok := c.Value(key); !ok || src.File != "f" || src.Line < 1 {
				t.Errorf("%q: key %q from %+v, %v", data, key, src, ok)
			}
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"60", "1h30m", "1.5d", "9y", "1M"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if again, err := ParseDuration(FormatDuration(d)); d < 0 || err != nil || again-d > time.Second || d-again > time.Second {
			t.Errorf("ParseDuration(%q) = %d, and %q gives %d, %v", text, d, FormatDuration(d), again, err)
		}
	})
}
