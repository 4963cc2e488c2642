package node

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/config"
)

func auditConfig(path string) *config.Config {
	cfg := config.New()
	cfg.Audit = true
	cfg.AuditLogFile = path
	cfg.AuditLogMode = 0o640
	return cfg
}

func auditRequest() *agent.Request {
	return &agent.Request{
		ID: "deadbeef", Agent: "rpcutil", Action: "get_fact", Caller: "choria=rip.mcollective", Sender: "ws.example.net",
		Collective: "mcollective", Time: time.Unix(1795350414, 0), Data: json.RawMessage(`{"fact":"os"}`),
	}
}

func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := auditConfig(path)
	cfg.AuditLogGroup = strconv.Itoa(os.Getgid())
	a, err := openAudit(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Record(auditRequest(), auditRequest().Data, ""); err != nil {
		t.Fatal(err)
	}
	if err := a.Record(auditRequest(), auditRequest().Data, "rpcutil.policy:3"); err != nil {
		t.Fatal(err)
	}
	// As logrotate does it.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := a.Record(auditRequest(), auditRequest().Data, ""); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	common := `"request_id":"deadbeef","request_time":1795350414,"caller":"choria=rip.mcollective","sender":"ws.example.net",` +
		`"agent":"rpcutil","action":"get_fact","data":{"fact":"os"}`
	line := func(tail string) string {
		return `\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0000",` + regexp.QuoteMeta(common+tail) + "\n"
	}
	for _, tt := range []struct{ path, want string }{
		{path + ".1", line("}") + line(`,"denied":"rpcutil.policy:3"}`)},
		{path, line("}")},
	} {
		data, err := os.ReadFile(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile("^" + tt.want + "$").Match(data) {
			t.Errorf("%s holds %s; want %s", tt.path, data, tt.want)
		}
		info, err := os.Stat(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o640 {
			t.Errorf("mode of %s is %v; want 0640", tt.path, info.Mode())
		}
	}
}

func TestAuditRefusals(t *testing.T) {
	dir := t.TempDir()
	for name, change := range map[string]func(*config.Config){
		"rpcaudit is on, but plugin.rpcaudit.logfile is not set": func(c *config.Config) { c.AuditLogFile = "" },
		"plugin.rpcaudit.logfile.group":                          func(c *config.Config) { c.AuditLogGroup = "no-such-group-here" },
		"no such file or directory":                              func(c *config.Config) { c.AuditLogFile = filepath.Join(dir, "x", "audit.log") },
	} {
		cfg := auditConfig(filepath.Join(dir, "audit.log"))
		change(cfg)
		if _, err := openAudit(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("openAudit: %v; want an error with %q", err, name)
		}
	}
}

// Many requests at once: every line is whole and none is lost.
func TestAuditConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	a, err := openAudit(auditConfig(path), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const n = 200
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := auditRequest()
			r.ID = fmt.Sprint(i)
			// A slow machine may report a record as late; it has to be there all the same.
			if err := a.Record(r, r.Data, ""); err != nil && err != errAuditSlow {
				t.Error(err)
			}
			if i%50 == 0 {
				if err := a.Reopen(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	deadline := time.Now().Add(30 * time.Second)
	for len(ids) < n && time.Now().Before(deadline) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var rec struct {
				ID string `json:"request_id"`
			}
			if !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &rec) != nil {
				continue // being written
			}
			ids[rec.ID] = true
		}
	}
	if len(ids) != n {
		t.Errorf("%d of %d requests are recorded", len(ids), n)
	}
}

// A file that cannot be written, here a pipe that nobody reads, must not hold up requests.
func TestAuditHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// A pipe that is open for reading and writing can be opened by the audit without waiting.
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	a, err := openAudit(auditConfig(path), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := auditRequest()
	r.Data = json.RawMessage(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`) // more than a pipe holds
	if err := a.Record(r, r.Data, ""); err != errAuditSlow {
		t.Errorf("Record = %v; want %v", err, errAuditSlow)
	}
	a.mu.Lock()
	for len(a.queue) < auditQueue {
		a.queue = append(a.queue, &record{[]byte("\n"), make(chan error, 1)})
	}
	a.mu.Unlock()
	if err := a.Record(auditRequest(), auditRequest().Data, ""); err != errAuditFull {
		t.Errorf("Record = %v; want %v", err, errAuditFull)
	}
	// Somebody reads at last: what waited is written.
	lines := bufio.NewReader(pipe)
	for range auditQueue + 1 {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}
