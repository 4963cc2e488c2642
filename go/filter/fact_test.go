package filter

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseFact(t *testing.T) {
	tests := []struct {
		in   string
		want Fact
		err  string // the whole message; empty means success
	}{
		{"country=uk", Fact{"country", "==", "uk"}, ""},
		{"country==uk", Fact{"country", "==", "uk"}, ""},
		{" country = united kingdom ", Fact{"country", "==", "united kingdom"}, ""},
		{"n>=1", Fact{"n", ">=", "1"}, ""},
		{"n=>1", Fact{"n", ">=", "1"}, ""},
		{"n<=1", Fact{"n", "<=", "1"}, ""},
		{"n=<1", Fact{"n", "<=", "1"}, ""},
		{"n<1", Fact{"n", "<", "1"}, ""},
		{"n>1", Fact{"n", ">", "1"}, ""},
		{"n!=1", Fact{"n", "!=", "1"}, ""},
		{"n=~1", Fact{"n", "=~", "1"}, ""},
		{"n=/^1/", Fact{"n", "=~", "/^1/"}, ""},
		{"n>/^1/", Fact{"n", "=~", "/^1/"}, ""},
		{"n=/", Fact{"n", "==", "/"}, ""},
		{"a=b=c", Fact{"a=b", "==", "c"}, ""},
		{"a>b!=c", Fact{"a>b", "!=", "c"}, ""},
		{"a===b", Fact{"a==", "==", "b"}, ""},
		{`users.#(uid>1).name=bob`, Fact{`users.#(uid>1).name`, "==", "bob"}, ""},
		{"country", Fact{}, `fact filter "country": want name, operator and value, as in country=uk`},
		{"=uk", Fact{}, `fact filter "=uk": want name, operator and value, as in country=uk`},
		{"country=", Fact{}, `fact filter "country=": want name, operator and value, as in country=uk`},
		{" = ", Fact{}, `fact filter " = ": want name, operator and value, as in country=uk`},
		{"", Fact{}, `fact filter "": want name, operator and value, as in country=uk`},
	}
	for _, tt := range tests {
		got, err := ParseFact(tt.in)
		if got != tt.want || message(err) != tt.err {
			t.Errorf("ParseFact(%q) = %+v, %q; want %+v, %q", tt.in, got, message(err), tt.want, tt.err)
		}
	}
}

func TestAddWords(t *testing.T) {
	var f Filter
	if err := f.AddWords("  nginx country=uk /^role/ n>=2 "); err != nil {
		t.Fatal(err)
	}
	want := Filter{Class: []string{"nginx", "/^role/"}, Fact: []Fact{{"country", "==", "uk"}, {"n", ">=", "2"}}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v, want %+v", f, want)
	}
	if err := f.AddWords("nginx country="); err == nil {
		t.Error("a fact without a value was taken")
	}
}

func TestMatchFact(t *testing.T) {
	facts := testNode.Facts()
	// Each entry lists values after the operators that match them; all other operators do not.
	// A ! before the operators says that the others are errors.
	const all = "== != =~ < > <= >="
	tests := []struct{ name, value, match, errs string }{
		{"s", "hello", "== =~ <= >=", ""},
		{"s", "HELLO", "== =~ <= >=", ""},
		{"s", "hellp", "!= < <=", ""},
		{"s", "g", "!= > >=", ""},
		{"s", "e.l", "!= =~ > >=", ""},
		{"s", "//^hel//", "!= =~ > >=", ""},
		{"s", "(", "!= > >=", ""},
		{"n", "4", "== =~ <= >=", ""},
		{"n", "04", "!= <= >=", ""},
		{"n", "5", "!= < <=", ""},
		{"n", "-1", "!= > >=", ""},
		{"n", "4.0", "== =~ <= > >=", ""}, // > includes equality when there is a point
		{"n", "4.5", "!= < <=", ""},
		{"n", "four", "!=", ""},
		{"n", "4.x", "", ""},
		{"n", "/^4$/", "!= =~", ""},
		{"f", "1", "== =~ <= >=", ""}, // by the integer part
		{"f", "2", "!= < <=", ""},
		{"f", "1.5", "== =~ <= > >=", ""},
		{"f", "1.6", "!= < <=", ""},
		{"f", "^1.5000$", "=~", ""},
		{"neg", "-2", "== =~ <= >=", ""},
		{"neg", "-2.5", "== =~ <= > >=", ""},
		{"yes", "true", "== =~", "< > <= >="},
		{"yes", "T", "== =~", "< > <= >="},
		{"yes", "false", "!=", "< > <= >="},
		{"yes", "bob", "!=", "< > <= >="},
		{"no", "false", "== =~ !=", "< > <= >="}, // != on a false fact is ==
		{"no", "bob", "== =~ !=", "< > <= >="},
		{"no", "1", "", "< > <= >="},
		{"nil", "x", "", "< > <= >="},
		{"nil", "null", "", "< > <= >="},
		{"list", "10", "", "< > <= >="},
		{"map", "v", "", "< > <= >="},
		{"nosuch", "x", "", ""},
		{"list.0", "10", "== =~ <= >=", ""},
		{"list.#", "3", "== =~ <= >=", ""},
		{"map.k", "v", "== =~ <= >=", ""},
		{"map.deep.x", "7", "== =~ <= >=", ""},
		{"map.*.x", "7", "== =~ <= >=", ""},
		{"with.dot", "d", "", ""},
		{`with\.dot`, "d", "== =~ <= >=", ""},
		{`users.#(uid==2).name`, "bob", "== =~ <= >=", ""},
		{`users.@reverse.0.name`, "bob", "== =~ <= >=", ""},
		{`@this.s`, "hello", "== =~ <= >=", ""},
		{`[s,n]`, "x", "", all},
		{`{s,n}`, "x", "", all},
		{`map.[k,k]`, "x", "", all},
		{`map|[k,k]`, "x", "", all},
		{`@this|@this|@this`, "x", "", all},
		{strings.Repeat("a", MaxPath+1), "x", "", all},
	}
	for _, tt := range tests {
		for op := range strings.FieldsSeq(all) {
			want, wantErr := contains(tt.match, op), contains(tt.errs, op)
			got, err := MatchFact(facts, Fact{tt.name, op, tt.value})
			if got != want || (err != nil) != wantErr {
				t.Errorf("%.40s %s %s: %v, %v; want %v, error %v", tt.name, op, tt.value, got, err, want, wantErr)
			}
		}
	}
	for _, f := range []Fact{{"", "==", "x"}, {"s", "==", ""}, {"s", "~", "x"}, {"s", "", "x"}} {
		if ok, err := MatchFact(facts, f); ok || err == nil {
			t.Errorf("%+v: %v, %v; want an error", f, ok, err)
		}
	}
	if ok, err := MatchFact(nil, Fact{"s", "==", "x"}); ok || err != nil {
		t.Errorf("no facts: %v, %v", ok, err)
	}
}

func contains(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

func ExampleParseFact() {
	f, err := ParseFact("os.family=/^(Debian|RedHat)$/")
	fmt.Println(f.Name, f.Operator, f.Value, err)
	ok, err := MatchFact(json.RawMessage(`{"os":{"family":"Debian"}}`), f)
	fmt.Println(ok, err)
	// Output:
	// os.family =~ /^(Debian|RedHat)$/ <nil>
	// true <nil>
}
