package rubyagent

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"choria.io/choria/go/internal/config"
)

// library is the Ruby library that agents run in, and the program that runs them.
//
//go:embed ruby/choria_shim.rb ruby/mcollective.rb ruby/choria ruby/mcollective
var library embed.FS

// libraryHash names what is in library, so that versions of it do not mix on disk.
var libraryHash = sync.OnceValue(func() string {
	sum := sha256.New()
	err := fs.WalkDir(library, "ruby", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := library.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n", path, len(text))
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(err) // what is embedded can be read
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
})

// place makes sure that the library is below dir and returns the path of its program. What is there
// already is compared and not trusted, so that a disk that was full once does no harm for ever.
func place(dir string) (program string, err error) {
	if err := private(dir); err != nil {
		return "", err
	}
	root := filepath.Join(dir, "lib-"+libraryHash())
	err = fs.WalkDir(library, "ruby", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(root, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		text, err := library.ReadFile(path)
		if err != nil {
			return err
		}
		if old, err := os.ReadFile(target); err == nil && bytes.Equal(old, text) {
			return nil
		}
		return writeFile(target, text)
	})
	if err != nil {
		return "", fmt.Errorf("ruby library: %w", err)
	}
	return filepath.Join(root, "ruby", "choria_shim.rb"), nil
}

// writeFile writes a file that others see either not at all or whole.
func writeFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// private makes a directory that only this user can write to, and refuses one that others can.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if reason := distrust(info); reason != "" {
		return &dirError{dir, reason}
	}
	return nil
}

// A dirError is a directory in which others could plant programs.
type dirError struct{ dir, reason string }

func (e *dirError) Error() string { return fmt.Sprintf("directory %s: %s", e.dir, e.reason) }

// Hint says what to do about it.
func (e *dirError) Hint() string {
	return "remove it, or name another one with plugin.choria.ruby.directory"
}

// stateDir returns the private directory of this process where none is configured.
func stateDir() (string, error) {
	if dir := config.StateDirectory(); dir != "" {
		return filepath.Join(dir, "ruby"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("private directory for Ruby agents: %w", err)
	}
	return filepath.Join(dir, "choria", "ruby"), nil
}
