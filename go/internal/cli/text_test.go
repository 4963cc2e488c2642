package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain é 世界", "plain é 世界"},
		{"a\tb\nc", "a\tb\nc"},
		{"a\r\nb", "a\nb"},
		{"\x1b[2J\x07", `\x1b[2J\a`},
		{"over\rwritten", `over\rwritten`},
		{"bad \xff utf-8", `bad \xff utf-8`},
		{"c1 \u009b31m", `c1 \u009b31m`},
		{"\x7f", `\x7f`},
	}
	for _, tt := range tests {
		if got := printable(tt.in); got != tt.want {
			t.Errorf("printable(%q) = %q; want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m\r\n\u0085")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range printable(s) {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
				t.Errorf("printable(%q) lets %q pass", s, r)
			}
		}
	})
}

func TestNames(t *testing.T) {
	var b bytes.Buffer
	(&screen{Writer: &b}).names("No Responses from", []string{"nope1", "nope2", "nope3", "nope4"}, false)
	want := "\nNo Responses from: 4\n\n    nope1    nope2    nope3    \n    nope4                      \n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}

	var many []string
	for i := range maxListed + 5 {
		many = append(many, fmt.Sprintf("node%03d", i))
	}
	b.Reset()
	(&screen{Writer: &b}).names("No Responses from", many, false)
	if s := b.String(); strings.Contains(s, "node200") || !strings.Contains(s, "node199") || !strings.Contains(s, "and 5 more; --verbose lists them all") {
		t.Errorf("a list of %d names ends with %q", len(many), s[len(s)-200:])
	}
	b.Reset()
	(&screen{Writer: &b}).names("No Responses from", many, true)
	if s := b.String(); !strings.Contains(s, "node204") || strings.Contains(s, "more") {
		t.Errorf("all %d names: ends with %q", len(many), s[len(s)-200:])
	}
}

func TestColumns(t *testing.T) {
	var b bytes.Buffer
	names := []string{"choria_util", "discovery", "filemgr", "package", "puppet", "rpcutil", "scout", "shell"}
	(&screen{Writer: &b}).columns(names, 3, 15)
	want := "    choria_util     package         scout          \n" +
		"    discovery       puppet          shell          \n" +
		"    filemgr         rpcutil                        \n\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

func TestBar(t *testing.T) {
	b := &bar{total: 4, width: 50}
	tests := []struct {
		done int
		want string
	}{
		{0, "0 / 4    0s [" + strings.Repeat("-", 48) + "]   0%"},
		{1, "1 / 4    0s [" + strings.Repeat("=", 11) + ">" + strings.Repeat("-", 36) + "]  25%"},
		{4, "4 / 4    0s [" + strings.Repeat("=", 48) + "] 100%"},
	}
	for _, tt := range tests {
		b.done = tt.done
		if got := b.line(300 * time.Millisecond); got != tt.want {
			t.Errorf("%d of 4: %q; want %q", tt.done, got, tt.want)
		}
	}
	b.done = 2
	if got := b.line(75 * time.Second); !strings.HasPrefix(got, "2 / 4 1m15s [") {
		t.Errorf("after 75 s: %q", got)
	}
	var none *bar // what a pipe gets
	none.add(1)
	none.finish()
}

// shown returns what a text format writes for replies of an action.
func shownText(t *testing.T, c *rpcCommand, a *ddl.Action, replies ...client.Reply) string {
	t.Helper()
	var b bytes.Buffer
	out := &screen{Writer: &b}
	f := &textFormat{}
	f.begin(&show{cmd: c, call: &call{agent: &ddl.Agent{}, action: a}, out: out, console: out, discovered: len(replies)})
	for _, r := range replies {
		if err := f.reply(r); err != nil {
			t.Fatal(err)
		}
	}
	f.stats = client.Stats{Responses: len(replies), RequestTime: 2052 * time.Millisecond}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextReplies(t *testing.T) {
	item := ddl.BuiltinAgent("rpcutil").Action("get_config_item")
	sender := pad("n3.example.net", 40)
	reply := func(status agent.Status, message, data string) client.Reply {
		return client.Reply{Sender: "n3.example.net", Status: status, Message: message, Data: json.RawMessage(data)}
	}
	finished := "\nFinished processing 1 / 1 hosts in 2.052s\n"
	tests := []struct {
		name   string
		action *ddl.Action
		cmd    rpcCommand
		reply  client.Reply
		want   string
	}{
		{"good", item, rpcCommand{}, reply(0, "OK", `{"item":"loglevel","value":"info"}`),
			sender + " \n\n   Property: loglevel\n      Value: info\n\n"},
		{"failed", item, rpcCommand{}, reply(1, "Unknown key", `{}`),
			sender + " Request Aborted\n\n    Unknown key\n\n"},
		{"unknown status", item, rpcCommand{}, reply(9, "odd", `{}`),
			sender + " Unknown Request Status\n\n    odd\n\n"},
		{"null, undeclared and nested", item, rpcCommand{}, reply(0, "OK", `{"item":null,"extra":{"b":[1,2],"a":"x<y"}}`),
			sender + " \n\n      extra: {\n               \"a\": \"x<y\",\n               \"b\": [1, 2]\n             }\n   Property: \n\n"},
		{"hostile", item, rpcCommand{}, reply(0, "OK", `{"item":"\u001b[2J"}`),
			sender + " \n\n   Property: \\x1b[2J\n\n"},
		{"verbose", item, rpcCommand{verbose: true}, reply(0, "OK", `{"item":"a"}`),
			sender + " \n\n   {\n      \"item\": \"a\"\n   }\n\n"},
		{"no object", item, rpcCommand{}, reply(0, "OK", `[1]`),
			sender + " \n\n   [1]\n\n"},
		{"display failed hides good ones", &ddl.Action{Display: "failed"}, rpcCommand{}, reply(0, "OK", `{}`), ""},
		{"display is failed when not given", &ddl.Action{}, rpcCommand{}, reply(0, "OK", `{}`), ""},
		{"display ok hides failed ones", &ddl.Action{Display: "ok"}, rpcCommand{}, reply(1, "x", `{}`), ""},
		{"the user wins", &ddl.Action{Display: "always"}, rpcCommand{display: "none"}, reply(0, "OK", `{}`), ""},
	}
	for _, tt := range tests {
		got := shownText(t, &tt.cmd, &ddl.Action{Display: tt.action.Display, Output: tt.action.Output}, tt.reply)
		got, _, _ = strings.Cut(got, "\n---- request stats ----")
		got = strings.TrimSuffix(got, finished)
		if got != tt.want {
			t.Errorf("%s: got\n%q\nwant\n%q", tt.name, got, tt.want)
		}
	}
}

func TestTextSummaries(t *testing.T) {
	a := ddl.BuiltinAgent("rpcutil").Action("get_config_item")
	var b bytes.Buffer
	out := &screen{Writer: &b}
	f := &textFormat{}
	f.begin(&show{cmd: &rpcCommand{}, call: &call{agent: &ddl.Agent{}, action: a}, out: out, console: out})
	for range 3 {
		f.aggregator().Add(json.RawMessage(`{"value":"info"}`))
	}
	f.summaries()
	if want := "Summary of Value:\n\n   info: 3\n\n"; b.String() != want {
		t.Errorf("got %q; want %q", b.String(), want)
	}
}

func TestColours(t *testing.T) {
	if got := (&screen{}).paint(red, "x"); got != "x" {
		t.Errorf("without colours: %q", got)
	}
	if got := (&screen{color: true}).paint(red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("with colours: %q", got)
	}
	if screenOn(&bytes.Buffer{}, true).color {
		t.Error("colours on what is no terminal")
	}
}

func TestNearest(t *testing.T) {
	names := []string{"rpcutil", "filemgr", "shell", "process"}
	for in, want := range map[string]string{"rpcutl": "rpcutil", "flemgr": "filemgr", "sehll": "shell", "proc": "process", "xyzzy": "", "": ""} {
		if got := nearest(in, names); got != want {
			t.Errorf("nearest(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestPongs(t *testing.T) {
	var p pongs
	for _, ms := range []int{8, 15, 10} {
		p.add(time.Duration(ms) * time.Millisecond)
	}
	p.overhead = 31 * time.Millisecond
	if got, want := p.statistics(), "3 replies max: 15ms min: 8ms avg: 11ms overhead: 31ms"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if lines := strings.Count(p.graph(), "\n"); lines != graphRows+2 {
		t.Errorf("graph of %d lines; want %d:\n%s", lines, graphRows+2, p.graph())
	}
}

func TestBatchSize(t *testing.T) {
	for text, want := range map[string]int{"": 0, "3": 3, "25%": 3, "100%": 9, "1%": 1} {
		if got, err := batchSize(text, 9); got != want || err != nil {
			t.Errorf("batchSize(%q, 9) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "-1", "101%", "%"} {
		if _, err := batchSize(text, 9); err == nil {
			t.Errorf("batchSize(%q): no error", text)
		}
	}
}
