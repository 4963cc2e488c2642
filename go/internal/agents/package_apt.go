package agents

import (
	"bufio"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// apt is the package manager of Debian and its relatives.
type apt struct {
	env []string // for tests, which work below a root of their own
}

// What apt-get would take for a pattern, a release, a file or the opposite of what is asked, as in
// nginx-, is no name. Source: apt-get(8), deb-control(5).
var (
	debName    = regexp.MustCompile(`\A[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?\z`)
	debVersion = regexp.MustCompile(`\A[0-9A-Za-z][0-9A-Za-z.+:~-]*\z`)
)

func (*apt) name() string { return "apt" }

func (*apt) check(name, version string) error {
	if !debName.MatchString(name) || strings.HasSuffix(name, "-") {
		return fmt.Errorf("%q is no name of a package: want lower case letters, digits, +, - and ., and perhaps :architecture", name)
	}
	if version != "" && !debVersion.MatchString(version) {
		return fmt.Errorf("%q is no version of a package", version)
	}
	return nil
}

// aptGet is a command that asks nothing: configuration files that somebody has changed stay, and
// a lock of somebody else is waited for.
func (a *apt) aptGet(args ...string) command {
	argv := []string{"apt-get", "--quiet", "--assume-yes", "--option=Dpkg::Options::=--force-confdef", "--option=Dpkg::Options::=--force-confold",
		"--option=DPkg::Lock::Timeout=120", "--option=APT::Color=0"}
	return a.command(append(argv, args...)...)
}

func (a *apt) command(argv ...string) command {
	env := []string{"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_MODE=l", "COLUMNS=200"}
	return command{argv: argv, env: append(env, a.env...)}
}

func (a *apt) install(name, version string) command {
	if version == "" {
		return a.aptGet("install", "--", name)
	}
	return a.aptGet("--allow-downgrades", "install", "--", name+"="+version)
}

func (a *apt) update(name string) command {
	return a.aptGet("--only-upgrade", "install", "--", name)
}
func (a *apt) remove(name string) command { return a.aptGet("remove", "--", name) }
func (a *apt) purge(name string) command  { return a.aptGet("purge", "--", name) }

// available looks for a candidate of exactly this name: apt-get itself would take a name that it does
// not know for a regular expression and install all that match.
func (a *apt) available(ctx context.Context, name string) (bool, error) {
	c := a.command("apt-cache", "policy", "--", name)
	f, err := c.run(ctx)
	if err != nil {
		return false, err
	}
	if f.code != 0 {
		return false, f.failure(c)
	}
	plain, _, _ := strings.Cut(name, ":")
	here := false
	for line := range strings.Lines(f.stdout) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, " ") {
			of := strings.TrimSuffix(line, ":")
			here = of == name || of == plain
		} else if candidate, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && here && candidate != "(none)" {
			return true, nil
		}
	}
	return false, nil
}

// status asks dpkg. Its states are in dpkg-query(1).
func (a *apt) status(ctx context.Context, name string) (*packageStatus, error) {
	c := a.command("dpkg-query", "--show", "--showformat=${db:Status-Status}\t${Version}\t${Architecture}\n", "--", name)
	f, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	plain, _, _ := strings.Cut(name, ":")
	st := &packageStatus{Name: plain, Provider: "apt", Ensure: "purged"}
	if f.code == 1 {
		return st, nil // dpkg knows nothing of it
	}
	if f.code != 0 {
		return nil, f.failure(c)
	}
	// A package may be there for several architectures: one that is installed counts.
	for line := range strings.Lines(f.stdout) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 3 || st.present() {
			continue
		}
		switch state, version, arch := fields[0], fields[1], fields[2]; state {
		case "not-installed":
		case "config-files":
			st.Ensure = "absent"
		default: // installed, or half of it
			st.setVersion(version)
			st.Arch = &arch
		}
	}
	return st, nil
}

// setVersion takes epoch:upstream-revision apart. Source: deb-version(7).
func (p *packageStatus) setVersion(whole string) {
	p.Ensure = whole
	epoch, rest, found := strings.Cut(whole, ":")
	if !found {
		epoch, rest = "0", whole
	}
	release := ""
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		rest, release = rest[:i], rest[i+1:]
	}
	p.Epoch, p.Version, p.Release = &epoch, &rest, &release
}

// installed is what the Ruby agent makes its digest of.
func (a *apt) installed(ctx context.Context) (string, int, error) {
	c := a.command("dpkg", "--list")
	c.whole = true
	f, err := c.run(ctx)
	if err != nil {
		return "", 0, err
	}
	if f.code != 0 {
		return "", 0, f.failure(c)
	}
	var lines []string
	for line := range strings.SplitSeq(f.stdout, "\n") {
		if strings.HasPrefix(line, "ii") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n"), len(lines), nil
}

// instLine is what apt-get says of a package that it would install over an older one:
// Inst bash [5.2-1] (5.2-2 Debian:12.1/stable, Debian-Security:12/stable [amd64]) []
var instLine = regexp.MustCompile(`^Inst (\S+) \[[^\]]+\] \((\S+) ([^)]*?)(?: \[[a-z0-9-]+\])?\)`)

func (a *apt) outdated(ctx context.Context) (*updates, error) {
	c := a.aptGet("--simulate", "dist-upgrade")
	f, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	if f.code != 0 {
		return nil, f.failure(c)
	}
	return &updates{Output: f.output(), ExitCode: f.code, Outdated: parseInst(f.stdout)}, nil
}

func parseInst(text string) []outdatedPackage {
	found := []outdatedPackage{}
	scan := bufio.NewScanner(strings.NewReader(text))
	for scan.Scan() {
		if m := instLine.FindStringSubmatch(scan.Text()); m != nil {
			found = append(found, outdatedPackage{Package: m[1], Version: m[2], Repo: m[3]})
		}
	}
	return found
}

func (a *apt) refresh(ctx context.Context) (*finished, error) { return a.aptGet("update").run(ctx) }

// maxFound bounds how many packages of a name are looked up.
const maxFound = 500

// search lists the versions of every package whose name the glob matches.
func (a *apt) search(ctx context.Context, glob string) ([]availablePackage, error) {
	if _, err := path.Match(glob, ""); err != nil || strings.HasPrefix(glob, "-") {
		return nil, fmt.Errorf("%q is neither the name of a package nor a glob", glob)
	}
	prefix := glob
	if i := strings.IndexAny(glob, `*?[\`); i >= 0 {
		prefix = glob[:i]
	}
	c := a.command("apt-cache", "pkgnames", "--", prefix)
	c.whole = true
	f, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	if f.code != 0 {
		return nil, f.failure(c)
	}
	var names []string
	for name := range strings.Lines(f.stdout) {
		name = strings.TrimRight(name, "\n")
		if ok, _ := path.Match(glob, name); ok && debName.MatchString(name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, nil
	case len(names) > maxFound:
		return nil, fmt.Errorf("search for %q: %d packages have such a name, more than %d", glob, len(names), maxFound)
	}
	slices.Sort(names)
	c = a.command(append([]string{"apt-cache", "madison", "--"}, names...)...)
	if f, err = c.run(ctx); err != nil {
		return nil, err
	}
	if f.code != 0 {
		return nil, f.failure(c)
	}
	return parseMadison(f.stdout), nil
}

// parseMadison parses lines of name | version | repository, the last one ending with what is in it:
// hello | 2.10-3 | https://deb.debian.org/debian bookworm/main amd64 Packages
func parseMadison(text string) []availablePackage {
	var found []availablePackage
	for line := range strings.Lines(text) {
		fields := strings.SplitN(line, " | ", 3)
		if len(fields) != 3 {
			continue
		}
		repo := strings.TrimSpace(fields[2])
		if strings.HasSuffix(repo, " Sources") {
			continue
		}
		p := availablePackage{Name: strings.TrimSpace(fields[0]), Version: strings.TrimSpace(fields[1]), Repo: strings.TrimSuffix(repo, " Packages")}
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found
}
