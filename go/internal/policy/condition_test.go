package policy

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// withData is a request to a node that has two data plugins.
func withData() *Request {
	r := request("rpcutil", "ping", "choria=x")
	r.Data = func(source, query string, hasQuery bool) (map[string]any, error) {
		switch {
		case source == "service" && hasQuery:
			return map[string]any{"status": "running", "name": query}, nil
		case source == "choria" && !hasQuery:
			return map[string]any{"uptime": 90, "agents": []string{"a"}}, nil
		}
		return nil, errors.New("no such data")
	}
	return r
}

// The node has the facts country=mt, cores=4 and os.family=RedHat and the classes nginx and role::web.
func TestConditions(t *testing.T) {
	tests := []struct {
		text string
		want string // true, false, error or syntax
	}{
		{"nginx", "true"},
		{"apache", "false"},
		{"/^role::/", "true"},
		{"!nginx", "false"},
		{"not nginx", "false"},
		{"! apache", "true"},
		{"!!nginx", "true"},
		{"not not apache", "false"},
		{"nginx and apache", "false"},
		{"nginx or apache", "true"},
		{"country=mt and role::web", "true"},
		{"(country=uk or nginx) and cores>=4", "true"},
		{"((nginx))", "true"},
		{"not (nginx and apache)", "true"},
		{"!(nginx or apache)", "false"},
		// As in Ruby: neither binds stronger.
		{"nginx or nginx and apache", "false"},
		{"nginx or (nginx and apache)", "true"},
		{"apache and nginx or nginx", "true"},
		{"country=mt", "true"},
		{"country==mt and not country=uk", "true"},
		{"country!=uk and nginx", "true"},
		{`country="mt" and nginx`, "true"},
		{"country='m t' or apache", "false"},
		{"os.family=/^Red(Hat|Star)$/ and nginx", "true"},
		{"os.family=~Red and nginx", "true"},
		{"os.family!=/^Red/ or apache", "false"},
		{"os.family!=/^Deb/ and nginx", "true"},
		{"missing!=/^Deb/ or apache", "false"},
		{"not missing=x", "true"},
		{"cores<5 and cores<=4 and cores>3", "true"},
		{"cores=>5 or cores=<3", "false"},
		{"service('puppet').status=running", "true"},
		{`service("a b (c)").name="a b (c)"`, "true"},
		{"service('puppet').status!=running or nginx", "true"},
		{"not service('puppet').status=/^run/", "false"},
		{"choria().uptime>60 and choria().uptime<100", "true"},
		{"choria().nope=1", "error"},
		{"choria('x').uptime=1", "error"},
		{"nope().x=1", "error"},
		{"not nope().x=1", "error"},
		{"nginx or nope().x=1", "true"}, // what does not matter is not asked
		{"nope().x=1 or nginx", "error"},
		{"nope().x=1 and apache", "error"},
		{"", "syntax"},
		{"nginx and", "syntax"},
		{"and nginx", "syntax"},
		{"nginx apache", "syntax"},
		{"(nginx", "syntax"},
		{"nginx)", "syntax"},
		{"()", "syntax"},
		{"not", "syntax"},
		{"country=", "syntax"},
		{"=mt", "syntax"},
		{"country<>mt", "syntax"},
		{"country!mt=1", "syntax"},
		{"service('x').status", "syntax"},
		{"service('x')", "syntax"},
		{"service(x).status=1", "syntax"},
		{"country=/(/", "syntax"},
		{"/(/", "syntax"},
		{strings.Repeat("(", 100) + "nginx" + strings.Repeat(")", 100), "syntax"},
		{strings.Repeat("!", 100) + "nginx", "syntax"},
	}
	for _, tt := range tests {
		got := "syntax"
		if c, err := parseCondition(tt.text); err == nil {
			ok, err := c.eval(withData())
			if got = fmt.Sprint(ok); err != nil {
				got = "error"
			}
		}
		if got != tt.want {
			t.Errorf("%.60q: %s; want %s", tt.text, got, tt.want)
		}
	}
}

// A condition that cannot be evaluated never lets anybody in, whatever is around it.
func TestConditionsFailClosed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rpcutil.policy", "deny\t*\tping\tnot nope().x=1\t*\nallow\t*\tinfo\tnot nope().x=1\t*\nallow\t*\tping\t*\t*\n")
	p := &Policies{Dir: dir}
	r := withData()
	want := filepath.Join(dir, "rpcutil.policy") + ":1: data nope: no such data, and the line denies whatever the facts are"
	if d := p.Decide(r); d.Allow || d.Rule != want {
		t.Errorf("Decide = %+v; want a denial by %q", d, want)
	}
	r.Action = "info"
	if d := p.Decide(r); d.Allow {
		t.Errorf("Decide = %+v; want a denial", d)
	}
}

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rpcutil.policy", `policy default deny
allow	choria=bob	*	*	*
allow	*	info	*	*
allow	*	*	country=uk	*
allow	*	*	*	apache
allow	*	*	not nginx	*
allow	*	*	nope().x=1	*
allow	* * *
allow	ops	ping	country=mt and nginx	*
deny	*	*	*	*
`)
	write(t, dir, "groups", "ops choria=x\n")
	e := (&Policies{Dir: dir}).Explain(withData())
	file := filepath.Join(dir, "rpcutil.policy")
	if !e.Allow || e.Rule != file+":9" {
		t.Errorf("Explain = %+v; want it allowed by line 9", e.Decision)
	}
	want := []Step{
		{file + ":2", true, false, "it is for other callers"},
		{file + ":3", true, false, "it is for other actions"},
		{file + ":4", true, false, "this node has other facts"},
		{file + ":5", true, false, "this node does not have its classes"},
		{file + ":6", true, false, "its condition does not hold"},
		{file + ":7", true, false, "data nope: no such data"},
		{file + ":9", true, true, ""},
	}
	if fmt.Sprint(e.Steps) != fmt.Sprint(want) {
		t.Errorf("steps %v; want %v", e.Steps, want)
	}
	if len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0].Error(), ":8:") {
		t.Errorf("warnings %v; want one about line 8", e.Warnings)
	}
}

// Whatever a condition is, parsing and evaluating it ends, and a condition and its negation never
// both hold.
func FuzzCondition(f *testing.F) {
	f.Add("(country=uk or !nginx) and os.family=/(Red|Hat)/ not service('puppet').status=running")
	f.Add("choria().uptime>60 or a!=/x y/ and b='c d'")
	f.Add("((((")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCondition(text)
		if err != nil {
			return
		}
		ok, err := c.eval(withData())
		not, notErr := (&negation{c}).eval(withData())
		if ok && not || (err != nil) != (notErr != nil) || err == nil && ok == not {
			t.Errorf("%q: %v, %v; negated %v, %v", text, ok, err, not, notErr)
		}
	})
}
