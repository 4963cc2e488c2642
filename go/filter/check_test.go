package filter

import (
	"strings"
	"testing"
)

func TestChecks(t *testing.T) {
	fact := func(text string) error {
		f, err := ParseFact(text)
		if err != nil {
			t.Fatal(err)
		}
		return f.Check()
	}
	tests := []struct {
		what string
		err  error
		want string // part of the message; empty: none
	}{
		{"a name", CheckName("role::web"), ""},
		{"a regex", CheckName("/^web[0-9]+$/"), ""},
		{"no regex", CheckName("/web[/"), "missing closing ]"},
		{"no name", CheckName(""), "empty"},
		{"a long regex", CheckName("/" + strings.Repeat("a", MaxRegex+1) + "/"), "longer than"},
		{"a fact", fact("country=m("), ""},
		{"a fact like", fact("country=~/^m.$/"), ""},
		{"a fact like nothing", fact("country=~m("), "missing closing )"},
		{"an expression", CheckExpression(`with("os.family=Debian") and not with("role::web")`), ""},
		{"a variable", CheckExpression(`"a" in classes or any(agents, # == "b")`), ""},
		{"a data plugin", CheckExpression(`config_item("k").value > 3 and choria().main_collective == "x"`), ""},
		{"no expression", CheckExpression("bad ((("), "unexpected token"},
		{"the old language", CheckExpression("country=uk and apache"), "unexpected token"},
		{"a number", CheckExpression("1 + 1"), "expected bool"},
		{"a type", CheckExpression("with(1)"), "cannot use int"},
		{"what filters may not do", CheckExpression(`repeat("a", 100) == "b"`), "cannot be used in a filter"},
		{"nothing", CheckExpression(""), "empty"},
		{"a lot", CheckExpression(strings.Repeat(" ", MaxExpr) + "true"), "longer than"},
	}
	for _, tt := range tests {
		if tt.want == "" && tt.err != nil || tt.want != "" && (tt.err == nil || !strings.Contains(tt.err.Error(), tt.want)) {
			t.Errorf("%s: error %v; want %q", tt.what, tt.err, tt.want)
		}
	}
}

// FuzzCheckExpression holds that an expression that a node evaluates is not refused, and that nothing panics.
func FuzzCheckExpression(f *testing.F) {
	for _, text := range []string{"true", `with("a")`, "any(classes, # matches 'x')", "bad (((", `fact("a") > 1`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checked := CheckExpression(text)
		if _, err := (&match{node: &Node{}, regexes: MaxRegexes, work: maxWork}).expression(text); err == nil && text != "" && checked != nil {
			t.Errorf("%q is evaluated by nodes, but refused: %v", text, checked)
		}
	})
}
