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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"choria.io/choria/go/internal/puppettask"
)

// keepTasks is how long what is known of a task that has ended is kept.
const keepTasks = 7 * 24 * time.Hour

// taskMinder is the script that runs a task, its arguments, and writes the exit code to descriptor 3. Signals
// to the whole group reach the task, while the minder stays for the exit code.
const taskMinder = `trap : HUP INT TERM; "$@" 3>&-; echo $? >&3`

// A taskSpool holds the tasks that run and that have run. Each has a directory named after the request:
//
//	choria.json  what runs, for whom, since when; not with which input, which may be secret
//	files/       the files of the task, until it has ended
//	stdout       what it has written
//	stderr
//	exitcode     its exit code and a newline, once it has ended
//	process      who runs it, see jobProcess
//	killed       why it was killed, if so
//
// The daemon is not needed for a task to go on and its exit code to be kept. Source: rpc section 3.5.
type taskSpool struct{ dir string }

// A taskOrder is what to run.
type taskOrder struct {
	id     string // of the request
	caller string
	task   string
	files  []puppettask.File
	input  map[string]json.RawMessage
	method string // stdin, environment or both
	user   string // empty: that of the daemon
}

// A spooledTask is one task in the spool.
type spooledTask struct {
	dir   string
	about taskAbout
	ended chan struct{} // closed when it has; nil for a task that another request has started
}

// taskAbout is what stands in choria.json.
type taskAbout struct {
	Start   int64  `json:"start_time"` // seconds of 1970 UTC
	Caller  string `json:"caller"`
	Task    string `json:"task"`
	Request struct {
		Executable string   `json:"executable"`
		Arguments  []string `json:"arguments"`
		Stdout     string   `json:"stdout"`
		Stderr     string   `json:"stderr"`
		ExitCode   string   `json:"exitcode"`
	} `json:"request"`
}

var taskID = regexp.MustCompile(`\A[a-zA-Z0-9]{1,64}\z`)

// errRanBefore is the error of a request that comes again.
var errRanBefore = errors.New("has been run before")

// start starts a task.
func (s *taskSpool) start(cache *taskCache, o taskOrder) (t *spooledTask, err error) {
	if !taskID.MatchString(o.id) {
		return nil, fmt.Errorf("request %q: no id that a directory can have", o.id)
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return nil, fmt.Errorf("plugin.choria.tasks.directory: %w", err)
	}
	s.prune(time.Now().Add(-keepTasks))
	t = &spooledTask{dir: filepath.Join(s.dir, o.id), ended: make(chan struct{})}
	if err := os.Mkdir(t.dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("task %s: %w", o.id, errRanBefore)
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(t.dir)
		}
	}()
	executable, err := cache.place(o.files, o.task, t.path("files"))
	if err != nil {
		return nil, err
	}
	t.about.Start, t.about.Caller, t.about.Task = time.Now().Unix(), o.caller, o.task
	t.about.Request.Executable, t.about.Request.Arguments = executable, []string{}
	t.about.Request.Stdout, t.about.Request.Stderr, t.about.Request.ExitCode = t.path("stdout"), t.path("stderr"), t.path("exitcode")
	about, err := json.Marshal(t.about)
	if err == nil {
		err = os.WriteFile(t.path("choria.json"), about, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return t, t.spawn(o, executable)
}

// spawn starts the program of the task.
func (t *spooledTask) spawn(o taskOrder, executable string) error {
	files := make(map[string]*os.File)
	for _, name := range []string{"stdout", "stderr", "exitcode"} {
		file, err := os.OpenFile(t.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		files[name] = file
	}
	stdin, err := t.stdin(o)
	if err != nil {
		return err
	}
	defer stdin.Close()
	cmd := exec.Command("/bin/sh", "-c", taskMinder, "sh", executable)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, files["stdout"], files["stderr"]
	cmd.ExtraFiles = []*os.File{files["exitcode"]}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = environment()
	if err := runAs(cmd, o.user); err != nil {
		return err
	}
	if cmd.SysProcAttr.Credential != nil {
		if err := t.open(); err != nil {
			return err
		}
	}
	cmd.Env = append(cmd.Env, t.variables(o)...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start task %s: %w", o.task, err)
	}
	p := jobProcess{PID: cmd.Process.Pid, Start: startTime(cmd.Process.Pid), Boot: bootID()}
	data, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(t.path("process"), data, 0o600)
	}
	if err != nil { // nobody could ever find it again
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in the file
		os.RemoveAll(t.path("files"))
		close(t.ended)
	}()
	return err
}

// open lets other users reach the files of the task, and nothing else.
func (t *spooledTask) open() error {
	spool := filepath.Dir(t.dir)
	for _, dir := range []string{t.dir, spool, filepath.Dir(spool)} {
		st, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, st.Mode().Perm()|0o011)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// metadata are the inputs that every task gets.
func (t *spooledTask) metadata(o taskOrder) map[string]string {
	return map[string]string{"_task": o.task, "_installdir": t.path("files")}
}

// stdin returns what the task reads, in a file that has no name: the input may be secret.
func (t *spooledTask) stdin(o taskOrder) (*os.File, error) {
	if o.method == "environment" {
		return os.Open(os.DevNull)
	}
	input := make(map[string]any, len(o.input)+2)
	for name, value := range t.metadata(o) {
		input[name] = value
	}
	for name, value := range o.input {
		input[name] = value
	}
	data, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	file, err := nameless()
	if err != nil {
		return nil, err
	}
	if _, err = file.Write(append(data, '\n')); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// variables are what the task finds in its environment.
func (t *spooledTask) variables(o taskOrder) []string {
	env := []string{"_task=" + o.task, "_choria_task_id=" + o.id, "_choria_task_caller=" + o.caller}
	for name, value := range t.metadata(o) {
		env = append(env, "PT_"+name+"="+value)
	}
	if o.method == "stdin" {
		return env
	}
	for name, value := range o.input {
		text := string(value)
		var plain string
		if json.Unmarshal(value, &plain) == nil && text != "null" {
			text = plain
		}
		// What no environment can hold is left to those that read their input.
		if !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(text, 0) {
			env = append(env, "PT_"+name+"="+text)
		}
	}
	slices.Sort(env)
	return env
}

func (t *spooledTask) path(name string) string { return filepath.Join(t.dir, name) }

// find returns the task of a request, fs.ErrNotExist when there is none.
func (s *taskSpool) find(id string) (*spooledTask, error) {
	if !taskID.MatchString(id) {
		return nil, fs.ErrNotExist
	}
	t := &spooledTask{dir: filepath.Join(s.dir, id)}
	data, err := os.ReadFile(t.path("choria.json"))
	if err == nil {
		err = json.Unmarshal(data, &t.about)
	}
	return t, err
}

// prune forgets the tasks that ended before ended, and the files of those that ended while no daemon ran.
func (s *taskSpool) prune(ended time.Time) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return // there is nothing to forget
	}
	for _, e := range entries {
		t, err := s.find(e.Name())
		if err != nil || t.state().Running {
			continue
		}
		os.RemoveAll(t.path("files"))
		if st, err := os.Stat(t.path("exitcode")); err == nil && st.ModTime().Before(ended) {
			os.RemoveAll(t.dir)
		}
	}
}

// A taskState is how far a task is.
type taskState struct {
	Running bool
	Code    int           // -1 while it runs, and when nobody saw it end
	Runtime time.Duration // until now, or until it ended
	Killed  string        // why it was killed, if so
}

func (t *spooledTask) state() taskState {
	p, known := t.process()
	alive := known && p.alive() // looked at first: what has ended since has left its exit code
	s := taskState{Code: -1, Runtime: time.Since(time.Unix(t.about.Start, 0))}
	if text, err := os.ReadFile(t.path("killed")); err == nil {
		s.Killed = string(text)
	}
	data, err := os.ReadFile(t.path("exitcode"))
	text, complete := strings.CutSuffix(string(data), "\n")
	if code, bad := strconv.Atoi(strings.TrimSpace(text)); err == nil && complete && bad == nil {
		s.Code = code
	} else {
		s.Running = alive
	}
	if st, err := os.Stat(t.path("exitcode")); err == nil && !s.Running {
		s.Runtime = st.ModTime().Sub(time.Unix(t.about.Start, 0))
	}
	s.Runtime = max(0, s.Runtime)
	return s
}

func (t *spooledTask) process() (p jobProcess, ok bool) {
	data, err := os.ReadFile(t.path("process"))
	return p, err == nil && json.Unmarshal(data, &p) == nil && p.PID > 1
}

// kill ends a task and all that it started, which has a moment to do so by itself.
func (t *spooledTask) kill(why string) error {
	p, ok := t.process()
	if !ok || !p.alive() {
		return nil
	}
	if err := os.WriteFile(t.path("killed"), []byte(why), 0o600); err != nil {
		return err
	}
	if err := syscall.Kill(-p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.PID, err)
	}
	timer := time.NewTimer(killDelay)
	defer timer.Stop()
	select {
	case <-t.ended:
		// Whatever it left in the background goes, too. The group may be gone.
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
		return nil
	case <-timer.C:
	}
	err := syscall.Kill(-p.PID, syscall.SIGKILL) // its minder with it
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.PID, err)
	}
	<-t.ended
	if t.state().Code == -1 {
		return os.WriteFile(t.path("exitcode"), fmt.Appendf(nil, "%d\n", 128+int(syscall.SIGKILL)), 0o600)
	}
	return nil
}
