package playbook

import (
	"fmt"
	"os"
	"path/filepath"
)

// CacheVariable names the environment variable that says where compiled Ruby code is kept; off keeps none.
const CacheVariable = "CHORIA_RUBY_CACHE"

// CacheDir returns the directory for compiled Ruby code, which it makes if need be: choria/ruby in the
// user's directory of caches. It is empty when there is to be none. Code from it is run, so one that others
// could write to is refused.
func CacheDir(getenv func(string) string) (string, error) {
	dir := getenv(CacheVariable)
	switch dir {
	case "off":
		return "", nil
	case "":
		caches, err := os.UserCacheDir()
		if err != nil {
			return "", nil // users without a home do without
		}
		dir = filepath.Join(caches, "choria", "ruby")
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%s=%s: want an absolute path, or off", CacheVariable, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cache of Ruby code: %w", err)
	}
	// What holds the directory could be used to put another one in its place.
	for path := dir; ; path = filepath.Dir(path) {
		if err := private(path, path == dir); err != nil {
			return "", fmt.Errorf("cache of Ruby code: %w", err)
		}
		if path == filepath.Dir(path) {
			return dir, nil
		}
	}
}
