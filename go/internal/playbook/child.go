package playbook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxLine is how long a line of the child may be, in bytes.
const maxLine = 256 << 20

// endIn is how long the child may take to end after its socket was closed.
const endIn = 5 * time.Second

// A child is the Ruby process.
type child struct {
	socket io.ReadWriteCloser
	reader *bufio.Reader
	cmd    *exec.Cmd
	exited chan struct{} // closed once it was waited for
	err    error         // of the process; read after exited

	mu sync.Mutex // one line at a time is written
}

// A message is one line from the child.
type message struct {
	ID     int64           `json:"id"` // zero for a notice
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	File   string          `json:"file"` // where in the plan the call was made
	Line   int             `json:"line"`

	// Ending calls are made by a block that has to run to its end, also in a plan that was interrupted.
	Ending bool `json:"ending"`

	// Async calls are made by one of several branches: others go on meanwhile.
	Async bool `json:"async"`
}

// startChild starts ruby on the runner of the bundled modules. What it prints goes to log.
// Compiled code is kept in the directory cache, if there is one.
func startChild(ruby, modules, cache string, environ []string, log *Log) (*child, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("socket pair: %w", err)
	}
	defer theirs.Close()
	lib := filepath.Join(modules, "choria", "lib")
	cmd := exec.Command(ruby, "--disable=did_you_mean,error_highlight", "-I", lib,
		filepath.Join(lib, "puppet_x", "choria", "runner.rb"))
	// Room for some thousands of calls until Ruby collects garbage: it never has much, and takes long to look.
	cmd.Env = append([]string{"RUBY_GC_HEAP_FREE_SLOTS=300000"}, append(childEnviron(environ), "CHORIA_PLAYBOOK_FD=3")...)
	if cache != "" {
		cmd.Env = append(cmd.Env, "CHORIA_PLAYBOOK_CACHE="+cache)
	}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout = &lines{say: func(text string) { log.Say(Notice, "", text) }}
	cmd.Stderr = &lines{say: func(text string) { log.Say(Warning, "", text) }}
	cmd.WaitDelay = time.Second
	ownProcess(cmd)

	c := &child{socket: ours, reader: bufio.NewReaderSize(ours, 64<<10), cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal that ends the child with us is bound to the thread that starts it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.exited)
		}
	}()
	if err := <-started; err != nil {
		ours.Close()
		return nil, err
	}
	return c, nil
}

// send writes one message.
func (c *child) send(v any) error {
	var line bytes.Buffer
	if err := writeJSON(&line, v); err != nil {
		return err
	}
	return c.write(line.Bytes())
}

// answer answers a call with a result, or with an error.
func (c *child) answer(id int64, result any, failure error) error {
	line := bytes.NewBuffer(make([]byte, 0, 128))
	line.WriteString(`{"id":`)
	line.Write(strconv.AppendInt(line.AvailableBuffer(), id, 10))
	name, value := `,"result":`, result
	if failure != nil {
		name, value = `,"error":`, answer(failure)
	}
	line.WriteString(name)
	if err := writeJSON(line, value); err != nil {
		return err
	}
	line.WriteByte('}')
	return c.write(line.Bytes())
}

// write writes one line, whose end it adds.
func (c *child) write(line []byte) error {
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte("\uFFFD"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.socket.Write(append(line, '\n'))
	return err
}

// errEnded is the error of a child that has ended without having been told to.
var errEnded = errors.New("the Ruby process has ended")

// receive reads one message.
func (c *child) receive() (*message, error) {
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	m := &message{}
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("message of the Ruby process: %w", err)
	}
	return m, nil
}

// line reads one line. It is only good until the next one is read.
func (c *child) line() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	if err == nil {
		return line, nil
	}
	line = bytes.Clone(line)
	for {
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine:
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("a message of the Ruby process is longer than %d bytes", maxLine)
		default: // the end of the file, or a socket that was closed here
			return nil, errEnded
		}
		var part []byte
		part, err = c.reader.ReadSlice('\n')
		line = append(line, part...)
	}
}

// interrupt makes the plan unwind. Ruby raises an exception wherever the plan is, which no plan can catch.
func (c *child) interrupt() { _ = c.cmd.Process.Signal(os.Interrupt) } // one that has ended needs none

// close ends the child: by the end of the socket, and if that is of no use by force.
func (c *child) close() {
	c.socket.Close()
	select {
	case <-c.exited:
	case <-time.After(endIn):
		c.kill()
	}
}

// kill ends the child at once.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.exited
	c.socket.Close()
}

// ended says how a child has ended that should not have.
func (c *child) ended(ctx context.Context) error {
	select {
	case <-c.exited:
		if c.err != nil {
			return fmt.Errorf("%w: %w", errEnded, c.err)
		}
	case <-time.After(endIn):
	case <-ctx.Done():
	}
	return errEnded
}

// lines is a writer that says every line written to it.
type lines struct {
	say  func(string)
	rest strings.Builder
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(data []byte) (int, error) {
	for text := string(data); text != ""; {
		line, more, found := strings.Cut(text, "\n")
		l.rest.WriteString(line)
		if found || l.rest.Len() > 64<<10 {
			if l.rest.Len() > 0 {
				l.say(l.rest.String())
			}
			l.rest.Reset()
		}
		text = more
	}
	return len(data), nil
}
