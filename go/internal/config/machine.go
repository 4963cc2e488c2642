package config

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// A machine is what is asked for its name.
type machine struct {
	hostname   func() (string, error)
	lookupHost func(ctx context.Context, name string) ([]string, error)
	lookupAddr func(ctx context.Context, addr string) ([]string, error)
	resolvConf string
}

var thisMachine = machine{
	hostname:   os.Hostname,
	lookupHost: net.DefaultResolver.LookupHost,
	lookupAddr: net.DefaultResolver.LookupAddr,
	resolvConf: "/etc/resolv.conf",
}

// fqdn returns the full name of the machine: the host name if it has a domain, else the name that
// DNS and /etc/hosts have for its address, else the host name with the domain of resolv.conf, which
// is what facter would say after a second. Where all this has no domain it is the bare host name.
func (m *machine) fqdn(ctx context.Context) (string, error) {
	name, err := m.hostname()
	if err != nil {
		return "", err
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if strings.Contains(name, ".") {
		return name, nil
	}
	addrs, _ := m.lookupHost(ctx, name)
	for _, addr := range addrs {
		names, _ := m.lookupAddr(ctx, addr)
		for _, full := range names {
			full = strings.ToLower(strings.TrimSuffix(full, "."))
			if strings.HasPrefix(full, name+".") {
				return full, nil
			}
		}
	}
	if domain := m.resolverDomain(); domain != "" {
		return name + "." + domain, nil
	}
	return name, nil
}

// resolverDomain returns the domain of resolv.conf, or else the first of its search list.
func (m *machine) resolverDomain() string {
	data, err := os.ReadFile(m.resolvConf)
	if err != nil {
		return ""
	}
	search := ""
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		domain := strings.ToLower(strings.Trim(f[1], "."))
		switch f[0] {
		case "domain":
			return domain
		case "search":
			if search == "" {
				search = domain
			}
		}
	}
	return search
}

// Domain returns the domain that SRV records are looked for in: plugin.choria.srv_domain, else that
// of this machine. It may ask DNS and is empty when the machine has none.
func (c *Config) Domain(ctx context.Context) string {
	if c.SRVDomain != "" {
		return strings.Trim(c.SRVDomain, ".")
	}
	name, err := thisMachine.fqdn(ctx)
	if err != nil {
		return ""
	}
	_, domain, _ := strings.Cut(name, ".")
	return domain
}

// puppetSSLDir returns where Puppet keeps certificates by default: that of Puppet's own packages or
// of Debian's for root, below the home directory for others.
func puppetSSLDir(home string, root bool) string {
	if !root {
		return filepath.Join(home, ".puppetlabs/etc/puppet/ssl")
	}
	dirs := [...]string{"/etc/puppetlabs/puppet/ssl", "/var/lib/puppet/ssl"}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return dirs[0]
}
