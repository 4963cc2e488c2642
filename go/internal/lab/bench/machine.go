package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Machine is what the figures of a report were measured on.
type Machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryGB  float64 `json:"memory_gb"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	OpenFiles uint64  `json:"open_files"` // that a process may have
	Load      float64 `json:"load"`       // average of the last minute when the run began: 0 is a machine that does nothing else
}

// thisMachine describes the machine; what it does not tell is left empty.
func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU, _ = field("/proc/cpuinfo", "model name")
	if text, ok := field("/proc/meminfo", "MemTotal"); ok {
		m.MemoryGB = float64(kilobytes(text)) / (1 << 20)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		m.OpenFiles = limit.Max
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		m.Load, _ = strconv.ParseFloat(first, 64)
	}
	return m
}

// String is a line about the machine.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d core(s), %.0f GB, %s, %s, %d open files a process, load %.1f before", m.CPU, m.Cores, m.MemoryGB, m.Kernel, m.Go, m.OpenFiles, m.Load)
}

// field returns the value of a line of a file of the form "name: value".
func field(path, name string) (string, bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// kilobytes reads "123 kB".
func kilobytes(text string) int {
	n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(text, "kB")))
	return n
}

// resident returns the resident memory of a process in kB.
func resident(pid int) (int, error) {
	text, ok := field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	if !ok {
		return 0, fmt.Errorf("memory of process %d: not to be found out", pid)
	}
	return kilobytes(text), nil
}

// tick is the unit of times in /proc/PID/stat, the same on all machines that Go runs on. Source: proc(5),
// sysconf(_SC_CLK_TCK).
const tick = 0.01

// processor returns the seconds of processor time that processes have taken so far; one that is gone
// counts as nothing.
func processor(pids ...int) float64 {
	total := 0.0
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The name is in brackets and may hold anything; the times are the 12th and 13th after it.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for i := 11; i <= 12 && i < len(fields); i++ {
			n, _ := strconv.Atoi(fields[i])
			total += float64(n) * tick
		}
	}
	return total
}
