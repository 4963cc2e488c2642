package transport

import (
	"context"
	"net"
	"net/url"
	"strconv"
)

// SRV names of Puppet's services, of which the first with an answer wins. Source: protocol section
// 9.4.
var (
	puppetCASRV = []string{"_x-puppet-ca._tcp", "_x-puppet._tcp"}
	puppetDBSRV = []string{"_x-puppet-db._tcp", "_x-puppet._tcp"}
)

// PuppetCA returns where Puppet's certificate authority answers, host:port, in the order to try them:
// as configured, else as SRV records say, else puppet:8140.
func (f *Finder) PuppetCA(ctx context.Context) []string {
	_, _, host := f.Config.Raw("plugin.choria.puppetca_host")
	_, _, port := f.Config.Raw("plugin.choria.puppetca_port")
	if !host && !port {
		if found := f.services(ctx, "SRV records of the Puppet CA were not found, using the default", puppetCASRV); len(found) > 0 {
			return found
		}
	}
	return []string{net.JoinHostPort(f.Config.PuppetCAHost, strconv.Itoa(f.Config.PuppetCAPort))}
}

// PuppetDB returns where PuppetDB answers, host:port, in the order to try them: as configured, else as
// SRV records say, else puppet:8081. The records of Puppet servers tell the host alone: the port there
// is that of the Puppet server, not of the PuppetDB beside it.
func (f *Finder) PuppetDB(ctx context.Context) []string {
	host, port := f.Config.PuppetDBHost, strconv.Itoa(f.Config.PuppetDBPort)
	if host != "" {
		return []string{net.JoinHostPort(host, port)}
	}
	const missing = "SRV records of PuppetDB were not found, using the default"
	if found := f.services(ctx, missing, puppetDBSRV[:1]); len(found) > 0 {
		return found
	}
	found := f.services(ctx, missing, puppetDBSRV[1:])
	for i, server := range found {
		if host, _, err := net.SplitHostPort(server); err == nil {
			found[i] = net.JoinHostPort(host, port)
		}
	}
	if len(found) > 0 {
		return found
	}
	return []string{net.JoinHostPort("puppet", port)}
}

// services returns the servers of the first of names that has an answer, as host:port.
func (f *Finder) services(ctx context.Context, missing string, names []string) []string {
	urls, err := f.srv(ctx, names)
	if err != nil {
		f.warn(missing, err)
	}
	var servers []string
	for _, text := range urls {
		if u, err := url.Parse(text); err == nil {
			servers = append(servers, u.Host)
		}
	}
	return servers
}
