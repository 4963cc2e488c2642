package lab_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/lab"
	"choria.io/choria/go/internal/lab/labtest"
)

// secrets are those that a playbook gets. They are others in every test: the list of processes has those of all.
type secrets struct {
	argument string // on the command line
	file     string // in a file, given as @FILE
	stored   string // in a data store, which the playbook says is sensitive
	token    string // in a data store, the token of Slack
	header   string // in a data store, a header
}

func newSecrets() secrets {
	plant := func(what string) string { return "planted-" + what + "-" + rand.Text() }
	return secrets{plant("argument"), plant("file"), plant("stored"), plant("token"), plant("header")}
}

// in returns which secrets are in data.
func (s secrets) in(data []byte) (found []string) {
	for _, secret := range []string{s.argument, s.file, s.stored, s.token, s.header} {
		if bytes.Contains(data, []byte(secret)) {
			found = append(found, secret)
		}
	}
	return found
}

// search looks for secrets in all files below dir, also in their names.
func (s secrets) search(t *testing.T, when, dir string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // it went away meanwhile, or has no content
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		if found := s.in(append(data, path...)); found != nil {
			t.Errorf("%s: %s has %s", when, path, found)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return files
}

// searchProcesses looks for secrets in the command lines of all processes but this one.
func (s secrets) searchProcesses(t *testing.T, when string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatalf("list of processes: %v, %v", lines, err)
	}
	for _, path := range lines {
		data, err := os.ReadFile(path)
		if err != nil || strings.HasPrefix(path, fmt.Sprintf("/proc/%d/", os.Getpid())) {
			continue // it has ended
		}
		if found := s.in(data); found != nil {
			t.Errorf("%s: %s is %q, with %s", when, path, bytes.ReplaceAll(data, []byte{0}, []byte{' '}), found)
		}
	}
}

// TestPlaybooksLeaveNoSecrets runs a playbook that has secrets in a network whose brokers and nodes log all that they can,
// and looks for them in everything that the run leaves behind: what it printed, its report, its temporary files and its
// cache, the logs and audits of all daemons, and the list of processes while it runs.
func TestPlaybooksLeaveNoSecrets(t *testing.T) {
	s := newSecrets()
	n := &lab.Network{Nodes: 2, Bin: labtest.Binaries(t), Dir: filepath.Join(t.TempDir(), "lab"), LogLevel: "debug"}
	err := n.Run(t.Context(), func(ctx context.Context, site *lab.Site) error {
		for _, tt := range []struct{ name, given, secret string }{
			{"a secret in a file", "@file", s.file},
			{"a secret on the command line", s.argument, s.argument},
		} {
			t.Run(tt.name, func(t *testing.T) { s.runVault(t, ctx, site, tt.given, tt.secret) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files := s.search(t, "after the end of the network", n.Dir); files < 20 {
		t.Errorf("there were %d files to look at", files)
	}
	audit, err := os.ReadFile(filepath.Join(n.Dir, "log", "node1.lab.audit.log"))
	if err != nil || !bytes.Contains(audit, []byte(`"password":"(masked)"`)) {
		t.Errorf("the audit is %s, %v; want the request, with the secret masked", audit, err)
	}
}

func (s secrets) runVault(t *testing.T, ctx context.Context, site *lab.Site, given, secret string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "got " + r.Header.Get("Authorization"), "body": string(body)})
	}))
	defer server.Close()

	// What it knows is planted in own, what it leaves is in left.
	own, left := t.TempDir(), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(own, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	store := write("store.json", fmt.Sprintf(`{"stored":%q,"token":%q,"header":%q}`, s.stored, s.token, s.header))
	if file, ok := strings.CutPrefix(given, "@"); ok {
		given = "@" + write(file, secret+"\n")
	}
	modules, err := filepath.Abs("testdata/modules")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"tmp", "home"} {
		if err := os.Mkdir(filepath.Join(left, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	marker := filepath.Join(left, "marker")
	cmd := exec.CommandContext(ctx, filepath.Join(site.Bin, "mco"), "playbook", "run", "vault", "--verbose", "--given", given,
		"--store.type", "file", "--store.file", store, "--store.format", "json", "--server", server.URL, "--marker", marker,
		"--modulepath", modules, "--run-report", filepath.Join(left, "report.json"))
	cmd.Env = append(append(os.Environ(), site.Environ()...), "TMPDIR="+filepath.Join(left, "tmp"), "HOME="+filepath.Join(left, "home"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, "the command of the playbook runs", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the playbook ended early: %v\n%s", err, &out)
		default:
		}
		_, err := os.Stat(marker)
		return err == nil
	})
	s.searchProcesses(t, "while the playbook runs")
	s.search(t, "while the playbook runs", left)
	s.search(t, "while the playbook runs", site.Dir)
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatalf("the playbook failed: %v\n%s", err, &out)
	}

	if found := s.in(out.Bytes()); found != nil {
		t.Errorf("it printed %s:\n%s", found, &out)
	}
	s.search(t, "after the playbook", left)
	report, err := os.ReadFile(filepath.Join(left, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Both say what happened, only not with which secrets.
	for _, want := range []string{"the secrets are [redacted] and [redacted]", "out [redacted]", "err [redacted]",
		"the token is [redacted]", "does not take [redacted]", "got Bearer [redacted]"} {
		if !bytes.Contains(out.Bytes(), []byte(want)) || !bytes.Contains(report, []byte(want)) {
			t.Errorf("it does not say %q in what it printed or in the report:\n%s\n%s", want, &out, report)
		}
	}
	warned := bytes.Contains(out.Bytes(), []byte("A secret on the command line can be read"))
	if warned != (given == secret) {
		t.Errorf("warned of a secret on the command line: %v\n%s", warned, &out)
	}
}
