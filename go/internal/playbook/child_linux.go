package playbook

import (
	"os/exec"
	"syscall"
)

// ownProcess puts the child into a process group of its own, so that an interrupt of the terminal reaches
// us alone and the plan can unwind, and makes it end when we do, however that comes about.
func ownProcess(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
