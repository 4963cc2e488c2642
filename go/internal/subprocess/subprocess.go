// Package subprocess runs programs that end with whoever started them: in a process group of their
// own that is killed when its time is up, and with bounded output.
package subprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// linger is how long output is still read after a program has ended while something that it left in
// the background holds it open.
const linger = 300 * time.Millisecond

// A Command is a program to run. Path is required.
type Command struct {
	Path  string
	Args  []string // without the name of the program
	Dir   string   // empty: that of this process
	Env   []string // nil: that of this process
	Stdin []byte
	Files []*os.File // descriptors 3 and up

	Stdout, Stderr Buffer

	// Attentive is a program that ends itself, with all that it started, when this process ends.
	Attentive bool
}

// A Result is how a program ended.
type Result struct {
	Status   string // as "exit status 3" or "signal: killed"; empty when it succeeded
	Duration time.Duration
}

// Run runs a program and returns when it has ended. When ctx ends first it is killed with all of its
// group, which is told in the status and not by an error. An error means that it was not started.
//
// On Linux the program is also killed when this process ends, however that comes, though not what it
// has started: see Attentive.
func (c *Command) Run(ctx context.Context) (*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The kernel kills the program when the thread that started it ends, so that thread has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = c.Dir, c.Env, c.Files
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.Stdout, cmd.Stderr = &c.Stdout, &c.Stderr
	cmd.SysProcAttr = attributes(c.Attentive)
	cmd.Cancel = func() error { return KillGroup(cmd.Process.Pid) }
	cmd.WaitDelay = linger
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	r := &Result{Duration: time.Since(start)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && cmd.ProcessState != nil && !cmd.ProcessState.Success():
		_ = KillGroup(cmd.Process.Pid) // what started in the group while it was killed
		r.Status = fmt.Sprintf("killed after %s", r.Duration.Round(time.Millisecond))
	case errors.As(err, &exit):
		r.Status = exit.Error()
	case errors.Is(err, exec.ErrWaitDelay) || errors.Is(err, syscall.EPIPE):
		// It left something in the background, or did not read all of its input: its business.
	case err != nil && ctx.Err() == nil:
		r.Status = err.Error()
	}
	return r, nil
}

// KillGroup kills a process and all that it started, unless that has left its process group.
func KillGroup(pid int) error {
	if pid <= 1 { // a group of 0 is our own, one of 1 everybody
		return fmt.Errorf("process group %d: not one to kill", pid)
	}
	err := syscall.Kill(-pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// A Buffer keeps the beginning of what is written to it and drops the rest. Each line is passed to
// Line too, when that is set.
type Buffer struct {
	Limit int               // bytes that are kept; zero keeps nothing
	Line  func(line []byte) // gets lines without their end, long ones in pieces

	kept    []byte
	dropped int
	line    []byte
}

// longestLine is how much of a line is passed to Buffer.Line at once.
const longestLine = 8 << 10

// Write never fails: a program is not to die of what it says.
func (b *Buffer) Write(p []byte) (int, error) {
	n := min(len(p), b.Limit-len(b.kept))
	if n > 0 {
		b.kept = append(b.kept, p[:n]...)
	}
	b.dropped += len(p) - max(n, 0)
	if b.Line != nil {
		b.lines(p)
	}
	return len(p), nil
}

// portion is how much is read at once. Most programs write less, and many run at once: io.Copy by itself
// takes 32 kB for each of their streams.
const portion = 4 << 10

// ReadFrom reads until r ends.
func (b *Buffer) ReadFrom(r io.Reader) (total int64, err error) {
	p := make([]byte, portion)
	for err == nil {
		var n int
		n, err = r.Read(p)
		total += int64(n)
		_, _ = b.Write(p[:n]) // never fails
	}
	if err == io.EOF {
		err = nil
	}
	return total, err
}

func (b *Buffer) lines(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part = p[:end]
		}
		room := longestLine - len(b.line)
		if len(part) > room {
			b.line = append(b.line, part[:room]...)
			p = p[room:]
			b.flush()
			continue
		}
		b.line = append(b.line, part...)
		if end < 0 {
			return
		}
		p = p[end+1:]
		b.flush()
	}
}

func (b *Buffer) flush() {
	b.Line(b.line)
	b.line = b.line[:0]
}

// Finish passes the last line on, if it has no end, and is called when nothing more is written.
func (b *Buffer) Finish() {
	if b.Line != nil && len(b.line) > 0 {
		b.flush()
	}
}

// Bytes returns what was kept.
func (b *Buffer) Bytes() []byte { return b.kept }

// Truncated reports whether more was written than is kept.
func (b *Buffer) Truncated() bool { return b.dropped > 0 }

var _ io.ReaderFrom = (*Buffer)(nil)
