package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/metrics"
)

const (
	// srvCache is how long an answer is used again. Source: protocol section 9.4.
	srvCache = 5 * time.Second

	// srvTimeout is for the lookup of one name, all DNS servers of the machine included.
	srvTimeout = 5 * time.Second

	// facterTimeout is for asking facter for the domain; it takes 1 to 3 s on a small machine.
	facterTimeout = 15 * time.Second
)

// A Resolver looks SRV records up. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

// A Finder finds brokers: in the configuration, and in DNS. Its methods may be called concurrently.
type Finder struct {
	Config   *config.Config    // required
	Resolver Resolver          // nil: net.DefaultResolver
	Metrics  *metrics.Registry // nil: not shown
	Log      *slog.Logger      // nil discards
	Identity string            // label of the metrics; empty: that of Config

	once                   sync.Once
	lookups, hits, missing *metrics.Counter

	mu     sync.Mutex
	domain string // found out; empty until then
	cache  map[string]srvAnswer
}

type srvAnswer struct {
	urls []string
	at   time.Time
}

// srv returns the servers of the first of names that has an answer, none when no name has one or SRV
// lookups are off. It is an error when DNS did not say whether there are records.
func (f *Finder) srv(ctx context.Context, names []string) ([]string, error) {
	if !f.Config.UseSRV {
		return nil, nil
	}
	domain := f.srvDomain(ctx)
	if domain == "" {
		return nil, nil
	}
	for _, name := range names {
		urls, err := f.lookup(ctx, name+"."+domain)
		if err != nil || len(urls) > 0 {
			return urls, err
		}
	}
	return nil, nil
}

// lookup returns the answer for one name as URLs in the order of DNS, by priority and weight.
func (f *Finder) lookup(ctx context.Context, name string) ([]string, error) {
	f.once.Do(func() {
		id := f.Identity
		if id == "" {
			id = f.Config.Identity
		}
		f.lookups = f.Metrics.Counter("choria_dns_srv_lookups", "SRV lookups", "identity", id)
		f.hits = f.Metrics.Counter("choria_dns_srv_cachehits", "SRV lookups answered from memory", "identity", id)
		f.missing = f.Metrics.Counter("choria_dns_srv_cachemiss", "SRV lookups that DNS was asked for", "identity", id)
	})
	f.lookups.Inc()
	f.mu.Lock()
	a, ok := f.cache[name]
	f.mu.Unlock()
	if ok && time.Since(a.at) < srvCache {
		f.hits.Inc()
		return a.urls, nil
	}
	f.missing.Inc()

	var r Resolver = net.DefaultResolver
	if f.Resolver != nil {
		r = f.Resolver
	}
	lctx, cancel := context.WithTimeout(ctx, srvTimeout)
	defer cancel()
	_, records, err := r.LookupSRV(lctx, "", "", name)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		records, err = nil, nil
	}
	if err != nil && len(records) == 0 { // some records may be good where others are not
		return nil, fmt.Errorf("SRV record %s: %w", name, err)
	}
	var urls []string
	for _, rec := range records {
		host := strings.TrimSuffix(rec.Target, ".")
		if host == "" || rec.Port == 0 { // a target of "." says that there is no such service, RFC 2782
			continue
		}
		urls = append(urls, "nats://"+net.JoinHostPort(host, strconv.Itoa(int(rec.Port))))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cache == nil {
		f.cache = make(map[string]srvAnswer)
	}
	f.cache[name] = srvAnswer{urls, time.Now()}
	return urls, nil
}

// srvDomain returns where SRV records are looked for: as configured, else as facter says where it is
// installed. What facter said is kept, since it takes seconds.
func (f *Finder) srvDomain(ctx context.Context) string {
	if d := strings.Trim(f.Config.SRVDomain, "."); d != "" {
		return d
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.domain == "" {
		f.domain = facterDomain(ctx)
	}
	return f.domain
}

// facterDomain returns the fact networking.domain, empty when it is not to be had.
func facterDomain(ctx context.Context) string {
	facter, err := exec.LookPath("facter")
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, facterTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, facter, "networking.domain")
	cmd.WaitDelay = time.Second // a child of facter must not hold the pipe open
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	domain := strings.Trim(strings.TrimSpace(string(out)), ".")
	if !domainName(domain) {
		return ""
	}
	return domain
}

// domainName reports whether s looks like the domain of a machine.
func domainName(s string) bool {
	ok, _ := regexp.MatchString(`\A[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\z`, s)
	return ok && len(s) <= 253
}
