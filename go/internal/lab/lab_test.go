package lab_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/lab"
	"choria.io/choria/go/internal/lab/labtest"
)

func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }

// alive reports whether a process runs; a dead one that nobody has waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// eventually waits until ok holds, for as long as a busy machine may need.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func pids(t *testing.T, site *lab.Site) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, name := range append([]string{"broker1"}, site.Nodes...) {
		pid, err := site.PID(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = pid
	}
	return all
}

func TestLabsSideBySide(t *testing.T) {
	ctx := t.Context()
	outer := &lab.Network{Nodes: 2, Bin: labtest.Binaries(t)}
	inner := &lab.Network{Nodes: 2, Bin: labtest.Binaries(t), Dir: filepath.Join(t.TempDir(), "kept")}
	var started []int
	err := outer.Run(ctx, func(ctx context.Context, one *lab.Site) error {
		return inner.Run(ctx, func(ctx context.Context, two *lab.Site) error {
			for _, site := range []*lab.Site{one, two} {
				for _, pid := range pids(t, site) {
					started = append(started, pid)
				}
				c, err := client.Open(ctx, client.Options{Config: site.Config})
				if err != nil {
					return err
				}
				defer c.Close()
				found, err := c.Discover(ctx, client.Discovery{})
				if err != nil {
					return err
				}
				if !slices.Equal(found, site.Nodes) {
					t.Errorf("discovered %v, want %v", found, site.Nodes)
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range started {
		if alive(pid) {
			t.Errorf("process %d outlived its lab", pid)
		}
	}
	for _, name := range []string{"client.conf", "ssl/ca.pem", "etc/node1.lab/server.conf", "log/node1.lab.log", "log/broker1.log"} {
		if _, err := os.Stat(filepath.Join(inner.Dir, name)); err != nil {
			t.Errorf("left in the directory of the lab: %v", err)
		}
	}
	key, err := os.Stat(filepath.Join(inner.Dir, "ssl", "node1.lab.key"))
	if err != nil {
		t.Fatal(err)
	}
	if key.Mode().Perm() != 0o600 {
		t.Errorf("mode of a key is %o, want 600", key.Mode().Perm())
	}
}

func TestErrorOfUseComesBack(t *testing.T) {
	want := errors.New("no")
	err := (&lab.Network{Nodes: 1, Bin: labtest.Binaries(t)}).Run(t.Context(), func(context.Context, *lab.Site) error { return want })
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func TestDaemonThatCannotStart(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"choria-broker", "choria-server"} {
		script := "#!/bin/sh\necho cannot work >&2\nexit 3\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	err := (&lab.Network{Nodes: 1, Bin: bin}).Run(t.Context(), func(context.Context, *lab.Site) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "cannot work") {
		t.Errorf("error is %v, want one with the status and the output of the daemon", err)
	}
}

func TestDirectoryOfOthers(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(mine, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := (&lab.Network{Dir: dir, Bin: labtest.Binaries(t)}).Run(t.Context(), func(context.Context, *lab.Site) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "holds other files") {
		t.Errorf("error is %v, want a refusal", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

// TestKilledLabLeavesNothing kills the lab itself, which then has no chance to clean up.
func TestKilledLabLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	bin := labtest.Binaries(t)
	cmd := exec.Command(filepath.Join(bin, "choria"), "lab", "run", "--nodes", "2", "--dir", dir, "--", "sh", "-c", "echo $$; exec tail -f /dev/null")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("output of the command: %v", err)
	}
	command, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	all := pids(t, &lab.Site{Dir: dir, Nodes: []string{"node1.lab", "node2.lab"}})
	all["the command"] = command
	for name, pid := range all {
		if !alive(pid) {
			t.Fatalf("%s does not run", name)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for name, pid := range all {
		eventually(t, name+" is gone", func() bool { return !alive(pid) })
	}
}

func TestExitStatusOfTheCommand(t *testing.T) {
	cmd := exec.Command(filepath.Join(labtest.Binaries(t), "choria"), "lab", "run", "--nodes", "1", "--quiet", "--", "sh", "-c", "exit 7")
	cmd.Stderr = os.Stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 7 {
		t.Errorf("lab run ended with %v, want exit status 7", err)
	}
}

// firstLine returns the first line that is sent by who listens on address.
func firstLine(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// TestBrokerKilledForGood kills the only broker while nodes run an action. The client tells at once that it is gone and how
// long it waits, ends when that is over, and names those that did not answer.
func TestBrokerKilledForGood(t *testing.T) {
	bin := labtest.Binaries(t)
	asked := filepath.Join(t.TempDir(), "asked")
	if err := os.WriteFile(asked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := (&lab.Network{Nodes: 2, Bin: bin}).Run(t.Context(), func(ctx context.Context, site *lab.Site) error {
		defer os.Remove(asked) // which ends the action
		run := "echo x >>" + asked + "; while [ -e " + asked + " ]; do sleep 0.1; done"
		var stdout, stderr strings.Builder
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "choria"), "rpc", "shell", "run", "command="+run, "--timeout", "15", "--np")
		cmd.Env = append(os.Environ(), site.Environ()...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		eventually(t, "the action runs on both nodes", func() bool {
			data, err := os.ReadFile(asked)
			return err == nil && len(data) == 4
		})
		if err := site.Kill("broker1"); err != nil {
			return err
		}
		_ = cmd.Wait() // its exit status is looked at
		if got := cmd.ProcessState.ExitCode(); got != 1 {
			t.Errorf("exit status %d; want 1", got)
		}
		for _, want := range []string{"Finished processing 0 / 2 hosts in ", "\nNo Responses from: 2\n\n    node1.lab    node2.lab "} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("no %q in what it printed\n%s", want, &stdout)
			}
		}
		for _, want := range []string{`msg="the broker is gone, waiting for replies as long as the request may take"`, "error: connection to the broker lost during the request: no answer from node1.lab, node2.lab\n"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("no %q in its errors\n%s", want, &stderr)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
