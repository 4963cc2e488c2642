package rubyagent

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"choria.io/choria/go/internal/subprocess"
)

// streams are the three ways between the daemon and one action: the channel, and what it writes.
type streams struct {
	channel        *net.UnixConn
	stdout, stderr *os.File
	away           [3]*os.File // the other ends
	reply          []byte
	truncated      bool
	written, noise subprocess.Buffer
	log            *stderrLog
	done           sync.WaitGroup
}

func newStreams(log *slog.Logger) (*streams, error) {
	s := &streams{log: &stderrLog{log: log}}
	s.written = subprocess.Buffer{Limit: maxStdout}
	s.noise = s.log.buffer()
	var err error
	if s.channel, s.away[0], err = socketPair(); err != nil {
		return nil, err
	}
	if s.stdout, s.away[1], err = os.Pipe(); err != nil {
		s.close()
		return nil, err
	}
	if s.stderr, s.away[2], err = os.Pipe(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// theirs returns the descriptors of the other ends. Fd makes them wait, as what an action runs expects.
func (s *streams) theirs() []int {
	return []int{int(s.away[0].Fd()), int(s.away[1].Fd()), int(s.away[2].Fd())}
}

func (s *streams) closeTheirs() {
	for i, f := range s.away {
		if f != nil {
			f.Close()
		}
		s.away[i] = nil
	}
}

func (s *streams) close() {
	s.closeTheirs()
	if s.channel != nil {
		s.channel.Close()
	}
	for _, f := range []*os.File{s.stdout, s.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// start sends the request and reads what comes.
func (s *streams) start(doc []byte) {
	s.done.Go(func() {
		// An action that did not read its request has ended, which is told elsewhere.
		_, _ = s.channel.Write(doc)
	})
	s.done.Go(s.readReply)
	s.done.Go(func() { _, _ = io.Copy(&s.written, s.stdout) })
	s.done.Go(func() { _, _ = io.Copy(&s.noise, s.stderr) })
}

// readReply reads one line.
func (s *streams) readReply() {
	r := bufio.NewReader(s.channel)
	for {
		part, err := r.ReadSlice('\n')
		if len(s.reply)+len(part) > maxReply {
			s.truncated = true
			s.channel.Close() // so that the action does not wait for us
			return
		}
		s.reply = append(s.reply, part...)
		if err != bufio.ErrBufferFull {
			return
		}
	}
}

// finish returns what came, when the action has ended.
func (s *streams) finish() *outcome {
	soon := time.Now().Add(linger)
	// These fail for what is closed already.
	_ = s.channel.SetDeadline(soon)
	_ = s.stdout.SetReadDeadline(soon)
	_ = s.stderr.SetReadDeadline(soon)
	s.done.Wait()
	s.noise.Finish()
	out := &outcome{stdout: s.written.Bytes(), stderr: s.log.raw, truncated: s.truncated}
	// Without the end of its line a reply is not whole.
	if line, whole := bytes.CutSuffix(s.reply, []byte("\n")); whole {
		out.result = line
	}
	return out
}

// socketPair returns a connection and its other end, for another process.
func socketPair() (*net.UnixConn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "socketpair")
	theirs := os.NewFile(uintptr(fds[1]), "socketpair")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}
