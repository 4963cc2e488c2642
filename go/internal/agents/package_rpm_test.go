package agents

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"choria.io/choria/go/agent"
)

// A redhatRoot is a machine of its own, as far as dnf and rpm are concerned, with a repository of
// packages that the test builds.
type redhatRoot struct {
	t         testing.TB
	dir, repo string
	manager   *rpm
}

func newRedhatRoot(t testing.TB) *redhatRoot {
	t.Helper()
	for _, program := range []string{"dnf", "rpm", "rpmbuild", "createrepo_c"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test builds and installs RPM packages; scripts/setup installs what it needs: %v", err)
		}
	}
	dir := t.TempDir()
	r := &redhatRoot{t: t, dir: dir, repo: filepath.Join(dir, "repo")}
	root := filepath.Join(dir, "root")
	for _, sub := range []string{r.repo, filepath.Join(root, "etc")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "dnf.conf")
	text := fmt.Sprintf(`[main]
installroot=%[1]s/root
reposdir=/nonexistent
cachedir=%[1]s/cache
logdir=%[1]s/log
persistdir=%[1]s/persist
pluginpath=/nonexistent
gpgcheck=0
[tests]
name=tests
baseurl=file://%[1]s/repo
metadata_expire=1h
`, dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r.manager = &rpm{program: "dnf", options: []string{"--config=" + config, "--releasever=1"}, rpmOptions: []string{"--root", root}}
	return r
}

// build puts a package into the repository.
func (r *redhatRoot) build(name, epoch, version string) {
	r.t.Helper()
	spec := filepath.Join(r.dir, name+".spec")
	text := fmt.Sprintf("Name: %s\n%sVersion: %s\nRelease: 1%%{?none}\nSummary: a package for tests\nLicense: x\nBuildArch: noarch\n%%description\nx\n%%files\n",
		name, epoch, version)
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	r.command("rpmbuild", "-bb", "--quiet", "--define", "_topdir "+r.dir+"/rpmbuild", "--define", "_rpmdir "+r.repo, "--define", "_dbpath "+r.dir+"/build", spec)
}

func (r *redhatRoot) index() { r.command("createrepo_c", "--quiet", r.repo) }

func (r *redhatRoot) command(args ...string) {
	r.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// Everything the agent does with real packages, dnf and rpm.
func TestPackageDnf(t *testing.T) {
	t.Parallel()
	root := newRedhatRoot(t)
	root.build("choria-demo", "", "1.0")
	root.build("other+demo", "Epoch: 2\n", "3.0")
	root.index()
	a := newPackages(root.manager, "metadata")
	want := func(action string, in map[string]any, outputs map[string]any) {
		t.Helper()
		got := mustCall(t, a, action, in)
		for name, value := range outputs {
			if !reflect.DeepEqual(got[name], value) {
				t.Errorf("%s %v: %s = %#v; want %#v", action, in, name, got[name], value)
			}
		}
	}
	refused := func(action string, in map[string]any, code agent.Status, message string) {
		t.Helper()
		if _, got, msg := call(t, t.Context(), a, action, in); got != code || !strings.Contains(msg, message) {
			t.Errorf("%s %v: %d %q; want %d %q", action, in, got, msg, code, message)
		}
	}
	demo := map[string]any{"package": "choria-demo"}

	want("count", nil, map[string]any{"output": "0"})
	want("status", demo, map[string]any{"ensure": "purged", "name": "choria-demo", "provider": "dnf", "version": nil})
	refused("uninstall", demo, agent.Aborted, "is not installed")
	want("search", map[string]any{"package": "choria-*"}, map[string]any{"package_count": 1.0, "available_packages": []any{
		map[string]any{"name": "choria-demo.noarch", "version": "1.0-1", "repo": "tests"},
	}})
	want("search", map[string]any{"package": "nothing-here"}, map[string]any{"package_count": 0.0})
	want("install", demo, map[string]any{"ensure": "1.0-1", "version": "1.0", "release": "1", "epoch": "0", "arch": "noarch"})
	refused("install", demo, agent.Aborted, "already installed")
	want("install", map[string]any{"package": "other+demo"}, map[string]any{"ensure": "2:3.0-1", "epoch": "2"})
	want("count", nil, map[string]any{"output": "2"})
	before := mustCall(t, a, "md5", nil)["output"]
	want("checkupdates", nil, map[string]any{"outdated_packages": []any{}, "exitcode": 0.0, "package_manager": "dnf"})

	root.build("choria-demo", "", "1.1")
	root.index()
	want("refresh", nil, map[string]any{"exitcode": 0.0})
	outdated := []any{map[string]any{"package": "choria-demo.noarch", "version": "1.1-1", "repo": "tests"}}
	want("yum_checkupdates", nil, map[string]any{"outdated_packages": outdated, "exitcode": 100.0})
	want("update", demo, map[string]any{"ensure": "1.1-1"})
	want("checkupdates", nil, map[string]any{"outdated_packages": []any{}})
	if after := mustCall(t, a, "md5", nil)["output"]; after == before {
		t.Errorf("md5 is %v before and after an update", before)
	}
	want("uninstall", demo, map[string]any{"ensure": "purged"})
	want("install", map[string]any{"package": "choria-demo", "version": "1.0-1"}, map[string]any{"ensure": "1.0-1"})
	want("purge", demo, map[string]any{"ensure": "purged"})
	want("yum_clean", nil, map[string]any{"exitcode": 0.0})
	want("yum_clean", map[string]any{"mode": "expire-cache"}, map[string]any{"exitcode": 0.0})

	refused("install", map[string]any{"package": "choria-nothing"}, agent.Aborted, "choria-nothing")
	for _, name := range []string{"choria-*", "@group", "/bin/sh", "http://x/y", "./x.rpm", "x.rpm", "-y", "a b", "", "lib(x)"} {
		refused("install", map[string]any{"package": name}, agent.InvalidData, "")
	}
	want("count", nil, map[string]any{"output": "1"})
	refused("apt_update", nil, agent.Aborted, "this node has dnf")
}

// Lists as yum 3 prints them: long names wrap, headings and sentences are between.
func TestParseTriples(t *testing.T) {
	text := `
Last metadata expiration check: 0:10:00 ago on Mon Jan  1 00:00:00 2026.

bash.x86_64                        5.1.8-9.el9                     baseos
a-package-with-a-very-long-name-that-does-not-fit.noarch
                                   1:2.0-1.el9                     appstream
another-long-one.noarch            3.0-20260101000000.git1234567890abcdef.el9
                                                                   updates
Obsoleting Packages
old.x86_64                         1.0-1                           baseos
    older.x86_64                   0.9-1                           @baseos
`
	want := []availablePackage{
		{"bash.x86_64", "5.1.8-9.el9", "baseos"},
		{"a-package-with-a-very-long-name-that-does-not-fit.noarch", "1:2.0-1.el9", "appstream"},
		{"another-long-one.noarch", "3.0-20260101000000.git1234567890abcdef.el9", "updates"},
	}
	if got := parseTriples(text); !reflect.DeepEqual(got, want) {
		t.Errorf("parseTriples = %q; want %q", got, want)
	}
}

func TestParseInst(t *testing.T) {
	text := `Reading package lists...
Inst bash [5.2-1] (5.2-2 Debian:12.1/stable, Debian-Security:12/stable-security [amd64]) []
Inst emacs23 [23.1+1-4ubuntu7] (23.1+1-4ubuntu7.1 Ubuntu:10.04/lucid-updates) []
Inst new-one (1.0 Debian:12.1/stable [all])
Conf bash (5.2-2 Debian:12.1/stable [amd64])
Inst broken [
`
	want := []outdatedPackage{
		{"bash", "5.2-2", "Debian:12.1/stable, Debian-Security:12/stable-security"},
		{"emacs23", "23.1+1-4ubuntu7.1", "Ubuntu:10.04/lucid-updates"},
	}
	if got := parseInst(text); !reflect.DeepEqual(got, want) {
		t.Errorf("parseInst = %q; want %q", got, want)
	}
}

func FuzzPackageOutput(f *testing.F) {
	f.Add("Inst a [1] (2 x [amd64])\n")
	f.Add("a.b 1 c\n  d\n e f\n")
	f.Add("hello | 2.10-3 | http://x y Packages\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parseInst(text) {
			if p.Package == "" || p.Version == "" {
				t.Errorf("parseInst(%q): %+v", text, p)
			}
		}
		for _, p := range parseTriples(text) {
			if p.Name == "" || p.Version == "" || p.Repo == "" {
				t.Errorf("parseTriples(%q): %+v", text, p)
			}
		}
		parseMadison(text)
		(&packageStatus{}).setVersion(text)
	})
}
