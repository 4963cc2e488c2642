package hotload

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Limits of a walk: directories of agents are small, and a link to somewhere else must not make the
// daemon walk a whole disk.
const (
	maxDepth   = 8
	maxEntries = 20000
)

// find returns the descriptions on disk by kind/name.
func (w *Watcher) find() map[string]*loaded {
	found := make(map[string]*loaded)
	inRuby := make(map[string]*loaded)
	left := maxEntries
	for _, dir := range w.Dirs {
		for _, kind := range []string{Agent, Data} {
			walk(filepath.Join(dir, "mcollective", kind), 0, &left, func(path string, depth int, info fs.FileInfo) {
				extension := filepath.Ext(path)
				name := strings.TrimSuffix(filepath.Base(path), extension)
				if kind == Data {
					name = strings.TrimSuffix(name, "_data")
				}
				if !isName(name) || (extension != ".json" && (extension != ".ddl" || w.Convert == nil)) {
					return
				}
				f := &loaded{file: File{Kind: kind, Name: name, Path: path, Depth: depth}}
				f.stamp = path + " " + Stamp(info)
				for _, p := range w.Providers {
					f.stamp += "\n" + p.Beside(f.file)
				}
				if f.inRuby() {
					inRuby[f.key()] = f
				} else {
					found[f.key()] = f
				}
			})
		}
	}
	for key, f := range inRuby {
		if found[key] == nil {
			found[key] = f
		}
	}
	return found
}

// walk calls f for the regular files below a directory, following links to directories.
func walk(dir string, depth int, left *int, f func(path string, depth int, info fs.FileInfo)) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // there need not be one
	}
	for _, e := range entries {
		if *left--; *left < 0 {
			return
		}
		path := filepath.Join(dir, e.Name())
		if e.Type().IsRegular() && filepath.Ext(path) != ".json" && filepath.Ext(path) != ".ddl" {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			if depth < maxDepth && e.Name() != "tmp" {
				walk(path, depth+1, left, f)
			}
		case info.Mode().IsRegular():
			f(path, depth, info)
		}
	}
}

// Stamp returns what changes when a file is written or replaced.
func Stamp(info fs.FileInfo) string {
	return fmt.Sprintf("%d %d %o%s", info.Size(), info.ModTime().UnixNano(), info.Mode(), inode(info))
}

// StampOf returns the stamp of the file of that name, - when there is none.
func StampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "-"
	}
	return Stamp(info)
}

// isName reports whether s may name an agent.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
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
