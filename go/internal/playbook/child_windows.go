package playbook

import (
	"errors"
	"io"
	"os"
	"os/exec"
)

func ownProcess(*exec.Cmd) {}

func socketPair() (ours io.ReadWriteCloser, theirs *os.File, err error) {
	return nil, nil, errors.New("playbooks need a system that passes sockets to child processes")
}
