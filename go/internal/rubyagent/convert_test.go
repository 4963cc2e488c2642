package rubyagent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/ddl"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	lib := testLib(t)
	cfg := configure(t, lib, "plugin.choria.ruby.directory", t.TempDir()+"/ruby")
	c := &Converter{Config: cfg}
	file := filepath.Join(lib, "mcollective/agent/api.ddl")
	text, err := c.Convert(t.Context(), file, "agent")
	if err != nil {
		t.Fatal(err)
	}
	d, err := ddl.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if d.Metadata.Name != "api" || d.Metadata.Version != "1.2.3" || d.Metadata.Timeout != 20 || len(d.Actions) != 18 || d.Schema != ddl.Schema {
		t.Errorf("metadata %+v, %d actions", d.Metadata, len(d.Actions))
	}
	word := d.Action("request").Input["word"]
	if word.Type != "string" || word.Validation != "evenword" || word.MaxLength != 8 || word.Optional {
		t.Errorf("input word: %+v", word)
	}
	if how := d.Action("failing").Input["how"]; string(how.Default) != `"fail"` || how.Validation != "^.+$" {
		t.Errorf("input how: %+v", how)
	}
	reply := d.Action("reply")
	agg, _ := json.Marshal(reply.Aggregate)
	if want := `[{"function":"summary","args":["text",{"format":"%s: %d"}]}]`; reply.Display != "always" || string(agg) != want {
		t.Errorf("display %s, aggregate %s; want always, %s", reply.Display, agg, want)
	}
	if list := reply.Output["list"]; string(list.Default) != `[1,{"a":"b"}]` || list.DisplayAs != "List" {
		t.Errorf("output list: %+v", list)
	}

	// What was converted once needs no Ruby any more.
	if err := cfg.Set("plugin.choria.ruby.command", "/no/such/ruby"); err != nil {
		t.Fatal(err)
	}
	again, err := c.Convert(t.Context(), file, "agent")
	if err != nil || string(again) != string(text) {
		t.Errorf("from the cache: %s, %v", again, err)
	}
	other := filepath.Join(t.TempDir(), "other.ddl")
	if err := os.WriteFile(other, []byte("metadata"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Convert(t.Context(), other, "agent"); err == nil || !strings.Contains(err.Error(), "plugin.choria.ruby.command") {
		t.Errorf("without Ruby: %v", err)
	}
	// A directory in which others could write is not trusted.
	if err := os.Chmod(cfg.RubyDirectory, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Convert(t.Context(), file, "agent"); err == nil || !strings.Contains(err.Error(), "others may write there") {
		t.Errorf("open directory: %v", err)
	}
}

// Descriptions are programs, which may do anything.
func TestConvertBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &Converter{Config: configure(t, dir)}
	good := `metadata :name => "A Name", :description => "d", :author => "a", :license => "l", :version => "1", :url => "u", :timeout => 5
puts "printed"
`
	tests := map[string]string{
		"metadata":                      "ArgumentError",
		"metadata :name => 'x'":         "DDLValidationError: Metadata needs a :description",
		"raise 'no'":                    "RuntimeError: no",
		"exit 3":                        "exit status 3",
		"exit!(4)":                      "exit status 4",
		"this is (":                     "SyntaxError",
		"def deep; deep; end; deep":     "SystemStackError",
		"requires :mcollective => '99'": "requires MCollective version 99",
		"input :x, :prompt => 'x'":      "Cannot determine what entity input x belongs to",
		good + `action "x", :description => "d" do input :a, :prompt => "p", :description => "d", :type => :string; end`: "needs a :validation",
		good + `action "x", :description => "d" do display :sometimes; end`:                                              "sometimes",
		strings.Repeat("#", maxDDL+1): "at most",
	}
	// All at once, as a server does it: none is the fault of another.
	want := make(map[string]string) // by path
	var paths []string
	for text, message := range tests {
		path := filepath.Join(dir, fmt.Sprintf("broken%d.ddl", len(paths)))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		want[path] = message
	}
	got := c.convert(t.Context(), paths, "agent")
	for _, path := range paths {
		if err := got[path].Err; err == nil || !strings.Contains(err.Error(), want[path]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.100s: %v; want %q", path, err, want[path])
		}
	}
	path := filepath.Join(dir, "fine.ddl")
	if err := os.WriteFile(path, []byte(good+`action("go", :description => "d") { input :re, :prompt => "p", :description => "d", :type => :string, :validation => /\A\h+\Z/ix, :optional => true, :maxlength => 1 }`), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := c.Convert(t.Context(), path, "agent")
	if err != nil {
		t.Fatal(err)
	}
	d, err := ddl.Parse(text)
	if err != nil || d.Metadata.Name != "fine" || d.Action("go").Input["re"].Validation != `(?i)\A[0-9a-fA-F]+\z` {
		t.Errorf("%s: %v", text, err)
	}
}
