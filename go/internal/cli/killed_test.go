package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/cli"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security/pki"
)

// doomedNode is a node of its own process: doomed-node DIR BROKER. Its action hang makes the file
// DIR/asked and never answers.
func doomedNode() {
	dir, broker := os.Args[1], os.Args[2]
	description, err := ddl.Parse([]byte(demoDDL))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	const name = "doomed.example.net"
	node := &choria.Server{
		Identity: name,
		Brokers:  []string{broker},
		TLS: &choria.TLS{
			CA:          filepath.Join(dir, "ca.pem"),
			Certificate: filepath.Join(dir, name+".pem"),
			Key:         filepath.Join(dir, name+".key"),
		},
		Settings:  map[string]string{"plugin.choria.network.connect_timeout": "30s"},
		Authorize: func(*agent.Request) bool { return true },
		Ready:     func() { _ = os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600) },
		Agents: []*agent.Agent{{DDL: description, Any: func(ctx context.Context, _ *agent.Request, _ *agent.Reply) error {
			if err := os.WriteFile(filepath.Join(dir, "asked"), nil, 0o600); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}, Actions: map[string]agent.Action{}}},
	}
	if err := node.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestNodeKilledDuringARequest holds that the killed one is not waited for, that the others are shown and it is
// named. The exit status is that of those that answered.
func TestNodeKilledDuringARequest(t *testing.T) {
	site := labtest.TLSBroker(t)
	libdir := writeDemoDDL(t, site.Dir)
	startNodes(t, site)
	configs := writeConfigs(t, site, libdir)
	t.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective")

	site.Issue(t, pki.Request{Name: "doomed.example.net"})
	node := exec.Command("doomed-node", site.Dir, strings.TrimPrefix(site.URL, "nats://"))
	node.Stderr = os.Stderr
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Process.Kill(); _ = node.Wait() })
	await(t, filepath.Join(site.Dir, "ready"))

	var stdout, stderr bytes.Buffer
	status := make(chan int, 1)
	go func() {
		args := []string{"rpc", "demo", "hang", "-c", filepath.Join(configs, "client.cfg"), "-I", "/n[12].ex/", "-I", "/doomed/", "--timeout", "600"} // it ends before
		status <- cli.Main(t.Context(), "mco", args, strings.NewReader(""), &stdout, &stderr)
	}()
	await(t, filepath.Join(site.Dir, "asked"))
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != 0 {
		t.Errorf("exit status %d; want 0", got)
	}
	want := regexp.MustCompile(`Finished processing 2 / 3 hosts in .*\n\nNo Responses from: 1\n\n    doomed\.example\.net `)
	if !want.MatchString(stdout.String()) || stderr.Len() > 0 {
		t.Errorf("printed\n%s\nand\n%s\nwant %s", &stdout, &stderr, want)
	}
}

// TestInterrupt holds that what came so far is shown, and that the exit status is that of an interrupt.
func TestInterrupt(t *testing.T) {
	site := labtest.TLSBroker(t)
	libdir := writeDemoDDL(t, site.Dir)
	startNodes(t, site)
	configs := writeConfigs(t, site, libdir)
	t.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	stdout := &watched{want: "n1.example.net", seen: cancel}
	args := []string{"rpc", "demo", "hang", "-c", filepath.Join(configs, "client.cfg"), "-I", "/n[13].ex/", "--display", "all"}
	if got := cli.Main(ctx, "mco", args, strings.NewReader(""), stdout, &stderr); got != 130 {
		t.Errorf("exit status %d; want 130", got)
	}
	if !strings.Contains(stdout.String(), "Finished processing 1 / 2 hosts") || stderr.String() != "error: interrupted\n" {
		t.Errorf("printed\n%s\nand %q", &stdout.Buffer, &stderr)
	}
}

// watched calls seen when want has been written.
type watched struct {
	bytes.Buffer
	want string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.want) {
		w.seen()
	}
	return n, err
}

// await waits until a file is there.
func await(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%s is not there after a minute", path)
		}
	}
}
