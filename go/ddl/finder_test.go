package ddl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// install writes a description of the agent name, whose version tells files of one name apart.
func install(t *testing.T, path, name, version string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"metadata":{"name":%q,"description":"d","author":"a","license":"l","version":%q,"url":"u","timeout":2},"actions":[]}`, name, version)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFinder(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	install(t, filepath.Join(one, "choria/agent/puppet.json"), "puppet", "1.0.0")
	install(t, filepath.Join(one, "mcollective/agent/puppet.json"), "puppet", "2.0.0")
	install(t, filepath.Join(one, "mcollective/agent/package/package.json"), "package", "1.0.0")
	install(t, filepath.Join(one, "mcollective/agent/rpcutil.json"), "rpcutil", "99.0.0")
	install(t, filepath.Join(two, "choria/agent/package.json"), "package", "2.0.0")
	install(t, filepath.Join(two, "elsewhere/linked.json"), "linked", "1.0.0")
	if err := os.Symlink("../../elsewhere", filepath.Join(two, "choria/agent/linked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(two, "choria/agent/loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(two, "choria/agent/settings.json"), []byte(`{"a":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	f := &Finder{Builtin: Builtin(), Dirs: []string{one, filepath.Join(one, "nothing"), two}}

	agents, err := f.Agents()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range agents {
		got = append(got, a.Metadata.Name+" "+a.Metadata.Version)
	}
	want := []string{"bolt_tasks 0.19.0", "choria_util 1.0.0", "filemgr 2.1.0", "linked 1.0.0", "nettest 4.1.0", "package 2.0.0",
		"process 4.1.0", "puppet 2.0.0", "rpcutil 1.0.0", "service 4.1.0", "shell 1.1.0"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Agents = %q; want %q", got, want)
	}
	for _, nameVersion := range want {
		name, version, _ := strings.Cut(nameVersion, " ")
		a, err := f.Agent(name)
		if err != nil || a.Metadata.Version != version {
			t.Errorf("Agent(%q) = %+v, %v; want version %s", name, a, err, version)
		}
	}

	_, err = f.Agent("nosuch")
	var missing *NotFoundError
	if !errors.As(err, &missing) || missing.Hint() == "" {
		t.Fatalf("Agent(nosuch) = %v; want a NotFoundError", err)
	}
	for _, dir := range f.Dirs {
		for _, below := range []string{"choria/agent", "mcollective/agent"} {
			if !strings.Contains(err.Error(), filepath.Join(dir, below)) {
				t.Errorf("%v does not name %s", err, filepath.Join(dir, below))
			}
		}
	}
	for _, name := range []string{"", "../choria/agent/puppet", "Puppet"} {
		if _, err := f.Agent(name); err == nil || errors.As(err, &missing) {
			t.Errorf("Agent(%q) = %v; want it refused", name, err)
		}
	}
	_, err = (&Finder{}).Agent("puppet")
	if want := `agent "puppet": no description: it is not built in, and there is no library directory to look in`; message(err) != want {
		t.Errorf("Agent without directories = %v; want %s", err, want)
	}
}

func TestFinderBroken(t *testing.T) {
	dir := t.TempDir()
	install(t, filepath.Join(dir, "choria/agent/good.json"), "good", "1.0.0")
	install(t, filepath.Join(dir, "choria/agent/misnamed.json"), "good", "1.0.0")
	install(t, filepath.Join(dir, "choria/agent/unversioned.json"), "unversioned", "x")
	f := &Finder{Dirs: []string{dir}}
	agents, err := f.Agents()
	if len(agents) != 1 || agents[0].Metadata.Name != "good" {
		t.Errorf("Agents = %v; want the good one", agents)
	}
	want := fmt.Sprintf(`%[1]s/choria/agent/misnamed.json: describes "good", want "misnamed" as the file is named
%[1]s/choria/agent/unversioned.json: agent "unversioned": metadata: version "x": want up to three numbers with dots between, as in 1.0.0`, dir)
	if message(err) != want {
		t.Errorf("Agents: %v; want %s", err, want)
	}
	if _, err := f.Agent("unversioned"); err == nil || !strings.HasPrefix(err.Error(), dir) {
		t.Errorf("Agent(unversioned) = %v; want an error that names the file", err)
	}
}

func TestFinderData(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, "mcollective/data", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data := func(name, rest string) string {
		return `{"metadata":{"name":"` + name + `","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":1}` + rest + `}`
	}
	write("process_data.json", data("process_data", `,"query":{"prompt":"p","description":"d","type":"string","optional":false,"validation":".","maxlength":50},"output":{"exists":{"description":"e","display_as":"Exists"}}`))
	write("choria.json", data("choria", ""))
	write("broken.json", data("broken", `,"query":{"prompt":"p"}`))
	write("output.json", data("output", `,"output":{"x":{}}`))
	write("other.json", data("another", ""))
	write("settings.json", "{}")
	got, err := (&Finder{Dirs: []string{dir}}).Data()
	var names []string
	for _, d := range got {
		names = append(names, d.Metadata.Name)
	}
	if want := []string{"agent", "choria", "config_item", "fstat", "process_data"}; !reflect.DeepEqual(names, want) {
		t.Errorf("Data = %q; want %q", names, want)
	}
	want := fmt.Sprintf(`%[1]s/broken.json: data "broken": query: description: missing
%[1]s/other.json: describes "another", want "other" as the file is named
%[1]s/output.json: data "output": output "x": description: missing`, filepath.Join(dir, "mcollective/data"))
	if message(err) != want {
		t.Errorf("Data: %v; want %s", err, want)
	}
	if got[1].Query != nil || len(got[1].Output) != 26 || got[2].Query == nil || got[4].Query.MaxLength != 50 {
		t.Errorf("choria %+v, config_item %+v, process_data %+v", got[1], got[2], got[4])
	}
}
