package assert

import (
	"encoding/json"
	"strings"
	"testing"
)

func decode(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMatch(t *testing.T) {
	tests := []struct {
		data, expr string
		want       bool
	}{
		// As measured on JGrep.
		{`{"k":true}`, "k=true", true},
		{`{"k":true}`, "k=True", false},
		{`{"k":"true"}`, "k=true", true},
		{`{"k":5}`, "k=5", true},
		{`{"k":5}`, "k>4", true},
		{`{"k":1.5}`, "k>1.0", true},
		{`{"k":"10"}`, "k>9", true},
		{`{"k":null}`, "k=null", true},
		{`{"k":null}`, "+k", true},
		{`{}`, "k=null", true},
		{`{}`, "k!=1", true},
		{`{}`, "-k", true},
		{`{}`, "k=1", false},
		{`{}`, "k>1", false},
		{`{"k":[1,2]}`, "k=1", false},
		{`{"k":[{"name":"x"},{"name":"y"}]}`, "k.name=x", false},
		{`{"k":[{"name":"x"}]}`, "k.name=x", true},
		{`{"k":[{"name":"y"},{"name":"x"}]}`, "[k.name=x]", true},

		// What JGrep cannot compare.
		{`{"k":5}`, "k=5.0", true},
		{`{"k":1.5}`, "k>1", true},
		{`{"k":-1}`, "k=-1", true},
		{`{"k":-1}`, "k<0", true},
		{`{"k":9007199254740993}`, "k=9007199254740993", true},
		{`{"k":9007199254740993}`, "k=9007199254740992", false},

		{`{"a":1,"b":2}`, "a=1 and b=2", true},
		{`{"a":1,"b":3}`, "a=1 && b=2", false},
		{`{"a":1,"b":3}`, "a=2 or b=3", true},
		{`{"a":1,"b":3}`, "a=2 || b=4", false},
		{`{"a":1,"b":3,"c":0}`, "a=1 or b=9 and c=9", true},
		{`{"a":1,"b":3,"c":0}`, "(a=1 or b=9) and c=9", false},
		{`{"a":1}`, "not a=2", true},
		{`{"a":1}`, "!a=1", false},
		{`{"a":1}`, "!(a=2 or +b)", true},
		{`{"a":{"b":{"c":"x y"}}}`, `a.b.c="x y"`, true},
		{`{"a":{"b":{"c":"x y"}}}`, `a.b.c='x'`, false},
		{`{"a.b":1}`, "a.b=1", true},
		{`{"a":"idling"}`, "a=/^idl/", true},
		{`{"a":"Idling"}`, "a=/^idl/", false},
		{`{"a":"Idling"}`, "a!=/^idl/", true},
		{`{"a":"/usr/bin"}`, `a=/^\/usr/`, true},
		{`{"a":5}`, "a<=5", true},
		{`{"a":5}`, "a>=6", false},
		{`{"a":"abc"}`, "a<b", true},
		{`{"a":"abc"}`, "a<5", false},
		{`{"a":true}`, "a>0", false},
		{`{"k":[{"a":1,"b":3},{"a":2,"b":2}]}`, "[k.a=1 and k.b=2]", false},
		{`{"k":[{"a":1,"b":3},{"a":2,"b":2}]}`, "[k.a=2 and k.b=2]", true},
		{`{"k":[{"a":1},{"a":2}],"z":1}`, "z=1 and [k.a=2]", true},
		{`{"k":["x","y"]}`, "[k=y]", true},
		{`[]`, "k=1", false},
		{`null`, "-k", true},
	}
	for _, tt := range tests {
		e, err := Parse(tt.expr)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.expr, err)
			continue
		}
		if got := e.Match(decode(t, tt.data)); got != tt.want {
			t.Errorf("%s on %s = %v, want %v", tt.expr, tt.data, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ expr, err string }{
		{"", `assertion "": unexpected end`},
		{"k", `assertion "k": "k" is no test: want key=value, without spaces, +key or -key`},
		{"k = 1", `assertion "k = 1": "k" is no test: want key=value, without spaces, +key or -key`},
		{"k=", `assertion "k=": "k=": no value`},
		{"k=1 and", `assertion "k=1 and": unexpected end`},
		{"k=1 k=2", `assertion "k=1 k=2": unexpected "k=2"`},
		{"(k=1", `assertion "(k=1": missing )`},
		{"k=1)", `assertion "k=1)": unexpected ")"`},
		{"[k=1", `assertion "[k=1": missing ]`},
		{"[k.a=1 and [k.b=1]]", `assertion "[k.a=1 and [k.b=1]]": [ ] cannot be nested`},
		{"[k.a=1 and j.b=1]", `assertion "[k.a=1 and j.b=1]": [ ] tests one array, not "k" and "j"`},
		{"k='a", `assertion "k='a": missing closing '`},
		{"k=/(/", "assertion \"k=/(/\": \"k=/(/\": error parsing regexp: missing closing ): `(`"},
		{"k>/a/", `assertion "k>/a/": "k>/a/": a regular expression takes = or !=`},
		{"=1", `assertion "=1": "=1" is no test: want key=value, without spaces, +key or -key`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.expr)
		if err == nil || err.Error() != tt.err {
			t.Errorf("Parse(%q) = %v, want %s", tt.expr, err, tt.err)
		}
	}
}

func TestParseBoundsDepth(t *testing.T) {
	for _, expr := range []string{strings.Repeat("!", 100000) + "a=1", strings.Repeat("(", 100000)} {
		if _, err := Parse(expr); err == nil || !strings.Contains(err.Error(), "nested deeper than 100") {
			t.Errorf("Parse(%.10q…): no error about the depth", expr)
		}
	}
}

func TestFindings(t *testing.T) {
	e, err := Parse("a.b=1 and (-c or a.b=2)")
	if err != nil {
		t.Fatal(err)
	}
	got := e.Findings(decode(t, `{"a":{"b":7}}`))
	if len(got) != 2 || got[0].Key != "a.b" || got[0].Value != json.Number("7") || got[1].Key != "c" || got[1].Found {
		t.Errorf("Findings = %+v", got)
	}
}

func FuzzAssert(f *testing.F) {
	f.Add("a=1 and (b.c!=/x/ or [d.e>=1.5])", `{"a":1,"b":{"c":"x"},"d":[{"e":2}]}`)
	f.Add("!+a || -b && c<'x y'", `{"c":"1e999"}`)
	f.Add("k=1e99999999", `{"k":1e99999999}`)
	f.Fuzz(func(t *testing.T, expr, data string) {
		d := json.NewDecoder(strings.NewReader(data))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return
		}
		e, err := Parse(expr)
		if err != nil {
			return
		}
		e.Findings(v)
		match := e.Match(v)
		// What a parsed expression says does not change when it is negated as a whole.
		n, err := Parse("!(" + expr + ")")
		if err != nil {
			if strings.Contains(err.Error(), "nested deeper") {
				return
			}
			t.Fatalf("Parse(!(%q)): %v", expr, err)
		}
		if n.Match(v) == match {
			t.Errorf("%q and its negation are both %v on %s", expr, match, data)
		}
	})
}
