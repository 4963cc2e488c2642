package playbook

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signature is that of a playbook with all sorts of parameters.
func signature(t testing.TB) *Signature {
	t.Helper()
	s := &Signature{}
	err := json.Unmarshal([]byte(`{"parameters":[
		{"name":"text","required":true,"type":"String","structure":{"kind":"string"}},
		{"name":"fail_fast","type":"Boolean","structure":{"kind":"optional","of":{"kind":"boolean"}}},
		{"name":"count","type":"Integer","structure":{"kind":"integer"}},
		{"name":"ratio","type":"Float","structure":{"kind":"float"}},
		{"name":"any_number","type":"Numeric","structure":{"kind":"numeric"}},
		{"name":"list","type":"Array[Integer]","structure":{"kind":"array","of":{"kind":"integer"}}},
		{"name":"table","type":"Hash","structure":{"kind":"hash","of":{"kind":"integer"}}},
		{"name":"struct","type":"Struct","structure":{"kind":"struct","members":{"a":{"kind":"boolean"}}}},
		{"name":"mixed","type":"Variant","structure":{"kind":"variant","variants":[{"kind":"boolean"},{"kind":"integer"},{"kind":"string"},{"kind":"array","of":{"kind":"string"}},{"kind":"hash","of":{"kind":"string"}}]}},
		{"name":"level","type":"Variant","structure":{"kind":"variant","variants":[{"kind":"enum","values":["1","low"]},{"kind":"integer"}]}},
		{"name":"numbers","type":"Variant","structure":{"kind":"variant","variants":[{"kind":"array","of":{"kind":"integer"}},{"kind":"boolean"}]}},
		{"name":"password","type":"Sensitive[String]","structure":{"kind":"sensitive","of":{"kind":"string"}}},
		{"name":"pin","type":"Sensitive[Integer]","structure":{"kind":"sensitive","of":{"kind":"integer"}}},
		{"name":"json","type":"String","structure":{"kind":"string"}},
		{"name":"config","type":"String","structure":{"kind":"string"}},
		{"name":"camelCase","type":"Any","structure":{"kind":"other"}}
	]}`), s)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bind parses a command line as a run does.
func bind(t testing.TB, args ...string) (*Options, map[string]any, error) {
	t.Helper()
	o, err := ParseOptions(args)
	if err != nil {
		return nil, nil, err
	}
	ask := func(name string) (string, error) { return "asked for " + name, nil }
	parameters, err := o.Parameters(signature(t), []byte("count: 3\nlist: [1]\n"), ask)
	return o, parameters, err
}

func TestParameters(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	jsonFile := write("in.json", `{"text":"from json","big":12345678901234567890}`)
	yamlFile := write("in.yaml", "text: from yaml\nlist: [1, 2]\n")
	otherFile := write("in.txt", "text: from text\n")
	secretFile := write("secret", "hunter22\n")
	tests := []struct {
		args string
		want string
	}{
		{"", `{}`},
		{"--text x --count -5", `{"count":-5,"text":"x"}`},
		{"--text=x=y --count=0x10", `{"count":16,"text":"x=y"}`},
		{"--text -x", `{"text":"-x"}`},
		{"--fail_fast", `{"fail_fast":true}`},
		{"--fail-fast", `{"fail_fast":true}`},
		{"--no-fail_fast", `{"fail_fast":false}`},
		{"--no-fail-fast", `{"fail_fast":false}`},
		{"--fail_fast=false", `{"fail_fast":false}`},
		{"--ratio 1", `{"ratio":1.0}`},
		{"--ratio 1e3 --any_number 1", `{"any_number":1,"ratio":1e3}`},
		{"--list 1 --list 2 --list [3,4]", `{"list":[1,2,3,4]}`},
		{`--table {"a":1} --table.b 2`, `{"table":{"a":1,"b":2}}`},
		{"--table.a=1 --table.a.b 2", `{"table":{"a":1,"a.b":2}}`},
		{"--struct.a true", `{"struct":{"a":true}}`},
		{"--mixed true", `{"mixed":true}`},
		{"--mixed 5", `{"mixed":5}`},
		{"--mixed five", `{"mixed":"five"}`},
		{`--mixed ["a"]`, `{"mixed":["a"]}`},
		{`--mixed {"a":"b"}`, `{"mixed":{"a":"b"}}`},
		{"--mixed.a b", `{"mixed":{"a":"b"}}`},
		{"--mixed a --mixed b --mixed c", `{"mixed":["a","b","c"]}`},
		{"--level 1", `{"level":"1"}`},
		{"--level 2", `{"level":2}`},
		{"--numbers 2", `{"numbers":[2]}`},
		{"--password x", `{"password":"x"}`},
		{"--password -", `{"password":"asked for password"}`},
		{"--password @" + secretFile, `{"password":"hunter22"}`},
		{"--camelcase x", `{"camelCase":"x"}`},
		{"--json x", `{"json":"x"}`}, // extra options give way
		{"--param config=x --param text=a=b", `{"config":"x","text":"a=b"}`},
		{`--input {"text":"a","count":1} --input {"text":"b"}`, `{"count":1,"text":"b"}`},
		{`--text c --input {"text":"a"}`, `{"text":"c"}`},
		{"--input @" + jsonFile, `{"big":12345678901234567890,"text":"from json"}`},
		{"--input @" + yamlFile + " --input @" + otherFile, `{"list":[1,2],"text":"from text"}`},
		{"--input @-", `{"count":3,"list":[1]}`},
	}
	for _, tt := range tests {
		_, parameters, err := bind(t, append([]string{"a::b"}, strings.Fields(tt.args)...)...)
		got, _ := json.Marshal(parameters)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.args, got, err, tt.want)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list.json")
	if err := os.WriteFile(list, []byte("[1]"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ args, err string }{
		{"a::b --bogus 1", "unknown option --bogus"},
		{"a::b --no-text", "unknown option --no-text"},
		{"a::b extra", `unexpected "extra"`},
		{"a::b -x", `unexpected "-x"`},
		{"a::b --text", "option --text wants a value of type String"},
		{"a::b --count 1.5", `option --count: want a whole number, got "1.5"`},
		{"a::b --ratio x", `option --ratio: want a number, got "x"`},
		{"a::b --ratio NaN", `option --ratio: want a number, got "NaN"`},
		{"a::b --fail_fast=maybe", `option --fail_fast: want true or false, got "maybe"`},
		{"a::b --list x", `option --list: want a whole number, got "x"`},
		{"a::b --list [1", `option --list: want a JSON array, got "[1"`},
		{"a::b --table x", `option --table: want a JSON object, got "x"`},
		{"a::b --table [1]", `option --table: want a JSON object, got "[1]"`},
		{"a::b --table.a x", `option --table.a: want a whole number, got "x"`},
		{"a::b --text.a x", "option --text.a: parameter text is no hash but String"},
		{"a::b --pin hunter22", "option --pin: the value is no integer"},
		{"a::b --password @/does/not/exist", "option --password: open /does/not/exist: no such file or directory"},
		{"a::b --param count", "option --param count: want NAME=VALUE with a parameter of the playbook"},
		{"a::b --param bogus=secret", "option --param bogus: want NAME=VALUE with a parameter of the playbook"},
		{"a::b --input [1]", "option --input: want an object of parameters, got [1]"},
		{"a::b --input {", "option --input: is not JSON: unexpected EOF"},
		{"a::b --input {}{}", "option --input: is more than one JSON document"},
		{"a::b --input @" + list, "option --input: file " + list + ": want an object of parameters, got [1]"},
		{"a::b --input @/does/not/exist", "option --input: open /does/not/exist: no such file or directory"},
		{"a::b --input", "option --input wants a value: VALUE"},
		{"a::b --loglevel loud", `option --loglevel: level "loud": want one of crit, emerg, alert, err, warning, notice, info, debug`},
		{"a::b --verbose=1", "option --verbose takes no value"},
		{"--bogus a::b", "unknown option --bogus before the name of the playbook"},
		{"Bad::Name", `"Bad::Name" cannot be the name of a playbook: want module::name`},
		{"../../etc/passwd", `"../../etc/passwd" cannot be the name of a playbook: want module::name`},
	}
	for _, tt := range tests {
		_, _, err := bind(t, strings.Fields(tt.args)...)
		var usage *UsageError
		if !errors.As(err, &usage) || err.Error() != tt.err {
			t.Errorf("%s: %v; want the usage error %s", tt.args, err, tt.err)
		}
	}
	if _, err := ParseOptions(nil); err == nil || err.Error() != "no playbook was named" {
		t.Errorf("no name: %v", err)
	}
}

func TestParseOptions(t *testing.T) {
	o, err := ParseOptions([]string{"--modulepath", "/a::/b", "-c", "f", "::a::b", "--text", "x", "--loglevel=warning", "--json", "--run-report", "r"})
	if err != nil {
		t.Fatal(err)
	}
	if o.Name != "a::b" || !slices.Equal(o.Modulepath, []string{"/a", "/b"}) || o.Config != "f" || o.Level != Warning || !o.JSON {
		t.Errorf("options %+v", o)
	}
	o, err = ParseOptions([]string{"a", "--text", "x", "--modulepath", "/c", "-h", "-v"})
	if err != nil || !slices.Equal(o.Modulepath, []string{"/c"}) || !o.Help || o.Level != Debug {
		t.Errorf("options %+v, %v; want those behind the name found", o, err)
	}
	if o, err := ParseOptions([]string{"--help"}); err != nil || !o.Help || o.Name != "" {
		t.Errorf("help alone: %+v, %v", o, err)
	}
	o, parameters, err := bind(t, "--input", `{"text":"x"}`, "a", "--run-report", "r")
	if err != nil || o.RunReport != "r" || parameters["text"] != "x" {
		t.Errorf("%+v, %v, %v; want what stands before the name kept", o, parameters, err)
	}
}

func FuzzOptions(f *testing.F) {
	f.Add("--text x --list 1 --table.a 2 --mixed [ --param count=1")
	f.Add("a::b --input {\"a\":1} --no-fail-fast --password - --struct.a.b=true")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := ParseOptions(strings.Split("a::b "+line, " "))
		if err != nil {
			return
		}
		for _, arg := range o.args {
			if strings.Contains(arg, "@") { // names a file
				return
			}
		}
		parameters, err := o.Parameters(signature(t), nil, nil)
		if err != nil {
			return
		}
		if _, err := json.Marshal(parameters); err != nil {
			t.Errorf("%q gives what is no JSON: %v", line, err)
		}
	})
}

// TestExposed holds which secrets stand on the command line, where others can read them.
func TestExposed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const inline = `{"password":"hunter22"}`
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"p", "--password", "hunter22", "--pin=1234"}, []string{"hunter22", "1234"}},
		{[]string{"p", "--param", "password=hunter22"}, []string{"hunter22"}},
		{[]string{"p", "--input", inline}, []string{inline}},
		{[]string{"p", "--password", "-", "--text", "x"}, nil},
		{[]string{"p", "--password", "@" + path}, nil},
		{[]string{"p", "--input", `{"text":"x"}`}, nil},
	}
	for _, tt := range tests {
		o, _, err := bind(t, tt.args...)
		if err != nil || !slices.Equal(o.Exposed, tt.want) {
			t.Errorf("%q: exposed %q, %v; want %q", tt.args, o.Exposed, err, tt.want)
		}
	}
}
