package client

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/tidwall/gjson"

	"choria.io/choria/go/agent"
)

// A ReplyFilter decides which replies are of interest. It is an expression that uses msg, code, data(path), sender(),
// time(), ok(), aborted(), unknown_action(), missing_data(), invalid_data(), unknown_error(), include(list, item) and
// semver(version, constraint). A nil ReplyFilter keeps all. Its methods may be called concurrently.
type ReplyFilter struct{ program *vm.Program }

// ParseReplyFilter parses an expression; of an empty one it returns nil.
func ParseReplyFilter(expression string) (*ReplyFilter, error) {
	if expression == "" {
		return nil, nil
	}
	program, err := expr.Compile(expression, expr.Env(replyEnv{}), expr.AsBool())
	if err != nil {
		return nil, fmt.Errorf("%q: %w", expression, err)
	}
	return &ReplyFilter{program}, nil
}

// Match reports whether a reply is of interest. What fails for one reply, such as a comparison with data that is not
// there, is no match.
func (f *ReplyFilter) Match(r Reply) bool {
	if f == nil {
		return true
	}
	out, err := expr.Run(f.program, newReplyEnv(r))
	match, _ := out.(bool)
	return err == nil && match
}

// replyEnv is what an expression can use. One is made for each reply.
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

func newReplyEnv(r Reply) replyEnv {
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
