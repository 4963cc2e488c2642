package filter

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestCompound(t *testing.T) {
	tests := []struct {
		expr string
		want bool
		err  string // part of the message
	}{
		{`true`, true, ""},
		{`false`, false, ""},
		{`1 == 1 && not (2 > 3) or false`, true, ""},
		{`with("nginx")`, true, ""},
		{`with("/^role/")`, true, ""},
		{`with("package")`, true, ""},
		{`with("nosuch")`, false, ""},
		{`with("s=hello") and with("n>3")`, true, ""},
		{`with("map.deep.x=/7/")`, true, ""},
		{`with("yes>1")`, false, "no order"},
		{`fact("s") == "Hello"`, true, ""},
		{`fact("n") == 4 and fact("f") > 1`, true, ""},
		{`fact("nosuch") == nil`, true, ""},
		{`fact("nil") == nil`, true, ""},
		{`fact("map").k == "v"`, true, ""},
		{`fact("list")[0] == 10`, true, ""},
		{`fact("yes")`, true, ""},
		{`fact("n")`, false, "bool"},
		{`"nginx" in classes`, true, ""},
		{`"rpcutil" in agents and len(agents) == 2`, true, ""},
		{`any(classes, # startsWith "Role")`, true, ""},
		{`all(agents, len(#) > 3) ? true : false`, true, ""},
		{`include(fact("list"), 10) and include(fact("list"), "b") and include(fact("list"), true)`, true, ""},
		{`include(fact("list"), 11) or include(fact("list"), nil) or include(fact("nosuch"), 1)`, false, ""},
		{`include(classes, "base")`, true, ""},
		{`include(fact("s"), "H")`, false, "want a list"},
		{`semver(fact("version"), ">= 1.2, < 2")`, true, ""},
		{`semver(fact("version"), "> 1.2.3")`, false, ""},
		{`semver("one", "> 1")`, false, "version"},
		{`semver("1.0.0", ">>1")`, false, "constraint"},
		{`semver(fact("nosuch"), "> 1")`, false, "semver"},
		{`config_item("k").value == "item k"`, true, ""},
		{`string(fact("n")) == "4" and string(fact("yes")) == "true" and string(fact("nosuch")) == ""`, true, ""},
		{`string(facts) contains "Hello"`, true, ""},
		{`string(fact("list")) == ""`, false, "no text"},
		{`fact("s") matches "^H"`, true, ""},
		{`fact("s") matches "("`, false, "missing"},
		{`nosuch`, false, ""},
		{`nosuch == nil`, true, ""},
		{`nosuch("x")`, false, "nosuch"},
		{`1`, false, "bool"},
		{`"x"`, false, "bool"},
		{`with(`, false, "unexpected"},
		{`fact("s").a.b`, false, "invalid operation"},
		{`repeat("x", 2) == "xx"`, false, "repeat() cannot be used in a filter"},
		{`map(classes, #) == classes`, false, "map() cannot be used in a filter"},
		{``, false, ""},
	}
	for _, tt := range tests {
		got, err := Filter{Compound: []Compound{{tt.expr}}}.Match(testNode)
		if got != tt.want || (tt.err == "") != (err == nil) || !strings.Contains(message(err), tt.err) {
			t.Errorf("%s: %v, %v; want %v, %q", tt.expr, got, err, tt.want, tt.err)
		}
	}
}

// What can never match is told before anybody is asked.
func TestCompoundValidate(t *testing.T) {
	for expr, want := range map[string]string{
		`with("a") and mount("/srv").mounted == true`: "",
		`unknown("a").b`:                   "",
		"":                                 "compound filter \"\": unexpected token EOF",
		"apache and":                       "compound filter \"apache and\": unexpected token EOF (1:10)",
		"service('puppet').status=running": "compound filter \"service('puppet').status=running\": unexpected token Operator(\"=\") (1:25)",
		strings.Repeat("(", MaxExpr+1):     "compound filter: longer than 4096 bytes",
	} {
		got := ""
		if err := (Compound{Expr: expr}).Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40q: %q; want %q", expr, got, want)
		}
	}
}

func TestCompoundMajority(t *testing.T) {
	tests := []struct {
		exprs string
		want  bool
		fails bool
	}{
		{"true", true, false},
		{"true true false", true, false},
		{"true false", false, false},
		{"false false true", false, false},
		{"true true (", false, true},
	}
	for _, tt := range tests {
		var f Filter
		for e := range strings.FieldsSeq(tt.exprs) {
			f.Compound = append(f.Compound, Compound{e})
		}
		if got, err := f.Match(testNode); got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: %v, %v; want %v", tt.exprs, got, err, tt.want)
		}
	}
}

// TestHostile runs expressions that would take for ever or all memory if they were not bounded.
func TestHostile(t *testing.T) {
	big := map[string]any{"text": strings.Repeat("x", 100_000), "list": make([]int, 1000)}
	facts, err := json.Marshal(big)
	if err != nil {
		t.Fatal(err)
	}
	classes := make([]string, 500)
	for i := range classes {
		classes[i] = strings.Repeat("c", 40)
	}
	n := &Node{
		Classes: func() []string { return classes },
		Facts:   func() json.RawMessage { return facts },
	}
	nest := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	tests := map[string]string{
		"too long":          strings.Repeat(" ", MaxExpr) + "true",
		"nested loops":      nest("any(classes, ", "false", ")", 5),
		"many loops":        strings.Repeat("any(classes, false) or ", 20) + "false",
		"facts in loops":    `any(classes, fact("text") == # or fact("text") == #)`,
		"with in loops":     `any(classes, with("text=" + #)) or any(classes, with("text=" + #))`,
		"ranges":            `all(1..100000000, true)`,
		"ranges in loops":   `any(1..6000, false) or any(1..6000, false)`,
		"huge range":        `len(-9223372036854775807..9223372036854775807) > 1`,
		"doubling":          `let a = fact("text"); let b = a + a; let c = b + b; len(c) > 1`,
		"repeat":            `len(repeat("x", 1000000)) > 1`,
		"reduce":            `len(reduce(1..1000, #acc + #acc, "x")) > 1`,
		"join":              `len(join(map(classes, join(classes)))) > 1`,
		"replace":           nest(`replace(`, `"a"`, `, "a", "aaaaaaaa")`, 40) + ` == "b"`,
		"escapes":           nest("toJSON(", `"\""`, ")", 300) + ` == "b"`,
		"nested calls":      nest("trim(", `"x"`, ")", 200) + ` == "y"`,
		"nested methods":    "fact" + nest(`("x").y`, "", "", 90) + ` == "y"`,
		"many calls":        strings.Repeat(`trim("x") == "y" or `, 200) + "false",
		"deep":              nest("(", "true", ")", 1500) + " == 1",
		"deep not":          nest("!", "nosuch", "", 3000),
		"deep list":         nest("[", "1", "]", 1500) + " == 1",
		"modifiers":         `fact("@tostr|@tostr|@tostr|@tostr|@tostr|@tostr") == "x"`,
		"selectors":         `fact("[@this,@this]|[@this,@this]|[@this,@this]") == "x"`,
		"computed matches":  `any(classes, # matches ("x" + #))`,
		"long matches":      `"x" matches "` + strings.Repeat("x?", maxMatch) + `"`,
		"slow matches":      `any(classes, # matches "` + strings.Repeat("(x?)*", maxMatch/5-1) + `y")`,
		"large expression":  `any(classes, # matches "(x{1000}){1000}")`,
		"division":          `1 / 0 == 1 and 1 % 0 == 1`,
		"unknown method":    `classes.foo.bar() == 1`,
		"index":             `classes[100000] == "x"`,
		"sequence":          strings.Repeat("false;", 400) + "1",
		"wrong arity":       `with()`,
		"wrong type":        `with(1)`,
		"not a function":    `classes("x")`,
		"function as value": `with == fact`,
	}
	for name, text := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		ok, err := Filter{Compound: []Compound{{text}}}.Match(n)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if ok {
			t.Errorf("%s: matched, %v", name, err)
		}
		// Generous, for slow machines: without bounds most of them would not end at all.
		if took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 300 {
			t.Errorf("%s: allocated %d MB", name, mb)
		}
		t.Logf("%s: %v, %d kB: %v", name, took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>10, err)
	}
}

func FuzzMatch(f *testing.F) {
	file, node := loadVectors(f)
	for _, tt := range file.Cases {
		f.Add([]byte(tt.Filter))
	}
	for _, e := range []string{`any(classes, with(#))`, `include(fact("os"), 1)`, `semver("1.0.0", ">1")`, `string(facts) contains "x"`, `sum(1..5) > 2`} {
		data, err := json.Marshal(Filter{Compound: []Compound{{e}}, Fact: []Fact{{`a.#(b>1)#|@keys`, "=~", "x"}}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var fl Filter
		if err := fl.UnmarshalJSON(data); err != nil {
			return
		}
		ok, err := fl.Match(node)
		if ok && err != nil {
			t.Errorf("matched with error %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s: %v", data, err)
		}
		again, err := fl.MarshalJSON()
		if err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
		var back Filter
		if err := back.UnmarshalJSON(again); err != nil {
			t.Errorf("%s: not decoded again: %v", again, err)
		}
	})
}

func FuzzExpression(f *testing.F) {
	_, node := loadVectors(f)
	for _, e := range []string{
		`true`, `with("nginx") and fact("os.family") == "RedHat"`, `any(classes, # matches "x")`, `semver("1.2.3", "~1")`,
		`include(fact("processors"), 4) ? 1 > 2 : string(facts) contains "e"`, `filter(agents, len(#) > 2)[0] == "rpcutil"`, `keys(fact("os"))[0] == "family"`,
	} {
		f.Add(e)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Filter{Compound: []Compound{{text}}}.Match(node)
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func FuzzFact(f *testing.F) {
	for _, text := range []string{"country=uk", "os.release.major>=9", "users.#(uid>1)#.name=~/b/", "@this|@keys=1", "a.*.b!=x", "list.#=3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fact, err := ParseFact(text)
		if err != nil {
			return
		}
		if err := fact.validate(); err != nil {
			t.Fatalf("%q parsed into %+v: %v", text, fact, err)
		}
		if ok, err := MatchFact(testNode.Facts(), fact); ok && err != nil {
			t.Errorf("%+v: matched with error %v", fact, err)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	file, node := loadVectors(b)
	_ = file
	benchmarks := map[string]Filter{
		"empty":    {},
		"agent":    {Agent: []string{"rpcutil"}},
		"fact":     {Agent: []string{"rpcutil"}, Fact: []Fact{{"os.family", "==", "redhat"}}},
		"regex":    {Identity: []string{"/^n1/"}, Class: []string{"/apache/"}},
		"compound": {Compound: []Compound{{`with("nginx") and fact("os.family") == "RedHat"`}}},
	}
	facts, classes := node.Facts(), node.Classes()
	node.Facts = func() json.RawMessage { return facts }
	node.Classes = func() []string { return classes }
	for name, f := range benchmarks {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := f.Match(node); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	data := []byte(`{"fact":[],"cf_class":[],"agent":["rpcutil"],"identity":[],"compound":[]}`)
	b.ReportAllocs()
	for b.Loop() {
		var f Filter
		if err := f.UnmarshalJSON(data); err != nil {
			b.Fatal(err)
		}
	}
}
