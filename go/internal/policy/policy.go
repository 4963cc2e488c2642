// Package policy decides who may run which action on this node, by action policy files.
package policy

import (
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
)

// maxFileSize bounds what is read of a policy or groups file. A line of 100 bytes for each of 10 000
// callers is 1 MB.
const maxFileSize = 4 << 20

// groupsFile is the name of the file of caller groups beside the policies.
const groupsFile = "groups"

// Policies are the action policy files of one directory: AGENT.policy, each parsed when an agent is
// first asked for and again when the file changes. Set its fields before use. Its methods may be
// called concurrently.
type Policies struct {
	// Dir is <directory of the configuration file>/policies. Empty is a directory without files.
	Dir string

	// AllowUnconfigured is plugin.actionpolicy.allow_unconfigured: what happens to agents without a
	// file, and to requests that no line of a file without "policy default" is about. False denies.
	AllowUnconfigured bool

	// Default is the name of the policy of agents without a file of their own, without .policy:
	// plugin.actionpolicy.default_name if enable_default is set. Empty means none.
	Default string

	Log *slog.Logger // nil discards; gets what is wrong with files, once each time they change

	mu    sync.Mutex
	files map[fileName]*file
}

// A Request is what a decision is about.
type Request struct {
	Agent  string
	Action string
	Caller string // caller id, as in choria=rip.mcollective

	// Through is the action by which Action is run when that is no action of the agent but something that an
	// input names, as a task of Puppet; empty otherwise. Known are the actions of the agent then. A policy that
	// names nothing but known actions was not written with such names in mind, as those of other
	// implementations, which do not ask about them by default: what it says of Through decides.
	Through string
	Known   []string

	// Facts and Classes describe this node. They are called only when a line needs them.
	Facts   func() json.RawMessage
	Classes func() []string

	// Data asks a data plugin, for the compound expressions that name one. Nil means there are none,
	// and what cannot be asked denies.
	Data func(source, query string, hasQuery bool) (map[string]any, error)
}

// A Decision is whether a request may run, and why.
type Decision struct {
	Allow bool

	// Rule is what decided: FILE:LINE, or words when no line did. It is for logs and audits of this
	// node and never for the caller.
	Rule string
}

// Provider is the only provider of authorization that is implemented. Rego policies and tokens of the
// AAA service, which other implementations know, are not evaluated.
const Provider = "action_policy"

// Foreign is the decision about every request where another provider is configured: what its policies
// would allow nobody here knows.
func Foreign(provider string) Decision {
	return Decision{Rule: fmt.Sprintf("rpcauthprovider = %s: only %s is implemented, everything is denied", provider, Provider)}
}

// Decide decides about r. A policy file that cannot be understood denies everything.
func (p *Policies) Decide(r *Request) Decision { return p.decide(r, nil) }

func (p *Policies) decide(r *Request, visit func(*rule, mismatch, error)) Decision {
	if r.Agent == "" || strings.ContainsAny(r.Agent, `/\`) || r.Agent == ".." {
		return Decision{Rule: fmt.Sprintf("agent name %q", r.Agent)}
	}
	f, groups := p.filesOf(r.Agent)

	switch {
	case f == nil:
		return Decision{Allow: p.AllowUnconfigured, Rule: "no policy file for " + r.Agent}
	case f.err != nil:
		return Decision{Rule: f.err.Error()}
	case groups != nil && groups.err != nil:
		return Decision{Rule: groups.err.Error()}
	}
	var members groupMembers
	if groups != nil {
		members = groups.groups
	}
	if r.Through == "" || r.Action == r.Through || f.names(r.Known) {
		return f.rules.decide(r, members, p.AllowUnconfigured, visit)
	}
	run := *r
	run.Action = r.Through
	d := f.rules.decide(&run, members, p.AllowUnconfigured, visit)
	d.Rule += ": as " + r.Through + ", the policy names nothing that it runs"
	return d
}

// names reports whether a policy has the name of anything but known actions, or may have: what a line that
// was left out is about nobody knows.
func (f *file) names(known []string) bool {
	if len(f.warnings) > 0 {
		return true
	}
	return slices.ContainsFunc(f.rules.lines, func(l rule) bool {
		return slices.ContainsFunc(l.actions, func(name string) bool { return !slices.Contains(known, name) })
	})
}

// filesOf returns the policy of an agent and the groups, each nil when there is none.
func (p *Policies) filesOf(agent string) (f, groups *file) {
	if p.Dir == "" {
		return nil, nil
	}
	var changed []*file
	p.mu.Lock()
	f = p.load(agent, ".policy", parseRules, &changed)
	if f == nil && p.Default != "" {
		f = p.load(p.Default, ".policy", parseRules, &changed)
	}
	if f != nil && f.rules != nil && f.rules.named {
		groups = p.load(groupsFile, "", parseGroups, &changed)
	}
	p.mu.Unlock()
	for _, c := range changed {
		c.report(p.Log)
	}
	return f, groups
}

// Check reads the policy of every agent in agents, so that what is wrong with the files is logged
// when a node starts and not when somebody is denied.
func (p *Policies) Check(agents []string) {
	for _, agent := range agents {
		p.Decide(&Request{Agent: agent})
	}
}

// A fileName is the base name of a file in two parts, so that a look-up need not join them.
type fileName struct{ base, extension string }

// A file is one file as last read.
type file struct {
	path     string
	info     os.FileInfo
	read     time.Time
	rules    *rules       // of a policy
	groups   groupMembers // of the groups file
	warnings []error
	err      error
}

// A parser fills in what a file says.
type parser func(f *file, data []byte) error

// racy is how close to its last change a file may have been read for a later change to leave the
// time of change as it was: file systems count in ticks of up to 2 s (FAT), ext4 in jiffies.
const racy = 2 * time.Second

// load returns the file of that name, nil when there is none, and appends it to changed when
// it is not what it was. It is called with p.mu held.
func (p *Policies) load(base, extension string, parse parser, changed *[]*file) *file {
	name := fileName{base, extension}
	old := p.files[name]
	var path string
	if old != nil {
		path = old.path
	} else {
		path = filepath.Join(p.Dir, base+extension)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		delete(p.files, name)
		return nil
	}
	if err == nil && old != nil && same(old.info, info) && old.read.Sub(info.ModTime()) > racy {
		return old
	}
	f := &file{path: path, info: info, read: time.Now(), err: err}
	if err == nil {
		var data []byte
		if data, f.err = readFile(path); f.err == nil {
			f.err = parse(f, data)
		}
	}
	if old == nil || !same(old.info, info) || message(old.err) != message(f.err) {
		*changed = append(*changed, f)
	}
	if p.files == nil {
		p.files = make(map[fileName]*file)
	}
	p.files[name] = f
	return f
}

// report logs what is wrong with a file.
func (f *file) report(log *slog.Logger) {
	if log == nil {
		return
	}
	for _, w := range f.warnings {
		log.Warn("policy line not understood", "file", f.path, "err", w)
	}
	if f.err != nil {
		log.Error("policy denies everything until it is mended", "file", f.path, "err", f.err)
	}
}

// same reports whether two looks at a file saw the same content, as far as that can be told.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s: %d bytes, more than %d", path, info.Size(), maxFileSize)
	}
	return os.ReadFile(path)
}
