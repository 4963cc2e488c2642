package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bounds on what is read. The longest lists known, of client_hosts, are some 200 kB.
const (
	maxFile   = 4 << 20
	maxLine   = 1 << 20
	maxErrors = 20 // reported of one configuration
)

// nameTimeout is how long the name of this machine is looked up. Names that are looked up at all are
// in /etc/hosts or at a resolver nearby.
const nameTimeout = 2 * time.Second

// projectFile is the name of the files that clients find above the working directory.
const projectFile = "choria.conf"

// Load reads the server or broker configuration file path with its plugin.d.
func Load(path string) (*Config, error) {
	c := New()
	l := loader{c: c, scope: "SB"}
	if err := l.main(path); err != nil {
		return nil, err
	}
	return l.finish()
}

// LoadClient reads the client configuration: path, or when that is empty the first readable file of
// ClientFiles; with plugin.d and the project files of the working directory. Without any of these
// files it fails.
func LoadClient(path string) (*Config, error) {
	c := New()
	l := loader{c: c, scope: "C"}
	missing := &missingError{}
	if path == "" {
		path, missing.tried = findClient()
	}
	if path != "" {
		if err := l.main(path); err != nil {
			return nil, err
		}
	}
	if l.projects() == 0 && path == "" {
		return nil, missing
	}
	return l.finish()
}

// ClientFiles returns where clients look for their configuration, the first readable one wins.
func ClientFiles() []string {
	var files []string
	if home := homeDir(); home != "" {
		files = append(files, filepath.Join(home, ".choriarc"), filepath.Join(home, ".mcollective"))
	}
	return append(files, "/etc/choria/client.conf", "/usr/local/etc/choria/client.conf", "/etc/puppetlabs/mcollective/client.cfg")
}

// findClient returns the first of ClientFiles that can be read, or what was tried.
func findClient() (path string, tried []string) {
	for _, path := range ClientFiles() {
		f, err := os.Open(path)
		if err == nil {
			info, err := f.Stat()
			f.Close()
			if err == nil && !info.IsDir() {
				return path, nil
			}
		}
		if errors.Is(err, fs.ErrPermission) {
			path += " (permission denied)"
		}
		tried = append(tried, path)
	}
	return "", tried
}

// A missingError says that there is no configuration file.
type missingError struct {
	tried []string // where clients look
	err   error    // of the one file that was named
}

func (e *missingError) Error() string {
	if e.err != nil {
		return "configuration: " + e.err.Error()
	}
	return "no client configuration found: tried " + strings.Join(e.tried, ", ")
}

func (e *missingError) Unwrap() error { return e.err }

// Is makes it an fs.ErrNotExist, also when no file was named.
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }

// Hint returns what to do about it.
func (e *missingError) Hint() string {
	if e.err != nil {
		return "write that file, or name another one with --config"
	}
	return "write one of these files, or name one with --config or in CHORIA_CONFIG"
}

// A loader reads the files of one configuration.
type loader struct {
	c     *Config
	scope string // who reads: SB or C
	errs  []error
}

// main reads the main file and its plugin.d.
func (l *loader) main(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	l.c.file = path
	data, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &missingError{err: err}
	case err != nil:
		return fmt.Errorf("configuration: %w", err)
	}
	l.lines(path, "", data)

	if underHome(path) {
		return nil
	}
	dir := filepath.Join(filepath.Dir(path), "plugin.d")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("configuration: %w", err)
	}
	for _, e := range entries { // sorted by name
		name, ok := strings.CutSuffix(e.Name(), ".cfg")
		if !ok || name == "" || strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := readFile(path)
		if err != nil {
			if l.scope == "C" && errors.Is(err, fs.ErrPermission) {
				l.c.warn(Source{}, fmt.Sprintf("%v: skipped", err))
				continue
			}
			l.errs = append(l.errs, fmt.Errorf("configuration: %w", err))
			continue
		}
		l.lines(path, "plugin."+name+".", data)
	}
	return nil
}

// projects reads choria.conf of each directory from the root down to the working directory and
// returns how many there were. One that another user could have put there is skipped, since it says
// which programs are run and who is talked to.
func (l *loader) projects() int {
	wd, err := os.Getwd()
	if err != nil {
		return 0
	}
	var dirs []string
	for dir := filepath.Clean(wd); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if filepath.Dir(dir) == dir {
			break
		}
	}
	slices.Reverse(dirs)
	n := 0
	for _, dir := range dirs {
		path := filepath.Join(dir, projectFile)
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || path == l.c.file {
			continue
		}
		if why := distrust(info); why != "" {
			l.c.warn(Source{}, fmt.Sprintf("project file %s is ignored: %s", path, why))
			continue
		}
		data, err := readFile(path)
		if err != nil {
			l.c.warn(Source{}, fmt.Sprintf("project file is ignored: %v", err))
			continue
		}
		l.lines(path, "", data)
		n++
	}
	return n
}

// lines applies the lines of one file.
func (l *loader) lines(path, prefix string, data []byte) {
	err := parse(data, func(n int, key, text string) {
		src := Source{path, n}
		if key == "" {
			l.c.warn(src, "ignored: want key = value")
			return
		}
		if err := l.c.set(prefix+key, text, src); err != nil {
			l.errs = append(l.errs, err)
		}
	})
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: %w", path, err))
	}
}

// finish applies the environment and finds out what depends on the machine.
func (l *loader) finish() (*Config, error) {
	for _, k := range table().keys {
		if k.Env == "" || !strings.ContainsAny(k.Scope, l.scope) {
			continue
		}
		text := strings.TrimSpace(os.Getenv(k.Env))
		if err := l.c.set(k.Name, text, Source{File: "environment variable " + k.Env}); err != nil {
			l.errs = append(l.errs, err)
		}
	}
	if n := len(l.errs); n > maxErrors {
		l.errs = append(l.errs[:maxErrors], fmt.Errorf("and %d more", n-maxErrors))
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	c := l.c
	c.derive()
	if !slices.Contains(c.Collectives, c.MainCollective) {
		c.warn(c.values["main_collective"].src, fmt.Sprintf("main_collective %q is none of collectives (%s)",
			c.MainCollective, strings.Join(c.Collectives, ", ")))
	}
	ctx, cancel := context.WithTimeout(context.Background(), nameTimeout)
	defer cancel()
	if err := c.Complete(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Complete finds out what New leaves empty and was not set since: Identity and SSLDir. It may ask
// DNS; Load and LoadClient have called it.
func (c *Config) Complete(ctx context.Context) error {
	if c.SSLDir == "" {
		c.SSLDir = puppetSSLDir(homeDir(), os.Geteuid() == 0)
	}
	if c.Identity == "" {
		name, err := thisMachine.fqdn(ctx)
		if err == nil {
			err = checkIdentity(name)
		}
		if err != nil {
			return fmt.Errorf("identity: not set, and the name of this machine, %q, cannot be used: %w", name, err)
		}
		c.Identity = name
	}
	return nil
}

// parse calls each with the number, key and value of every line of data that is not blank or a
// comment. The key is empty for what is not key = value.
func parse(data []byte, each func(n int, key, text string)) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return fmt.Errorf("line %d: not a text file", 1+bytes.Count(data[:i], []byte("\n")))
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if len(line) > maxLine {
			return fmt.Errorf("line %d: longer than %d bytes", n, maxLine)
		}
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		key, text, ok := strings.Cut(text, "=")
		key = strings.TrimSpace(key)
		if !ok {
			key = ""
		}
		each(n, key, strings.TrimSpace(text))
	}
	return nil
}

// readFile reads path, which may be a pipe, to its end.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// homeDir returns the home directory of the user, empty when there is none: daemons may have none,
// or the root, below which everything is.
func homeDir() string {
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) || filepath.Dir(home) == filepath.Clean(home) {
		return ""
	}
	return filepath.Clean(home)
}

// underHome reports whether path, which is absolute, is below the home directory.
func underHome(path string) bool {
	home := homeDir()
	return home != "" && strings.HasPrefix(path, home+string(filepath.Separator))
}
