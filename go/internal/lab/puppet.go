package lab

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// puppetGone is how long runs of Puppet may take to be gone once they are killed.
const puppetGone = 10 * time.Second

// endPuppet ends the runs of Puppet that the nodes of a lab in dir have started. Such a run outlives its node on
// purpose, and would go on in a directory that is about to be removed.
func endPuppet(dir string) error {
	var left []int
	for end := time.Now().Add(puppetGone); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		left = puppetRuns(dir)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			// It leads a session of its own, so this is the run with all that it has started.
			if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return fmt.Errorf("lab: end Puppet, process %d: %w", pid, err)
			}
		}
	}
	return fmt.Errorf("lab: runs of Puppet do not end: processes %v", left)
}

// puppetRuns returns the processes that run Puppet with the configuration of a node of a lab in dir.
func puppetRuns(dir string) []int {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is a good one; elsewhere there is no /proc
	var runs []int
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && ofNode(dir, line) && leads(pid) {
			runs = append(runs, pid)
		}
	}
	return runs
}

// ofNode reports whether a command line, as /proc has it, names the configuration of the Puppet of a node.
func ofNode(dir string, line []byte) bool {
	_, rest, ok := bytes.Cut(line, []byte("\x00--config\x00"))
	if !ok {
		return false
	}
	config, _, _ := strings.Cut(string(rest), "\x00")
	ok, err := filepath.Match("*/puppet.conf", strings.TrimPrefix(config, filepath.Join(dir, "etc")+"/"))
	return ok && err == nil && strings.HasPrefix(config, dir+"/") && fs.ValidPath(strings.TrimPrefix(config, "/"))
}

// leads reports whether a process leads its process group, as what nodes start does.
func leads(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && group == pid
}
