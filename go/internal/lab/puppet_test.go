package lab

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestEndPuppet holds that runs of Puppet end with the lab whose nodes started them, and no others do.
func TestEndPuppet(t *testing.T) {
	mine, other := t.TempDir(), t.TempDir()
	// start starts something that waits for ever, called as Puppet is.
	start := func(config string, leader bool) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("sh", "-c", "read forever", "agent", "--config", config, "--onetime")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: leader}
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
	ends := start(filepath.Join(mine, "etc/node1.lab/puppet.conf"), true)
	var stay []*exec.Cmd
	for _, config := range []string{
		filepath.Join(other, "etc/node1.lab/puppet.conf"), filepath.Join(mine, "etc/node1.lab/facts.json"),
		mine + "/etc/../etc/node1.lab/puppet.conf", "/etc/puppet/puppet.conf",
	} {
		stay = append(stay, start(config, true))
	}
	stay = append(stay, start(filepath.Join(mine, "etc/node1.lab/puppet.conf"), false)) // somebody's own

	if err := endPuppet(mine); err != nil {
		t.Fatal(err)
	}
	if err := ends.Wait(); err == nil || ends.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the run of Puppet ended with %v; want it killed", err)
	}
	for _, cmd := range stay {
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("%q is gone", cmd.Args)
		}
	}
}
