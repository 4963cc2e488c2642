package ddl

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	a := mustParse(t, sample)
	// What every call has besides what was typed.
	with := func(more map[string]any) map[string]any {
		all := map[string]any{"msg": "hello", "delay": 1.5, "force": false, "mode": "two"}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	tests := []struct {
		text string // name=value name=value
		want map[string]any
		err  string
	}{
		{"msg=hello", with(nil), ""},
		{"MSG=hello Mode=one", with(map[string]any{"mode": "one"}), ""},
		{"msg=hello count=-7", with(map[string]any{"count": int64(-7)}), ""},
		{"msg=hello count=9007199254740993", with(map[string]any{"count": int64(9007199254740993)}), ""},
		{"msg=hello ratio=2 delay=0.25", with(map[string]any{"ratio": 2.0, "delay": 0.25}), ""},
		{"msg=hello force=1", with(map[string]any{"force": true}), ""},
		{"msg=hello force=YES", with(map[string]any{"force": true}), ""},
		{"msg=hello force=F", with(map[string]any{"force": false}), ""},
		{`msg=hello tags=["a",1]`, with(map[string]any{"tags": []any{"a", json.Number("1")}}), ""},
		{`msg=hello env={"a":{"b":null}}`, with(map[string]any{"env": map[string]any{"a": map[string]any{"b": nil}}}), ""},
		{"msg=hello any=x;y", with(map[string]any{"any": "x;y"}), ""},
		{"msg=hello v4=10.0.0.1 v6=::1 ip=fe80::1", with(map[string]any{"v4": "10.0.0.1", "v6": "::1", "ip": "fe80::1"}), ""},
		{"msg=hello host=n_1.example.net.", with(map[string]any{"host": "n_1.example.net."}), ""},
		{"msg=hello host=::1", with(map[string]any{"host": "::1"}), ""},
		{"msg=hello either=yes", with(map[string]any{"either": "yes"}), ""},

		{"", nil, `input "msg" of demo#run: missing (a message)`},
		{"msg=", nil, `input "msg" of demo#run: "" does not match ^[a-z]+$`},
		{"msg=Hello", nil, `input "msg" of demo#run: "Hello" does not match ^[a-z]+$`},
		{"msg=hellohellohello", nil, `input "msg" of demo#run: "hellohellohello" is longer than 10 characters`},
		{"msg=äöüäöü", nil, `input "msg" of demo#run: "äöüäöü" is longer than 10 characters in UTF-8`},
		{"msg=a MSG=b", nil, `input "msg" of demo#run: given twice`},
		{"msg=a other=b", nil, `input "other" of demo#run: no such input, the action takes any, count, delay, either, env, force, host, ip, mode, msg, ratio, ruby, safe, tags, v4, v6`},
		{"msg=a count=1.0", nil, `input "count" of demo#run: "1.0" is not a valid integer`},
		{"msg=a count=9223372036854775808", nil, `input "count" of demo#run: "9223372036854775808" is not a valid integer`},
		{"msg=a ratio=NaN", nil, `input "ratio" of demo#run: "NaN" is not a valid number`},
		{"msg=a ratio=0x1p3", nil, `input "ratio" of demo#run: "0x1p3" is not a valid number`},
		{"msg=a ratio=1e999", nil, `input "ratio" of demo#run: "1e999" is not a valid number`},
		{"msg=a delay=", nil, `input "delay" of demo#run: "" is not a valid float`},
		{"msg=a force=maybe", nil, `input "force" of demo#run: "maybe" is not a valid boolean`},
		{"msg=a tags={}", nil, `input "tags" of demo#run: "{}" is not a valid array`},
		{"msg=a tags=[", nil, `input "tags" of demo#run: "[" is not a valid array`},
		{"msg=a env=[]", nil, `input "env" of demo#run: "[]" is not a valid hash`},
		{"msg=a env=null", nil, `input "env" of demo#run: "null" is not a valid hash`},
		{"msg=a env={}{}", nil, `input "env" of demo#run: "{}{}" is not a valid hash`},
		{"msg=a mode=four", nil, `input "mode" of demo#run: "four" should be one of one, two, 3`},
		{"msg=a safe=a&&b", nil, `input "safe" of demo#run: "a&&b" may not contain &&`},
		{"msg=a any=sixsix", nil, `input "any" of demo#run: "sixsix" is longer than 5 characters`},
		{"msg=a v4=::1", nil, `input "v4" of demo#run: "::1" is not an IPv4 address`},
		{"msg=a v6=10.0.0.1", nil, `input "v6" of demo#run: "10.0.0.1" is not an IPv6 address`},
		{"msg=a ip=10.0.0", nil, `input "ip" of demo#run: "10.0.0" is not an IP address`},
		{"msg=a host=-a", nil, `input "host" of demo#run: "-a" is neither a host name nor an IP address`},
		{"msg=a host=a..b", nil, `input "host" of demo#run: "a..b" is neither a host name nor an IP address`},
		{"msg=a host=a/b", nil, `input "host" of demo#run: "a/b" is neither a host name nor an IP address`},
		{"msg=a either=maybe", nil, `input "either" of demo#run: "maybe" does not match yes|no`},
		{"msg=a ruby=x", nil, "input \"ruby\" of demo#run: \"x\" cannot be checked, since \"^(?!root)\" is not a pattern of RE2: error parsing regexp: invalid or unsupported Perl syntax: `(?!`"},
	}
	for _, tt := range tests {
		text := make(map[string]string)
		for _, pair := range strings.Fields(tt.text) {
			name, value, _ := strings.Cut(pair, "=")
			text[name] = value
		}
		got, err := a.Arguments("run", text)
		if !reflect.DeepEqual(got, tt.want) || message(err) != tt.err {
			t.Errorf("%s:\n got %#v, %v\nwant %#v, %s", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func TestShellsafe(t *testing.T) {
	a := mustParse(t, sample)
	for _, s := range []string{"", "a b", "a&b", `it's "quoted"`, "a\nb", "ü"} {
		if _, err := a.Arguments("run", map[string]string{"msg": "a", "safe": s}); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, bad := range []string{"`", "$", ";", "|", "&&", ">", "<"} {
		if _, err := a.Arguments("run", map[string]string{"msg": "a", "safe": "x" + bad + "y"}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The pattern counts although maxlength is 0.
func TestPatternWithoutLength(t *testing.T) {
	a := mustParse(t, strings.Replace(sample, `"maxlength":10`, `"maxlength":0`, 1))
	if _, err := a.Arguments("run", map[string]string{"msg": "NO"}); err == nil {
		t.Error("NO is taken although it does not match ^[a-z]+$")
	}
	if _, err := a.Arguments("run", map[string]string{"msg": strings.Repeat("a", 5000)}); err != nil {
		t.Error(err)
	}
}

func TestUnknownAction(t *testing.T) {
	a := mustParse(t, sample)
	_, err := a.Arguments("walk", nil)
	if want := `agent "demo" has no action "walk": it has ping, run`; message(err) != want {
		t.Errorf("Arguments = %v; want %s", err, want)
	}
	if err := a.Validate("walk", nil); err == nil {
		t.Error("Validate takes an unknown action")
	}
	if _, err := a.Complete("walk", nil); err == nil {
		t.Error("Complete takes an unknown action")
	}
	_, err = BuiltinAgent("discovery").Arguments("ping", nil)
	if want := `agent "discovery" has no action "ping": it has none at all`; message(err) != want {
		t.Errorf("Arguments = %v; want %s", err, want)
	}
}

func TestComplete(t *testing.T) {
	type name string
	a := mustParse(t, sample)
	tests := []struct {
		data map[string]any
		err  string
	}{
		{map[string]any{"msg": "a"}, ""},
		{map[string]any{"msg": name("a")}, ""},
		{map[string]any{"msg": "a", "count": 1}, ""},
		{map[string]any{"msg": "a", "count": uint8(1)}, ""},
		{map[string]any{"msg": "a", "count": 2.0}, ""},
		{map[string]any{"msg": "a", "count": json.Number("3.0")}, ""},
		{map[string]any{"msg": "a", "ratio": float32(1.5), "delay": 3}, ""},
		{map[string]any{"msg": "a", "force": true, "tags": []string{"x"}, "env": map[string]string{"a": "b"}}, ""},
		{map[string]any{"msg": "a", "count": nil}, ""},

		{nil, `input "msg" of demo#run: missing (a message)`},
		{map[string]any{"msg": nil}, `input "msg" of demo#run: missing (a message)`},
		{map[string]any{"msg": 7}, `input "msg" of demo#run: 7 is not a string`},
		{map[string]any{"msg": json.Number("7")}, `input "msg" of demo#run: 7 is not a string`},
		{map[string]any{"msg": "a", "count": 1.5}, `input "count" of demo#run: 1.5 is not an integer`},
		{map[string]any{"msg": "a", "count": "1"}, `input "count" of demo#run: "1" is not an integer`},
		{map[string]any{"msg": "a", "ratio": true}, `input "ratio" of demo#run: true is not a number`},
		{map[string]any{"msg": "a", "delay": "1"}, `input "delay" of demo#run: "1" is not a float`},
		{map[string]any{"msg": "a", "force": "true"}, `input "force" of demo#run: "true" is not a boolean`},
		{map[string]any{"msg": "a", "mode": []any{1}}, `input "mode" of demo#run: [1] is not a string`},
		{map[string]any{"msg": "a", "tags": "x"}, `input "tags" of demo#run: "x" is not an array`},
		{map[string]any{"msg": "a", "tags": []byte("x")}, `input "tags" of demo#run: "eA==" is not an array`},
		{map[string]any{"msg": "a", "env": []any{}}, `input "env" of demo#run: [] is not a hash map`},
		{map[string]any{"msg": strings.Repeat("é", 100)}, `input "msg" of demo#run: "` + strings.Repeat("é", 40) + `…" is longer than 10 characters`},
		{map[string]any{"msg": "a", "x": nil}, `input "x" of demo#run: no such input, the action takes any, count, delay, either, env, force, host, ip, mode, msg, ratio, ruby, safe, tags, v4, v6`},
		{map[string]any{"msg": "a", "process_results": true}, ""},
	}
	for _, tt := range tests {
		got, err := a.Complete("run", tt.data)
		if message(err) != tt.err {
			t.Errorf("%v: %v; want %s", tt.data, err, tt.err)
			continue
		}
		if err != nil {
			continue
		}
		if got["mode"] != "two" || got["delay"] == nil {
			t.Errorf("%v: %v lacks defaults", tt.data, got)
		}
		for k, v := range tt.data {
			if v != nil && !reflect.DeepEqual(got[k], v) {
				t.Errorf("%v: %s became %#v", tt.data, k, got[k])
			}
		}
	}
}

// The caller's map stays as it was.
func TestCompleteCopies(t *testing.T) {
	data := map[string]any{"msg": "a", "count": nil}
	if _, err := mustParse(t, sample).Complete("run", data); err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"msg": "a", "count": nil}; !reflect.DeepEqual(data, want) {
		t.Errorf("data became %v", data)
	}
}

func TestValidate(t *testing.T) {
	a := mustParse(t, sample)
	tests := []struct {
		data  map[string]any
		fault Fault
		err   string
	}{
		{map[string]any{"msg": "a"}, 0, ""},
		{map[string]any{"msg": "a", "process_results": true}, 0, ""},
		{map[string]any{"msg": "A", "x": 1}, Invalid, `input "msg" of demo#run: "A" does not match ^[a-z]+$`},
		{map[string]any{"x": 1}, Missing, `input "msg" of demo#run: missing (a message)`},
		{map[string]any{"msg": "a", "x": 1}, Unknown, `input "x" of demo#run: no such input, the action takes any, count, delay, either, env, force, host, ip, mode, msg, ratio, ruby, safe, tags, v4, v6`},
	}
	for _, tt := range tests {
		err := a.Validate("run", tt.data)
		if message(err) != tt.err {
			t.Errorf("%v: %v; want %s", tt.data, err, tt.err)
		}
		var e *InputError
		if errors.As(err, &e) && e.Fault != tt.fault {
			t.Errorf("%v: fault %d; want %d", tt.data, e.Fault, tt.fault)
		}
	}
	err := a.Validate("ping", map[string]any{"x": 1})
	if want := `input "x" of demo#ping: no such input, the action takes none`; message(err) != want {
		t.Errorf("ping with an input: %v; want %s", err, want)
	}
}

// What an author wrote as default is used as it is, in the type of the input.
func TestDefaults(t *testing.T) {
	tests := []struct {
		input string
		want  any
	}{
		{`"type":"string","validation":"^.+$","maxlength":1,"default":""`, ""},
		{`"type":"string","validation":".","maxlength":1,"default":7`, "7"},
		{`"type":"integer","default":"7"`, int64(7)},
		{`"type":"integer","default":7`, int64(7)},
		{`"type":"integer","default":7.0`, json.Number("7.0")},
		{`"type":"number","default":7`, 7.0},
		{`"type":"boolean","default":"yes"`, true},
		{`"type":"boolean","default":false`, false},
		{`"type":"list","list":["a"],"default":"b"`, "b"},
		{`"type":"array","default":[1]`, []any{json.Number("1")}},
		{`"type":"hash","default":"{\"a\":true}"`, map[string]any{"a": true}},
		{`"type":"hash","default":null`, nil},
	}
	for _, tt := range tests {
		for _, optional := range []string{"true", "false"} {
			if tt.want == nil && optional == "false" {
				continue
			}
			a := mustParse(t, `{"metadata":{"name":"a","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":2},
				"actions":[{"action":"b","description":"b","input":{"i":{"prompt":"p","description":"d","optional":`+optional+`,`+tt.input+`}},"output":{}}]}`)
			got, err := a.Arguments("b", nil)
			if err != nil || !reflect.DeepEqual(got["i"], tt.want) {
				t.Errorf("%s: %#v, %v; want %#v", tt.input, got["i"], err, tt.want)
			}
		}
	}
}

func FuzzArguments(f *testing.F) {
	a := mustParse(f, sample)
	for _, name := range sortedKeys(a.Action("run").Input) {
		for _, value := range []string{"", "1", "-1.5e3", "true", "[]", `{"a":[null]}`, "10.0.0.1", "a\x00\xffb", "hello"} {
			f.Add(name, value)
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		got, err := a.Arguments("run", map[string]string{"msg": "a", name: value})
		if err != nil {
			if !strings.Contains(err.Error(), "of demo#run: ") || len(err.Error()) > 1000 {
				t.Fatalf("%q: %q: error %q", name, value, err)
			}
			return
		}
		// What was taken from text is right as typed data, there and after a journey as JSON.
		if _, err := a.Complete("run", got); err != nil {
			t.Fatalf("%q: %q: %v", name, value, err)
		}
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("%q: %q: %v", name, value, err)
		}
		back, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ToValidUTF8(value, "") == value {
			if err := a.Validate("run", back.(map[string]any)); err != nil {
				t.Fatalf("%q: %q: after JSON: %v", name, value, err)
			}
		}
	})
}

const marks = `{"metadata":{"name":"demo","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":5},
"actions":[{"action":"set","description":"d","display":"failed","impact":"change","extra_inputs":true,"output":{},"input":{
 "password":{"prompt":"P","description":"d","type":"string","optional":true,"validation":"^[a-z]+$","maxlength":8,"sensitive":true},
 "pin":{"prompt":"P","description":"d","type":"integer","optional":true,"sensitive":true}}}]}`

func TestMarks(t *testing.T) {
	a := mustParse(t, marks)
	set := a.Action("set")
	if set.Impact != "change" || !set.ExtraInputs || !set.Input["password"].Sensitive {
		t.Errorf("marks are lost: %+v", set)
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	again := mustParse(t, string(text))
	if got := again.Action("set"); got.Impact != "change" || !got.ExtraInputs || !got.Input["pin"].Sensitive {
		t.Errorf("marks are lost in JSON: %+v", got)
	}

	got, err := a.Arguments("set", map[string]string{"Ensure": "present", "PASSWORD": "abc"})
	want := map[string]any{"Ensure": "present", "password": "abc"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Arguments = %v, %v; want %v", got, err, want)
	}
	if err := a.Validate("set", map[string]any{"owner": "root", "deep": map[string]any{"a": 1}}); err != nil {
		t.Errorf("extra inputs: %v", err)
	}
	// A secret never stands in an error.
	_, err = a.Arguments("set", map[string]string{"pin": "SECRET1"})
	if err == nil || strings.Contains(err.Error(), "SECRET1") {
		t.Errorf("Arguments with a pin that is no number: %v", err)
	}
	err = a.Validate("set", map[string]any{"password": "SECRET2"})
	if err == nil || strings.Contains(err.Error(), "SECRET2") {
		t.Errorf("Validate with a wrong password: %v", err)
	}
	if _, err := Parse([]byte(strings.Replace(marks, `"change"`, `"none"`, 1))); err == nil || !strings.Contains(err.Error(), `impact "none": want read or change`) {
		t.Errorf("unknown impact: %v", err)
	}
}

// Whoever writes a policy must be told what each action that is built in does.
func TestBuiltinImpact(t *testing.T) {
	for _, a := range Builtin() {
		for _, act := range a.Actions {
			if act.Impact == "" {
				t.Errorf("%s#%s has no impact", a.Metadata.Name, act.Name)
			}
		}
	}
}
