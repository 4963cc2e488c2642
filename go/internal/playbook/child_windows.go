package playbook

import (
	"errors"
	"os"
	"os/exec"
)

func ownProcess(*exec.Cmd) {}

func socketPair() (ours, theirs *os.File, err error) {
	return nil, nil, errors.New("playbooks need a system that passes sockets to child processes")
}
