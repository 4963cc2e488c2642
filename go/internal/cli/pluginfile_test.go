package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/ddl"
)

const rubyDDL = `metadata :name => "inruby", :description => "Written in Ruby", :author => "a", :license => "l", :version => "1.0", :url => "u", :timeout => 5
%w[start stop].each do |name|
  action name, :description => "Does a #{name}" do
    display :always
    input :unit, :prompt => "U", :description => "d", :type => :string, :validation => :shellsafe, :optional => false, :maxlength => 9
    output :done, :description => "o", :display_as => "Done", :default => false
  end
end
`

// runFiles runs plugin in a directory with descriptions of both kinds.
func runFiles(t *testing.T, dir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("CHORIA_CONFIG", "")
	t.Setenv("MCOLLECTIVE_EXTRA_OPTS", "")
	t.Chdir(dir)
	var out, errs strings.Builder
	args = append([]string{"plugin"}, append(args, "-c", filepath.Join(dir, "client.conf"))...)
	status = Main(t.Context(), "choria", args, strings.NewReader(""), &out, &errs)
	return status, out.String(), strings.ReplaceAll(errs.String(), dir, "DIR")
}

func rubyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"client.conf":                       "identity = x\nlibdir = " + dir + "/lib\nplugin.choria.ruby.directory = " + dir + "/private\n",
		"lib/mcollective/agent/inruby.ddl":  rubyDDL,
		"lib/mcollective/agent/demo.json":   demoDDL,
		"lib/mcollective/agent/broken.json": `{"metadata":{"name":"broken"}}`,
		"lib/mcollective/agent/broken.ddl":  "metadata",
		"lib/mcollective/data/size_data.ddl": strings.Split(strings.Replace(rubyDDL, "inruby", "Size", 1), "\n")[0] +
			"\ndataquery(:description => 'd') { output :n, :description => 'o', :display_as => 'N' }\n",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPluginGenerateDDL(t *testing.T) {
	dir := rubyDir(t)
	agents := filepath.Join(dir, "lib/mcollective/agent")
	status, out, errs := runFiles(t, dir, "generate", "ddl", agents+"/inruby.ddl")
	if status != 0 || errs != "" {
		t.Fatalf("status %d: %s", status, errs)
	}
	a, err := ddl.Parse([]byte(out))
	if err != nil || strings.Join(a.ActionNames(), " ") != "start stop" || a.Action("stop").Input["unit"].Validation != "shellsafe" {
		t.Errorf("%v\n%s", err, out)
	}

	// To Ruby and back nothing is lost.
	target := filepath.Join(dir, "demo.ddl")
	if status, _, errs := runFiles(t, dir, "generate", "ddl", agents+"/demo.json", target); status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	status, back, errs := runFiles(t, dir, "generate", "ddl", target)
	want, _ := ddl.Parse([]byte(demoDDL))
	got, err := ddl.Parse([]byte(back))
	if status != 0 || err != nil || got.Ruby() != want.Ruby() {
		t.Errorf("status %d %s, %v\n%s", status, errs, err, back)
	}
	status, _, errs = runFiles(t, dir, "generate", "ddl", agents+"/demo.json", target)
	if status != 1 || errs != "error: DIR/demo.ddl: is there already\nhint: --force overwrites it\n" {
		t.Errorf("existing target: %d %q", status, errs)
	}
	if status, _, errs = runFiles(t, dir, "generate", "ddl", "--force", agents+"/inruby.ddl", target); status != 0 {
		t.Errorf("overwrite: %d %q", status, errs)
	}
	status, out, _ = runFiles(t, dir, "generate", "ddl", filepath.Join(dir, "lib/mcollective/data/size_data.ddl"))
	if d, err := ddl.ParseData([]byte(out)); status != 0 || err != nil || d.Metadata.Name != "size" || d.Output["n"] == nil {
		t.Errorf("data plugin: %d %v\n%s", status, err, out)
	}
}

func TestPluginValidate(t *testing.T) {
	dir := rubyDir(t)
	agents := filepath.Join(dir, "lib/mcollective/agent")
	status, out, errs := runFiles(t, dir, "validate", agents+"/demo.json", agents+"/inruby.ddl")
	if want := agents + "/demo.json: valid\n" + agents + "/inruby.ddl: valid\n"; status != 0 || out != want || errs != "" {
		t.Errorf("valid: %d %q %q", status, out, errs)
	}
	for file, want := range map[string]string{
		"broken.json": `error: DIR/lib/mcollective/agent/broken.json: agent "broken": metadata: description: missing`,
		"broken.ddl":  "error: DIR/lib/mcollective/agent/broken.ddl: ArgumentError",
		"nosuch.json": "error: open DIR/lib/mcollective/agent/nosuch.json: no such file",
		"nosuch.ddl":  "nosuch.ddl: no such file",
		"demo":        "hint: name a file NAME.json or NAME.ddl",
	} {
		status, out, errs := runFiles(t, dir, "validate", filepath.Join(agents, file))
		if status != 1 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %q %q; want %q", file, status, out, errs, want)
		}
	}
	status, out, errs = runFiles(t, dir, "validate", agents+"/broken.json", agents+"/demo.json")
	if status != 1 || !strings.Contains(out, "demo.json: valid") || !strings.Contains(errs, "error: 1 of 2 descriptions are wrong") {
		t.Errorf("two: %d %q %q", status, out, errs)
	}
}

// Clients find descriptions that are in Ruby alone.
func TestPluginDocInRuby(t *testing.T) {
	dir := rubyDir(t)
	status, out, errs := runFiles(t, dir, "doc", "inruby")
	if status != 0 || !strings.Contains(out, "Does a start") || !strings.Contains(out, "║  Validation: shellsafe") {
		t.Errorf("doc: %d %s %s", status, out, errs)
	}
	status, out, errs = runFiles(t, dir, "list")
	if status != 0 || !strings.Contains(out, "inruby") || !strings.Contains(out, "size") || !strings.Contains(errs, "broken") {
		t.Errorf("list: %d %s %s", status, out, errs)
	}
}
