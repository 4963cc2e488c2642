//go:build unix

package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// longestName is how long the name of an item may be, in bytes, to be seen in the name of a file.
const longestName = 120

// lock locks a file beside the file of the store. The kernel releases it when its holder ends.
func (f *file) lock(ctx context.Context, item string) (*Lock, error) {
	store, err := filepath.EvalSymlinks(f.path)
	if errors.Is(err, fs.ErrNotExist) && f.create {
		if _, _, err = f.load(); err == nil {
			store, err = filepath.EvalSymlinks(f.path)
		}
	}
	if err != nil {
		return nil, f.fault(err)
	}
	name := url.PathEscape(item)
	if len(name) > longestName {
		sum := sha256.Sum256([]byte(item))
		name = hex.EncodeToString(sum[:])
	}
	path := filepath.Join(filepath.Dir(store), "."+filepath.Base(store)+"."+name+".lock")
	unlock, err := lockNew(ctx, path)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, errHeld
	case err != nil:
		return nil, err
	}
	return held(func() error {
		defer unlock()
		return os.Remove(path) // while it is locked: who waits for it looks for its name again
	}), nil
}

// lockNew is lockFile of a file that is made if need be.
func lockNew(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		f.Close()
		unlock, err := lockFile(ctx, path)
		if !errors.Is(err, fs.ErrNotExist) {
			return unlock, err
		}
	}
}

// lockFile takes the lock of a file that all stores of this machine honour. The file may be replaced
// while we wait, so the lock counts only if it is still the one that has the name.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f); err != nil {
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
		locked, err1 := f.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(locked, named) {
			return func() { f.Close() }, nil
		}
		f.Close()
		if err2 != nil {
			return nil, err2
		}
	}
}

// flock waits for the lock without blocking the thread, so that ctx can end the wait.
func flock(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
