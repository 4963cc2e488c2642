package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/metrics"
	"choria.io/choria/go/internal/transport"
)

// dns answers for the names it knows, and remembers what it was asked.
type dns struct {
	records map[string][]*net.SRV
	broken  bool
	asked   []string
}

func (d *dns) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	d.asked = append(d.asked, name)
	if service != "" || proto != "" {
		return "", nil, errors.New("the name is to be looked up as it is")
	}
	if d.broken {
		return "", nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	r, ok := d.records[name]
	if !ok {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return name, r, nil
}

func settings(t *testing.T, kv ...string) *config.Config {
	t.Helper()
	cfg := config.New()
	for i := 0; i < len(kv); i += 2 {
		if err := cfg.Set(kv[i], kv[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

const (
	hosts   = "plugin.choria.middleware_hosts"
	fed     = "plugin.choria.federation_middleware_hosts"
	peers   = "plugin.choria.network.peers"
	domain  = "plugin.choria.srv_domain"
	useSRV  = "plugin.choria.use_srv"
	example = "example.net"
)

func TestFinder(t *testing.T) {
	srv := func(host string, port uint16) *net.SRV { return &net.SRV{Target: host, Port: port} }
	full := map[string][]*net.SRV{
		"_mcollective-server._tcp.example.net":             {srv("a.example.net.", 4222), srv("b.example.net.", 4223)},
		"_x-puppet-mcollective._tcp.example.net":           {srv("old.example.net.", 4222)},
		"_mcollective-federation_server._tcp.example.net":  {srv("f.example.net.", 4222)},
		"_mcollective-broker._tcp.example.net":             {srv("p.example.net.", 5222)},
		"_x-puppet-mcollective._tcp.legacy.net":            {srv("old.legacy.net.", 61614)},
		"_x-puppet-mcollective_federation._tcp.legacy.net": {srv("oldfed.legacy.net", 4222)},
		"_mcollective-server._tcp.none.net":                {srv(".", 0)},
		"_mcollective-server._tcp.six.net":                 {srv("2001:db8::1", 4222)},
	}
	type find func(*transport.Finder, context.Context) ([]string, error)
	tests := []struct {
		name   string
		find   find
		config []string
		broken bool
		want   string // the servers, or the whole error
		asked  string // names, without their domain
	}{
		{"configured", (*transport.Finder).Middleware, []string{hosts, "a:1, nats://b:2,tls://c:3 , [2001:db8::1]:4,wss://d:5", domain, example}, false, "nats://a:1 nats://b:2 tls://c:3 nats://[2001:db8::1]:4 wss://d:5", ""},
		{"by DNS, in its order", (*transport.Finder).Middleware, []string{domain, example}, false, "nats://a.example.net:4222 nats://b.example.net:4223", "_mcollective-server._tcp"},
		{"by the old name", (*transport.Finder).Middleware, []string{domain, "legacy.net."}, false, "nats://old.legacy.net:61614", "_mcollective-server._tcp _x-puppet-mcollective._tcp"},
		{"IPv6 in DNS", (*transport.Finder).Middleware, []string{domain, "six.net"}, false, "nats://[2001:db8::1]:4222", "_mcollective-server._tcp"},
		{"DNS says there is none", (*transport.Finder).Middleware, []string{domain, "none.net"}, false, "nats://puppet:4222", "_mcollective-server._tcp _x-puppet-mcollective._tcp"},
		{"default", (*transport.Finder).Middleware, []string{domain, "empty.net"}, false, "nats://puppet:4222", "_mcollective-server._tcp _x-puppet-mcollective._tcp"},
		{"DNS is broken", (*transport.Finder).Middleware, []string{domain, example}, true, "nats://puppet:4222", "_mcollective-server._tcp"},
		{"SRV off", (*transport.Finder).Middleware, []string{domain, example, useSRV, "no"}, false, "nats://puppet:4222", ""},

		{"federation configured", (*transport.Finder).Federation, []string{fed, "f:1", domain, example}, false, "nats://f:1", ""},
		{"federation by DNS", (*transport.Finder).Federation, []string{domain, example}, false, "nats://f.example.net:4222", "_mcollective-federation_server._tcp"},
		{"federation by the old name", (*transport.Finder).Federation, []string{domain, "legacy.net"}, false, "nats://oldfed.legacy.net:4222", "_mcollective-federation_server._tcp _x-puppet-mcollective_federation._tcp"},
		{"no federation", (*transport.Finder).Federation, []string{domain, "empty.net"}, false, "find federation brokers: plugin.choria.federation_middleware_hosts is not set, and there is no SRV record _mcollective-federation_server._tcp or _x-puppet-mcollective_federation._tcp", "_mcollective-federation_server._tcp _x-puppet-mcollective_federation._tcp"},
		{"no federation, SRV off", (*transport.Finder).Federation, []string{useSRV, "0"}, false, "find federation brokers: plugin.choria.federation_middleware_hosts is not set, and plugin.choria.use_srv is off", ""},
		{"federation, DNS is broken", (*transport.Finder).Federation, []string{domain, example}, true, "find federation brokers: SRV record _mcollective-federation_server._tcp.example.net: lookup _mcollective-federation_server._tcp.example.net: server misbehaving", "_mcollective-federation_server._tcp"},

		{"peers by DNS first", (*transport.Finder).Peers, []string{peers, "q:5222", domain, example}, false, "nats://p.example.net:5222", "_mcollective-broker._tcp"},
		{"peers configured", (*transport.Finder).Peers, []string{peers, "q:5222", domain, "empty.net"}, false, "nats://q:5222", "_mcollective-broker._tcp"},
		{"peers, DNS is broken", (*transport.Finder).Peers, []string{peers, "q:5222", domain, example}, true, "nats://q:5222", "_mcollective-broker._tcp"},
		{"no peers", (*transport.Finder).Peers, []string{domain, "empty.net"}, false, "", "_mcollective-broker._tcp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &dns{records: full, broken: tt.broken}
			f := &transport.Finder{Config: settings(t, tt.config...), Resolver: d}
			got, err := tt.find(f, t.Context())
			text := strings.Join(got, " ")
			if err != nil {
				text = err.Error()
			}
			if text != tt.want {
				t.Errorf("got %s\nwant %s", text, tt.want)
			}
			var asked []string
			for _, name := range d.asked {
				name, _, _ = strings.Cut(name, "_tcp.")
				asked = append(asked, name+"_tcp")
			}
			if text := strings.Join(asked, " "); text != tt.asked {
				t.Errorf("asked for %s\nwant %s", text, tt.asked)
			}
		})
	}
}

// TestBadItemFailsTheList sets the lists directly: what comes from files was checked there.
func TestBadItemFailsTheList(t *testing.T) {
	for _, item := range []string{"b", "b:", "b:port", "b:0", "b:65536", "http://b:1", "::1:4222", "b:1/x", ":4222", "", "b c:1"} {
		cfg := config.New()
		cfg.MiddlewareHosts = []string{"a:1", item}
		got, err := transport.Servers(t.Context(), cfg, false)
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("plugin.choria.middleware_hosts: %q: ", item)) {
			t.Errorf("with %q got %v, %v; want an error that names it", item, got, err)
		}
	}
	cfg := config.New()
	cfg.MiddlewareHosts = []string{"nats://me:secret@a"}
	if _, err := transport.Servers(t.Context(), cfg, false); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v; want an error without the password", err)
	}
}

func TestServersOfFederatedClients(t *testing.T) {
	cfg := settings(t, hosts, "a:1", fed, "f:1", "plugin.choria.federation.collectives", "london")
	for client, want := range map[bool]string{true: "nats://f:1", false: "nats://a:1"} {
		got, err := transport.Servers(t.Context(), cfg, client)
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("Servers(client %v) = %v, %v; want %s", client, got, err, want)
		}
	}
}

func TestSRVAnswersAreKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dns{records: map[string][]*net.SRV{"_mcollective-server._tcp.example.net": {{Target: "a.", Port: 1}}}}
		reg := metrics.New()
		f := &transport.Finder{Config: settings(t, "identity", "n1", domain, example), Resolver: d, Metrics: reg}
		for i, want := range []int{1, 1, 2} {
			if _, err := f.Middleware(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(d.asked) != want {
				t.Errorf("lookup %d: DNS was asked %d times; want %d", i, len(d.asked), want)
			}
			time.Sleep(4 * time.Second)
		}
		for name, want := range map[string]uint64{"choria_dns_srv_lookups": 3, "choria_dns_srv_cachehits": 1, "choria_dns_srv_cachemiss": 2} {
			if got := reg.Counter(name, "", "identity", "n1").Value(); got != want {
				t.Errorf("%s = %d; want %d", name, got, want)
			}
		}
	})
}

// TestDomainOfFacter puts a program of that name in the path.
func TestDomainOfFacter(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{`[ "$*" = networking.domain ] && echo example.net`, "_mcollective-broker._tcp.example.net"},
		{"echo 'bad domain; rm'", ""},
		{"exit 1", ""},
		{"", ""},
	} {
		dir := t.TempDir()
		if tt.script != "" {
			if err := os.WriteFile(filepath.Join(dir, "facter"), []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir)
		d := &dns{}
		f := &transport.Finder{Config: config.New(), Resolver: d}
		for range 2 {
			if _, err := f.Peers(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(d.asked, " "); got != tt.want {
			t.Errorf("facter %q: asked for %q; want %q", tt.script, got, tt.want)
		}
	}
}

// FuzzServers holds that what is accepted is a list of addresses to connect to, and that errors keep
// passwords to themselves.
func FuzzServers(f *testing.F) {
	for _, s := range []string{"a:1", "nats://a:1", "[::1]:2", "tls://u:secret@h:3", "u:secret@h", "nats://u:secret@h", "wss://h:4/path", "a:1,b", "@", "://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, item string) {
		cfg := config.New()
		cfg.MiddlewareHosts = []string{item}
		urls, err := transport.Servers(t.Context(), cfg, false)
		if err != nil {
			if strings.Contains(item, ":secret@") && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the password: %v", err)
			}
			return
		}
		for _, s := range urls {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatalf("%q became %q: %v", item, s, err)
			}
			if host, port, err := net.SplitHostPort(u.Host); err != nil || host == "" || port == "" {
				t.Errorf("%q became %q, which has no host or no port", item, s)
			}
		}
	})
}
