package filter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/internal/vectors"
)

// A vectorFile is v1/filters.json: what a real node answered to each filter.
type vectorFile struct {
	Identity string
	Agents   []string
	Facts    string `json:"facts_file"`
	Classes  string `json:"classes_file"`
	Cases    []struct {
		Name    string
		Filter  json.RawMessage
		Valid   bool `json:"schema_valid"`
		Matches bool
	}
}

func loadVectors(t testing.TB) (vectorFile, *Node) {
	t.Helper()
	dir := filepath.Join(vectors.Dir(t), "v1")
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var file vectorFile
	if err := json.Unmarshal(read("filters.json"), &file); err != nil {
		t.Fatal(err)
	}
	facts, err := yaml.YAMLToJSON(read(file.Facts))
	if err != nil {
		t.Fatal(err)
	}
	return file, &Node{
		Identity: file.Identity,
		Agents:   func() []string { return file.Agents },
		Classes:  func() []string { return strings.Fields(string(read(file.Classes))) },
		Facts:    func() json.RawMessage { return facts },
	}
}

func TestVectors(t *testing.T) {
	file, node := loadVectors(t)
	if len(file.Cases) < 48 {
		t.Fatalf("%d cases, want all 48", len(file.Cases))
	}
	for _, tt := range file.Cases {
		var f Filter
		err := json.Unmarshal(tt.Filter, &f)
		if (err == nil) != tt.Valid {
			t.Errorf("%s: decoding: %v, want valid %v", tt.Name, err, tt.Valid)
		}
		if err != nil {
			continue
		}
		if got, err := f.Match(node); got != tt.Matches {
			t.Errorf("%s: match %v (%v), want %v", tt.Name, got, err, tt.Matches)
		}
		again, err := json.Marshal(f)
		if err != nil {
			t.Errorf("%s: %v", tt.Name, err)
		}
		var back Filter
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(f, back) {
			t.Errorf("%s: came back as %+v, %v from %s", tt.Name, back, err, again)
		}
	}
}

// testNode is a node with one fact of each kind.
var testNode = &Node{
	Identity: "web1.example.net",
	Agents:   func() []string { return []string{"rpcutil", "package"} },
	Classes:  func() []string { return []string{"nginx", "Role::Web", "base"} },
	Facts: func() json.RawMessage {
		return json.RawMessage(`{"s":"Hello","n":4,"f":1.5,"neg":-2.5,"yes":true,"no":false,"nil":null,"list":[10,"b",true],"map":{"k":"v","deep":{"x":7}},
			"with.dot":"d","version":"1.2.3","big":12345678901234567890,"users":[{"name":"ann","uid":1},{"name":"bob","uid":2}]}`)
	},
	Functions: map[string]any{"config_item": func(key string) map[string]string { return map[string]string{"value": "item " + key} }},
}

func TestMatch(t *testing.T) {
	tests := []struct {
		name string
		f    Filter
		want bool
	}{
		{"empty", Filter{}, true},
		{"empty lists", Filter{Identity: []string{}, Class: []string{}}, true},
		{"identity", Filter{Identity: []string{"web1.example.net"}}, true},
		{"identity, any", Filter{Identity: []string{"x", "/(/", "/^web\\d/"}}, true},
		{"identity, none", Filter{Identity: []string{"x", "/^WEB/"}}, false},
		{"identity, only a slash", Filter{Identity: []string{"/"}}, false},
		{"identity, empty expression", Filter{Identity: []string{"//"}}, true},
		{"agents, all", Filter{Agent: []string{"rpcutil", "/^pack/"}}, true},
		{"agents, one missing", Filter{Agent: []string{"rpcutil", "puppet"}}, false},
		{"agent, case", Filter{Agent: []string{"/^PACK/"}}, false},
		{"agent, bad expression", Filter{Agent: []string{"/(/"}}, false},
		{"class", Filter{Class: []string{"NGINX", "/role::web/"}}, true},
		{"class, upper case name", Filter{Class: []string{"Role::Web"}}, false},
		{"class, bad expression", Filter{Class: []string{"/(/"}}, false},
		{"class, inline flag", Filter{Class: []string{"/(?-i)nginX/"}}, false},
		{"class, expression too long", Filter{Class: []string{"/" + strings.Repeat("n?", MaxRegex/2+1) + "/"}}, false},
		{"facts, all", Filter{Fact: []Fact{{"s", "==", "hello"}, {"n", ">", "3"}}}, true},
		{"facts, one not", Filter{Fact: []Fact{{"s", "==", "hello"}, {"n", ">", "4"}}}, false},
		{"identity and class", Filter{Identity: []string{"/web/"}, Class: []string{"nosuch"}}, false},
		{"everything", Filter{Identity: []string{"/web/"}, Class: []string{"base"}, Agent: []string{"rpcutil"}, Fact: []Fact{{"no", "==", "false"}}, Compound: []Compound{{"true"}}}, true},
		{"everything but compound", Filter{Identity: []string{"/web/"}, Compound: []Compound{{"false"}}}, false},
	}
	for _, tt := range tests {
		if got, err := tt.f.Match(testNode); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	if got, err := (Filter{Class: []string{"x"}, Agent: []string{"/x/"}}).Match(&Node{}); got || err != nil {
		t.Errorf("node without anything: %v, %v", got, err)
	}
}

func TestMatchAsksOnce(t *testing.T) {
	calls := 0
	n := &Node{Facts: func() json.RawMessage { calls++; return json.RawMessage(`{"a":1}`) }}
	f := Filter{Fact: []Fact{{"a", "==", "1"}, {"a", "!=", "2"}}, Compound: []Compound{{`fact("a") == 1 && with("a=1")`}}}
	if ok, err := f.Match(n); !ok || err != nil || calls != 1 {
		t.Errorf("match %v, %v after %d calls; want true after one", ok, err, calls)
	}
	if ok, err := (Filter{Identity: []string{"x"}, Fact: f.Fact}).Match(n); ok || err != nil || calls != 1 {
		t.Errorf("match %v, %v after %d calls; want false without another", ok, err, calls)
	}
}

func TestManyExpressions(t *testing.T) {
	long := "/" + strings.Repeat("x", MaxRegex-1) + "/"
	var f Filter
	for range MaxRegexes/MaxRegex + 2 {
		f.Identity = append(f.Identity, long)
	}
	f.Identity = append(f.Identity, "/web/")
	if ok, err := f.Match(testNode); ok || err != nil {
		t.Errorf("match %v, %v; want the last expression not to be tried", ok, err)
	}
}

func TestMatchClass(t *testing.T) {
	if !MatchClass([]string{"a", "b"}, "B") || MatchClass([]string{"B"}, "B") || !MatchClass([]string{"B"}, "/b/") || MatchClass(nil, "/./") {
		t.Error("MatchClass disagrees with Match")
	}
}

func TestJSON(t *testing.T) {
	const empty = `{"fact":[],"cf_class":[],"agent":[],"identity":[],"compound":[]}`
	if got, err := json.Marshal(Filter{}); string(got) != empty || err != nil {
		t.Errorf("empty filter: %s, %v", got, err)
	}
	full := Filter{
		Fact: []Fact{{"a", "==", `q"`}, {"b", ">=", "2"}}, Class: []string{"c", "/d/"}, Agent: []string{"e"}, Identity: []string{"f", "g"},
		Compound: []Compound{{`with("x")`}},
	}
	const want = `{"fact":[{"fact":"a","operator":"==","value":"q\""},{"fact":"b","operator":">=","value":"2"}],"cf_class":["c","/d/"],"agent":["e"],"identity":["f","g"],"compound":[[{"expr":"with(\"x\")"}]]}`
	if got, err := full.MarshalJSON(); string(got) != want || err != nil {
		t.Errorf("full filter: %s, %v", got, err)
	}
	var back Filter
	if err := json.Unmarshal([]byte(want), &back); err != nil || !reflect.DeepEqual(back, full) {
		t.Errorf("came back as %+v, %v", back, err)
	}
	if _, err := json.Marshal(Filter{Fact: []Fact{{"a", "~", "b"}}}); err == nil {
		t.Error("a filter with a bad operator was encoded")
	}

	refused := map[string]string{
		"null":               `null`,
		"array":              `[]`,
		"no fact":            `{"cf_class":[],"agent":[],"identity":[],"compound":[]}`,
		"no cf_class":        `{"fact":[],"agent":[],"identity":[],"compound":[]}`,
		"no identity":        `{"fact":[],"cf_class":[],"agent":[],"compound":[]}`,
		"no compound":        `{"fact":[],"cf_class":[],"agent":[],"identity":[]}`,
		"null member":        `{"fact":null,"cf_class":[],"agent":[],"identity":[],"compound":[]}`,
		"number as class":    `{"fact":[],"cf_class":[1],"agent":[],"identity":[],"compound":[]}`,
		"null as identity":   `{"fact":[],"cf_class":[],"agent":[],"identity":[null],"compound":[]}`,
		"compound strings":   `{"fact":[],"cf_class":[],"agent":[],"identity":[],"compound":["x"]}`,
		"compound objects":   `{"fact":[],"cf_class":[],"agent":[],"identity":[],"compound":[{"expr":"true"}]}`,
		"compound of arrays": `{"fact":[],"cf_class":[],"agent":[],"identity":[],"compound":[[["x"]]]}`,
		"fact without value": `{"fact":[{"fact":"a","operator":"=="}],"cf_class":[],"agent":[],"identity":[],"compound":[]}`,
		"fact as number":     `{"fact":[{"fact":"a","operator":"==","value":1}],"cf_class":[],"agent":[],"identity":[],"compound":[]}`,
		"twice":              `{"fact":[],"fact":[],"cf_class":[],"agent":[],"identity":[],"compound":[]}`,
	}
	for name, text := range refused {
		f := full
		if err := f.UnmarshalJSON([]byte(text)); err == nil || !reflect.DeepEqual(f, full) {
			t.Errorf("%s: %v, %+v; want it refused and the filter as it was", name, err, f)
		}
	}

	accepted := map[string]Filter{
		`{"fact":[],"cf_class":[],"identity":[],"compound":[],"x":{"y":1}}`:                      {},
		`{"fact":[],"cf_class":[],"identity":[],"compound":[[]]}`:                                {Compound: []Compound{{}}},
		`{"fact":[],"cf_class":[],"identity":[],"compound":[[{"expr":"true"},{"expr":"true"}]]}`: {Compound: []Compound{{}}},
		`{"fact":[],"cf_class":[],"identity":[],"compound":[[{"expr":1}]]}`:                      {Compound: []Compound{{}}},
		`{"fact":[],"cf_class":[],"identity":[],"compound":[[{"statement":"x","expr":"y"}]]}`:    {Compound: []Compound{{"y"}}},
	}
	for text, want := range accepted {
		var f Filter
		if err := json.Unmarshal([]byte(text), &f); err != nil || !reflect.DeepEqual(f, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, f, err, want)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
