package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

const docsHead = "<!-- Written by go test ./go/internal/config -update from the tags of Config in go/internal/config/fields.go; do not edit. -->\n" + `
# Configuration

` + "`choria config`" + ` prints the settings in force and the file and line that each comes from, ` + "`choria config KEY`" + ` everything
about one of them, ` + "`choria config --file FILE`" + ` those of a server or broker.

## Files

| who | file |
| --- | --- |
| server | the one named with ` + "`--config`" + `; packages use ` + "`/etc/choria/server.conf`" + ` |
| broker | the one named with ` + "`--config`" + `; packages use ` + "`/etc/choria/broker.conf`" + ` |
| client | the one named with ` + "`--config`" + ` or in ` + "`CHORIA_CONFIG`" + `, else the first of these that can be read: ` + "CLIENTFILES" + ` |

What is read, later lines win over earlier ones:

1. that file;
2. ` + "`plugin.d/NAME.cfg`" + ` beside it, in the order of their names; each key in it stands for ` + "`plugin.NAME.KEY`" + `. Not when the main file is
   below the home directory;
3. clients only: ` + "`choria.conf`" + ` of every directory from the root down to the working directory. One that belongs to another user than
   this one and root, or that everybody may write to, is ignored with a warning, since these settings name programs that are run;
4. environment variables, where the tables below name one. An empty variable is none.

## Lines

` + "```ini" + `
# a comment; there are none behind a value
identity    = web1.example.net
collectives = mcollective, production
` + "```" + `

A line is ` + "`key = value`" + `, split at the first ` + "`=`" + `; spaces around both are removed. A line without a value changes nothing. An unknown
key is a warning, except below ` + "`plugin.NAME.`" + ` where the settings of plugins are. A value that does not parse is an error that names
the file, the line and what is accepted, and nothing starts. A file has at most 4 MiB, a line 1 MiB.

| type | value |
| --- | --- |
| string | any text |
| bool | ` + "`1 yes true y t` or `0 no false n f`" + ` in any case |
| int, port | a whole number |
| duration | seconds, or numbers with the units ` + "`ms s m h d w M y`" + `, as ` + "`1h30m`" + `; a month is 30 days, a year 365 |
| mode | the mode of a file, in octal |
| path | ` + "`~`" + ` at the start is the home directory |
| paths | paths separated by ` + "`:`" + ` (` + "`;`" + ` on Windows); a further line adds to them |
| list | texts separated by commas; a further line replaces them |
| hosts | a list of ` + "`host:port`, `nats://host:port`, `tls://host:port` or `wss://host:port`" + `; IPv6 addresses stand in brackets |
| regexps | a list of regular expressions, each of which may stand between slashes |
| repeat | a text; a further line adds one |
| identity | letters, digits, ` + "`_`, `-` and `.`" + ` |
| collective, collectives | a name, or a list of names, without spaces, ` + "`*` and `>`" + ` |

The identity of a machine is its host name if that has a domain, else the name that DNS and ` + "`/etc/hosts`" + ` have for its address, else
the host name with the domain of ` + "`/etc/resolv.conf`" + `. Nothing is looked up when ` + "`identity`" + ` is set.

## Settings

In the tables, S is read by servers, B by brokers, C by clients; ` + "`*`" + ` stands for a name of yours. Defaults in italics depend on the
machine or on other settings.
`

func docs() string {
	var b strings.Builder
	var files []string
	for _, f := range ClientFiles() {
		if home := homeDir(); home != "" {
			f = strings.Replace(f, home+"/", "~/", 1)
		}
		files = append(files, "`"+f+"`")
	}
	b.WriteString(strings.Replace(docsHead, "CLIENTFILES", strings.Join(files, ", "), 1))
	section := ""
	for _, k := range Known() {
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, "\n### %s\n\n| key | type | default | for | meaning |\n| --- | --- | --- | --- | --- |\n", section)
		}
		value := ""
		switch {
		case k.Default != "":
			value = "`" + k.Default + "`"
		case k.Derived != "":
			value = "*" + k.Derived + "*"
		}
		doc := k.Doc
		if len(k.Enum) > 0 {
			doc += ". One of `" + strings.Join(k.Enum, "`, `") + "`"
			if strings.HasSuffix(k.Type, "list") {
				doc = strings.Replace(doc, "One of", "Of", 1)
			}
		}
		if k.cap > 0 {
			doc += fmt.Sprintf(". At most %s", FormatDuration(time.Duration(k.cap)))
		}
		if k.Env != "" {
			doc += ". Environment: `" + k.Env + "`"
		}
		if k.Alias != "" {
			doc += ". Also `" + k.Alias + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, k.Type, strings.ReplaceAll(value, "|", `\|`), k.Scope, doc)
	}
	b.WriteString("\n## Settings of old files\n\nThese mean nothing any more and are ignored without a warning: ")
	for i, name := range tolerated {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("`" + name + "`")
	}
	b.WriteString(".\n")
	return b.String()
}

func TestDocs(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	path := filepath.Join("..", "..", "..", "docs", "configuration.md")
	want := docs()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tags of Config say; run go test ./go/internal/config -update", path)
	}
}

// Every key says everything about itself.
func TestKeys(t *testing.T) {
	types := map[string]bool{}
	for line := range strings.Lines(docsHead) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			for name := range strings.SplitSeq(cells[1], ",") {
				types[strings.TrimSpace(name)] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, k := range Known() {
		if k.Doc == "" || strings.HasSuffix(k.Doc, ".") || k.Section == "" {
			t.Errorf("%s: doc %q in section %q", k.Name, k.Doc, k.Section)
		}
		if k.Scope == "" || strings.Trim(k.Scope, "SBC") != "" {
			t.Errorf("%s: scope %q", k.Name, k.Scope)
		}
		if !types[k.Type] {
			t.Errorf("%s: type %q is not documented", k.Name, k.Type)
		}
		if k.Default != "" && k.Derived != "" {
			t.Errorf("%s has two defaults", k.Name)
		}
		for _, name := range []string{k.Name, k.Alias} {
			if name != "" && seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if k.Default != "" {
			if _, _, err := k.parse(k.Default); err != nil {
				t.Errorf("%s: default: %v", k.Name, err)
			}
		}
		if got, ok := Lookup(strings.Replace(k.Name, "*", "x", 1)); !ok || got.Name != k.Name {
			t.Errorf("%s is found as %q", k.Name, got.Name)
		}
	}
	for _, name := range tolerated {
		if seen[name] {
			t.Errorf("%s is both used and obsolete", name)
		}
		if table().unknown(name) {
			t.Errorf("%s is not tolerated", name)
		}
	}
	typ := reflect.TypeFor[Config]()
	for i := range typ.NumField() {
		if f := typ.Field(i); f.IsExported() && f.Tag.Get("key") == "" {
			t.Errorf("field %s has no key", f.Name)
		}
	}
}
