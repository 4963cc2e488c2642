package playbook

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	choriamodule "choria.io/choria"
)

// vendorRuby is where the all-in-one packages of Puppet have their Ruby.
const vendorRuby = "/opt/puppetlabs/puppet/bin/ruby"

// RubyVariable names the environment variable that says which Ruby to use, and that no other is tried.
const RubyVariable = "CHORIA_RUBY"

// An Unusable is the error of having no Ruby that can load Puppet.
type Unusable struct {
	Tried []string // one line each: which Ruby, and why not
}

func (e *Unusable) Error() string {
	if len(e.Tried) == 0 {
		return "playbooks need Puppet: no Ruby was found"
	}
	return "playbooks need Puppet: " + strings.Join(e.Tried, "; ")
}

// Hint says what to do about it.
func (e *Unusable) Hint() string {
	return "install the package puppet-agent, or set " + RubyVariable + " to a Ruby that can load puppet_pal"
}

// rubies returns the Ruby interpreters to try, in their order. environ is where to look for variables.
func rubies(getenv func(string) string) []string {
	if ruby := getenv(RubyVariable); ruby != "" {
		return []string{ruby}
	}
	var found []string
	add := func(path string) {
		if path, err := exec.LookPath(path); err == nil && !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	add(vendorRuby)
	for _, dir := range filepath.SplitList(getenv("PATH")) {
		if ruby := interpreter(filepath.Join(dir, "puppet")); ruby != "" {
			add(ruby)
			break
		}
	}
	for _, dir := range filepath.SplitList(getenv("PATH")) {
		add(filepath.Join(dir, "ruby"))
	}
	return found
}

// interpreter returns the Ruby that the first line of a script names, empty when it names none.
func interpreter(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 4096).ReadSlice('\n')
	if err != nil || !strings.HasPrefix(string(line), "#!/") {
		return ""
	}
	words := strings.Fields(string(line[2:]))
	if strings.HasPrefix(filepath.Base(words[0]), "ruby") {
		return words[0]
	}
	return ""
}

// unpack writes the bundled modules below dir and returns the modules directory.
func unpack(dir string) (string, error) {
	modules := filepath.Join(dir, "modules")
	err := fs.WalkDir(choriamodule.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		target := filepath.Join(modules, "choria", path)
		if companion, ok := strings.CutPrefix(path, "modules/"); ok {
			target = filepath.Join(modules, companion)
		}
		data, err := fs.ReadFile(choriamodule.FS, path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		return "", fmt.Errorf("unpack the bundled modules: %w", err)
	}
	return modules, nil
}

// keptVariables are the environment variables that the Ruby process gets: what finds programs, libraries
// and home directories, and what sets languages. Whatever else there is may be a credential.
var keptVariables = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG", "LANGUAGE", "LC_*",
	"RUBYLIB", "GEM_HOME", "GEM_PATH", "LD_LIBRARY_PATH", "SYSTEMROOT",
}

// childEnviron returns what of environ the Ruby process gets.
func childEnviron(environ []string) []string {
	var kept []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(keptVariables, func(pattern string) bool {
			ok, _ := filepath.Match(pattern, name) // the patterns are right
			return ok
		}) {
			kept = append(kept, variable)
		}
	}
	return kept
}
