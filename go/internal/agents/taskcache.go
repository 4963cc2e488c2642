package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"choria.io/choria/go/internal/puppettask"
)

// keepUnused is how long a file of a task that is not run any more is kept.
const keepUnused = 30 * 24 * time.Hour

// fetchTries is how often a file is asked for that comes with a wrong size or digest.
const fetchTries = 2

// A taskCache holds files of tasks, each named after its digest, so that a task is fetched once however
// often it is run. What is in it is checked whenever it is used.
type taskCache struct{ dir string }

func (c *taskCache) path(f puppettask.File) string {
	return filepath.Join(c.dir, strings.ToLower(f.SHA256))
}

// has reports whether a file is there as it should be.
func (c *taskCache) has(f puppettask.File) bool { return c.copy(f, io.Discard) == nil }

// copy writes a file to w, and fails when it is not the one that was asked for.
func (c *taskCache) copy(f puppettask.File, w io.Writer) error {
	file, err := os.Open(c.path(f))
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(sum, w), io.LimitReader(file, f.Size+1)); err != nil {
		return err
	}
	if st, err := file.Stat(); err != nil || st.Size() != f.Size {
		return errors.Join(fmt.Errorf("%s: is not of %d bytes", c.path(f), f.Size), err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, f.SHA256) {
		return fmt.Errorf("%s: has the SHA-256 digest %s", c.path(f), got)
	}
	return nil
}

// fetch gets from the server those of files that are not there, and returns how many it got: none, or all,
// as the Ruby agent counts.
func (c *taskCache) fetch(ctx context.Context, server *puppettask.Server, files []puppettask.File) (int, error) {
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return 0, fmt.Errorf("plugin.choria.tasks.directory: %w", err)
	}
	c.prune(time.Now().Add(-keepUnused))
	fetched := 0
	for _, f := range files {
		if c.has(f) {
			continue
		}
		var err error
		for range fetchTries {
			if err = c.fetchOne(ctx, server, f); err == nil || ctx.Err() != nil {
				break
			}
		}
		if err != nil {
			return 0, err
		}
		fetched = len(files)
	}
	return fetched, nil
}

// fetchOne gets a file beside its place, and moves it there when it is right.
func (c *taskCache) fetchOne(ctx context.Context, server *puppettask.Server, f puppettask.File) (err error) {
	temp, err := os.CreateTemp(c.dir, ".fetch-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	sum := sha256.New()
	err = errors.Join(server.Fetch(ctx, f, io.MultiWriter(temp, sum)), temp.Close())
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, f.SHA256) {
		return fmt.Errorf("file %q of the task: has the SHA-256 digest %s, not %s", f.Filename, got, f.SHA256)
	}
	return os.Rename(temp.Name(), c.path(f))
}

// prune forgets what was not used since t, also what was left half fetched.
func (c *taskCache) prune(t time.Time) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return // nothing to forget
	}
	for _, e := range entries {
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() && st.ModTime().Before(t) {
			os.Remove(filepath.Join(c.dir, e.Name()))
		}
	}
}

// place puts the files of a task below dir, as Puppet has them in modules, for the user who runs it to read
// and execute.
func (c *taskCache) place(files []puppettask.File, task, dir string) (executable string, err error) {
	module, _, _ := strings.Cut(task, "::")
	for _, f := range files {
		name := f.Filename
		if !strings.ContainsRune(name, '/') { // one of the task itself
			name = filepath.Join(module, "tasks", name)
		}
		path := filepath.Join(dir, name)
		if err := c.placeOne(f, path); err != nil {
			return "", err
		}
		if executable == "" {
			executable = path
		}
	}
	return executable, nil
}

func (c *taskCache) placeOne(f puppettask.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if err := errors.Join(c.copy(f, target), target.Close()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("file %q of the task: was not downloaded", f.Filename)
		}
		return err
	}
	now := time.Now()
	return os.Chtimes(c.path(f), now, now) // it is used
}
