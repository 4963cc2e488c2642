package discovery

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"choria.io/choria/go/filter"
)

// TestPQL holds the queries to the table of rpc section 8.4.
func TestPQL(t *testing.T) {
	const (
		begin = "nodes[certname, deactivated] { "
		coll  = `(certname in inventory[certname] { facts.mcollective.server.collectives.match("\d+") = "mcollective" })`
	)
	fact := func(name, operator, value string) filter.Filter {
		return filter.Filter{Fact: []filter.Fact{{Name: name, Operator: operator, Value: value}}}
	}
	tests := []struct {
		name       string
		f          filter.Filter
		collective string
		want       string // what is between the braces
		err        string
	}{
		{"nothing", filter.Filter{}, "", "", ""},
		{"collective", filter.Filter{}, "mcollective", coll, ""},
		{"identity", filter.Filter{Identity: []string{"n1.example.net"}}, "", `(certname = "n1.example.net")`, ""},
		{"identities", filter.Filter{Identity: []string{"n1", "/^n2/", "pql: nodes[certname] { certname ~ 'x' }"}}, "",
			`(certname = "n1" or certname ~ "^[nN]2" or certname in nodes[certname] { certname ~ 'x' })`, ""},
		{"class", filter.Filter{Class: []string{"apache"}}, "", `(resources {type = "Class" and title = "Apache"})`, ""},
		{"classes", filter.Filter{Class: []string{"role::web_server", "/^a.c/"}}, "",
			`(resources {type = "Class" and title = "Role::Web_server"} and resources {type = "Class" and title ~ "^[aA].[cC]"})`, ""},
		{"agent", filter.Filter{Agent: []string{"puppet"}}, "", `(resources {type = "File" and tag = "mcollective_agent_puppet_server"})`, ""},
		{"agents", filter.Filter{Agent: []string{"puppet", "/^p.k/"}}, "",
			`(resources {type = "File" and tag = "mcollective_agent_puppet_server"} and resources {type = "File" and tag ~ "mcollective_agent_.*?^[pP].[kK].*?_server"})`, ""},
		{"agent everywhere", filter.Filter{Agent: []string{"rpcutil"}}, "",
			`((resources {type = "Class" and title = "Choria::Service"} or resources {type = "Class" and title = "Mcollective::Service"}))`, ""},
		{"fact", fact("os.family", "==", "Debian"), "", `(inventory {facts.os.family = "Debian"})`, ""},
		{"fact, number", fact("cpus", "==", "4"), "", `(inventory {facts.cpus = 4 or facts.cpus = "4"})`, ""},
		{"fact, fraction", fact("load", "!=", "-1.5"), "", `(inventory {!(facts.load = -1.5 or facts.load = "-1.5")})`, ""},
		{"fact, boolean", fact("is_virtual", "==", "True"), "", `(inventory {facts.is_virtual = true or facts.is_virtual = "True"})`, ""},
		{"fact, beyond 64 bits", fact("n", "==", "99999999999999999999"), "", `(inventory {facts.n = "99999999999999999999"})`, ""},
		{"fact, not", fact("country", "!=", "uk"), "", `(inventory {!(facts.country = "uk")})`, ""},
		{"fact, regex", fact("country", "=~", `/^u\w$/`), "", `(inventory {facts.country ~ "^[uU]\\w$"})`, ""},
		{"fact, order", fact("cpus", ">=", "4"), "", `(inventory {facts.cpus >= 4})`, ""},
		{"fact, order of text", fact("os", "<", "a"), "", "", `fact filter os<a: PuppetDB orders numbers alone, and "a" is none`},
		{"fact in a list", fact("processors.models.0", "==", "x"), "", `(inventory {facts.processors.models[0] = "x"})`, ""},
		{"fact called by a number", fact("0.a", "==", "x"), "", `(inventory {facts.0.a = "x"})`, ""},
		{"fact in a list in a list", fact("a.0.1", "==", "x"), "", "", `fact filter a.0.1==x: PuppetDB cannot look into a list in a list`},
		{"fact with a dot", fact(`a\.b.c`, "==", "x"), "", `(inventory {facts."a.b".c = "x"})`, ""},
		{"fact with a space", fact(`disks.my disk.0`, "==", "x"), "", `(inventory {facts.disks."my disk[0]" = "x"})`, ""},
		{"fact of a pattern", fact("a.*", "==", "x"), "", "", `fact filter a.*==x: PuppetDB can be asked for one fact by its name, "a.*" is more than a name`},
		{"fact with an empty part", fact("a..b", "==", "x"), "", "", `fact filter a..b==x: a part of the name "a..b" is empty`},
		{"fact with quotes", fact(`a" = "b`, "==", "x"), "", "", `fact filter a" = "b==x: PuppetDB cannot be asked for a fact called "a\" = \"b"`},
		{"all", filter.Filter{
			Identity: []string{"n1", "n2"}, Class: []string{"x"}, Agent: []string{"y"},
			Fact: []filter.Fact{{Name: "a", Operator: "==", Value: "b"}, {Name: "c", Operator: "<", Value: "1"}},
		}, "mcollective",
			coll + ` and (certname = "n1" or certname = "n2") and (resources {type = "Class" and title = "X"})` +
				` and (resources {type = "File" and tag = "mcollective_agent_y_server"}) and (inventory {facts.a = "b"} and inventory {facts.c < 1})`, ""},
		{"quotes", filter.Filter{Identity: []string{`x" or certname ~ ".`}}, `a"b\`, // the collective cannot be one, but who knows
			`(certname in inventory[certname] { facts.mcollective.server.collectives.match("\d+") = "a\"b\\" }) and (certname = "x\" or certname ~ \".")`, ""},
		{"no text", filter.Filter{Class: []string{"a\x00"}}, "", "", `class filter "a\x00": PuppetDB takes text in UTF-8 alone`},
		{"empty", filter.Filter{Identity: []string{"//"}}, "", "", `identity filter "//": it is empty`},
		{"no query", filter.Filter{Identity: []string{"pql: "}}, "", "", `identity filter "pql: ": pql: has no query behind it`},
		{"expression", filter.Filter{Compound: []filter.Compound{{Expr: "true"}}}, "", "", "an expression cannot be asked of PuppetDB: only nodes can evaluate it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := begin + tt.want + " }"
			if tt.want == "" {
				want = begin + "}"
			}
			if tt.err != "" {
				want = ""
			}
			got, err := pql(tt.f, tt.collective)
			if got != want || message(err) != tt.err {
				t.Errorf("got %s, %q\nwant %s, %q", got, message(err), want, tt.err)
			}
		})
	}
}

// TestPQLChains is about many conditions: no chain of them is long.
func TestPQLChains(t *testing.T) {
	var eight, nine, names []string
	for i := range 9 {
		nine = append(nine, fmt.Sprintf("/%d/", i))
		names = append(names, fmt.Sprintf("n%d", i))
	}
	eight = nine[:8]
	for _, tt := range []struct {
		identities []string
		want       string
	}{
		{eight, `certname ~ "0" or certname ~ "1" or certname ~ "2" or certname ~ "3" or certname ~ "4" or certname ~ "5" or certname ~ "6" or certname ~ "7"`},
		{nine, `(certname ~ "0" or certname ~ "1" or certname ~ "2") or (certname ~ "3" or certname ~ "4" or certname ~ "5") or (certname ~ "6" or certname ~ "7" or certname ~ "8")`},
		{names, `certname in ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"]`},
		{append(slices.Clone(names), "/x/"), `certname in ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"] or certname ~ "[xX]"`},
	} {
		got, err := pql(filter.Filter{Identity: tt.identities}, "")
		if want := "nodes[certname, deactivated] { (" + tt.want + ") }"; got != want || err != nil {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	}
	for n := range 300 {
		conditions := make([]string, n+1)
		for i := range conditions {
			conditions[i] = fmt.Sprintf("c%d", i)
		}
		text := chain(conditions, " or ")
		depth, open := 0, []int{0} // how many conditions each open parenthesis has so far
		for _, word := range strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text)) {
			switch word {
			case "(":
				open[depth]++
				open, depth = append(open, 0), depth+1
			case ")":
				open, depth = open[:depth], depth-1
			case "or":
			default:
				open[depth]++
			}
			if open[depth] > maxChain {
				t.Fatalf("%d conditions in one chain of %s", open[depth], text)
			}
		}
		if depth != 0 || strings.Count(text, "c") != n+1 {
			t.Fatalf("%d conditions: %s", n+1, text)
		}
	}
}

// TestAnyCase compares with what Go's regular expressions, of the same syntax as far as this goes, do
// when told to ignore case.
func TestAnyCase(t *testing.T) {
	texts := []string{"", "abc", "ABC", "aBc", "xyz", "XYZ", "a1_", "A1 ", "-", "]", "^b", "é", "\t", "Zz", "d", "D", "J", "j", "_"}
	for re, want := range map[string]string{
		`abc`:            `[aA][bB][cC]`,
		`^a.c$`:          `^[aA].[cC]$`,
		`\d\w\D`:         `\d\w\D`,
		`a\.b`:           `[aA]\.[bB]`,
		`[a-c]x`:         `[a-cA-C][xX]`,
		`[^a-cM-O]`:      `[^a-cA-CM-Om-o]`,
		`[abc]`:          `[aAbBcC]`,
		`[]a]`:           `[]aA]`,
		`[-a]`:           `[-aA]`,
		`[a-]`:           `[aA-]`,
		`[[:alpha:]j]`:   `[[:alpha:]jJ]`,
		`[\da]`:          `[\daA]`,
		`(?:a|b)`:        `(?:[aA]|[bB])`,
		`\x4a`:           `\x4a`,
		`a{2,3}b*`:       `[aA]{2,3}[bB]*`,
		`é`:              `é`,
		`(a)(b)?`:        `([aA])([bB])?`,
		`[0-9_a-f-z]`:    `[0-9_a-fA-F-zZ]`,
		`\\a`:            `\\[aA]`,
		`unclosed[ab`:    `[uU][nN][cC][lL][oO][sS][eE][dD][ab`,
		`ends\`:          `[eE][nN][dD][sS]\`,
		`[[:al`:          `[[:al`,
		`\u00e9a\cAbe\U`: `\u00e9[aA]\cA[bB][eE]\U`,
	} {
		got := anyCase(re)
		if got != want {
			t.Errorf("anyCase(%s) = %s, want %s", re, got, want)
		}
		ignoring, err := regexp.Compile("(?i)" + re)
		if err != nil {
			continue
		}
		explicit, err := regexp.Compile(got)
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		for _, text := range texts {
			// Go folds \D and \x4a too, PostgreSQL would not; they are told apart by their results above.
			if strings.Contains(re, `\`) {
				continue
			}
			if a, b := ignoring.MatchString(text), explicit.MatchString(text); a != b {
				t.Errorf("%s matches %q: %v, but %s: %v", re, text, a, got, b)
			}
		}
	}
}

// strung finds the strings of a query as PuppetDB's grammar does, and quoted names.
var strung = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// FuzzPQL holds that nothing gets out of its quotes.
func FuzzPQL(f *testing.F) {
	f.Add("n1", "os.family", "Debian")
	f.Add(`a" or certname ~ "`, `x" = "y`, `\`)
	f.Add(`/a\/`, `a\"b`, `"`)
	f.Add("/[a/", "a.0", "1.5")
	f.Add("ß{}", `a\.b c`, "true")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		if strings.HasPrefix(text, "pql:") || everywhere[text] {
			return
		}
		got, err := pql(filter.Filter{
			Identity: []string{text}, Class: []string{text}, Agent: []string{text},
			Fact: []filter.Fact{{Name: name, Operator: "=~", Value: value}},
		}, text)
		if err != nil {
			return
		}
		for _, s := range strung.FindAllString(got, -1) {
			if s == `"\d+"` {
				continue
			}
			var decoded string
			if err := json.Unmarshal([]byte(s), &decoded); err != nil {
				t.Errorf("%s in %s: %v", s, got, err)
			}
		}
		bare := strung.ReplaceAllString(got, "S")
		bare = strings.ReplaceAll(bare, "~", "=") // the operator of regular expressions
		bare = regexp.MustCompile(`facts\.[^ =]+ = S\}\) \}$`).ReplaceAllString(bare, "F")
		const want = `nodes[certname, deactivated] { (certname in inventory[certname] { facts.mcollective.server.collectives.match(S) = S }) and (certname = S) and ` +
			`(resources {type = S and title = S}) and (resources {type = S and tag = S}) and (inventory {F`
		if bare != want {
			t.Errorf("%s\nis %s\nwant %s", got, bare, want)
		}
	})
}
