package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/choria"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/cli"
	"choria.io/choria/go/internal/federation"
	"choria.io/choria/go/internal/lab/labtest"
	"choria.io/choria/go/internal/security"
	"choria.io/choria/go/internal/security/pki"
	"choria.io/choria/go/internal/transport"
)

var update = flag.Bool("update", false, "write the help texts in testdata anew")

func TestMain(m *testing.M) {
	run := func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(cli.Main(ctx, os.Args[0], os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	testscript.Main(m, map[string]func(){"choria": run, "mco": run, "doomed-node": doomedNode})
}

// TestScripts runs the transcripts in testdata/script against a network of a broker and three nodes,
// all in this process; the client is a process of its own.
func TestScripts(t *testing.T) {
	site := labtest.TLSBroker(t)
	libdir := writeDemoDDL(t, site.Dir)
	startNodes(t, site)
	startFederation(t, site)
	configs := writeConfigs(t, site, libdir)
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CHORIA_CONFIG", filepath.Join(configs, "client.cfg"))
			e.Setenv("CONFIGS", configs)
			e.Setenv("MCOLLECTIVE_CERTNAME", "alice.mcollective") // whoever runs the tests
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and checks its exit status: exits 3 mco rpc ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit status %d, want %d", code, want)
	}
}

// startFederation runs a federation broker until the test ends. The broker of the site is that of the
// federation too.
func startFederation(t *testing.T, site *labtest.Site) {
	t.Helper()
	id := site.Identity(t, "fed.example.net", security.ForServer)
	side := federation.Side{Options: transport.Options{Servers: []string{site.URL}, TLS: id.ClientTLS(), ConnectTimeout: 30 * time.Second}}
	ready := make(chan struct{})
	b := &federation.Broker{Site: "london", Identity: "fed.example.net", Workers: 1, Federation: side, Collective: side, Ready: func() { close(ready) }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("federation broker: %v", err)
		}
	})
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("the federation broker is not ready after a minute")
	}
}

// demoDDL describes an agent that answers, fails on n2 and is silent on n3.
const demoDDL = `{
  "$schema": "https://choria.io/schemas/mcorpc/ddl/v1/agent.json",
  "metadata": {"name": "demo", "description": "Shows what can happen", "author": "test", "license": "Apache-2.0", "version": "1.0.0", "url": "https://choria.io", "timeout": 10, "provider": "golang"},
  "actions": [
    {"action": "echo", "description": "Says it again", "display": "always",
     "input": {
       "msg": {"prompt": "Message", "description": "What to say", "type": "string", "optional": false, "validation": "^[^;]*$", "maxlength": 20},
       "times": {"prompt": "Times", "description": "How often", "type": "integer", "optional": true, "default": 1}},
     "output": {
       "out": {"description": "What was said", "display_as": "Said"},
       "node": {"description": "Who said it", "display_as": "By"}},
     "aggregate": [{"function": "summary", "args": ["out"]}]},
    {"action": "fail", "description": "Fails on n2", "display": "failed", "input": {}, "output": {"out": {"description": "o", "display_as": "Out"}}},
    {"action": "hang", "description": "Says nothing on n3", "display": "failed", "input": {}, "output": {"out": {"description": "o", "display_as": "Out"}}}
  ]}`

func writeDemoDDL(t *testing.T, dir string) (libdir string) {
	t.Helper()
	libdir = filepath.Join(dir, "lib")
	agents := filepath.Join(libdir, "choria", "agent")
	if err := os.MkdirAll(agents, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(agents, "demo.json"), []byte(demoDDL), 0o600); err != nil {
		t.Fatal(err)
	}
	return libdir
}

// startNodes runs n1, n2 and n3.example.net until the test ends.
func startNodes(t *testing.T, site *labtest.Site) {
	t.Helper()
	description, err := ddl.Parse([]byte(demoDDL))
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{}, 3)
	for i := 1; i <= 3; i++ {
		name := fmt.Sprintf("n%d.example.net", i)
		site.Issue(t, pki.Request{Name: name})
		node := &choria.Server{
			Identity: name,
			Brokers:  []string{strings.TrimPrefix(site.URL, "nats://")},
			TLS: &choria.TLS{
				CA:          filepath.Join(site.Dir, "ca.pem"),
				Certificate: filepath.Join(site.Dir, name+".pem"),
				Key:         filepath.Join(site.Dir, name+".key"),
			},
			Settings:  map[string]string{"plugin.choria.network.connect_timeout": "30s"},
			Agents:    []*agent.Agent{demoAgent(description, name)},
			Facts:     func() json.RawMessage { return fmt.Appendf(nil, `{"ram":%d,"os":{"family":"Debian"}}`, 2048/(1+i/3)) },
			Classes:   func() []string { return []string{"base", fmt.Sprintf("role::r%d", i)} },
			Authorize: func(*agent.Request) bool { return true },
			Ready:     func() { ready <- struct{}{} },
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- node.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for range 3 {
		select {
		case <-ready:
		case <-time.After(time.Minute):
			t.Fatal("the nodes are not ready after a minute")
		}
	}
}

func demoAgent(description *ddl.Agent, node string) *agent.Agent {
	return &agent.Agent{DDL: description, Actions: map[string]agent.Action{
		"echo": func(_ context.Context, req *agent.Request, reply *agent.Reply) error {
			var in struct {
				Msg   string `json:"msg"`
				Times int    `json:"times"`
			}
			if err := req.Bind(&in); err != nil {
				return err
			}
			reply.Data = map[string]any{"out": strings.Repeat(in.Msg, in.Times), "node": node}
			return nil
		},
		"fail": func(_ context.Context, _ *agent.Request, reply *agent.Reply) error {
			if node == "n2.example.net" {
				return agent.Errorf(agent.Aborted, "n2 does not want to")
			}
			reply.Data = map[string]any{"out": "fine"}
			return nil
		},
		"hang": func(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
			if node == "n3.example.net" {
				<-ctx.Done()
			}
			reply.Data = map[string]any{"out": "fine"}
			return nil
		},
	}}
}

// writeConfigs writes client configurations: one that works, and one for each way not to get in.
func writeConfigs(t *testing.T, site *labtest.Site, libdir string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	other := labtest.NewSite(t)
	const name = "alice.mcollective"
	site.Issue(t, pki.Request{Name: name, RSA: true})
	other.Issue(t, pki.Request{Name: name, RSA: true})
	site.Issue(t, pki.Request{Name: "expired.mcollective", RSA: true, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	site.Issue(t, pki.Request{Name: "open.mcollective", RSA: true})
	if err := os.Chmod(filepath.Join(site.Dir, "open.mcollective.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()

	address := strings.TrimPrefix(site.URL, "nats://")
	write := func(file, broker, ca, from, cert string, lines ...string) {
		base := []string{
			"identity = workstation.example.net",
			"plugin.choria.middleware_hosts = " + broker,
			"plugin.choria.use_srv = false",
			"plugin.choria.network.connect_timeout = 30s",
			"plugin.security.provider = file",
			"plugin.security.file.certificate = " + filepath.Join(from, cert+".pem"),
			"plugin.security.file.key = " + filepath.Join(from, cert+".key"),
			"plugin.security.file.ca = " + ca,
			"libdir = " + libdir,
			"discovery_timeout = 20",
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Join(append(base, lines...), "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := filepath.Join(site.Dir, "ca.pem")
	write("client.cfg", address, ca, site.Dir, name)
	write("other-ca.cfg", address, ca, other.Dir, name)
	write("strange-broker.cfg", address, filepath.Join(other.Dir, "ca.pem"), other.Dir, name)
	write("expired.cfg", address, ca, site.Dir, "expired.mcollective")
	write("open-key.cfg", address, ca, site.Dir, "open.mcollective")
	write("no-key.cfg", address, ca, site.Dir, "nobody.mcollective")
	write("closed.cfg", closed, ca, site.Dir, name)
	write("federated.cfg", "127.0.0.1:1", ca, site.Dir, name,
		"plugin.choria.federation.collectives = london, nowhere", "plugin.choria.federation_middleware_hosts = "+address)
	write("filtered.cfg", address, ca, site.Dir, name, "plugin.choria.require_client_filter = true")
	return dir
}
