package rubyagent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"choria.io/choria/go/internal/subprocess"
)

const (
	// startPatience is how long a process may take to load its agent, or what an action was found to
	// require. Puppet takes a second.
	startPatience = 60 * time.Second

	// stopPatience is how long a process may take to do what it was told: to end, to kill an action.
	stopPatience = 2 * time.Second

	// linger is how long output is still read after an action has ended while something that it
	// left in the background holds it open.
	linger = 200 * time.Millisecond
)

// errUnsent is a request that certainly did not run.
var errUnsent = errors.New("the process of the agent has ended")

// A parent is a Ruby process that has one agent loaded and forks for each request. The protocol is
// described in ruby/choria/shim/warm.rb.
type parent struct {
	name        string
	fingerprint string // of all files it may have loaded
	log         *slog.Logger
	cmd         *exec.Cmd
	control     *net.UnixConn
	stderr      *stderrLog
	buffer      subprocess.Buffer

	ready chan struct{} // closed when requests may be sent
	gone  chan struct{} // closed when the process has ended

	// Guarded by the lock of the pool.
	active  int
	used    time.Time
	idle    *time.Timer
	retired bool

	unable  atomic.Bool // to fork
	loading atomic.Bool // what an action was found to require; it listens to nothing meanwhile

	mu     sync.Mutex
	jobs   map[string]*job
	tokens int
	failed error // why it ended; set before gone is closed
}

// A job is one request that runs.
type job struct {
	ended  chan struct{}
	status string // set before ended is closed
	err    error  // instead of a status: it was not run
	pid    int    // guarded by the lock of the parent
}

// startParent starts a process. serve must follow.
func startParent(name, ruby string, args []string, log *slog.Logger) (*parent, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	pa := &parent{
		name:    name,
		log:     log,
		control: ours,
		stderr:  &stderrLog{log: log},
		ready:   make(chan struct{}),
		gone:    make(chan struct{}),
		jobs:    make(map[string]*job),
	}
	pa.buffer = pa.stderr.buffer()
	pa.cmd = exec.Command(ruby, args...)
	pa.cmd.Stderr = &pa.buffer
	pa.cmd.ExtraFiles = []*os.File{theirs}
	pa.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pa.cmd.WaitDelay = linger
	if err := pa.cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	log.Debug("process of the agent starts", "pid", pa.pid())
	return pa, nil
}

func (pa *parent) pid() int { return pa.cmd.Process.Pid }

// A report is what a parent says.
type report struct {
	Ready  bool   `json:"ready"`
	Fork   bool   `json:"fork"`
	Forked string `json:"forked"` // a token
	PID    int    `json:"pid"`
	Ended  string `json:"ended"` // a token
	Status *int   `json:"status"`
	Signal *int   `json:"signal"`
	Error  string `json:"error"`

	Loading *bool `json:"loading"`
}

// serve listens to the process until it has ended.
func (pa *parent) serve() {
	late := time.AfterFunc(startPatience, func() {
		pa.log.Warn("process of the agent is killed: it does not get ready", "pid", pa.pid(), "after", startPatience)
		pa.kill()
	})
	lines := bufio.NewScanner(pa.control)
	var err error
	for err == nil && lines.Scan() {
		var m report
		if err = json.Unmarshal(lines.Bytes(), &m); err == nil {
			err = pa.heard(&m, late)
		}
	}
	late.Stop()
	if err != nil {
		pa.log.Warn("process of the agent misbehaves and is killed", "pid", pa.pid(), "err", err)
		pa.kill()
	}
	pa.stop() // so that it sees the end too
	slow := time.AfterFunc(stopPatience, pa.kill)
	waited := pa.cmd.Wait()
	slow.Stop()
	pa.buffer.Finish()
	pa.end(waited)
}

// heard takes one report.
func (pa *parent) heard(m *report, late *time.Timer) error {
	pa.mu.Lock()
	defer pa.mu.Unlock()
	switch {
	case m.Ready:
		select {
		case <-pa.ready:
			return errors.New("ready twice")
		default:
		}
		late.Stop()
		pa.unable.Store(!m.Fork)
		close(pa.ready)
	case m.Loading != nil:
		pa.loading.Store(*m.Loading)
		if late.Stop(); *m.Loading {
			late.Reset(startPatience)
		}
	case m.Forked != "":
		if j := pa.jobs[m.Forked]; j != nil {
			j.pid = m.PID
		}
	case m.Ended != "":
		j := pa.jobs[m.Ended]
		if j == nil {
			return fmt.Errorf("end of %q, which was not running", m.Ended)
		}
		delete(pa.jobs, m.Ended)
		switch {
		case m.Error != "":
			j.err = fmt.Errorf("fork: %s", m.Error)
		case m.Signal != nil:
			j.status = "signal: " + syscall.Signal(*m.Signal).String()
		case m.Status != nil && *m.Status != 0:
			j.status = "exit status " + strconv.Itoa(*m.Status)
		}
		close(j.ended)
	default:
		return errors.New("report not understood")
	}
	return nil
}

// end ends what still runs when the process is gone.
func (pa *parent) end(waited error) {
	pa.mu.Lock()
	defer pa.mu.Unlock()
	pa.failed = errors.New("the process of the agent has ended")
	if waited != nil {
		pa.failed = fmt.Errorf("the process of the agent has ended: %w", waited)
	}
	if text := subprocess.Quote(pa.stderr.raw); text != "" {
		pa.failed = fmt.Errorf("%w, standard error: %s", pa.failed, text)
	}
	for _, j := range pa.jobs {
		// It has been killed by its parent, unless that was killed itself. Its id is still its own
		// then, nearly always: the channel of a request is read to its end before this matters.
		if j.pid > 1 {
			_ = subprocess.KillGroup(j.pid)
		}
		j.err = pa.failed
		close(j.ended)
	}
	pa.jobs = nil
	close(pa.gone)
}

// await waits until requests can be sent.
func (pa *parent) await(ctx context.Context) error {
	select {
	case <-pa.ready:
	case <-pa.gone:
		select {
		case <-pa.ready: // it was, once
			return nil
		default:
		}
		return pa.failed
	case <-ctx.Done():
		return fmt.Errorf("the agent is still being loaded: %w", ctx.Err())
	}
	if pa.unable.Load() {
		return errNoFork
	}
	return nil
}

// stop closes the connection, upon which the process ends itself and all that it runs.
func (pa *parent) stop() { pa.control.Close() }

// kill ends the process at once.
func (pa *parent) kill() {
	select {
	case <-pa.gone: // its id may be that of another by now
	default:
		_ = subprocess.KillGroup(pa.pid())
	}
}

// size returns the resident memory of the process in bytes, zero where that is not known.
func (pa *parent) size() int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pa.pid()) + "/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// send sends one line to the process, and descriptors with it. It never takes long.
func (pa *parent) send(line string, descriptors ...int) error {
	var rights []byte
	if len(descriptors) > 0 {
		rights = syscall.UnixRights(descriptors...)
	}
	if err := pa.control.SetWriteDeadline(time.Now().Add(stopPatience)); err != nil {
		return err
	}
	_, _, err := pa.control.WriteMsgUnix([]byte(line), rights, nil)
	return err
}

// begin sends a request off.
func (pa *parent) begin(descriptors ...int) (string, *job, error) {
	pa.mu.Lock()
	defer pa.mu.Unlock()
	if pa.jobs == nil {
		return "", nil, errUnsent
	}
	pa.tokens++
	token := strconv.Itoa(pa.tokens)
	if err := pa.send("run "+token+"\n", descriptors...); err != nil {
		return "", nil, fmt.Errorf("%w: %w", errUnsent, err)
	}
	j := &job{ended: make(chan struct{})}
	pa.jobs[token] = j
	return token, j, nil
}

// run runs one request.
func (pa *parent) run(ctx context.Context, doc []byte, log *slog.Logger) (*outcome, error) {
	io, err := newStreams(log)
	if err != nil {
		return nil, err
	}
	defer io.close()
	start := time.Now()
	token, j, err := pa.begin(io.theirs()...)
	io.closeTheirs()
	if err != nil {
		return nil, err
	}
	io.start(append(bytes.TrimRight(doc, "\n"), '\n'))
	timedOut := false
	select {
	case <-j.ended:
	case <-ctx.Done():
		timedOut = true
		pa.abort(token, j)
		<-j.ended
	}
	out := io.finish()
	out.status, out.duration = j.status, time.Since(start)
	if j.err != nil {
		return nil, fmt.Errorf("%w, after %s", j.err, out.duration.Round(time.Millisecond))
	}
	if timedOut {
		out.status = fmt.Sprintf("killed after %s", out.duration.Round(time.Millisecond))
	}
	return out, nil
}

// abort ends a job by way of its parent, which knows whether its id is still its own. A parent that
// does not do it is killed itself.
func (pa *parent) abort(token string, j *job) {
	pa.mu.Lock()
	err := pa.send("kill " + token + "\n")
	pa.mu.Unlock()
	if err == nil {
		tick := time.NewTicker(stopPatience)
		defer tick.Stop()
		for waiting := true; waiting; {
			select {
			case <-j.ended:
				return
			case <-tick.C:
				waiting = pa.loading.Load() // that has a limit of its own
			}
		}
	}
	pa.log.Warn("process of the agent does not answer and is killed", "pid", pa.pid())
	pa.kill()
}
