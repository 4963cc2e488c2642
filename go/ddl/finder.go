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

// A Finder finds descriptions: the built-in ones, which cannot be overridden, then those on disk.
type Finder struct {
	Builtin []*Agent
	Dirs    []string // library directories, each searched below choria/agent and mcollective/agent
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

// Agent returns the description of the agent of that name. The error of an unknown agent, a
// *NotFoundError, says where it was looked for.
func (f *Finder) Agent(name string) (*Agent, error) {
	for _, a := range f.Builtin {
		if a.Metadata.Name == name {
			return a, nil
		}
	}
	if !isName(name) {
		return nil, fmt.Errorf("agent %q: want a name of lower case letters, digits and underscores", cut(name, 80))
	}
	var last string
	err := f.walk(func(path string) {
		if filepath.Base(path) == name+".json" {
			last = path
		}
	})
	switch {
	case last != "":
		return load(last)
	case err != nil:
		return nil, fmt.Errorf("agent %q: no description found, but not all could be read: %w", name, err)
	}
	return nil, &NotFoundError{Agent: name, Dirs: f.dirs()}
}

// Agents returns all descriptions that can be found, sorted by name. Files that are wrong are told
// in the error; the rest is returned all the same.
func (f *Finder) Agents() ([]*Agent, error) {
	agents := slices.Clone(f.Builtin)
	taken := make(map[string]bool, len(agents))
	for _, a := range agents {
		taken[a.Metadata.Name] = true
	}
	last := make(map[string]string)
	errs := []error{f.walk(func(path string) {
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); isName(name) && !taken[name] {
			last[name] = path
		}
	})}
	for _, name := range sortedKeys(last) {
		a, err := load(last[name])
		if errors.Is(err, errNoMetadata) {
			continue // some other JSON that an agent came with
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		agents = append(agents, a)
	}
	slices.SortFunc(agents, func(a, b *Agent) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	return agents, errors.Join(errs...)
}

// dirs returns the directories that are searched, in order.
func (f *Finder) dirs() []string {
	var dirs []string
	for _, dir := range f.Dirs {
		dirs = append(dirs, filepath.Join(dir, "choria", "agent"), filepath.Join(dir, "mcollective", "agent"))
	}
	return dirs
}

// walk calls found for each JSON file in the order of dirs and, within a directory, of names. A
// later file of the same name counts more.
func (f *Finder) walk(found func(path string)) error {
	var errs []error
	for _, dir := range f.dirs() {
		if err := walk(dir, 0, found); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
		if strings.HasSuffix(e.Name(), ".json") {
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
func load(path string) (*Agent, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, err
	}
	a, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if want := strings.TrimSuffix(filepath.Base(path), ".json"); a.Metadata.Name != want {
		return nil, fmt.Errorf("%s: describes agent %q, want %q as the file is named", path, a.Metadata.Name, want)
	}
	return a, nil
}
