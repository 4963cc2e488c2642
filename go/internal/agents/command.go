package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// defaultPath is where programs are when the daemon was started without PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A command is a program of the system that an agent runs: from a list of arguments, without a shell,
// and in a session of its own.
type command struct {
	argv  []string
	env   []string // beside environment()
	stdin string
	whole bool // standard output is read to maxWhole, not to what fits into a reply
}

// maxWhole is how much is read of a list that is not sent, in bytes: names of 500 000 packages.
const maxWhole = 32 << 20

// A finished command.
type finished struct {
	stdout, stderr string // at most maxPlain bytes each, but see command.whole
	code           int    // 128 and the signal when one ended it
}

// output is what the command wrote, errors last, as much of it as fits into a reply.
func (f *finished) output() string {
	text := f.stdout
	if text != "" && f.stderr != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	h := &head{data: []byte(text + f.stderr)}
	keep, _ := h.prefix(maxPlain - 4096) // the rest of the reply needs room, too
	return string(h.data[:keep]) + lacking(h, keep)
}

// complaint returns the last lines of what the command wrote, for an error message.
func (f *finished) complaint() string {
	text := strings.TrimSpace(f.stderr)
	if text == "" {
		text = strings.TrimSpace(f.stdout)
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-3):]
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if text = strings.Join(lines, "; "); len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return text
}

// failure is what went wrong in a command that ended with another exit code than it should.
func (f *finished) failure(c command) error {
	err := fmt.Errorf("%s: exit code %d", strings.Join(c.argv, " "), f.code)
	if text := f.complaint(); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// run runs a command until it ends, or ctx does. It is no error when it exits with another code than 0.
//
// What the command writes goes to files without a name and not through pipes: a daemon that it starts
// may hold its output open for ever, and must not be hurt when nobody reads on.
func (c command) run(ctx context.Context) (*finished, error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(environment(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	if c.stdin != "" {
		cmd.Stdin = strings.NewReader(c.stdin)
	}
	stdout, err := nameless()
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := nameless()
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.argv[0], err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever of it did not end when asked
		return nil, fmt.Errorf("%s: %w", c.argv[0], ctx.Err())
	}
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return nil, fmt.Errorf("%s: %w", c.argv[0], err)
	}
	f := &finished{code: exitCode(cmd.ProcessState.Sys().(syscall.WaitStatus))}
	limit := int64(maxPlain)
	if c.whole {
		limit = maxWhole
	}
	if f.stdout, err = readBack(stdout, limit); err == nil {
		f.stderr, err = readBack(stderr, maxPlain)
	}
	if err != nil {
		return nil, fmt.Errorf("output of %s: %w", c.argv[0], err)
	}
	return f, nil
}

// nameless returns an empty file that goes away when it is closed.
func nameless() (*os.File, error) {
	file, err := os.CreateTemp("", "choria-")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

// readBack returns what was written to a file, up to a limit.
func readBack(file *os.File, limit int64) (string, error) {
	data, err := io.ReadAll(io.NewSectionReader(file, 0, limit))
	return strings.ToValidUTF8(string(data), "\uFFFD"), err
}

// environment is what programs of the system get of the environment of the daemon, which may hold
// secrets. They speak English, since some of what they say is read.
func environment() []string {
	env := []string{"LC_ALL=C"}
	path := defaultPath
	for _, kv := range os.Environ() {
		switch key, value, _ := strings.Cut(kv, "="); strings.ToLower(key) {
		case "path":
			path = value
		case "home", "user", "logname", "tz", "tmpdir", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy":
			env = append(env, kv)
		}
	}
	return append(env, "PATH="+path)
}

// pause waits, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
