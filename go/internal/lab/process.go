package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// processes are the daemons of a lab. They are all started from one locked thread, because the
// kernel kills them (Pdeathsig) when the thread that started them ends, and that must be when this
// process ends and not before.
type processes struct {
	progress io.Writer
	work     chan func() // run by the locked thread
	done     sync.WaitGroup

	mu       sync.Mutex
	running  map[string]*process
	stopping bool
	settle   bool
	dead     error                   // the first death before settled
	death    context.CancelCauseFunc // nil: nobody waits
}

// A process is one daemon that runs.
type process struct {
	cmd    *exec.Cmd
	ending bool          // it was told to end
	gone   chan struct{} // closed when it has ended
}

func newProcesses(progress io.Writer) *processes {
	p := &processes{progress: progress, work: make(chan func()), running: map[string]*process{}}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, after stop
		for f := range p.work {
			f()
		}
	}()
	return p
}

// start starts a daemon whose standard error goes to the file log, and its standard output too unless
// there is a writer for it.
func (p *processes) start(name, log string, stdout io.Writer, program string, args ...string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if stdout != nil {
		cmd.Stdout = stdout
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}

	started := make(chan error)
	p.work <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("lab: start %s: %w", name, err)
	}
	d := &process{cmd: cmd, gone: make(chan struct{})}
	p.mu.Lock()
	p.running[name] = d
	p.mu.Unlock()
	p.done.Go(func() { p.watch(name, log, d) })
	return nil
}

// watch waits for the end of a daemon and says so when nobody asked for it.
func (p *processes) watch(name, log string, d *process) {
	err := d.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(d.gone)
	delete(p.running, name)
	if p.stopping || d.ending {
		return
	}
	why := "ended"
	if err != nil {
		why = err.Error()
	}
	if p.settle {
		fmt.Fprintf(p.progress, "lab: %s is gone: %s\n", name, why)
		return
	}
	if p.dead == nil {
		p.dead = fmt.Errorf("%s did not start: %s\n%s", name, why, tail(log, 10))
		if p.death != nil {
			p.death(p.dead)
		}
	}
}

// gone returns a channel that is closed when a daemon has ended.
func (p *processes) gone(name string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.running[name]; d != nil {
		return d.gone
	}
	over := make(chan struct{})
	close(over)
	return over
}

// end sends sig to a daemon and waits until it has ended.
func (p *processes) end(name string, sig syscall.Signal) error {
	p.mu.Lock()
	d := p.running[name]
	if d != nil {
		d.ending = true
	}
	p.mu.Unlock()
	if d == nil {
		return fmt.Errorf("lab: %s does not run", name)
	}
	if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("lab: signal %s: %w", name, err)
	}
	<-d.gone
	return nil
}

// onDeath calls fail when a daemon has ended or ends, until the returned function is called.
func (p *processes) onDeath(fail context.CancelCauseFunc) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.death = fail
	if p.dead != nil {
		fail(p.dead)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.death = nil
	}
}

// settled says that the network is up: a daemon that ends from now on is news, not a failure.
func (p *processes) settled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle = true
}

// stop ends all daemons, in good order within grace and by force after it.
func (p *processes) stop(grace time.Duration) error {
	p.signal(syscall.SIGTERM)
	gone := make(chan struct{})
	go func() {
		p.done.Wait()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-time.After(grace):
		err = fmt.Errorf("lab: killed what did not stop within %v: %s", grace, strings.Join(p.signal(syscall.SIGKILL), " "))
		<-gone
	}
	close(p.work)
	return err
}

// signal sends sig to all daemons that run and returns their names.
func (p *processes) signal(sig syscall.Signal) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping = true
	var names []string
	for name, d := range p.running {
		names = append(names, name)
		if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintf(p.progress, "lab: signal %s: %v\n", name, err)
		}
	}
	return names
}

// flock locks f without waiting; the lock goes with the process.
func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// tail returns the last lines of a file.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
