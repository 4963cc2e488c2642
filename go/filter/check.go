package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Nodes leave requests alone whose filters they cannot evaluate. Who makes one finds out here what they would not
// tell.

// CheckName returns why a filter of classes, agents or identities, a name or a /regex/, matches no node whatever it
// has.
func CheckName(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	re, ok := cutSlashes(text)
	if !ok {
		return nil
	}
	return checkRegex(re)
}

// Check returns why a comparison is true of no fact.
func (f Fact) Check() error {
	if err := f.validate(); err != nil {
		return err
	}
	if err := checkPath(f.Name); err != nil {
		return err
	}
	if f.Operator != "=~" {
		return nil
	}
	return checkRegex(strings.Trim(f.Value, "/"))
}

func checkRegex(text string) error {
	if len(text) > MaxRegex {
		return fmt.Errorf("regular expression longer than %d bytes", MaxRegex)
	}
	_, err := regexp.Compile(text)
	return err
}

// CheckExpression returns why a compound expression is none. Functions that nodes have by their data plugins are not
// known here, so any name may be one.
func CheckExpression(text string) (err error) {
	switch {
	case text == "":
		return errors.New("it is empty")
	case len(text) > MaxExpr:
		return fmt.Errorf("longer than %d bytes", MaxExpr)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the compiler panicked: %v", r)
		}
	}()
	tree, err := parser.Parse(text)
	if err != nil {
		return firstLine(err)
	}
	var seen inspector
	if ast.Walk(&tree.Node, &seen); seen.err != nil {
		return seen.err
	}
	m := match{node: &Node{}}
	env := m.env()
	env["facts"] = json.RawMessage(nil)
	if _, err = expr.Compile(text, expr.Env(env), expr.AllowUndefinedVariables(), expr.AsBool(), expr.Optimize(false)); err != nil {
		return firstLine(err)
	}
	return nil
}
