// Package monitoring_test tests what is in the directory monitoring of the repository: the rules, the
// dashboards and the examples, against the Prometheus and the Alertmanager of the distribution and against
// brokers that run.
package monitoring_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/internal/lab/labtest"
)

func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }

// root is the directory that is tested.
const root = "../../../monitoring"

// tool runs a program of the distribution, which has to be content.
func tool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join(root, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestTools(t *testing.T) {
	tool(t, "prometheus", "promtool", "check", "rules", "choria.rules.yml")
	tool(t, "prometheus", "promtool", "check", "config", "prometheus.yml")
	tool(t, "prometheus", "promtool", "test", "rules", "tests/choria.test.yml")
	tool(t, "alertmanager", "amtool", "check-config", "alertmanager.yml")
}

// read reads YAML, or JSON.
func read(t *testing.T, into any, path ...string) {
	t.Helper()
	file := filepath.Join(append([]string{root}, path...)...)
	data, err := os.ReadFile(file)
	if err == nil && strings.HasSuffix(file, ".json") {
		err = json.Unmarshal(data, into)
	} else if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// A rule is a recording rule or an alert.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	read(t, &file, "prometheus", "choria.rules.yml")
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// checks returns the names of all checks, that is the values of the label check of choria:check:ok.
func checks(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, r := range rules(t) {
		if r.Record == "choria:check:ok" {
			names[r.Labels["check"]] = true
		}
	}
	return names
}

// TestAlerts holds that each check has its alert, and each alert a test that sees it fire and a place in
// the documentation.
func TestAlerts(t *testing.T) {
	tests, err := os.ReadFile(filepath.Join(root, "prometheus", "tests", "choria.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`^choria:check:ok\{check="(\w+)"\} == 0$`)
	left := checks(t)
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		m := named.FindStringSubmatch(r.Expr)
		if m == nil || !left[m[1]] {
			t.Errorf("%s: %s is not about a check that is left", r.Alert, r.Expr)
			continue
		}
		delete(left, m[1])
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		if !strings.Contains(string(tests), `alertname="`+r.Alert+`", alertstate="firing"`) {
			t.Errorf("%s is in no test that sees it fire", r.Alert)
		}
		if !strings.Contains(string(docs), "`"+r.Alert+"`") {
			t.Errorf("%s is not in docs/monitoring.md", r.Alert)
		}
	}
	for name := range left {
		t.Errorf("check %s has no alert", name)
	}
}

// A dashboard is one of Grafana, as far as it is looked at.
type dashboard struct {
	UID        string
	Title      string
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Panels []panel
}

type panel struct {
	Type, Title string
	Datasource  map[string]string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		Expr       string
		Datasource map[string]string
	}
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "grafana", "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("dashboards: %v, %v", files, err)
	}
	all := map[string]dashboard{}
	for _, file := range files {
		var d dashboard
		read(t, &d, "grafana", "dashboards", filepath.Base(file))
		all[filepath.Base(file)] = d
	}
	return all
}

// TestDashboards holds what Grafana wants of dashboards that it reads from files. That their queries have
// data is tested with a Prometheus.
func TestDashboards(t *testing.T) {
	seen := map[string]string{}
	for file, d := range dashboards(t) {
		if d.UID == "" || d.Title == "" || seen[d.UID] != "" {
			t.Errorf("%s: uid %q, title %q; the uid is that of %q too", file, d.UID, d.Title, seen[d.UID])
		}
		seen[d.UID] = file
		for i, p := range d.Panels {
			if p.Type == "row" {
				continue
			}
			if p.Title == "" || len(p.Targets) == 0 || p.Datasource["uid"] != "${datasource}" {
				t.Errorf("%s: panel %d, %q: %d queries of data source %q", file, i, p.Title, len(p.Targets), p.Datasource["uid"])
			}
			for _, q := range p.Targets {
				if q.Expr == "" || q.Datasource["uid"] != "${datasource}" {
					t.Errorf("%s: %s: query %q of data source %q", file, p.Title, q.Expr, q.Datasource["uid"])
				}
			}
			for _, o := range d.Panels[:i] {
				a, b := p.GridPos, o.GridPos
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H || a.X+a.W > 24 {
					t.Errorf("%s: panel %q lies on %q", file, p.Title, o.Title)
				}
			}
		}
	}
	if n := len(dashboards(t)["choria-board.json"].Panels); n != 4 {
		t.Errorf("the board has %d panels, want 4", n)
	}
}

// TestCompose holds that the files that containers are given are there.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Image   string
			Volumes []string
			Ports   []string
			Command []string
		}
		Volumes map[string]any
	}
	read(t, &file, "compose.yaml")
	if len(file.Services) != 3 {
		t.Errorf("%d services, want 3", len(file.Services))
	}
	for name, s := range file.Services {
		if !regexp.MustCompile(`^[a-z]+/[a-z]+:v?\d+\.\d+\.\d+$`).MatchString(s.Image) {
			t.Errorf("%s: image %q: want one release", name, s.Image)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if from == "./smtp.password" { // which is not ours to ship
				continue
			}
			_, named := file.Volumes[from]
			if _, err := os.Stat(filepath.Join(root, from)); !named && err != nil {
				t.Errorf("%s: volume %s: %v", name, v, err)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to others", name, p)
			}
		}
	}
}
