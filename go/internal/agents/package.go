package agents

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"choria.io/choria/go/agent"
)

// A package manager knows one family of tools. Its commands never ask anything.
type packageManager interface {
	name() string // apt, dnf or yum

	// check refuses names and versions that the tools would take for something else than a package.
	check(name, version string) error

	status(ctx context.Context, name string) (*packageStatus, error)

	// These return the command that does it. version is empty for the newest one.
	install(name, version string) command
	update(name string) command
	remove(name string) command
	purge(name string) command

	// available reports whether there is exactly this package to install.
	available(ctx context.Context, name string) (bool, error)

	// installed lists what is installed, one package a line.
	installed(ctx context.Context) (list string, count int, err error)
	outdated(ctx context.Context) (*updates, error)
	refresh(ctx context.Context) (*finished, error)
	search(ctx context.Context, glob string) ([]availablePackage, error)
}

// A packageStatus is the data of the actions about one package, as text. What is not known is null.
// Ensure is the whole version; absent is a package of which there is configuration left, purged one of
// which there is nothing.
type packageStatus struct {
	Output   *string `json:"output"`
	Epoch    *string `json:"epoch"`
	Arch     *string `json:"arch"`
	Ensure   string  `json:"ensure"`
	Version  *string `json:"version"`
	Provider string  `json:"provider"`
	Name     string  `json:"name"`
	Release  *string `json:"release"`
}

func (p *packageStatus) present() bool { return p.Ensure != "absent" && p.Ensure != "purged" }

// An outdatedPackage is one for which there is a newer version.
type outdatedPackage struct {
	Package string `json:"package"`
	Version string `json:"version"` // the newer one
	Repo    string `json:"repo"`
}

// updates are the data of the actions that look for outdated packages.
type updates struct {
	Manager  string            `json:"package_manager,omitempty"`
	Output   string            `json:"output"`
	Outdated []outdatedPackage `json:"outdated_packages"`
	ExitCode int               `json:"exitcode"`
}

// An availablePackage is one that could be installed.
type availablePackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Repo    string `json:"repo"`
}

// maxChange is how long a change of packages may take before it is taken for hung. It is longer than
// any caller waits: to kill a package manager in the middle of its work would do harm.
const maxChange = time.Hour

// packages is the agent package.
type packages struct {
	manager packageManager
	busy    chan struct{} // holds 1: while packages are changed
}

// Package returns the agent package, which works with apt, or with dnf or yum. It is nil on a machine
// that has none of them. plugin.package.provider may name one of them; other values, the puppet of the
// Ruby agent too, find out. get looks up configuration keys and may be nil.
func Package(get func(key string) (value string, ok bool)) *agent.Agent {
	has := func(program string) bool {
		_, err := exec.LookPath(program)
		return err == nil
	}
	var m packageManager
	switch provider := setting(get).or("plugin.package.provider", ""); provider {
	case "apt":
		m = &apt{}
	case "dnf", "yum":
		m = &rpm{program: provider}
	default:
		_, err := os.Stat("/var/lib/dpkg/status")
		switch {
		case err == nil && has("apt-get"):
			m = &apt{}
		case has("dnf"):
			m = &rpm{program: "dnf"}
		case has("yum"):
			m = &rpm{program: "yum"}
		default:
			return nil
		}
	}
	mode := setting(get).or("plugin.package.yum_clean_mode", "all")
	return newPackages(m, mode)
}

func newPackages(m packageManager, cleanMode string) *agent.Agent {
	p := &packages{manager: m, busy: make(chan struct{}, 1)}
	return newAgent("package", map[string]agent.Action{
		"apt_checkupdates": p.only("apt", p.checkUpdates),
		"apt_update":       p.only("apt", p.refreshAndCheck),
		"checkupdates":     p.checkUpdates,
		"count":            p.count,
		"install":          p.install,
		"md5":              p.md5,
		"purge":            p.removing(m.purge),
		"refresh":          p.refresh,
		"search":           p.search,
		"status":           p.status,
		"uninstall":        p.removing(m.remove),
		"update":           p.update,
		"yum_checkupdates": p.only("rpm", p.checkUpdates),
		"yum_clean":        p.only("rpm", p.clean(cleanMode)),
	})
}

// only returns an action that is for one family of tools.
func (p *packages) only(family string, action agent.Action) agent.Action {
	_, isRPM := p.manager.(*rpm)
	if isRPM == (family == "rpm") {
		return action
	}
	return func(_ context.Context, req *agent.Request, _ *agent.Reply) error {
		return agent.Errorf(agent.Aborted, "%s: this node has %s", req.Action, p.manager.name())
	}
}

type packageInputs struct {
	Package string `json:"package"`
	Version string `json:"version"`
}

// subject returns the inputs of a request about one package, and its status.
func (p *packages) subject(ctx context.Context, req *agent.Request, reply *agent.Reply) (packageInputs, *packageStatus, error) {
	var in packageInputs
	if req.Action == "install" {
		if err := bind(req, &in); err != nil {
			return in, nil, err
		}
	} else {
		var one struct {
			Package string `json:"package"`
		}
		if err := bind(req, &one); err != nil {
			return in, nil, err
		}
		in.Package = one.Package
	}
	if err := p.manager.check(in.Package, in.Version); err != nil {
		return in, nil, agent.Errorf(agent.InvalidData, "%v", err)
	}
	st, err := p.manager.status(ctx, in.Package)
	if err != nil {
		return in, nil, aborted(err)
	}
	reply.Data = st
	return in, st, nil
}

func (p *packages) status(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	_, _, err := p.subject(ctx, req, reply)
	return err
}

func (p *packages) install(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	in, st, err := p.subject(ctx, req, reply)
	if err != nil {
		return err
	}
	if st.present() && in.Version == "" {
		return agent.Errorf(agent.Aborted, "package %s is already installed", in.Package)
	}
	there, err := p.manager.available(ctx, in.Package)
	if err == nil && !there {
		err = fmt.Errorf("package %s: there is none of this name to install", in.Package)
	}
	if err != nil {
		return aborted(err)
	}
	return p.change(ctx, reply, in.Package, p.manager.install(in.Package, in.Version))
}

func (p *packages) update(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	in, st, err := p.subject(ctx, req, reply)
	if err != nil {
		return err
	}
	if !st.present() {
		return errAbsent(in.Package)
	}
	return p.change(ctx, reply, in.Package, p.manager.update(in.Package))
}

func errAbsent(name string) error {
	return agent.Errorf(agent.Aborted, "package %s is not installed", name)
}

// removing returns an action that removes a package. Of one that was removed before there may still be
// something to purge.
func (p *packages) removing(with func(string) command) agent.Action {
	return func(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
		in, st, err := p.subject(ctx, req, reply)
		if err != nil {
			return err
		}
		if st.Ensure == "purged" || st.Ensure == "absent" && req.Action != "purge" {
			return errAbsent(in.Package)
		}
		return p.change(ctx, reply, in.Package, with(in.Package))
	}
}

// change runs a command that changes packages, one at a time, and puts the status afterwards into the
// reply.
func (p *packages) change(ctx context.Context, reply *agent.Reply, name string, c command) error {
	f, err := p.exclusively(ctx, c.run)
	if err != nil {
		return aborted(err)
	}
	st, err := p.manager.status(ctx, name)
	if err != nil {
		return aborted(err)
	}
	text := f.output()
	st.Output = &text
	reply.Data = st
	if f.code != 0 {
		return aborted(f.failure(c))
	}
	return nil
}

var errGoesOn = errors.New("not finished within the timeout of the agent; it goes on, and package#status will tell how it ended")

// exclusively runs something that changes packages. When ctx ends before it does it goes on by itself.
func (p *packages) exclusively(ctx context.Context, run func(context.Context) (*finished, error)) (*finished, error) {
	select {
	case p.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, errors.New("another change of packages has not finished yet")
	}
	type result struct {
		f   *finished
		err error
	}
	done := make(chan result, 1) // so that the goroutine ends when nobody waits any more
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxChange)
		defer cancel()
		f, err := run(ctx)
		<-p.busy
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		return r.f, r.err
	case <-ctx.Done():
		return nil, errGoesOn
	}
}

// A packageOutput is the data of actions that return text and an exit code.
type packageOutput struct {
	Output   string `json:"output"`
	ExitCode int    `json:"exitcode"`
}

func (p *packages) count(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	_, n, err := p.manager.installed(ctx)
	if err != nil {
		return aborted(err)
	}
	reply.Data = &packageOutput{Output: strconv.Itoa(n)}
	return nil
}

// md5 returns a digest of the list of packages, which tells whether nodes have the same ones. It is what
// the action is called and protects nothing.
func (p *packages) md5(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	list, _, err := p.manager.installed(ctx)
	if err != nil {
		return aborted(err)
	}
	sum := md5.Sum([]byte(list))
	reply.Data = &packageOutput{Output: hex.EncodeToString(sum[:])}
	return nil
}

func (p *packages) checkUpdates(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	u, err := p.manager.outdated(ctx)
	if err != nil {
		return aborted(err)
	}
	if req.Action == "checkupdates" {
		u.Manager = p.manager.name()
	}
	if !fits(u) {
		u.Output = "" // the list of packages says the same
	}
	if !fits(u) {
		return agent.Errorf(agent.Aborted, "list of %d outdated packages: too large for one reply", len(u.Outdated))
	}
	reply.Data = u
	return nil
}

func (p *packages) refresh(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	f, err := p.exclusively(ctx, p.manager.refresh)
	if err != nil {
		return aborted(err)
	}
	data := &packageOutput{f.output(), f.code}
	reply.Data = data
	if f.code != 0 {
		return agent.Errorf(agent.Aborted, "refresh: exit code %d: %s", f.code, f.complaint())
	}
	return nil
}

func (p *packages) refreshAndCheck(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	if err := p.refresh(ctx, req, reply); err != nil {
		return err
	}
	return p.checkUpdates(ctx, req, reply)
}

func (p *packages) clean(mode string) agent.Action {
	return func(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
		in := struct {
			Mode string `json:"mode"`
		}{mode}
		if err := bind(req, &in); err != nil {
			return err
		}
		c := p.manager.(*rpm).tool("clean", in.Mode) // see only
		f, err := p.exclusively(ctx, c.run)
		if err != nil {
			return aborted(err)
		}
		reply.Data = &packageOutput{f.output(), f.code}
		if f.code != 0 {
			return aborted(f.failure(c))
		}
		return nil
	}
}

func (p *packages) search(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Package string `json:"package"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	found, err := p.manager.search(ctx, in.Package)
	if err != nil {
		return aborted(err)
	}
	if found == nil {
		found = []availablePackage{}
	}
	data := map[string]any{"package_count": len(found), "available_packages": found}
	if !fits(data) {
		return agent.Errorf(agent.Aborted, "search for %q: the %d packages found are too many for one reply", in.Package, len(found))
	}
	reply.Data = data
	return nil
}
