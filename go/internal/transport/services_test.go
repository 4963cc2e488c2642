package transport_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"choria.io/choria/go/internal/transport"
)

func TestFindServices(t *testing.T) {
	srv := func(host string, port uint16) *net.SRV { return &net.SRV{Target: host, Port: port} }
	records := map[string][]*net.SRV{
		"_x-puppet-ca._tcp.all.net": {srv("ca.all.net.", 8141)},
		"_x-puppet-db._tcp.all.net": {srv("db1.all.net.", 8082), srv("db2.all.net.", 8082)},
		"_x-puppet._tcp.all.net":    {srv("puppet.all.net.", 8140)},
		"_x-puppet._tcp.old.net":    {srv("p1.old.net.", 8140), srv("2001:db8::1", 8140)},
		"_x-puppet-db._tcp.no.net":  {srv(".", 0)},
	}
	ca, db := (*transport.Finder).PuppetCA, (*transport.Finder).PuppetDB
	tests := []struct {
		name   string
		find   func(*transport.Finder, context.Context) []string
		config []string
		broken bool
		want   []string
	}{
		{"ca by its own record", ca, []string{domain, "all.net"}, false, []string{"ca.all.net:8141"}},
		{"ca by that of servers", ca, []string{domain, "old.net"}, false, []string{"p1.old.net:8140", "[2001:db8::1]:8140"}},
		{"ca without records", ca, []string{domain, example}, false, []string{"puppet:8140"}},
		{"ca without DNS", ca, []string{domain, "all.net"}, true, []string{"puppet:8140"}},
		{"ca without SRV", ca, []string{domain, "all.net", useSRV, "no"}, false, []string{"puppet:8140"}},
		{"ca as configured", ca, []string{domain, "all.net", "plugin.choria.puppetca_host", "ca.here"}, false, []string{"ca.here:8140"}},
		{"ca port as configured", ca, []string{domain, "all.net", "plugin.choria.puppetca_port", "9140"}, false, []string{"puppet:9140"}},
		{"db by its own record", db, []string{domain, "all.net", "plugin.choria.puppetdb_port", "9081"}, false, []string{"db1.all.net:8082", "db2.all.net:8082"}},
		{"db by that of servers", db, []string{domain, "old.net"}, false, []string{"p1.old.net:8081", "[2001:db8::1]:8081"}},
		{"db by that of servers, other port", db, []string{domain, "old.net", "plugin.choria.puppetdb_port", "9081"}, false, []string{"p1.old.net:9081", "[2001:db8::1]:9081"}},
		{"db that is said not to exist", db, []string{domain, "no.net"}, false, []string{"puppet:8081"}},
		{"db without records", db, []string{domain, example, "plugin.choria.puppetdb_port", "9081"}, false, []string{"puppet:9081"}},
		{"db as configured", db, []string{domain, "all.net", "plugin.choria.puppetdb_host", "db.here"}, false, []string{"db.here:8081"}},
		{"db at an address", db, []string{"plugin.choria.puppetdb_host", "2001:db8::2"}, false, []string{"[2001:db8::2]:8081"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &transport.Finder{Config: settings(t, tt.config...), Resolver: &dns{records: records, broken: tt.broken}}
			if got := tt.find(f, t.Context()); !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
