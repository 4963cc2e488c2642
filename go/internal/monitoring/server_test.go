package monitoring_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/internal/lab/labtest"
)

const patience = 2 * time.Minute

// until returns when ok does, and fails the test when that takes too long; ok says why it does not.
func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A process is a daemon that runs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start runs a daemon until the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), log: filepath.Join(t.TempDir(), "log"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it is killed in the end
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// alive returns why a daemon that has ended has.
func (p *process) alive() error {
	select {
	case <-p.ended:
		log, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s ended:\n%s", p.cmd.Path, log)
	default:
		return nil
	}
}

// serve runs a daemon that listens on a port, and returns its URL when it says that it is ready. Another
// program may take the port before it does; it gets another one then.
func serve(t *testing.T, ready, name string, args func(address string) []string) (base string) {
	t.Helper()
	for try := 1; ; try++ {
		address := "127.0.0.1:" + strconv.Itoa(labtest.Port(t))
		base = "http://" + address
		p := start(t, name, args(address)...)
		var ended error
		until(t, name+" is ready", func() error {
			if ended = p.alive(); ended != nil {
				return nil
			}
			return fetch(base+ready, nil)
		})
		if ended == nil {
			return base
		}
		if try == 3 {
			t.Fatal(ended)
		}
	}
}

// fetch reads a page, as JSON if it is to go into something.
func fetch(address string, into any) error {
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", address, resp.Status, body)
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}

// A prometheus is one that runs.
type prometheus struct{ base string }

// A series is what a query returns of one.
type series struct {
	Metric map[string]string
	Value  [2]any   // time and value
	Values [][2]any // of a range
}

func (p prometheus) query(expr string) ([]series, error) {
	var answer struct {
		Data struct{ Result []series }
	}
	err := fetch(p.base+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	return answer.Data.Result, err
}

// value returns the only value of a query.
func (p prometheus) value(expr string) (float64, error) {
	all, err := p.query(expr)
	if err != nil {
		return 0, err
	}
	if len(all) != 1 {
		return 0, fmt.Errorf("%s: %d series, want one", expr, len(all))
	}
	return strconv.ParseFloat(fmt.Sprint(all[0].Value[1]), 64)
}

// since returns when an alert was first in a state.
func (p prometheus) since(alert, state string) (float64, error) {
	expr := fmt.Sprintf("ALERTS{alertname=%q, alertstate=%q}[1h]", alert, state)
	all, err := p.query(expr)
	if err != nil {
		return 0, err
	}
	first := 0.0
	for _, s := range all {
		if at, ok := s.Values[0][0].(float64); ok && (first == 0 || at < first) {
			first = at
		}
	}
	if first == 0 {
		return 0, fmt.Errorf("%s was not %s", alert, state)
	}
	return first, nil
}

// quicken makes a copy of a file that is shipped, with all that waits being quick.
func quicken(t *testing.T, file, to string, change func(key string, value any) any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, value := range v {
				v[key] = change(key, value)
				walk(value)
			}
		}
	}
	walk(doc)
	if data, err = yaml.Marshal(doc); err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// targets writes a file of targets.
func targets(t *testing.T, dir, name string, addresses ...string) {
	t.Helper()
	text := "[]\n"
	if len(addresses) > 0 {
		text = "- labels: {site: lab}\n  targets: [" + strings.Join(addresses, ", ") + "]\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "targets", name+".yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
