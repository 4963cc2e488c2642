package agents

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A processInfo is one process, with the names and units of the library sys-proctable, which the
// Ruby agent uses. Times count in ticks of 1/100 s, rss in pages.
//
// The environment and the open files are left empty, as that library does for processes of others:
// they hold secrets.
type processInfo struct {
	CommandLine string            `json:"cmdline"`
	Cwd         any               `json:"cwd"` // null when it may not be read; so are exe and root
	Environ     map[string]string `json:"environ"`
	Exe         any               `json:"exe"`
	FD          map[string]string `json:"fd"`
	Root        any               `json:"root"`
	PID         int               `json:"pid"`
	Comm        string            `json:"comm"`
	State       string            `json:"state"`
	PPID        int64             `json:"ppid"`
	Pgrp        int64             `json:"pgrp"`
	Session     int64             `json:"session"`
	TTY         int64             `json:"tty_nr"`
	Tpgid       int64             `json:"tpgid"`
	Flags       int64             `json:"flags"`
	Minflt      int64             `json:"minflt"`
	Cminflt     int64             `json:"cminflt"`
	Majflt      int64             `json:"majflt"`
	Cmajflt     int64             `json:"cmajflt"`
	Utime       int64             `json:"utime"`
	Stime       int64             `json:"stime"`
	Cutime      int64             `json:"cutime"`
	Cstime      int64             `json:"cstime"`
	Priority    int64             `json:"priority"`
	Nice        int64             `json:"nice"`
	Threads     int64             `json:"num_threads"`
	StartTime   int64             `json:"starttime"` // ticks after boot
	VSize       int64             `json:"vsize"`     // bytes
	RSS         int64             `json:"rss"`       // pages
	RSSBytes    int64             `json:"rss_bytes"` // ours: what a page is differs between machines
	Processor   int64             `json:"processor"`
	RTPriority  int64             `json:"rt_priority"`
	Policy      int64             `json:"policy"`
	Name        string            `json:"name"`
	UID         int               `json:"uid"`
	Username    any               `json:"username"` // the id when the user has no name
	EUID        int               `json:"euid"`
	GID         int               `json:"gid"`
	EGID        int               `json:"egid"`
	PctCPU      float64           `json:"pctcpu"`
	PctMem      float64           `json:"pctmem"`
	NLWP        int64             `json:"nlwp"`
}

const (
	ticks      = 100  // a second; the kernel tells all programs so, whatever it counts in itself
	maxCommand = 4096 // bytes of a command line that are kept
)

// A procTable reads what the kernel tells below a directory such as /proc.
type procTable struct {
	root     string
	memory   float64 // bytes; 0: not known
	boot     int64   // Unix seconds; 0: not known
	pageSize int64
	now      int64
}

func newProcTable(root string) *procTable {
	t := &procTable{root: root, pageSize: int64(os.Getpagesize()), now: time.Now().Unix()}
	for line := range strings.Lines(t.read("meminfo", 4096)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			kB, _ := strconv.ParseFloat(f[1], 64)
			t.memory = kB * 1024
		}
	}
	for line := range strings.Lines(t.read("stat", 1<<20)) { // a line a processor and all interrupts come first
		if f := strings.Fields(line); len(f) == 2 && f[0] == "btime" {
			t.boot, _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return t
}

// read returns at most n bytes of a file, nothing when it cannot be read.
func (t *procTable) read(name string, n int64) string {
	file, err := os.Open(filepath.Join(t.root, name))
	if err != nil {
		return ""
	}
	defer file.Close()
	data, _ := io.ReadAll(io.LimitReader(file, n))
	return string(data)
}

// link returns where a link leads, nil when that may not be known.
func (t *procTable) link(name string) any {
	if target, err := os.Readlink(filepath.Join(t.root, name)); err == nil {
		return target
	}
	return nil
}

// process returns what is known about a process; ok is false when it is gone.
func (t *procTable) process(pid int) (info *processInfo, ok bool) {
	dir := strconv.Itoa(pid)
	p := &processInfo{PID: pid, Environ: map[string]string{}, FD: map[string]string{}}
	if !p.parseStat(t.read(dir+"/stat", 4096)) || !p.parseStatus(t.read(dir+"/status", 8192)) {
		return nil, false
	}
	args := bytes.TrimRight([]byte(t.read(dir+"/cmdline", maxCommand)), "\x00")
	p.CommandLine = strings.TrimSpace(string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
	if p.CommandLine == "" {
		p.CommandLine = p.Comm
	}
	p.Cwd, p.Exe, p.Root = t.link(dir+"/cwd"), t.link(dir+"/exe"), t.link(dir+"/root")
	p.RSSBytes = p.RSS * t.pageSize
	if t.memory > 0 {
		p.PctMem = hundredths(float64(p.RSSBytes) / t.memory * 100)
	}
	if age := float64(t.now-t.boot) - float64(p.StartTime)/ticks; t.boot > 0 && age > 0 {
		p.PctCPU = hundredths(float64(p.Utime+p.Stime) / ticks / age * 100)
	}
	return p, true
}

func hundredths(f float64) float64 { return math.Round(f*100) / 100 }

// parseStat reads /proc/PID/stat, see proc(5). The name stands in parentheses and may itself have
// some, so the last one counts.
func (p *processInfo) parseStat(text string) bool {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return false
	}
	p.Name = text[open+1 : end]
	p.Comm = strings.ReplaceAll(p.Name, " ", "-")
	f := strings.Fields(text[end+1:])
	if len(f) < 22 || f[0] == "" {
		return false
	}
	p.State = f[0]
	number := func(field int) int64 { // counted from 1 as in the manual; the name is 2
		if field-3 >= len(f) {
			return 0
		}
		n, _ := strconv.ParseInt(f[field-3], 10, 64)
		return n
	}
	p.PPID, p.Pgrp, p.Session, p.TTY, p.Tpgid, p.Flags = number(4), number(5), number(6), number(7), number(8), number(9)
	p.Minflt, p.Cminflt, p.Majflt, p.Cmajflt = number(10), number(11), number(12), number(13)
	p.Utime, p.Stime, p.Cutime, p.Cstime = number(14), number(15), number(16), number(17)
	p.Priority, p.Nice, p.Threads, p.StartTime = number(18), number(19), number(20), number(22)
	p.VSize, p.RSS = number(23), number(24)
	p.Processor, p.RTPriority, p.Policy = number(39), number(40), number(41)
	p.NLWP = p.Threads
	return true
}

// parseStatus takes the ids from /proc/PID/status.
func (p *processInfo) parseStatus(text string) bool {
	found := 0
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		real, err1 := strconv.Atoi(f[1])
		effective, err2 := strconv.Atoi(f[2])
		if err1 != nil || err2 != nil {
			continue
		}
		switch f[0] {
		case "Uid:":
			p.UID, p.EUID = real, effective
			found++
		case "Gid:":
			p.GID, p.EGID = real, effective
			found++
		}
	}
	return found == 2
}
