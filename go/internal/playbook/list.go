package playbook

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var nameRE = regexp.MustCompile(`^(::)?[a-z][a-z0-9_]*(::[a-z][a-z0-9_]*)*$`)

// validName reports whether name can be that of a playbook.
func validName(name string) bool { return nameRE.MatchString(name) }

// List returns the playbooks of the modules below modulepath whose names contain filter, sorted, with their
// files. Names follow from paths; no file is read.
func List(modulepath []string, filter string) (names []string, files map[string]string) {
	files = map[string]string{}
	seen := map[string]bool{}
	for _, dir := range modulepath {
		plans, _ := filepath.Glob(filepath.Join(dir, "*")) // the pattern is right
		for _, path := range plans {
			module := filepath.Base(path)
			if seen[module] || !validName(module) {
				continue
			}
			seen[module] = true
			listModule(path, module, filter, files)
		}
	}
	return slices.Sorted(maps.Keys(files)), files
}

func listModule(path, module, filter string, files map[string]string) {
	root := filepath.Join(path, "plans")
	_ = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a module without plans, or a directory we may not read
		}
		tail, ok := strings.CutSuffix(file[len(root)+1:], ".pp")
		if !ok {
			return nil
		}
		name := module
		if tail != "init" {
			name += "::" + strings.ReplaceAll(filepath.ToSlash(tail), "/", "::")
		}
		if validName(name) && strings.Contains(name, filter) {
			files[name] = file
		}
		return nil
	})
}
