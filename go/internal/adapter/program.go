package adapter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A program is a sink that is a process of its own, for what this one is not to link. It gets lines of
// JSON on its standard input: first hello, then one for each message,
//
//	{"n":1,"id":"...","sender":"n1.example.net","data":{...}}
//
// and answers each on its standard output, in any order, once the message is where it is to be kept:
//
//	{"n":1} or {"n":1,"error":"why","refused":false}
//
// refused says that another attempt would be in vain. What it writes to standard error is logged. It
// ends when its input does, after the answers to what it has read.
type program struct {
	path  string
	hello any

	mu    sync.Mutex
	log   *slog.Logger
	users int
	run   *programRun // nil when none runs
}

// A programRun is one process.
type programRun struct {
	input  *os.File
	ended  chan struct{} // closed when it has ended and all waiting have been told
	kill   func()
	writes sync.Mutex // one batch at a time is written

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan<- programAnswer
	gone    error // why nothing more will be answered; nil while it runs
}

// A programMessage is one message for a program.
type programMessage struct {
	N      uint64          `json:"n"`
	ID     string          `json:"id"`
	Sender string          `json:"sender"`
	Data   json.RawMessage `json:"data"`
}

// A programAnswer says what became of one message.
type programAnswer struct {
	N       uint64 `json:"n"`
	Error   string `json:"error"`
	Refused bool   `json:"refused"`

	gone error
}

// maxProgramLine bounds an answer, and a line that is logged.
const maxProgramLine = 64 << 10

// programEnd is how long a program may take to end when its input has.
const programEnd = drainTimeout

func (p *program) open(log *slog.Logger) *program {
	p.mu.Lock()
	defer p.mu.Unlock()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p.log = log
	p.users++
	return p
}

// running returns a process, which it starts if there is none.
func (p *program) running() (*programRun, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		select {
		case <-p.run.ended:
			p.run = nil
		default:
			return p.run, nil
		}
	}
	hello, err := json.Marshal(p.hello)
	if err != nil {
		return nil, err
	}
	r, err := startProgram(p.path, append(hello, '\n'), p.log)
	if err != nil {
		return nil, err
	}
	p.run = r
	return r, nil
}

func startProgram(path string, hello []byte, log *slog.Logger) (*programRun, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(path)
	cmd.Stdin = theirs
	answers, err := cmd.StdoutPipe()
	if err == nil {
		var complaints = &logged{log: log}
		cmd.Stderr = complaints
		err = cmd.Start()
	}
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &programRun{
		input: ours, ended: make(chan struct{}), waiting: make(map[uint64]chan<- programAnswer),
		kill: func() { _ = cmd.Process.Kill() }, // one that has ended needs none
	}
	go func() {
		lines := bufio.NewScanner(answers)
		lines.Buffer(nil, maxProgramLine)
		err := r.read(lines)
		if err != nil {
			r.kill()
		}
		ours.Close()
		if ended := cmd.Wait(); err == nil {
			err = errors.New("it has ended")
			if ended != nil {
				err = ended
			}
		}
		r.end(fmt.Errorf("%s: %w", path, err))
	}()
	if err := r.write(hello); err != nil {
		r.kill()
		<-r.ended
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// read passes answers on until there are no more.
func (r *programRun) read(lines *bufio.Scanner) error {
	for lines.Scan() {
		var a programAnswer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		r.mu.Lock()
		waits := r.waiting[a.N]
		delete(r.waiting, a.N)
		r.mu.Unlock()
		if waits != nil { // else it came too late
			waits <- a
		}
	}
	return lines.Err()
}

// end tells all who wait.
func (r *programRun) end(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = why
	for n, waits := range r.waiting {
		waits <- programAnswer{N: n, gone: why}
	}
	r.waiting = nil
	close(r.ended)
}

// write writes whole lines. A program that does not read for long is of no use.
func (r *programRun) write(data []byte) error {
	r.writes.Lock()
	defer r.writes.Unlock()
	if err := r.input.SetWriteDeadline(time.Now().Add(publishTimeout)); err != nil {
		return err
	}
	_, err := r.input.Write(data)
	return err
}

// Publish hands all messages to the program, then waits for its answers.
func (p *program) Publish(ctx context.Context, batch []Message) []error {
	r, err := p.running()
	if err != nil {
		return all(batch, err)
	}
	first, answers, err := r.expect(len(batch))
	if err != nil {
		return all(batch, err)
	}
	defer r.forget(first, len(batch))
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for i, m := range batch {
		if err := encoder.Encode(programMessage{first + uint64(i), m.ID, m.Sender, m.Data}); err != nil {
			return all(batch, err)
		}
	}
	if err := r.write(lines.Bytes()); err != nil {
		r.kill() // which may have half a line
		return all(batch, fmt.Errorf("%s: %w", p.path, err))
	}
	results := all(batch, fmt.Errorf("%s: no answer in time", p.path))
	for range batch {
		select {
		case a := <-answers:
			results[a.N-first] = a.result(p.path)
		case <-ctx.Done():
			return results
		}
	}
	return results
}

func (a *programAnswer) result(path string) error {
	switch {
	case a.gone != nil:
		return a.gone
	case a.Error == "" && !a.Refused:
		return nil
	case a.Refused:
		return fmt.Errorf("%w: %s: %.200s", ErrRefused, path, a.Error)
	}
	return fmt.Errorf("%s: %.200s", path, a.Error)
}

// expect registers n messages, and returns the number of the first and where their answers come.
func (r *programRun) expect(n int) (first uint64, answers <-chan programAnswer, err error) {
	c := make(chan programAnswer, n) // nobody who answers waits
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone != nil {
		return 0, nil, r.gone
	}
	first = r.last + 1
	for range n {
		r.last++
		r.waiting[r.last] = c
	}
	return first, c, nil
}

// forget gives up what is not answered.
func (r *programRun) forget(first uint64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range uint64(n) {
		delete(r.waiting, first+i)
	}
}

// Close ends the program when no worker uses it any more.
func (p *program) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users > 0 || p.run == nil {
		return nil
	}
	r := p.run
	p.run = nil
	r.writes.Lock()
	r.input.Close()
	r.writes.Unlock()
	select {
	case <-r.ended:
		return nil
	case <-time.After(programEnd):
		r.kill()
		<-r.ended
		return fmt.Errorf("%s: did not end within %v", p.path, programEnd)
	}
}

// logged logs lines.
type logged struct {
	log  *slog.Logger
	line []byte
}

func (l *logged) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != '\n' && len(l.line) < maxProgramLine {
			l.line = append(l.line, c)
			continue
		}
		l.log.Warn("the program of the sink says", "text", string(l.line))
		l.line = l.line[:0]
	}
	return len(p), nil
}
