package monitoring_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/cspec"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
	"choria.io/choria/go/lifecycle"
)

// A rig is brokers that are watched.
type rig struct {
	site   *labtest.Site
	box    *mailbox
	prom   prometheus
	port   int       // of the second broker
	first  *process  // a broker
	second *process  // another one, a federation broker and an adapter, in one process
	config [2]string // of both
	stats  [2]string // addresses of their statistics
}

// broker starts one of the two.
func (r *rig) broker(t *testing.T, n int) *process {
	t.Helper()
	p := start(t, filepath.Join(labtest.Binaries(t), "choria-broker"), "run", "--config", r.config[n])
	until(t, "broker is ready", func() error {
		if err := p.alive(); err != nil {
			t.Fatal(err)
		}
		return fetch("http://"+r.stats[n]+"/healthz", nil)
	})
	return p
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{site: labtest.NewSite(t), port: labtest.Port(t)}
	for i, lines := range [][]string{
		{fmt.Sprintf("plugin.choria.network.client_port = %d", labtest.Port(t))},
		{
			fmt.Sprintf("plugin.choria.network.client_port = %d", r.port),
			"plugin.choria.network.stream.store = " + t.TempDir(),
			"plugin.choria.broker_federation = true",
			"plugin.choria.federation.cluster = london",
			fmt.Sprintf("plugin.choria.federation_middleware_hosts = 127.0.0.1:%d", r.port),
			"plugin.choria.adapters = inventory",
			"plugin.choria.adapter.inventory.type = choria_streams",
			"plugin.choria.adapter.inventory.ingest.topic = mcollective.broadcast.agent.registration",
			"plugin.choria.adapter.inventory.ingest.protocol = request",
		},
	} {
		name, stats := fmt.Sprintf("broker%d.example.net", i+1), labtest.Port(t)
		r.site.Issue(t, pki.Request{Name: name, IPs: []string{"127.0.0.1"}})
		r.stats[i] = "127.0.0.1:" + strconv.Itoa(stats)
		r.config[i] = filepath.Join(t.TempDir(), "broker.conf")
		lines = append(lines,
			"identity = "+name, "plugin.choria.broker_network = true", "plugin.choria.use_srv = false",
			"plugin.choria.network.listen_address = 127.0.0.1", "plugin.choria.network.tls_timeout = 30s", fmt.Sprintf("plugin.choria.stats_port = %d", stats),
			"plugin.security.provider = file", "plugin.security.file.certificate = "+r.site.Dir+"/"+name+".pem",
			"plugin.security.file.key = "+r.site.Dir+"/"+name+".key", "plugin.security.file.ca = "+r.site.Dir+"/ca.pem",
			"plugin.security.file.crl = "+r.site.Dir+"/crl.pem")
		if err := os.WriteFile(r.config[i], []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.first, r.second = r.broker(t, 0), r.broker(t, 1)
	specs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		report := cspec.Report{{Name: "network", Success: true, Started: time.Now(), Cases: []cspec.Case{{Name: "Should find all nodes", Success: true}}}}
		_ = report.Prometheus(w) // who has gone reads nothing
	}))
	t.Cleanup(specs.Close)

	r.box = newMailbox(t, "choria-alerts", "let me in")
	dir := t.TempDir()
	password := filepath.Join(dir, "smtp.password")
	if err := os.WriteFile(password, []byte("let me in"), 0o600); err != nil {
		t.Fatal(err)
	}
	quick := map[string]any{
		"smtp_smarthost": r.box.addr, "smtp_require_tls": false, "smtp_auth_password_file": password,
		"group_wait": "50ms", "group_interval": "1s", "scrape_interval": "1s", "evaluation_interval": "1s", "interval": "1s", "for": "2s",
	}
	change := func(key string, value any) any {
		if v, ok := quick[key]; ok {
			return v
		}
		return value
	}
	quicken(t, "alertmanager/alertmanager.yml", filepath.Join(dir, "alertmanager.yml"), change)
	alertmanager := serve(t, "/-/ready", "prometheus-alertmanager", func(address string) []string {
		return []string{"--config.file=" + dir + "/alertmanager.yml", "--web.listen-address=" + address, "--cluster.listen-address=", "--storage.path=" + t.TempDir()}
	})
	if err := os.Mkdir(filepath.Join(dir, "targets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"federation", "adapters", "servers"} {
		targets(t, dir, name)
	}
	targets(t, dir, "brokers", r.stats[0], r.stats[1])
	targets(t, dir, "cspec", strings.TrimPrefix(specs.URL, "http://"))
	targets(t, dir, "alertmanager", strings.TrimPrefix(alertmanager, "http://"))
	quicken(t, "prometheus/choria.rules.yml", filepath.Join(dir, "choria.rules.yml"), change)
	quicken(t, "prometheus/prometheus.yml", filepath.Join(dir, "prometheus.yml"), change)
	r.prom.base = serve(t, "/-/ready", "prometheus", func(address string) []string {
		return []string{"--config.file=" + dir + "/prometheus.yml", "--web.listen-address=" + address, "--storage.tsdb.path=" + t.TempDir()}
	})
	return r
}

// TestMonitoring runs all of it: brokers, Prometheus with the rules that are shipped, Alertmanager and a
// mail server.
func TestMonitoring(t *testing.T) {
	r := newRig(t)

	// Every check finds its metrics, and holds.
	names := checks(t)
	until(t, "all checks are evaluated", func() error {
		got, err := r.prom.query("count by (check) (choria:check:ok)")
		if err == nil && len(got) != len(names) {
			err = fmt.Errorf("%d of %d: %v", len(got), len(names), got)
		}
		return err
	})
	until(t, "all is well", func() error { return r.is("avg(choria:check:ok)", 1) })

	t.Run("broker down", r.brokerDown)
	t.Run("dashboards", r.dashboards)
}

// is holds that a query has that one value.
func (r *rig) is(expr string, want float64) error {
	v, err := r.prom.value(expr)
	if err == nil && math.Abs(v-want) > 1e-9 {
		err = fmt.Errorf("%s is %v, want %v", expr, v, want)
	}
	return err
}

// brokerDown kills a broker, sees the alert be pending, fire and be mailed, starts it again and sees the
// alert be resolved and that mailed.
func (r *rig) brokerDown(t *testing.T) {
	const alert = "ChoriaBrokerDown"
	r.first.kill()
	until(t, "the alert fires", func() error {
		_, err := r.prom.since(alert, "firing")
		return err
	})
	fires, err := r.prom.since(alert, "firing")
	if err != nil {
		t.Fatal(err)
	}
	pending, err := r.prom.since(alert, "pending")
	if err != nil || pending >= fires {
		t.Errorf("pending at %v, %v; firing at %v", pending, err, fires)
	}
	mailed := func(subject string) func() error {
		return func() error {
			m, ok := r.box.find(func(m letter) bool { return strings.HasPrefix(m.subject, subject) })
			if !ok {
				return fmt.Errorf("subjects: %q", r.box.subjects())
			}
			if !strings.Contains(m.body, r.stats[0]+" does not answer") || !strings.Contains(m.to, "choria-team@example.net") || !strings.Contains(m.from, "choria-alerts@example.net") {
				return fmt.Errorf("mail from %s to %s: %s", m.from, m.to, m.body)
			}
			return nil
		}
	}
	until(t, "the mail arrives", mailed("[FIRING:1] "+alert))
	if err := r.is(`count(choria:check:ok{visible="yes"} == 0) or vector(0)`, 0); err != nil {
		t.Errorf("one of two brokers is not noticed by users: %v", err)
	}

	r.first = r.broker(t, 0)
	until(t, "the alert is resolved", func() error { return r.is("count(ALERTS{alertname=\""+alert+"\"}) or vector(0)", 0) })
	until(t, "that is mailed", mailed("[RESOLVED] "+alert))
	if err := r.is(`sum(changes(choria:check:ok{check="broker_up"}[1h]))`, 2); err != nil {
		t.Errorf("the board: %v", err)
	}
}

// dashboards sends something through all parts of a broker, and holds that each query of each dashboard
// shows something of it.
func (r *rig) dashboards(t *testing.T) {
	id := r.site.Identity(t, "n1.example.net", security.ForServer)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := transport.Connect(ctx, transport.Options{Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", r.port)}, TLS: id.ClientTLS(), ConnectTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	event := lifecycle.New(lifecycle.Alive, "n1.example.net", lifecycle.Server)
	event.Version = "1.0.0"
	alive, err := lifecycle.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	request := []byte(`{"protocol":"choria:transport:1","data":"e30=","headers":{"reply-to":"mcollective.reply.a.b","federation":{"req":"i","target":["mcollective.node.n1"]}}}`)
	traffic := func() {
		for subject, data := range map[string][]byte{
			lifecycle.Subject(event):                   alive,
			"choria.federation.london.federation":      request,
			"mcollective.broadcast.agent.registration": []byte("not a request"), // a dead letter
		} {
			if err := c.Publish(subject, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What Grafana puts in.
	fill := strings.NewReplacer("$__rate_interval", "1m", "$site", ".*", "$identity", ".*", "$cluster", ".*", "$adapter", ".*")
	for file, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				expr := fill.Replace(q.Expr)
				if strings.Contains(expr, "$") && !strings.Contains(expr, `"$1"`) {
					t.Errorf("%s: %s: unknown variable in %s", file, p.Title, q.Expr)
					continue
				}
				until(t, file+": "+p.Title, func() error {
					traffic()
					got, err := r.prom.query(expr)
					if err == nil && len(got) == 0 {
						err = io.ErrUnexpectedEOF
					}
					if err != nil {
						return fmt.Errorf("%s: %w", expr, err)
					}
					return nil
				})
			}
		}
	}
	// The dead letters of this traffic are an alert, whose metrics are those of a real adapter.
	until(t, "dead letters are an alert", func() error {
		_, err := r.prom.since("ChoriaAdapterDeadLetters", "firing")
		return err
	})
}
