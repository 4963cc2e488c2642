package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFQDN(t *testing.T) {
	dns := map[string][]string{
		"web": {"192.0.2.1", "192.0.2.2"}, "bare": {"192.0.2.3"},
		"192.0.2.1": {"localhost.localdomain.", "website.example.net."}, "192.0.2.2": {"Web.Example.NET.", "web"}, "192.0.2.3": {"bare"},
	}
	tests := []struct{ host, resolv, want string }{
		{"web.example.org", "domain example.com\n", "web.example.org"},
		{"WEB.example.org.", "", "web.example.org"},
		{"web", "domain example.com\n", "web.example.net"},
		{"bare", "nameserver 192.0.2.9\nsearch a.example.com b.example.com\nsearch c.example.com\n", "bare.a.example.com"},
		{"other", "search a.example.com\ndomain example.com.\n", "other.example.com"},
		{"other", "search\n", "other"},
		{"other", "search .\n", "other"},
	}
	for _, tt := range tests {
		m := machine{
			hostname:   func() (string, error) { return tt.host, nil },
			resolvConf: filepath.Join(write(t, map[string]string{"resolv.conf": tt.resolv}), "resolv.conf"),
		}
		m.lookupHost = func(_ context.Context, name string) ([]string, error) {
			if dns[name] == nil {
				return nil, errors.New("no such host")
			}
			return dns[name], nil
		}
		m.lookupAddr = m.lookupHost
		if got, err := m.fqdn(t.Context()); err != nil || got != tt.want {
			t.Errorf("host %q, resolv.conf %q: %q, %v; want %q", tt.host, tt.resolv, got, err, tt.want)
		}
	}
}

// Nothing is looked up when there is nothing to find out.
func TestCompleteAsksNothing(t *testing.T) {
	c := New()
	c.Identity, c.SSLDir = "n1", "/ssl"
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Complete(ctx); err != nil || c.Identity != "n1" || c.SSLDir != "/ssl" {
		t.Errorf("%v: %q, %q", err, c.Identity, c.SSLDir)
	}
}

func TestIdentityOfThisMachine(t *testing.T) {
	c := New()
	if err := c.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if c.Identity == "" || c.SSLDir == "" || checkIdentity(c.Identity) != nil {
		t.Errorf("identity %q, ssldir %q on host %q", c.Identity, c.SSLDir, host)
	}
}

func TestSSLDir(t *testing.T) {
	if got := puppetSSLDir("/home/joe", false); got != "/home/joe/.puppetlabs/etc/puppet/ssl" {
		t.Errorf("a user's is %q", got)
	}
	switch got := puppetSSLDir("/root", true); got {
	case "/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/ssl":
	default:
		t.Errorf("root's is %q", got)
	}
}
