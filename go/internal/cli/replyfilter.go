package cli

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr"
	"github.com/tidwall/gjson"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

// replyEnv is what an expression of --filter-replies can use. One is made for each reply.
type replyEnv struct {
	Message string `expr:"msg"`
	Code    int    `expr:"code"`

	OK            func() bool                           `expr:"ok"`
	Aborted       func() bool                           `expr:"aborted"`
	InvalidData   func() bool                           `expr:"invalid_data"`
	MissingData   func() bool                           `expr:"missing_data"`
	UnknownAction func() bool                           `expr:"unknown_action"`
	UnknownError  func() bool                           `expr:"unknown_error"`
	Sender        func() string                         `expr:"sender"`
	Time          func() time.Time                      `expr:"time"`
	Data          func(path string) any                 `expr:"data"`
	Include       func(list any, item any) bool         `expr:"include"`
	Semver        func(version, constraint string) bool `expr:"semver"`
}

func newReplyEnv(r client.Reply) replyEnv {
	is := func(s agent.Status) func() bool { return func() bool { return r.Status == s } }
	return replyEnv{
		Message:       r.Message,
		Code:          int(r.Status),
		OK:            is(agent.OK),
		Aborted:       is(agent.Aborted),
		InvalidData:   is(agent.InvalidData),
		MissingData:   is(agent.MissingData),
		UnknownAction: is(agent.UnknownAction),
		UnknownError:  is(agent.UnknownError),
		Sender:        func() string { return r.Sender },
		Time:          func() time.Time { return r.Time },
		Data:          func(path string) any { return gjson.GetBytes(r.Data, path).Value() },
		Include:       include,
		Semver:        versionMatches,
	}
}

// compileReplyFilter returns what decides which replies are shown; an empty expression shows all.
func compileReplyFilter(expression string) (func(client.Reply) bool, error) {
	if expression == "" {
		return func(client.Reply) bool { return true }, nil
	}
	program, err := expr.Compile(expression, expr.Env(replyEnv{}), expr.AsBool())
	if err != nil {
		return nil, withHint(fmt.Errorf("--filter-replies: %w", err),
			"it may use msg, code, data(path), sender(), time(), ok(), aborted(), unknown_action(), missing_data(), invalid_data(), unknown_error(), include(list, item), semver(version, constraint)")
	}
	return func(r client.Reply) bool {
		// What fails for one reply, such as a comparison with data that is not there, is no match.
		out, err := expr.Run(program, newReplyEnv(r))
		match, _ := out.(bool)
		return err == nil && match
	}, nil
}

// include reports whether list has item. Numbers of JSON are floats, those of expressions integers.
func include(list, item any) bool {
	items, ok := list.([]any)
	return ok && slices.ContainsFunc(items, func(v any) bool {
		a, aok := number(v)
		b, bok := number(item)
		if aok && bok {
			return a == b
		}
		return reflect.DeepEqual(v, item)
	})
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func versionMatches(version, constraint string) bool {
	c, err := semver.NewConstraint(constraint)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(version)
	return err == nil && c.Check(v)
}
