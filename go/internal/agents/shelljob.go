package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/uuid/v5"
)

// jobs are the commands that were started. Each has a directory named after its handle:
//
//	command  as it was given
//	stdout   what it has written
//	stderr
//	exit     its exit code and a newline, once it has ended
//	process  who runs it, see jobProcess
//	signal   the last signal that kill sent
//
// The daemon is not needed for a command to go on and its exit code to be kept.
type jobs struct{ dir string }

// keepEnded is how long what is known of an ended command is kept.
const keepEnded = 7 * 24 * time.Hour

// minder is the script that runs a command, its first argument, in a shell of its own and writes
// the exit code to descriptor 3. Signals to the whole group reach the command, while the minder
// stays for the exit code: a trap with a command in it is reset in the child.
const minder = `trap : HUP INT TERM; /bin/sh -c "$1" 3>&-; echo $? >&3`

// A jobProcess says which process runs a job. Process ids are used again, so when it started and in
// which life of the machine belong to it.
type jobProcess struct {
	PID   int    `json:"pid"`
	Start int64  `json:"start"` // ticks after boot
	Boot  string `json:"boot"`  // id of the boot
}

// A job is one started command.
type job struct {
	handle string
	dir    string
}

// start runs a command in the background and returns its handle.
func (js jobs) start(command, user string) (handle string, err error) {
	if err := js.prepare(); err != nil {
		return "", err
	}
	js.prune(time.Now().Add(-keepEnded))
	id, err := uuid.NewV4()
	if err != nil {
		return "", err
	}
	j := &job{handle: id.String(), dir: filepath.Join(js.dir, id.String())}
	if err := os.Mkdir(j.dir, 0o700); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(j.dir)
		}
	}()
	if err := os.WriteFile(j.path("command"), []byte(command), 0o600); err != nil {
		return "", err
	}
	files := make(map[string]*os.File)
	for _, name := range []string{"stdout", "stderr", "exit"} {
		file, err := os.OpenFile(j.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return "", err
		}
		defer file.Close()
		files[name] = file
	}
	cmd := exec.Command("/bin/sh", "-c", minder, "sh", command)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = files["stdout"], files["stderr"]
	cmd.ExtraFiles = []*os.File{files["exit"]}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := runAs(cmd, user); err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start command: %w", err)
	}
	go cmd.Wait() // so that it leaves the process table; the exit code is in the file
	p := jobProcess{PID: cmd.Process.Pid, Start: startTime(cmd.Process.Pid), Boot: bootID()}
	data, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(j.path("process"), data, 0o600)
	}
	if err != nil { // nobody could ever find it again
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return "", err
	}
	return j.handle, nil
}

// prepare makes the directory and refuses one in which others could plant files.
func (js jobs) prepare() error {
	if err := os.MkdirAll(js.dir, 0o700); err != nil {
		return fmt.Errorf("plugin.shell.state_path: %w", err)
	}
	st, err := os.Stat(js.dir)
	if err != nil {
		return fmt.Errorf("plugin.shell.state_path: %w", err)
	}
	owner := st.Sys().(*syscall.Stat_t).Uid
	if int(owner) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("plugin.shell.state_path %s: others may write there (owner %d, mode %04o), want a directory of user %d alone",
			js.dir, owner, st.Mode().Perm(), os.Geteuid())
	}
	return nil
}

// open returns the job with that handle.
func (js jobs) open(handle string) (*job, error) {
	// Only what start made up can be a path.
	if id, err := uuid.FromString(handle); err != nil || id.String() != handle {
		return nil, fmt.Errorf("handle %q: no such command", handle)
	}
	j := &job{handle: handle, dir: filepath.Join(js.dir, handle)}
	if _, err := os.Stat(j.path("command")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("handle %q: no such command", handle)
		}
		return nil, err
	}
	return j, nil
}

// all returns all jobs.
func (js jobs) all() ([]*job, error) {
	entries, err := os.ReadDir(js.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*job
	for _, e := range entries {
		if j, err := js.open(e.Name()); err == nil {
			all = append(all, j)
		}
	}
	return all, nil
}

// prune forgets the jobs that ended before t.
func (js jobs) prune(t time.Time) {
	all, err := js.all()
	if err != nil {
		return
	}
	for _, j := range all {
		status, _ := j.state()
		st, err := os.Stat(j.path("exit"))
		if status != "running" && err == nil && st.ModTime().Before(t) {
			os.RemoveAll(j.dir)
		}
	}
}

func (j *job) path(name string) string { return filepath.Join(j.dir, name) }

func (j *job) command() string {
	data, _ := os.ReadFile(j.path("command"))
	return string(data)
}

// state returns running, stopped or failed, and the exit code when it is known. Failed is a command
// of which it is not known who ran it.
func (j *job) state() (status string, code *int) {
	if code := j.exit(); code != nil {
		return "stopped", code
	}
	p, err := j.process()
	if err != nil {
		return "failed", nil
	}
	if p.alive() {
		return "running", nil
	}
	if code := j.exit(); code != nil { // it ended meanwhile
		return "stopped", code
	}
	if signal, err := os.ReadFile(j.path("signal")); err == nil && string(signal) == "KILL" {
		killed := 128 + int(syscall.SIGKILL) // its minder with it
		return "stopped", &killed
	}
	return "stopped", nil
}

// exit returns the exit code that the minder has written, nil when it has not.
func (j *job) exit() *int {
	data, err := os.ReadFile(j.path("exit"))
	text, complete := strings.CutSuffix(string(data), "\n")
	code, bad := strconv.Atoi(text)
	if err != nil || !complete || bad != nil {
		return nil
	}
	return &code
}

func (j *job) process() (p jobProcess, err error) {
	data, err := os.ReadFile(j.path("process"))
	if err != nil {
		return p, err
	}
	err = json.Unmarshal(data, &p)
	if err == nil && p.PID <= 1 { // a group of 1 would be everybody
		err = fmt.Errorf("%s: no process %d", j.path("process"), p.PID)
	}
	return p, err
}

// alive reports whether this very process runs.
func (p jobProcess) alive() bool {
	if p.Boot != bootID() {
		return false
	}
	var info processInfo
	return info.parseStat(procFile(p.PID)) && info.StartTime == p.Start && info.State != "Z"
}

// kill sends SIGTERM to the command and all that it started, SIGKILL from the second time on.
func (j *job) kill() error {
	status, _ := j.state()
	p, err := j.process()
	if status != "running" || err != nil {
		return fmt.Errorf("handle %q: the command has ended already", j.handle)
	}
	name, signal := "TERM", syscall.SIGTERM
	if _, err := os.Stat(j.path("signal")); err == nil {
		name, signal = "KILL", syscall.SIGKILL
	}
	// First the note: with SIGKILL nobody is left to write the exit code.
	if err := os.WriteFile(j.path("signal"), []byte(name), 0o600); err != nil {
		return err
	}
	if err := syscall.Kill(-p.PID, signal); err != nil {
		return fmt.Errorf("kill process group %d: %w", p.PID, err)
	}
	return nil
}

// output returns what of stdout or stderr there is from offset on. Of a command that is running
// more may follow.
func (j *job) output(name string, offset int64, running bool) (*head, error) {
	file, err := os.Open(j.path(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h := &head{}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	n, err := io.Copy(h, io.LimitReader(file, maxPlain))
	if err != nil {
		return nil, err
	}
	h.open = running || n == maxPlain
	return h, nil
}

// startTime returns when a process of ours started, in ticks after boot.
func startTime(pid int) int64 {
	var info processInfo
	info.parseStat(procFile(pid))
	return info.StartTime
}

func procFile(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return string(data)
}

func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
}
