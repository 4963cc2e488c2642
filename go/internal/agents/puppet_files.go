package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"
)

// A puppetState knows where Puppet keeps its files.
type puppetState struct {
	command []string // program puppet and arguments before the subcommand
	config  string   // plugin.puppet.config: a configuration file; empty: that of Puppet
	setting setting

	mu      sync.Mutex
	found   *puppetFiles
	failed  error
	retry   time.Time // when to ask Puppet again after it failed
	changed time.Time // of the configuration file, when Puppet was asked
}

// puppetFiles are the files of the Puppet agent, named after the settings of Puppet.
type puppetFiles struct {
	disabledLock string // agent_disabled_lockfile: {"disabled_message": …} while the agent is disabled
	runLock      string // agent_catalog_run_lockfile: the process that applies a catalog
	pidFile      string // pidfile: the daemon
	summaryFile  string // lastrunfile
	reportFile   string // lastrunreport
	resources    string // resourcefile: type[title] of each resource, one a line
}

// askPatience is how long Puppet may take to say where its files are, and askAgain how long nobody asks
// after it could not. Measured: 2.3 s on a busy machine.
const (
	askPatience = 15 * time.Second
	askAgain    = time.Minute
)

// Bounds of files that are read, in bytes.
const (
	maxLock    = 64 << 10
	maxSummary = 4 << 20
	maxLogs    = 2 << 20 // of the logs in a report
	maxReport  = 256 << 20
)

// argv is a command line of a subcommand of puppet.
func (s *puppetState) argv(subcommand string, args ...string) []string {
	argv := append(append([]string{}, s.command...), subcommand)
	if s.config != "" {
		argv = append(argv, "--config", s.config)
	}
	return append(argv, args...)
}

// files returns where the files are. Puppet is asked once, since that takes a second, and again only when
// its configuration changes: plugin.puppet.statedir and plugin.puppet.rundir say it without Puppet.
func (s *puppetState) files(ctx context.Context) (*puppetFiles, error) {
	if dir := s.setting.or("plugin.puppet.statedir", ""); dir != "" {
		return standardFiles(dir, s.setting.or("plugin.puppet.rundir", filepath.Join(filepath.Dir(dir), "run"))), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.configChanged()
	if s.found != nil && changed.Equal(s.changed) {
		return s.found, nil
	}
	if s.failed != nil && changed.Equal(s.changed) && time.Now().Before(s.retry) {
		return nil, s.failed
	}
	s.found, s.failed = s.ask(ctx)
	if s.failed != nil {
		if ctx.Err() != nil {
			return nil, s.failed // it was the caller who had no time
		}
		s.retry = time.Now().Add(askAgain)
	}
	s.changed = changed
	return s.found, s.failed
}

// configChanged returns when the configuration file last changed, the zero time when there is none.
func (s *puppetState) configChanged() time.Time {
	files := []string{s.config}
	if s.config == "" {
		files = []string{"/etc/puppetlabs/puppet/puppet.conf", "/etc/puppet/puppet.conf"}
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			return info.ModTime()
		}
	}
	return time.Time{}
}

// standardFiles are those of Puppet's defaults. The summary moved to a directory of its own in Puppet 7.
func standardFiles(statedir, rundir string) *puppetFiles {
	f := &puppetFiles{
		disabledLock: filepath.Join(statedir, "agent_disabled.lock"),
		runLock:      filepath.Join(statedir, "agent_catalog_run.lock"),
		pidFile:      filepath.Join(rundir, "agent.pid"),
		summaryFile:  filepath.Join(filepath.Dir(statedir), "public", "last_run_summary.yaml"),
		reportFile:   filepath.Join(statedir, "last_run_report.yaml"),
		resources:    filepath.Join(statedir, "resources.txt"),
	}
	if old := filepath.Join(statedir, "last_run_summary.yaml"); newer(old, f.summaryFile) {
		f.summaryFile = old
	}
	return f
}

// newer reports whether file a is there and changed later than b, if that is there.
func newer(a, b string) bool {
	ia, err := os.Stat(a)
	if err != nil {
		return false
	}
	ib, err := os.Stat(b)
	return err != nil || ia.ModTime().After(ib.ModTime())
}

// ask asks Puppet where its files are.
func (s *puppetState) ask(ctx context.Context) (*puppetFiles, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	f := &puppetFiles{}
	names := map[string]*string{
		"agent_disabled_lockfile":    &f.disabledLock,
		"agent_catalog_run_lockfile": &f.runLock,
		"pidfile":                    &f.pidFile,
		"lastrunfile":                &f.summaryFile,
		"lastrunreport":              &f.reportFile,
		"resourcefile":               &f.resources,
	}
	args := []string{"print"}
	for name := range names {
		args = append(args, name)
	}
	c := command{argv: s.argv("config", append(args, "--section", "agent")...)}
	done, err := c.run(ctx)
	if err == nil && done.code != 0 {
		err = done.failure(c)
	}
	if err != nil {
		return nil, fmt.Errorf("ask Puppet where its files are: %w", err)
	}
	for line := range strings.Lines(done.stdout) {
		name, value, ok := strings.Cut(line, " = ")
		if target := names[name]; ok && target != nil {
			*target = strings.TrimSpace(value)
		}
	}
	for name, value := range names {
		if !filepath.IsAbs(*value) {
			return nil, fmt.Errorf("ask Puppet where its files are: %s is %q, want a path", name, *value)
		}
	}
	return f, nil
}

// read returns the content of a file of at most limit bytes.
func read(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // not to wait for a pipe
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return data, err
}

// disabled reports whether the agent is disabled, and why.
func (f *puppetFiles) disabled() (bool, string) {
	data, err := read(f.disabledLock, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return false, ""
	}
	var lock struct {
		Message string `json:"disabled_message"`
	}
	if err != nil || json.Unmarshal(data, &lock) != nil {
		return true, "" // Puppet does not look into the file either
	}
	return true, lock.Message
}

var (
	errDisabled = errors.New("it is disabled already")
	errEnabled  = errors.New("it is enabled already")
)

// disable writes the lock file. It appears whole or not at all, and one that is there stays.
func (f *puppetFiles) disable(message string) error {
	data, err := json.Marshal(map[string]string{"disabled_message": message})
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(f.disabledLock), ".agent_disabled-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if err2 := temp.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Link(temp.Name(), f.disabledLock)
	}
	if errors.Is(err, fs.ErrExist) {
		return errDisabled
	}
	return err
}

func (f *puppetFiles) enable() error {
	err := os.Remove(f.disabledLock)
	if errors.Is(err, fs.ErrNotExist) {
		return errEnabled
	}
	return err
}

// applying reports whether a catalog is being applied.
func (f *puppetFiles) applying() bool { return puppetProcess(f.runLock) > 0 }

// daemon returns the process id of the daemon, 0 when there is none.
func (f *puppetFiles) daemon() int { return puppetProcess(f.pidFile) }

// puppetProcess returns the process that a file names if it is alive, else 0. Puppet leaves files behind when
// it is killed, and process ids are used again: one that is something else than Puppet does not count.
func puppetProcess(path string) int {
	data, err := read(path, maxLock)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 1 {
		return 0
	}
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return 0
	}
	line, err := read(fmt.Sprintf("/proc/%d/cmdline", pid), maxLock)
	if err == nil && len(line) == 0 {
		return 0 // a zombie
	}
	if err == nil && !bytes.Contains(line, []byte("puppet")) {
		return 0
	}
	return pid
}

// A puppetSummary is what Puppet writes about its last run: sections of names and values.
type puppetSummary map[string]any

func (s puppetSummary) section(name string) map[string]any {
	section, _ := s[name].(map[string]any)
	return section
}

// summary returns the summary of the last run. Before the first run it has empty sections.
func (f *puppetFiles) summary() (puppetSummary, error) {
	s := puppetSummary{}
	data, err := read(f.summaryFile, maxSummary)
	if err == nil {
		s, err = parseSummary(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return puppetSummary{}, fmt.Errorf("%s: %w", f.summaryFile, err)
	}
	for _, name := range []string{"changes", "events", "resources", "time", "version"} {
		if s.section(name) == nil {
			s[name] = map[string]any{}
		}
	}
	return s, nil
}

// parseSummary takes what is an object of objects.
func parseSummary(data []byte) (puppetSummary, error) {
	all := make(map[string]any)
	if err := decodeYAML(data, &all); err != nil {
		return nil, fmt.Errorf("no YAML: %w", err)
	}
	if _, err := json.Marshal(all); err != nil { // .nan, or a hash as a name: nothing Puppet writes
		return nil, err
	}
	return all, nil
}

// decodeYAML decodes YAML. The library panics on some of what is none, and its errors have an excerpt of the
// source behind their first line.
func decodeYAML(data []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if err := yaml.Unmarshal(data, v); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return errors.New(line)
	}
	return nil
}

// types counts the resources of each type.
func (f *puppetFiles) types() (map[string]int64, error) {
	count := make(map[string]int64)
	data, err := read(f.resources, maxReport)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		name, _, ok := bytes.Cut(line, []byte("["))
		if !ok {
			continue
		}
		parts := strings.Split(string(name), "::")
		for i, part := range parts {
			if part != "" {
				parts[i] = strings.ToUpper(part[:1]) + strings.ToLower(part[1:])
			}
		}
		count[strings.Join(parts, "::")]++
	}
	return count, nil
}

// manages reports whether a resource is in the catalog of the last run.
func (f *puppetFiles) manages(kind, title string) (bool, error) {
	data, err := read(f.resources, maxReport)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	want := strings.ToLower(kind) + "[" + title + "]"
	for line := range bytes.Lines(data) {
		if string(bytes.TrimRight(line, "\r\n")) == want {
			return true, nil
		}
	}
	return false, nil
}
