package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook/extension"
)

// chainWait is how long the first byte of a result is waited for, chainNotice after how long the user
// is told what is waited for. A pipe that nobody writes to is common (ssh without -n), so that it
// must not stop us for ever; going on without it could ask all nodes in place of a few.
const (
	chainWait   = time.Minute
	chainNotice = 2 * time.Second
)

// chain makes d find the nodes that replied to an earlier request, when the result of that, from
// --json, is on standard input and no flag says otherwise; or those of a source of a module.
func (e *env) chain(d *client.Discovery, filtered bool) error {
	if extension.Qualified(d.Method) {
		return e.ofModule(d)
	}
	if d.Method != "" || filtered || !piped(e.stdin) {
		return nil
	}
	in := bufio.NewReader(e.stdin)
	first, err := e.firstByte(in)
	if err == io.EOF || err == nil && first != '{' {
		return nil // nothing, or something that is not for us
	}
	if err != nil {
		return err
	}
	e.result = in
	d.Method = "flatfile"
	d.Options = map[string]string{"file": "-", "format": "rpc"}
	return nil
}

// firstByte returns the first byte that is no space, and leaves it there.
func (e *env) firstByte(in *bufio.Reader) (byte, error) {
	type answer struct {
		b   byte
		err error
	}
	got := make(chan answer, 1)
	go func() { // lives until something comes or the process ends
		for {
			b, err := in.ReadByte()
			if err == nil && (b == ' ' || b == '\n' || b == '\t' || b == '\r') {
				continue
			}
			if err == nil {
				err = in.UnreadByte()
			}
			got <- answer{b, err}
			return
		}
	}()
	notice := time.NewTimer(chainNotice)
	defer notice.Stop()
	ctx, cancel := context.WithTimeout(e.ctx, chainWait)
	defer cancel()
	for {
		select {
		case a := <-got:
			return a.b, a.err
		case <-notice.C:
			fmt.Fprintln(e.stderr, "waiting for the result of a request on standard input; redirect it from /dev/null to discover nodes instead")
		case <-ctx.Done():
			if e.ctx.Err() != nil {
				return 0, e.ctx.Err()
			}
			return 0, withHint(fmt.Errorf("standard input: a pipe that brought nothing for %v", chainWait),
				"redirect it from /dev/null, or say how to find nodes with --dm mc or --nodes FILE")
		}
	}
}

// piped reports whether in is a pipe or a file, neither a terminal nor /dev/null.
func piped(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice == 0
}

// errNothing is what reading nothing gives.
var errNothing = errors.New("standard input: nothing to read")

// Read reads what standard input has, behind what chain has looked at.
func (e *env) Read(p []byte) (int, error) {
	if e.result != nil {
		return e.result.Read(p)
	}
	if e.stdin == nil {
		return 0, errNothing
	}
	return e.stdin.Read(p)
}
