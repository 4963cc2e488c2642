package client_test

import (
	"encoding/json"
	"testing"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

func TestReplyFilter(t *testing.T) {
	r := client.Reply{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Sender: "n1", Status: agent.OK, Message: "OK", Data: json.RawMessage(`{"version":"1.4.2","count":3,"list":["a",2]}`)}
	for text, want := range map[string]bool{
		"":                                      true,
		"ok()":                                  true,
		"aborted() or unknown_error()":          false,
		`code == 0 && msg == "OK"`:              true,
		`data("count") > 2`:                     true,
		`data("missing") > 2`:                   false,
		`include(data("list"), "a")`:            true,
		`include(data("list"), 2)`:              true,
		`include(data("list"), 3)`:              false,
		`semver(data("version"), ">= 1.4, <2")`: true,
		`sender() matches "^n"`:                 true,
		`data("version") contains "4" and time().Year() == 2026`: true,
	} {
		keep, err := client.ParseReplyFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := keep.Match(r); got != want {
			t.Errorf("%s: %v; want %v", text, got, want)
		}
	}
	for _, text := range []string{"1 + 1", "nope()", "ok("} {
		if _, err := client.ParseReplyFilter(text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// FuzzReplyFilter holds that neither an expression nor what a node sends upsets the evaluation.
func FuzzReplyFilter(f *testing.F) {
	f.Add(`data("a.b") > 2`, []byte(`{"a":{"b":3}}`))
	f.Add(`include(data("l"), 1) or semver(data("v"), ">1")`, []byte(`{"l":[1,"x"],"v":"2.0"}`))
	f.Add(`data("@reverse|#").x matches "("`, []byte(`{"a":[[[`))
	f.Fuzz(func(t *testing.T, expression string, data []byte) {
		if len(expression) > 200 {
			return
		}
		filter, err := client.ParseReplyFilter(expression)
		if err != nil {
			return
		}
		filter.Match(client.Reply{Sender: "n1", Data: data})
	})
}
