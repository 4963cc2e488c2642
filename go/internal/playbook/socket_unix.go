//go:build unix

package playbook

import (
	"io"
	"os"
	"syscall"
)

// A socket is our end of the pair. It blocks: waking a thread that reads costs a third less than waking the
// poller of the runtime, which then has to find a thread (measured with BenchmarkCall).
type socket struct{ *os.File }

// Close also ends a Read that is on its way.
func (s socket) Close() error {
	if conn, err := s.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }) // the other end may be gone
	}
	return s.File.Close()
}

// socketPair returns two connected sockets that no other child inherits.
func socketPair() (ours io.ReadWriteCloser, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	return socket{os.NewFile(uintptr(fds[0]), "playbook")}, os.NewFile(uintptr(fds[1]), "playbook child"), nil
}
