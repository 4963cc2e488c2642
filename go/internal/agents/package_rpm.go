package agents

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// rpm is the package manager of Red Hat and its relatives: rpm with dnf or yum.
type rpm struct {
	program string // dnf or yum

	// For tests, which work below a root of their own: options of that program and of rpm.
	options, rpmOptions []string
}

// What dnf would take for a file, a URL, a group, a glob or something that a package provides is no name.
var (
	rpmName    = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_+.-]*\z`)
	rpmVersion = regexp.MustCompile(`\A[0-9A-Za-z][0-9A-Za-z_.+:~^-]*\z`)
)

func (r *rpm) name() string { return r.program }

func (r *rpm) check(name, version string) error {
	if !rpmName.MatchString(name) || strings.HasSuffix(name, ".rpm") {
		return fmt.Errorf("%q is no name of a package: want nothing but letters, digits, _, +, . and -", name)
	}
	if version != "" && !rpmVersion.MatchString(version) {
		return fmt.Errorf("%q is no version of a package", version)
	}
	return nil
}

// tool is a command of dnf or yum.
func (r *rpm) tool(args ...string) command {
	argv := append([]string{r.program}, r.options...)
	return command{argv: append(argv, args...), env: []string{"COLUMNS=200"}}
}

// query is a command of rpm.
func (r *rpm) query(args ...string) command {
	argv := append([]string{"rpm", "--query"}, r.rpmOptions...)
	return command{argv: append(argv, args...)}
}

func (r *rpm) install(name, version string) command {
	if version != "" {
		name += "-" + version
	}
	return r.tool("--assumeyes", "--quiet", "install", name)
}

func (r *rpm) update(name string) command {
	return r.tool("--assumeyes", "--quiet", "update", name)
}

func (r *rpm) remove(name string) command {
	return r.tool("--assumeyes", "--quiet", "remove", name)
}

// purge removes: rpm keeps no more than configuration that somebody has changed, under another name.
func (r *rpm) purge(name string) command { return r.remove(name) }

// available lets the tool itself say that there is no such package: it does not guess.
func (r *rpm) available(context.Context, string) (bool, error) { return true, nil }

// queryFormat has one field a line, so that none can be mistaken for another.
const queryFormat = `%{NAME}\n%|EPOCH?{%{EPOCH}}:{0}|\n%{VERSION}\n%{RELEASE}\n%{ARCH}\n`

func (r *rpm) status(ctx context.Context, name string) (*packageStatus, error) {
	c := r.query("--queryformat", queryFormat, name)
	f, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	st := &packageStatus{Name: name, Provider: r.program, Ensure: "purged"}
	fields := strings.Split(strings.TrimRight(f.stdout, "\n"), "\n")
	switch {
	case f.code != 0 && strings.Contains(f.stdout+f.stderr, "is not installed"):
		return st, nil
	case f.code != 0:
		return nil, f.failure(c)
	case len(fields) < 5 || len(fields)%5 != 0:
		return nil, fmt.Errorf("rpm: %q is no answer to a query", f.stdout)
	}
	// Several versions may be installed, as of a kernel; the last one is the newest.
	last := fields[len(fields)-5:]
	st.Name, st.Epoch, st.Version, st.Release, st.Arch = last[0], &last[1], &last[2], &last[3], &last[4]
	st.Ensure = last[2] + "-" + last[3]
	if last[1] != "0" {
		st.Ensure = last[1] + ":" + st.Ensure
	}
	return st, nil
}

func (r *rpm) installed(ctx context.Context) (string, int, error) {
	c := r.query("--all")
	c.whole = true
	f, err := c.run(ctx)
	if err != nil {
		return "", 0, err
	}
	if f.code != 0 {
		return "", 0, f.failure(c)
	}
	return f.stdout, len(strings.Fields(f.stdout)), nil
}

// updatesAvailable is the exit code of check-update when there are some.
const updatesAvailable = 100

func (r *rpm) outdated(ctx context.Context) (*updates, error) {
	c := r.tool("--quiet", "check-update")
	f, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	if f.code != 0 && f.code != updatesAvailable {
		return nil, f.failure(c)
	}
	u := &updates{Output: f.output(), ExitCode: f.code, Outdated: []outdatedPackage{}}
	for _, p := range parseTriples(f.stdout) {
		u.Outdated = append(u.Outdated, outdatedPackage{Package: p.Name, Version: p.Version, Repo: p.Repo})
	}
	return u, nil
}

// parseTriples parses lists of name.arch, version and repository. Yum breaks lines that are longer than
// a terminal is wide, so a package may take two or three lines; what follows a heading of obsolete
// packages is not for installing.
func parseTriples(text string) []availablePackage {
	var found []availablePackage
	var parts []string
	for line := range strings.Lines(text) {
		lower := strings.ToLower(line)
		if strings.HasPrefix(lower, "obsoleting packages") {
			break
		}
		words := strings.Fields(line)
		continues := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if !continues {
			parts = nil
		}
		if len(words) == 0 || strings.HasSuffix(lower, " packages\n") {
			continue
		}
		parts = append(parts, words...)
		if len(parts) > 3 || len(parts) > 0 && !strings.Contains(parts[0], ".") {
			parts = nil // a sentence
			continue
		}
		if len(parts) == 3 {
			found = append(found, availablePackage{parts[0], parts[1], parts[2]})
			parts = nil
		}
	}
	return found
}

// refresh makes the tool forget what it knows of repositories and look again.
func (r *rpm) refresh(ctx context.Context) (*finished, error) {
	c := r.tool("clean", "metadata")
	f, err := c.run(ctx)
	if err != nil || f.code != 0 {
		return f, err
	}
	c = r.tool("--quiet", "check-update")
	if f, err = c.run(ctx); err == nil && f.code == updatesAvailable {
		f.code = 0
	}
	return f, err
}

func (r *rpm) search(ctx context.Context, glob string) ([]availablePackage, error) {
	if !regexp.MustCompile(`\A[A-Za-z0-9_*?\[][A-Za-z0-9_+.*?\[\]^~:-]*\z`).MatchString(glob) {
		return nil, fmt.Errorf("%q is neither the name of a package nor a glob", glob)
	}
	c := r.tool("--quiet", "--showduplicates", "list", "available", glob)
	f, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	if f.code != 0 {
		if strings.Contains(strings.ToLower(f.output()), "no matching packages") {
			return nil, nil
		}
		return nil, f.failure(c)
	}
	return parseTriples(f.stdout), nil
}
