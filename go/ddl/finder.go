package ddl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Finder finds descriptions: on disk, and else those that are built in. Those of rpcutil and
// choria_util are always the built-in ones.
type Finder struct {
	Builtin []*Agent
	Dirs    []string // library directories, each searched below choria/agent and mcollective/agent

	// Convert returns the JSON of a description written in Ruby, of the kind agent or data. It is asked
	// for plugins that have no other. Nil: such files are passed over.
	Convert func(path, kind string) ([]byte, error)
}

// A NotFoundError is an agent without a description.
type NotFoundError struct {
	Agent string
	Dirs  []string // where it was looked for
}

func (e *NotFoundError) Error() string {
	if len(e.Dirs) == 0 {
		return fmt.Sprintf("agent %q: no description: it is not built in, and there is no library directory to look in", e.Agent)
	}
	return fmt.Sprintf("agent %q: no description: it is not built in, and there is no %s.json in %s", e.Agent, e.Agent, strings.Join(e.Dirs, ", "))
}

// Hint says what to do about it.
func (e *NotFoundError) Hint() string {
	return "install the description of the agent below a directory of libdir, or list what there is with plugin doc"
}

// fixed are the built-in agents that nothing on disk can describe otherwise: every node has the same.
// Of the others a node may have another implementation, with a description of its own.
var fixed = []string{"choria_util", "rpcutil"}

func (f *Finder) builtin(name string) *Agent {
	for _, a := range f.Builtin {
		if a.Metadata.Name == name {
			return a
		}
	}
	return nil
}

// Agent returns the description of the agent of that name. The error of an unknown agent, a
// *NotFoundError, says where it was looked for.
func (f *Finder) Agent(name string) (*Agent, error) {
	builtin := f.builtin(name)
	if builtin != nil && slices.Contains(fixed, name) {
		return builtin, nil
	}
	if !isName(name) {
		return nil, fmt.Errorf("agent %q: want a name of lower case letters, digits and underscores", cut(name, 80))
	}
	last, err := f.last("agent")
	switch {
	case last[name] != "":
		a, err := f.load(last[name])
		if builtin != nil && errors.Is(err, ErrNoMetadata) {
			return builtin, nil
		}
		return a, err
	case builtin != nil:
		return builtin, nil
	case err != nil:
		return nil, fmt.Errorf("agent %q: no description found, but not all could be read: %w", name, err)
	}
	return nil, &NotFoundError{Agent: name, Dirs: f.dirs("agent")}
}

// Agents returns all descriptions that can be found, sorted by name. Files that are wrong are told
// in the error; the rest is returned all the same.
func (f *Finder) Agents() ([]*Agent, error) {
	agents := slices.Clone(f.Builtin)
	last, err := f.last("agent")
	for _, name := range fixed {
		if f.builtin(name) != nil {
			delete(last, name)
		}
	}
	errs := []error{err}
	for _, name := range sortedKeys(last) {
		a, err := f.load(last[name])
		if errors.Is(err, ErrNoMetadata) {
			continue // some other JSON that an agent came with
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		agents = slices.DeleteFunc(agents, func(b *Agent) bool { return b.Metadata.Name == name })
		agents = append(agents, a)
	}
	slices.SortFunc(agents, func(a, b *Agent) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	return agents, errors.Join(errs...)
}

// dirs returns the directories that are searched for descriptions of a kind, agent or data, in order.
func (f *Finder) dirs(kind string) []string {
	var dirs []string
	for _, dir := range f.Dirs {
		dirs = append(dirs, filepath.Join(dir, "choria", kind), filepath.Join(dir, "mcollective", kind))
	}
	return dirs
}

// last returns for each name the last file of that name: in the order of dirs and, within a
// directory, of names. One in Ruby counts when there is none in JSON. What could be found is returned
// with an error too.
func (f *Finder) last(kind string) (map[string]string, error) {
	files, inRuby := make(map[string]string), make(map[string]string)
	var errs []error
	for _, dir := range f.dirs(kind) {
		err := walk(dir, 0, func(path string) {
			if name, is := strings.CutSuffix(filepath.Base(path), ".json"); is && isName(name) {
				files[name] = path
			}
			if name, is := strings.CutSuffix(filepath.Base(path), ".ddl"); is && f.Convert != nil {
				if kind == "data" {
					name = strings.TrimSuffix(name, "_data")
				}
				if isName(name) {
					inRuby[name] = path
				}
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for name, path := range inRuby {
		if files[name] == "" {
			files[name] = path
		}
	}
	return files, errors.Join(errs...)
}

// maxDepth is how far below an agent directory files are found. It ends loops of symbolic links,
// which are followed since packages install them.
const maxDepth = 8

func walk(dir string, depth int, found func(path string)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasSuffix(e.Name(), ".json") || strings.HasSuffix(e.Name(), ".ddl") {
			found(path)
			continue
		}
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			st, err := os.Stat(path)
			isDir = err == nil && st.IsDir()
		}
		if isDir && depth < maxDepth {
			if err := walk(path, depth+1, found); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// load reads the description in a file, which must be about the agent that the file is named after.
func (f *Finder) load(path string) (*Agent, error) {
	data, err := f.read(path, "agent")
	if err != nil {
		return nil, err
	}
	a, err := Parse(data)
	if want := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)); err == nil && a.Metadata.Name != want {
		err = misnamed(want, a.Metadata.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// read returns a description as JSON.
func (f *Finder) read(path, kind string) ([]byte, error) {
	if strings.HasSuffix(path, ".ddl") {
		return f.Convert(path, kind)
	}
	return read(path)
}

// read returns the content of a file, cut where it is too large to be parsed anyway.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSize+1))
}

func misnamed(file, name string) error {
	return fmt.Errorf("describes %q, want %q as the file is named", name, file)
}
