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

// A debianRoot is a machine of its own, as far as apt and dpkg are concerned, with a repository of
// packages that the test builds.
type debianRoot struct {
	t    testing.TB
	dir  string
	repo string
	env  []string
}

func newDebianRoot(t testing.TB) *debianRoot {
	t.Helper()
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb", "dpkg-query"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("this test builds and installs Debian packages: %v", err)
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // apt drops its rights to fetch
		t.Fatal(err)
	}
	r := &debianRoot{t: t, dir: dir, repo: filepath.Join(dir, "repo")}
	admin := filepath.Join(dir, "root/var/lib/dpkg")
	for _, sub := range []string{
		"repo", "root/var/lib/dpkg/updates", "root/var/lib/dpkg/info", "root/var/lib/dpkg/triggers",
		"root/var/lib/apt/lists/partial", "root/var/cache/apt/archives/partial", "root/var/log/apt", "root/etc/apt", "root/etc/apt/preferences.d",
	} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.write("root/var/lib/dpkg/status", "")
	r.write("root/var/lib/dpkg/available", "")
	r.write("root/etc/apt/sources.list", "deb [trusted=yes] file://"+r.repo+" ./\n")
	r.write("apt.conf", fmt.Sprintf(`Dir "%[1]s/root";
Dir::State::status "%[2]s/status";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Bin::dpkg "/usr/bin/dpkg";
Dir::Etc::parts "/dev/null";
DPkg::Options { "--root=%[1]s/root"; "--admindir=%[2]s"; "--force-not-root"; "--force-script-chrootless"; "--force-bad-path"; "--log=/dev/null"; };
DPkg::Use-Pty "false";
APT::Architecture "amd64";
APT::Sandbox::User "";
Acquire::Languages "none";
`, dir, admin))
	r.env = []string{"APT_CONFIG=" + filepath.Join(dir, "apt.conf"), "DPKG_ADMINDIR=" + admin}
	return r
}

func (r *debianRoot) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// build puts a package into the repository. It has a configuration file, so that there is a
// difference between removing and purging it.
func (r *debianRoot) build(name, version string) {
	r.t.Helper()
	src := fmt.Sprintf("src/%s_%s", name, strings.ReplaceAll(version, ":", "%3a"))
	r.write(src+"/DEBIAN/control", fmt.Sprintf(
		"Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Test <test@example.net>\nDescription: a package for tests\n", name, version))
	r.write(src+"/DEBIAN/conffiles", "/etc/"+name+".conf\n")
	r.write(src+"/etc/"+name+".conf", "x\n")
	r.command("dpkg-deb", "--root-owner-group", "--build", filepath.Join(r.dir, src), r.repo)
}

// index writes the list of what is in the repository.
func (r *debianRoot) index() {
	r.t.Helper()
	var list strings.Builder
	files, err := filepath.Glob(filepath.Join(r.repo, "*.deb"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			r.t.Fatal(err)
		}
		sum, _, _ := strings.Cut(r.command("sha256sum", file), " ")
		fmt.Fprintf(&list, "%sFilename: ./%s\nSize: %d\nSHA256: %s\n\n", r.command("dpkg-deb", "--field", file), filepath.Base(file), info.Size(), sum)
	}
	r.write("repo/Packages", list.String())
}

func (r *debianRoot) command(args ...string) string {
	r.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%v: %v: %s", args, err, &stderr)
	}
	return string(out)
}

// Everything the agent does with real packages, apt and dpkg.
func TestPackageApt(t *testing.T) {
	t.Parallel()
	root := newDebianRoot(t)
	root.build("choria-demo", "1.0-1")
	root.build("choria-demo-extra", "2.5")
	root.build("other+demo", "1:3.0~rc1-2+b1")
	root.index()
	a := newPackages(&apt{env: root.env}, "all")

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

	want("count", nil, map[string]any{"output": "0", "exitcode": 0.0})
	refused("install", demo, agent.Aborted, "there is none of this name to install") // no lists yet
	want("refresh", nil, map[string]any{"exitcode": 0.0})
	want("status", demo, map[string]any{"ensure": "purged", "name": "choria-demo", "provider": "apt", "version": nil, "output": nil})
	refused("update", demo, agent.Aborted, "package choria-demo is not installed")
	refused("uninstall", demo, agent.Aborted, "package choria-demo is not installed")
	refused("purge", demo, agent.Aborted, "package choria-demo is not installed")
	want("search", map[string]any{"package": "choria-*"}, map[string]any{"package_count": 2.0, "available_packages": []any{
		map[string]any{"name": "choria-demo", "version": "1.0-1", "repo": "file:" + root.repo + " ./"},
		map[string]any{"name": "choria-demo-extra", "version": "2.5", "repo": "file:" + root.repo + " ./"},
	}})
	want("search", map[string]any{"package": "nothing-here"}, map[string]any{"package_count": 0.0, "available_packages": []any{}})

	want("install", demo, map[string]any{"ensure": "1.0-1", "version": "1.0", "release": "1", "epoch": "0", "arch": "all"})
	refused("install", demo, agent.Aborted, "package choria-demo is already installed")
	want("install", map[string]any{"package": "other+demo"}, map[string]any{"ensure": "1:3.0~rc1-2+b1", "epoch": "1", "version": "3.0~rc1", "release": "2+b1"})
	want("count", nil, map[string]any{"output": "2"})
	before := mustCall(t, a, "md5", nil)["output"]
	want("checkupdates", nil, map[string]any{"outdated_packages": []any{}, "package_manager": "apt", "exitcode": 0.0})

	// A newer version appears.
	root.build("choria-demo", "1.1-1")
	root.index()
	update := mustCall(t, a, "apt_update", nil)
	if got, ok := update["outdated_packages"].([]any); !ok || len(got) != 1 || got[0].(map[string]any)["version"] != "1.1-1" {
		t.Errorf("apt_update: %v; want version 1.1-1 of choria-demo", update)
	}
	want("apt_checkupdates", nil, map[string]any{"package_manager": nil})
	want("update", demo, map[string]any{"ensure": "1.1-1"})
	want("update", demo, map[string]any{"ensure": "1.1-1"}) // nothing to do
	want("apt_checkupdates", nil, map[string]any{"outdated_packages": []any{}})
	if after := mustCall(t, a, "md5", nil)["output"]; after == before || len(after.(string)) != 32 {
		t.Errorf("md5 %v before and %v after an update", before, after)
	}
	// A version that is asked for may be an older one.
	want("install", map[string]any{"package": "choria-demo", "version": "1.0-1"}, map[string]any{"ensure": "1.0-1"})
	if data, code, msg := call(t, t.Context(), a, "install", map[string]any{"package": "choria-demo", "version": "9.9"}); code != agent.Aborted ||
		!strings.Contains(msg, "exit code 100") || data["ensure"] != "1.0-1" || !strings.Contains(fmt.Sprint(data["output"]), "9.9") {
		t.Errorf("install of a version that is not there: %d %q %v", code, msg, data)
	}

	want("uninstall", demo, map[string]any{"ensure": "absent", "version": nil})
	if _, err := os.Stat(filepath.Join(root.dir, "root/etc/choria-demo.conf")); err != nil {
		t.Errorf("the configuration of a removed package: %v", err)
	}
	refused("uninstall", demo, agent.Aborted, "is not installed")
	want("purge", demo, map[string]any{"ensure": "purged"})
	if _, err := os.Stat(filepath.Join(root.dir, "root/etc/choria-demo.conf")); err == nil {
		t.Error("purge left the configuration")
	}
	want("count", nil, map[string]any{"output": "1"})

	// What apt-get would take for a pattern, a file, a release or the opposite installs nothing.
	for _, name := range []string{"choria.+", "choria-dem.", "choria-demo-", "choria-demo/stable", "./x.deb", "-y", "choria-demo=1.0-1", "a b", "choria-demo^", "x", "", "ch*"} {
		_, code, msg := call(t, t.Context(), a, "install", map[string]any{"package": name})
		if code != agent.InvalidData && !(code == agent.Aborted && strings.Contains(msg, "there is none of this name")) {
			t.Errorf("install %q: %d %q; want it refused", name, code, msg)
		}
	}
	refused("install", map[string]any{"package": "choria-demo", "version": "1.0 -y"}, agent.InvalidData, "no version")
	want("count", nil, map[string]any{"output": "1"})
	refused("yum_checkupdates", nil, agent.Aborted, "this node has apt")
	refused("yum_clean", map[string]any{"mode": "all"}, agent.Aborted, "this node has apt")
	refused("yum_clean", map[string]any{"mode": "everything"}, agent.Aborted, "")
}
