package ddl

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestAggregates(t *testing.T) {
	tests := []struct {
		name, aggregate string
		replies         []string
		lines           []string
		value           string
	}{
		{"summary", `{"function":"summary","args":["v"]}`,
			[]string{`{"v":"info"}`, `{"v":"warn"}`, `{"v":"info"}`, `{"v":"debugging"}`},
			[]string{"     info: 2", "debugging: 1", "     warn: 1"}, `{"debugging":1,"info":2,"warn":1}`},
		{"summary of what are no strings", `{"function":"summary","args":["v"]}`,
			[]string{`{"v":[1, 2]}`, `{"v":{"b":1, "a":"<"}}`, `{"v":{"a":"<","b":1}}`, `{"v":null}`, `{"v":true}`, `{"v":1.50}`},
			[]string{`{"a":"<","b":1}: 2`, `           1.50: 1`, `          [1,2]: 1`, `           null: 1`, `           true: 1`},
			`{"1.50":1,"[1,2]":1,"null":1,"true":1,"{\"a\":\"<\",\"b\":1}":2}`},
		{"summary with labels", `{"function":"boolean_summary","args":["v",{"true":"Enabled","false":"Disabled"}]}`,
			[]string{`{"v":true}`, `{"v":false}`, `{"v":true}`},
			[]string{" Enabled: 2", "Disabled: 1"}, `{"Disabled":1,"Enabled":2}`},
		{"labels of Ruby symbols", `{"function":"summary","args":["v",{":true":"on","1":"on",":format":"%s=%d"}]}`,
			[]string{`{"v":true}`, `{"v":1}`, `{"v":"off"}`},
			[]string{"on=2", "off=1"}, `{"off":1,"on":2}`},
		{"summary with a format", `{"function":"summary","args":["v",{"format":"%5d %-4s|"}]}`,
			[]string{`{"v":"7"}`}, []string{"    7 1   |"}, `{"7":1}`},
		{"summary of characters", `{"function":"summary","args":["v"]}`,
			[]string{`{"v":"ü"}`, `{"v":"aa"}`, `{"v":"aa"}`}, []string{"aa: 2", " ü: 1"}, `{"aa":2,"ü":1}`},
		{"nothing", `{"function":"summary","args":["v"]}`, []string{`{}`, `{"w":1}`, `null`, `[]`, `{`, ``}, nil, ``},
		{"missing, with a default", `{"function":"summary","args":["d"]}`, []string{`{}`, `{"d":"y"}`}, []string{"x: 1", "y: 1"}, `{"x":1,"y":1}`},
		{"average", `{"function":"average","args":["v"]}`,
			[]string{`{"v":1}`, `{"v":"2"}`, `{"v":null}`, `{"v":"x"}`, `{"v":[9]}`}, []string{"Average: 1.500"}, `{"average":1.5}`},
		{"average with a format", `{"function":"average","args":["v",{"format":"Average: %d"}]}`,
			[]string{`{"v":2}`, `{"v":5}`}, []string{"Average: 3"}, `{"average":3.5}`},
		{"average of nothing", `{"function":"average","args":["v"]}`, []string{`{"v":"x"}`}, nil, ``},
		{"average too large", `{"function":"average","args":["v"]}`, []string{`{"v":1e308}`, `{"v":1e308}`}, nil, ``},
		{"sum", `{"function":"sum","args":["v"]}`, []string{`{"v":1}`, `{"v":2}`}, []string{"Sum: 3"}, `{"sum":3}`},
		{"sum of fractions", `{"function":"sum","args":["v"]}`, []string{`{"v":1}`, `{"v":2.5}`}, []string{"Sum: 3.500"}, `{"sum":3.5}`},
		{"nettest_mma", `{"function":"nettest_mma","args":["v",{"format":"Min: %.3fms  Max: %.3fms  Average: %.3fms"}]}`,
			[]string{`{"v":2.5}`, `{"v":"0.5"}`, `{"v":null}`, `{"v":3}`},
			[]string{"Min: 0.500ms  Max: 3.000ms  Average: 2.000ms"}, `{"average":2,"max":3,"min":0.5}`},
		{"nettest_mma of negative numbers", `{"function":"nettest_mma","args":["v"]}`,
			[]string{`{"v":-1}`}, []string{"Min: -1.000  Max: -1.000  Average: -1.000"}, `{"average":-1,"max":-1,"min":-1}`},
		{"process_summary", `{"function":"process_summary","args":["v"]}`,
			[]string{`{"v":[{"rss":1,"vsize":1048576},{"rss":9,"rss_bytes":4096,"vsize":524288}]}`, `{"v":[]}`, `{"v":null}`, `{"v":"x"}`, `{"v":[{"rss":2,"vsize":0}]}`},
			[]string{"    Matched hosts: 2", "Matched Processes: 3", "    Resident Size: 16.000 KB", "     Virtual Size: 1.500 MB"},
			`{"hosts":2,"processes":3,"resident_bytes":16384,"virtual_bytes":1572864}`},
		{"process_summary of empty lists", `{"function":"process_summary","args":["v"]}`, []string{`{"v":[]}`},
			[]string{"    Matched hosts: 0", "Matched Processes: 0", "    Resident Size: 0 B", "     Virtual Size: 0 B"},
			`{"hosts":0,"processes":0,"resident_bytes":0,"virtual_bytes":0}`},
	}
	for _, tt := range tests {
		a := mustParse(t, `{"metadata":{"name":"a","description":"d","author":"a","license":"l","version":"1","url":"u","timeout":2},
			"actions":[{"action":"b","description":"b","input":{},"output":{"d":{"description":"","display_as":"D","default":"x"}},"aggregate":[`+tt.aggregate+`]}]}`)
		g := a.Actions[0].Aggregator()
		for _, r := range tt.replies {
			g.Add(json.RawMessage(r))
		}
		got := g.Summaries()
		if len(got) != 1 || !reflect.DeepEqual(got[0].Lines, tt.lines) || string(got[0].Value) != tt.value {
			t.Errorf("%s:\n got %q %s\nwant %q %s", tt.name, got[0].Lines, got[0].Value, tt.lines, tt.value)
		}
	}
}

func TestAggregatorPassesOver(t *testing.T) {
	a := &Action{Aggregate: []Aggregate{
		{Function: "wonder", Args: []json.RawMessage{json.RawMessage(`"v"`)}},
		{Function: "summary"},
		{Function: "summary", Args: []json.RawMessage{json.RawMessage(`7`)}},
		{Function: "summary", Args: []json.RawMessage{json.RawMessage(`"z"`), json.RawMessage(`"options"`)}},
		{Function: "summary", Args: []json.RawMessage{json.RawMessage(`"a"`)}},
	}}
	g := a.Aggregator()
	g.Add(json.RawMessage(`{"a":1,"v":1,"z":1}`))
	var got []string
	for _, s := range g.Summaries() {
		got = append(got, s.Output+" "+string(s.Value))
	}
	if want := []string{`a {"1":1}`, `z {"1":1}`}; !reflect.DeepEqual(got, want) {
		t.Errorf("Summaries = %q; want %q", got, want)
	}
}

// A large value of many nodes takes a bounded part of memory, and equal starts are one value.
func TestSummaryCuts(t *testing.T) {
	a := &Action{Aggregate: []Aggregate{{Function: "summary", Args: []json.RawMessage{json.RawMessage(`"v"`)}}}}
	g := a.Aggregator()
	for i := range 3 {
		g.Add(json.RawMessage(fmt.Sprintf(`{"v":"%s%d"}`, strings.Repeat("x", 1<<20), i)))
	}
	s := g.Summaries()[0]
	if len(s.Value) > 2*maxCounted || len(s.Lines) != 1 || !strings.HasSuffix(s.Lines[0], "…: 3") {
		t.Errorf("%d bytes, lines %.20q", len(s.Value), s.Lines)
	}
}

func TestChart(t *testing.T) {
	a := &Action{Aggregate: []Aggregate{{Function: "chart", Args: []json.RawMessage{json.RawMessage(`"v"`)}}}}
	draw := func(values ...float64) ([]string, string) {
		g := a.Aggregator()
		for _, v := range values {
			g.Add(json.RawMessage(fmt.Sprintf(`{"v":%v}`, v)))
		}
		s := g.Summaries()[0]
		return s.Lines, string(s.Value)
	}
	if lines, value := draw(); lines != nil || value != "" {
		t.Errorf("chart of nothing = %q %s", lines, value)
	}
	if lines, _ := draw(7); !reflect.DeepEqual(lines, []string{"7.00 ┤" + strings.Repeat("─", chartWidth)}) {
		t.Errorf("chart of one value = %q", lines)
	}
	lines, value := draw(0, 14)
	if len(lines) != chartHeight || !strings.HasPrefix(lines[0], "14.00 ┤") || !strings.HasPrefix(lines[chartHeight-1], " 0.00 ┤──") {
		t.Errorf("rising chart:\n%s", strings.Join(lines, "\n"))
	}
	// Each column of a line that rises has exactly one stroke.
	for x := range chartWidth {
		strokes := 0
		for _, line := range lines {
			if row := []rune(line); x+7 < len(row) && row[x+7] != ' ' {
				strokes++
			}
		}
		if strokes < 1 || strokes > 2 {
			t.Errorf("column %d has %d strokes", x, strokes)
		}
	}
	var got struct{ Chart string }
	if err := json.Unmarshal([]byte(value), &got); err != nil || got.Chart != strings.Join(lines, "\n") {
		t.Errorf("value %s, %v", value, err)
	}

	// Many values: constant memory, and the ends are those of the values.
	g := a.Aggregator()
	for i := range 100_000 {
		g.Add(json.RawMessage(fmt.Sprintf(`{"v":%d}`, i)))
	}
	if c := g.parts[0].fold.(*chart); len(c.means) > 4*chartWidth {
		t.Errorf("%d means are kept", len(c.means))
	}
	lines = g.Summaries()[0].Lines
	if first, last := lines[0], lines[len(lines)-1]; !strings.HasPrefix(first, "99") || !strings.Contains(last, "┤──") {
		t.Errorf("chart of many values:\n%s", strings.Join(lines, "\n"))
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		format string
		want   string
	}{
		{"%s: %d", "a: 2"},
		{"%2$d x %1$s", "2 x a"},
		{"%-5s|%03d|", "a    |002|"},
		{"%s %s %s", "a 2 "},
		{"100%% %s", "100% a"},
		{"%", "%"},
		{"%z %s", "%z a"},
		{"%.1f", "0.0"},
		{"%s %.2f", "a 2.00"},
		{"%99999999s", "a"},
		{"%i %u", "0 2"},
		{"%0$s %10$s", "%0$s %10$s"},
		{"plain", "plain"},
		{"%!", "%!"},
	}
	for _, tt := range tests {
		if got := format(tt.format, "a", 2); got != tt.want {
			t.Errorf("format(%q) = %q; want %q", tt.format, got, tt.want)
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%s: %d", "%2$-5s %1$.3f", "%%%", "% +#05.2e", "%9$d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, v := range []any{"a", 2, 2.5} {
			out := format(s, v, v)
			if strings.Contains(out, "%!") && !strings.Contains(s, "%!") && !strings.Contains(s, "%%!") {
				t.Errorf("format(%q, %v) = %q", s, v, out)
			}
			if len(out) > 1100*(len(s)+1) {
				t.Errorf("format(%q) has %d bytes", s, len(out))
			}
		}
	})
}

func FuzzAggregate(f *testing.F) {
	for _, s := range []string{`{"v":1}`, `{"v":"x"}`, `{"v":[{"rss":1e308}]}`, `{"v":{"a":null}}`, `[]`, `{"v":1e308}`} {
		f.Add([]byte(s), []byte(`{"v":-1e308}`))
	}
	a := &Action{}
	for name := range folds {
		a.Aggregate = append(a.Aggregate, Aggregate{Function: name, Args: []json.RawMessage{json.RawMessage(`"v"`)}})
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		g := a.Aggregator()
		g.Add(one)
		g.Add(two)
		for _, s := range g.Summaries() {
			if s.Value != nil && !json.Valid(s.Value) {
				t.Errorf("%s of %q and %q = %s", s.Function, one, two, s.Value)
			}
			if (s.Value == nil) != (s.Lines == nil) {
				t.Errorf("%s of %q and %q = %q, %s", s.Function, one, two, s.Lines, s.Value)
			}
		}
	})
}

func BenchmarkSummary(b *testing.B) {
	a := BuiltinAgent("rpcutil").Action("get_fact")
	g := a.Aggregator()
	data := json.RawMessage(`{"fact":"os.family","value":"Debian"}`)
	b.ReportAllocs()
	for b.Loop() {
		g.Add(data)
	}
}
