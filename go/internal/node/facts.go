package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
)

// maxFileSize bounds the files that facts and classes are read from; facter writes some 30 kB.
const maxFileSize = 16 << 20

// racy is how close to its last change a file may have been read for a later change to leave the
// time of change as it was.
const racy = 2 * time.Second

// A look is what a file was like when it was last read.
type look struct {
	info os.FileInfo // nil: it could not be seen
	at   time.Time
}

// fresh reports whether the file has not changed since, as far as that can be told.
func (l look) fresh(now os.FileInfo) bool {
	if l.info == nil || now == nil {
		return l.info == nil && now == nil
	}
	return os.SameFile(l.info, now) && l.info.Size() == now.Size() && l.info.ModTime().Equal(now.ModTime()) &&
		l.at.Sub(l.info.ModTime()) > racy
}

// factFiles are the files of plugin.yaml. They are read again when one has changed.
type factFiles struct {
	paths []string
	log   *slog.Logger

	mu     sync.Mutex
	looks  []look
	merged json.RawMessage
	warned map[string]string // what was last said about a file
}

// read returns the facts of all files as one JSON object. Top-level facts of later files win.
func (f *factFiles) read() json.RawMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := f.looks != nil
	infos := make([]os.FileInfo, len(f.paths))
	for i, path := range f.paths {
		infos[i], _ = os.Stat(path) // a file that is missing is reported when it is read
		fresh = fresh && f.looks[i].fresh(infos[i])
	}
	if fresh {
		return f.merged
	}
	f.looks = make([]look, len(f.paths))
	facts := make(map[string]json.RawMessage)
	for i, path := range f.paths {
		f.looks[i] = look{infos[i], time.Now()}
		one, err := readFacts(path)
		f.report(path, err)
		for name, value := range one {
			facts[name] = value
		}
	}
	merged, err := json.Marshal(facts)
	if err != nil {
		f.log.Warn("facts cannot be encoded", "err", err)
		merged = []byte("{}")
	}
	f.merged = merged
	return merged
}

// report logs what is wrong with a file once, until something else is.
func (f *factFiles) report(path string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if f.warned[path] == text {
		return
	}
	if f.warned == nil {
		f.warned = make(map[string]string)
	}
	f.warned[path] = text
	if err != nil {
		f.log.Warn("fact file left out", "file", path, "err", err)
	} else {
		f.log.Info("fact file is back", "file", path)
	}
}

// readFacts reads one file: YAML when its name ends in yaml or yml, else JSON.
func readFacts(path string) (map[string]json.RawMessage, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return yamlFacts(data)
	}
	if strings.HasSuffix(path, "yaml") {
		return yamlFacts(data)
	}
	var facts map[string]json.RawMessage
	if err := json.Unmarshal(data, &facts); err != nil {
		return nil, err
	}
	return facts, nil
}

func yamlFacts(data []byte) (facts map[string]json.RawMessage, err error) {
	defer func() {
		// The file may be half written, and no YAML ends the daemon.
		if p := recover(); p != nil {
			facts, err = nil, fmt.Errorf("panic in the YAML parser: %v", p)
		}
	}()
	var values map[string]any
	if err := yaml.Unmarshal(data, &values); err != nil {
		// The first line says it; the rest shows the place, which may hold a secret.
		first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		return nil, errors.New(first)
	}
	facts = make(map[string]json.RawMessage, len(values))
	for name, value := range values {
		if facts[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("fact %q: %w", name, err)
		}
	}
	return facts, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Size() > maxFileSize {
		return nil, fmt.Errorf("%d bytes, more than %d", info.Size(), maxFileSize)
	}
	return os.ReadFile(path)
}

// classFile is the file of classes, one a line. It is read again when it has changed.
type classFile struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	seen    bool
	look    look
	classes []string
}

// read returns the classes, sorted; none when the file cannot be read.
func (c *classFile) read() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.path)
	if c.seen && c.look.fresh(info) {
		return c.classes
	}
	first := !c.seen
	c.seen = true
	had := c.look.info != nil
	c.look = look{info, time.Now()}
	c.classes = nil
	var data []byte
	if err == nil {
		data, err = readBounded(c.path)
	}
	if err != nil {
		// A machine without Puppet has no such file, and that is no news.
		if !errors.Is(err, fs.ErrNotExist) || had {
			c.log.Warn("classes not read", "file", c.path, "err", err)
		} else if first {
			c.log.Info("no classes", "file", c.path, "err", err)
		}
		return nil
	}
	for line := range bytes.Lines(data) {
		if class := strings.TrimSpace(string(line)); class != "" {
			c.classes = append(c.classes, class)
		}
	}
	slices.Sort(c.classes)
	c.classes = slices.Compact(c.classes)
	return c.classes
}
