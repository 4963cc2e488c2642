package subprocess

import "syscall"

func attributes(attentive bool) *syscall.SysProcAttr {
	if attentive { // it would be killed before it can do its duty
		return &syscall.SysProcAttr{Setpgid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
