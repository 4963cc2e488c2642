package task

import (
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"github.com/tidwall/gjson"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/client"
)

// A replyFilter keeps replies out of the results. They count as received all the same. Nil keeps all.
type replyFilter struct{ program *vm.Program }

// replyEnv is what the expression of a reply filter can use.
type replyEnv struct {
	Msg           string                          `expr:"msg"`
	Code          int                             `expr:"code"`
	Data          func(path string) any           `expr:"data"`
	OK            func() bool                     `expr:"ok"`
	Aborted       func() bool                     `expr:"aborted"`
	InvalidData   func() bool                     `expr:"invalid_data"`
	MissingData   func() bool                     `expr:"missing_data"`
	UnknownAction func() bool                     `expr:"unknown_action"`
	UnknownError  func() bool                     `expr:"unknown_error"`
	Include       func(list []any, want any) bool `expr:"include"`
	Semver        func(version, want string) bool `expr:"semver"`
	Sender        func() string                   `expr:"sender"`
	Time          func() time.Time                `expr:"time"`
}

func parseReplyFilter(text string) (*replyFilter, error) {
	program, err := expr.Compile(text, expr.Env(replyEnv{}), expr.AsBool())
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	return &replyFilter{program}, nil
}

// match reports whether the reply is to be kept. An expression that cannot be evaluated keeps none.
func (f *replyFilter) match(r client.Reply) bool {
	if f == nil {
		return true
	}
	is := func(s agent.Status) func() bool { return func() bool { return r.Status == s } }
	out, err := expr.Run(f.program, replyEnv{
		Msg: r.Message, Code: int(r.Status),
		Data: func(path string) any { return gjson.GetBytes(r.Data, path).Value() },
		OK:   is(agent.OK), Aborted: is(agent.Aborted), InvalidData: is(agent.InvalidData),
		MissingData: is(agent.MissingData), UnknownAction: is(agent.UnknownAction), UnknownError: is(agent.UnknownError),
		Include: include, Semver: satisfies,
		Sender: func() string { return r.Sender },
		Time:   func() time.Time { return r.Time },
	})
	keep, ok := out.(bool)
	return err == nil && ok && keep
}

func include(list []any, want any) bool {
	for _, item := range list {
		if item == want || fmt.Sprint(item) == fmt.Sprint(want) {
			return true
		}
	}
	return false
}

func satisfies(version, want string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return false
	}
	c, err := semver.NewConstraint(want)
	return err == nil && c.Check(v)
}
