package props_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/internal/playbook/props"
)

func parse(t testing.TB, text string) *props.Props {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return props.New("the test", m)
}

func TestRead(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	p := parse(t, `{"text":"x","null":null,"yes":true,"n":5,"digits":"7","secs":1.5,"share":"30%","count":"4",
		"list":["a","b"],"one":"a","map":{"a":"x","n":1,"b":false},"path":"~/f","_catch_errors":true,"mistake":1,"other":2}`)
	got := []any{
		p.Text("text", "d"), p.Text("null", "d"), p.Text("none", "d"), p.Bool("yes", false), p.Bool("none", true),
		p.Int("n", 0, 0), p.Int("digits", 0, 0), p.Int("none", 3, 0), p.Seconds("secs", 0), p.Seconds("none", time.Minute),
		p.Share("share", props.Share{}), p.Share("count", props.Share{}), p.Strings("list"), p.List("one"), p.List("list"), p.List("none"),
		p.StringMap("map"), p.Path("path"), p.Choice("text", "y", "x", "y"), p.Has("null"),
	}
	want := []any{
		"x", "d", "d", true, true, 5, 7, 3, 1500 * time.Millisecond, time.Minute,
		props.Share{N: 30, Percent: true}, props.Share{N: 4}, []string{"a", "b"}, []string{"a"}, []string{"a", "b"}, []string(nil),
		map[string]string{"a": "x", "n": "1", "b": "false"}, "/home/u/f", "x", false,
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("value %d is %#v, want %#v", i, got[i], want[i])
		}
	}
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	if got := p.Unknown(); !slices.Equal(got, []string{"mistake", "other"}) {
		t.Errorf("unknown %q", got)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		value string
		read  func(*props.Props)
		want  string
	}{
		{`5`, func(p *props.Props) { p.Text("v", "") }, "want a string, got 5"},
		{`""`, func(p *props.Props) { p.Required("v") }, "is required"},
		{`"yes"`, func(p *props.Props) { p.Bool("v", false) }, `want true or false, got "yes"`},
		{`1.5`, func(p *props.Props) { p.Int("v", 0, 0) }, "want a whole number, got 1.5"},
		{`[1]`, func(p *props.Props) { p.Int("v", 0, 0) }, "want a whole number, got [1]"},
		{`-1`, func(p *props.Props) { p.Int("v", 0, 0) }, "want at least 0, got -1"},
		{`-1`, func(p *props.Props) { p.Seconds("v", 0) }, "want seconds, got -1"},
		{`"NaN"`, func(p *props.Props) { p.Seconds("v", 0) }, `want seconds, got "NaN"`},
		{`"NaN"`, func(p *props.Props) { p.Share("v", props.Share{}) }, `want a number or a percentage, got "NaN"`},
		{`"101%"`, func(p *props.Props) { p.Share("v", props.Share{}) }, `want a number or a percentage, got "101%"`},
		{`{"a":1}`, func(p *props.Props) { p.Strings("v") }, `want an array of strings, got {"a":1}`},
		{`[[]]`, func(p *props.Props) { p.Strings("v") }, `want an array of strings, got [] in it`},
		{`"x"`, func(p *props.Props) { p.Map("v") }, `want a hash, got "x"`},
		{`{"a":[1]}`, func(p *props.Props) { p.StringMap("v") }, `want a hash of strings, got [1] for "a"`},
		{`"z"`, func(p *props.Props) { p.Choice("v", "", "x", "y") }, `want x or y, got "z"`},
	}
	for _, tt := range tests {
		p := parse(t, `{"v":`+tt.value+`}`)
		tt.read(p)
		p.Refuse("v", "a later problem")
		if err := p.Err(); err == nil || err.Error() != `property "v" of the test: `+tt.want {
			t.Errorf("%s: %v; want %s", tt.value, err, tt.want)
		}
	}
}

func TestShare(t *testing.T) {
	tests := []struct {
		s        props.Share
		n        int
		down, up int
	}{
		{props.Share{N: 30, Percent: true}, 10, 3, 3},
		{props.Share{N: 33, Percent: true}, 10, 3, 4},
		{props.Share{N: 1, Percent: true}, 10, 0, 1},
		{props.Share{N: 4}, 10, 4, 4},
		{props.Share{}, 10, 0, 0},
	}
	for _, tt := range tests {
		if down, up := tt.s.Of(tt.n), tt.s.Up(tt.n); down != tt.down || up != tt.up {
			t.Errorf("%+v of %d: %d, %d; want %d, %d", tt.s, tt.n, down, up, tt.down, tt.up)
		}
	}
}
