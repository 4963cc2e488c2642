package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"choria.io/choria/go/ddl"
)

const demoDDL = `{"$schema":"https://choria.io/schemas/mcorpc/ddl/v1/agent.json",
 "metadata":{"name":"demo","description":"A *demo*","author":"x","license":"Apache-2.0","version":"1.0.0","url":"http://x","timeout":2,"provider":"external"},
 "actions":[{"action":"slow","description":"Takes its time","display":"failed","input":{},"output":{}},
  {"action":"echo","description":"Says it again","display":"always",
   "input":{"msg":{"prompt":"Msg","description":"What to say","type":"string","optional":false,"validation":"^[a-z]+$","maxlength":10,"default":"abc"},
            "mode":{"prompt":"Mode","description":"How","type":"list","optional":true,"list":["loud","low"]},
            "force":{"prompt":"Force","description":"Two\nlines","type":"boolean","optional":true,"default":false}},
   "output":{"out":{"description":"What was said","display_as":"Output","type":"string","default":"x"},
             "raw":{"description":"All of it","display_as":"Raw","default":false}}}]}`

// runPlugin runs plugin with a configuration whose library holds the demo agent, a data plugin, and
// a file that is no description.
func runPlugin(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for path, text := range map[string]string{
		"client.conf":                         "libdir = " + dir + "/lib\nidentity = x\n",
		"lib/mcollective/agent/demo.json":     demoDDL,
		"lib/mcollective/agent/wrong.json":    `{"metadata":{"name":"wrong"}}`,
		"lib/choria/data/process.json":        `{"metadata":{"name":"process","description":"Tells whether a process runs","author":"x","license":"l","version":"2","url":"u","timeout":1},"query":{"prompt":"P","description":"Pattern","type":"string","optional":false,"validation":".","maxlength":50},"output":{"exists":{"description":"Whether there is one","display_as":"Exists","type":"boolean"}}}`,
		"lib/mcollective/agent/settings.json": `{}`,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CHORIA_CONFIG", "")
	t.Setenv("MCOLLECTIVE_EXTRA_OPTS", "")
	var out, errs strings.Builder
	args = append([]string{"plugin"}, append(args, "-c", filepath.Join(dir, "client.conf"))...)
	status = Main(t.Context(), "choria", args, strings.NewReader(""), &out, &errs)
	return status, out.String(), strings.ReplaceAll(errs.String(), dir, "DIR")
}

func TestPluginDocAgent(t *testing.T) {
	status, out, errs := runPlugin(t, "doc", "demo")
	want := `Demo Agent version 1.0.0

A *demo*

Plugin Metadata:

    Author: x
       URL: http://x
   License: Apache-2.0
   Timeout: 2
  Provider: external

Available Actions: echo, slow

Actions:

  echo Action:

    Says it again

    Displaying always

    Inputs:

      force:

        Two
        lines

        ║      Prompt: Force
        ║        Type: Boolean
        ║    Optional: true
        ║     Default: false
        ╙─

      mode:

        How

        ║      Prompt: Mode
        ║        Type: List
        ║    Optional: true
        ║        Enum: loud, low
        ╙─

      msg:

        What to say

        ║      Prompt: Msg
        ║        Type: String
        ║    Optional: false
        ║  Validation: ^[a-z]+$
        ║  Max Length: 10
        ║     Default: abc
        ╙─

    Outputs:

      out:

        What was said

        ║  Display As: Output
        ║        Type: String
        ║     Default: x
        ╙─

      raw:

        All of it

        ║  Display As: Raw
        ║        Type: Undefined
        ╙─

  slow Action:

    Takes its time

`
	if status != 0 || out != want || errs != "" {
		t.Errorf("status %d, stderr %q, stdout\n%s\nwant\n%s", status, errs, out, want)
	}
	if _, same, _ := runPlugin(t, "doc", "agent/demo"); same != out {
		t.Errorf("agent/demo is\n%s", same)
	}
}

func TestPluginDocJSON(t *testing.T) {
	status, out, _ := runPlugin(t, "doc", "demo", "-j")
	want, err := ddl.Parse([]byte(demoDDL))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ddl.Parse([]byte(out))
	if status != 0 || err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("status %d, %v:\n%s", status, err, out)
	}
}

func TestPluginDocMarkdown(t *testing.T) {
	status, out, _ := runPlugin(t, "doc", "demo", "-m")
	for _, want := range []string{
		"# Demo Agent version 1.0.0\n\nA \\*demo\\*\n\n| | |\n| --- | --- |\n| Author | x |\n",
		"## echo Action\n\nSays it again\n\nDisplaying always\n\n### Inputs\n\n#### force\n\nTwo\nlines\n",
		"| Default | false |\n", // the ancestor fails here
		"| Validation | ^\\[a-z\\]+$ |\n",
		"### Outputs\n\n#### out\n",
		"## slow Action\n\nTakes its time\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, out)
		}
	}
}

func TestPluginDocData(t *testing.T) {
	// There is a built-in agent process too: without data/ it is meant.
	status, out, _ := runPlugin(t, "doc", "data/process")
	want := `Process Data Plugin version 2

Tells whether a process runs

Plugin Metadata:

    Author: x
       URL: u
   License: l
   Timeout: 1
  Provider: ruby

Query:

  query:

    Pattern

    ║      Prompt: P
    ║        Type: String
    ║    Optional: false
    ║  Validation: .
    ║  Max Length: 50
    ╙─

Outputs:

  exists:

    Whether there is one

    ║  Display As: Exists
    ║        Type: Boolean
    ╙─

`
	if status != 0 || out != want {
		t.Errorf("status %d:\n%s\nwant\n%s", status, out, want)
	}
	if _, out, _ := runPlugin(t, "doc", "process"); !strings.HasPrefix(out, "Process Agent version ") {
		t.Errorf("process is\n%s", out)
	}
	if _, out, _ := runPlugin(t, "doc", "config_item"); !strings.HasPrefix(out, "Config_item Data Plugin version ") {
		t.Errorf("config_item is\n%s", out)
	}
	if _, out, _ := runPlugin(t, "doc", "data/choria", "-m"); !strings.HasPrefix(out, "# Choria Data Plugin version ") {
		t.Errorf("data/choria as Markdown is\n%s", out)
	}
}

func TestPluginDocKnown(t *testing.T) {
	status, out, errs := runPlugin(t, "doc")
	if status != 0 || errs != "warning: DIR/lib/mcollective/agent/wrong.json: agent \"wrong\": metadata: description: missing\n" {
		t.Errorf("status %d, stderr %q", status, errs)
	}
	// Names are aligned to the right in a column that grows with the longest; the words are what counts.
	words := " " + strings.Join(strings.Fields(out), " ") + " "
	for _, want := range []string{" Known Plugins: Agents: bolt_tasks: ", " choria_util: ", " demo: A *demo* filemgr: ", " Data Providers: agent: ", " choria: ", " process: Tells whether a process runs "} {
		if !strings.Contains(words, want) {
			t.Errorf("without %q; stdout\n%s", want, out)
		}
	}
	_, out, _ = runPlugin(t, "doc", "-j")
	var got map[string]map[string]string
	if err := json.Unmarshal([]byte(out), &got); err != nil || got["agent"]["demo"] != "A *demo*" || got["data"]["process"] != "Tells whether a process runs" || len(got) != 2 {
		t.Errorf("%v:\n%s", err, out)
	}
	if _, out, _ = runPlugin(t, "doc", "-m"); !strings.Contains(out, "* **agent/demo**: A \\*demo\\*\n") {
		t.Errorf("as Markdown\n%s", out)
	}
}

func TestPluginList(t *testing.T) {
	status, out, _ := runPlugin(t, "list")
	lines := strings.Split(out, "\n")
	if status != 0 || strings.Join(strings.Fields(lines[0]), " ") != "Type Name Version Provider Description" ||
		!strings.Contains(out, "agent  demo         1.0.0    external  A *demo*\n") {
		t.Errorf("status %d:\n%s", status, out)
	}
	_, out, _ = runPlugin(t, "list", "-j")
	var got []listed
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, l := range got {
		found[l.Type+"/"+l.Name] = l.Version + " " + l.Provider
	}
	for name, want := range map[string]string{"agent/demo": "1.0.0 external", "agent/rpcutil": "1.0.0 golang", "data/process": "2 ruby", "data/choria": "1.0.0 golang"} {
		if found[name] != want {
			t.Errorf("%s = %q; want %q", name, found[name], want)
		}
	}
}

func TestPluginUnknown(t *testing.T) {
	for name, want := range map[string]string{
		"dem": `error: agent "dem": no description: it is not built in, and there is no dem.json in DIR/lib/choria/agent, DIR/lib/mcollective/agent
hint: did you mean demo?
`,
		"zzzzzzzz": `error: agent "zzzzzzzz": no description: it is not built in, and there is no zzzzzzzz.json in DIR/lib/choria/agent, DIR/lib/mcollective/agent
hint: choria plugin doc lists what there is
`,
		"data/proces": `error: data plugin "proces": no description found
hint: did you mean process?
`,
		"task/demo": `error: plugin "task/demo": no such kind of plugin
hint: name it agent/demo or data/demo
`,
		"wrong": `error: DIR/lib/mcollective/agent/wrong.json: agent "wrong": metadata: description: missing
`,
	} {
		if status, out, errs := runPlugin(t, "doc", name); status != 1 || out != "" || errs != want {
			t.Errorf("%s: status %d, stdout %q, stderr\n%s\nwant\n%s", name, status, out, errs, want)
		}
	}
}

// Without any configuration the built-in descriptions are there.
func TestPluginUnconfigured(t *testing.T) {
	if _, err := os.Stat("/etc/choria/client.conf"); err == nil {
		t.Setenv("CHORIA_CONFIG", os.DevNull) // this machine has one
	} else {
		t.Setenv("CHORIA_CONFIG", "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Chdir(t.TempDir())
	var out, errs strings.Builder
	status := Main(t.Context(), "mco", []string{"plugin", "doc", "rpcutil"}, strings.NewReader(""), &out, &errs)
	if status != 0 || errs.String() != "" || !strings.Contains(out.String(), "get_facts Action:") {
		t.Errorf("status %d, stderr %q, stdout\n%s", status, errs.String(), out.String())
	}
}
