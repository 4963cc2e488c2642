package playbook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	var out, errs bytes.Buffer
	secrets := &Secrets{}
	secrets.Add("hunter22")
	l := &Log{Out: &out, Err: &errs, Level: Info, Secrets: secrets, Keep: true}
	l.Say(Debug, "", "left out")
	l.Say(Info, "Scope(<module>/a/plans/b.pp, 3)", "it is hunter22")
	l.Say(Notice, "", "✔︎ kind: two\nlines\x1b[31m")
	l.Say(Warning, "", "careful")
	l.Say(Crit, "", "help")
	l.Colour = true
	l.Say(Notice, "", "plain")
	l.Say(Err, "", "red")
	want := "Info: Scope(<module>/a/plans/b.pp, 3): it is [redacted]\nNotice: ✔︎ kind: two\nlines�[31m\nNotice: plain\n"
	if out.String() != want {
		t.Errorf("standard output %q, want %q", out.String(), want)
	}
	if want := "Warning: careful\nCritical: help\n\x1b[91mError: red\x1b[0m\n"; errs.String() != want {
		t.Errorf("standard error %q, want %q", errs.String(), want)
	}
	if lines := l.Lines(); len(lines) != 6 || lines[0].Level != "info" || lines[0].Text != "it is [redacted]" || lines[0].Time.IsZero() {
		t.Errorf("kept %+v", lines)
	}
}

func TestSecrets(t *testing.T) {
	s := &Secrets{}
	var params any
	text := `{"a":{"__sensitive":"hunter22"},"b":[{"__sensitive":{"pin":"123","key":"hunter22-long","q":"say \"hi\""}}],"c":{"__sensitive":1,"d":2}}`
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&params); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s.Reveal(params))
	want := `{"a":"hunter22","b":[{"key":"hunter22-long","pin":"123","q":"say \"hi\""}],"c":{"__sensitive":1,"d":2}}`
	if err != nil || string(got) != want {
		t.Errorf("revealed %s, %v; want %s", got, err, want)
	}
	tests := []struct{ text, want string }{
		{"x hunter22 y", "x [redacted] y"},
		{"hunter22-long", "[redacted]"},
		{"-hunter22-longer", "-[redacted]er"},
		{"123", "[redacted]"},
		{"4123", "4123"}, // too short to be looked for in other text
		{`{"q":"say \"hi\""}`, `{"q":"[redacted]"}`},
		{`say "hi"`, `[redacted]`},
		{"", ""},
	}
	for _, tt := range tests {
		if got := s.Mask(tt.text); got != tt.want {
			t.Errorf("Mask(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
	masked, err := s.MaskJSON(json.RawMessage(`{"z":"<a> hunter22","hunter22":[1.50,null,{"__sensitive":"new"},true,{}],"n":123,"__sensitive":2}`))
	want = `{"z":"<a> [redacted]","[redacted]":[1.50,null,"[redacted]",true,{}],"n":123,"__sensitive":2}`
	if err != nil || string(masked) != want {
		t.Errorf("MaskJSON gave %s, %v; want %s", masked, err, want)
	}
	var none *Secrets
	if none.Mask("x") != "x" {
		t.Error("no secrets mask something")
	}
}

// A secret is not to be seen in any of the forms in which Puppet and commands print it.
func TestSecretsInOtherForms(t *testing.T) {
	s := &Secrets{}
	s.Add("-----BEGIN KEY-----\nMIIBOgIBAAJB\n}\n-----END KEY-----\n")
	s.Add(`it's "a\b" $x`)
	for text, want := range map[string]string{
		"MIIBOgIBAAJB":                "[redacted]",
		"key: MIIBOgIBAAJB;":          "key: [redacted];",
		"}":                           "}",
		`'it\'s "a\b" $x'`:            `'[redacted]'`,
		`"it's \"a\\b\" \$x"`:         `"[redacted]"`,
		`{"q":"it's \"a\\b\" $x"}`:    `{"q":"[redacted]"}`,
		`-----BEGIN KEY-----\nMIIBOg`: `[redacted]\nMIIBOg`,
	} {
		if got := s.Mask(text); got != want {
			t.Errorf("Mask(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzMaskJSON(f *testing.F) {
	f.Add(`{"a":[1,"x",{"__sensitive":"secret"}],"b":null}`)
	f.Add(`[[[]]]`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &Secrets{}
		s.Add("secret-word")
		if !json.Valid([]byte(text)) {
			return
		}
		masked, err := s.MaskJSON(json.RawMessage(text))
		if err != nil {
			return // an object nested deeper than the decoder goes
		}
		if !json.Valid(masked) || strings.Contains(string(masked), "secret-word") {
			t.Errorf("%s became %s", text, masked)
		}
	})
}

func TestPlaybookOf(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/m/demo/plans/init.pp", "demo"},
		{"/m/demo/plans/a/b.pp", "demo::a::b"},
		{"/m/demo/functions/a.pp", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := playbookOf(tt.path); got != tt.want {
			t.Errorf("playbookOf(%q) = %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestList(t *testing.T) {
	names, files := List([]string{"testdata/modules", "/does/not/exist", "../../../modules"}, "")
	got := strings.Join(names, " ")
	for _, want := range []string{"demo demo::cleans demo::counts", "demo::deep::fails", "mcollective_agent_puppet::disable_and_wait", "cspec::agents::shell"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if files["demo"] != "testdata/modules/demo/plans/init.pp" {
		t.Errorf("file of demo: %q", files["demo"])
	}
	if names, _ := List([]string{"testdata/modules"}, "deep"); len(names) != 4 {
		t.Errorf("filtered: %q", names)
	}
}
