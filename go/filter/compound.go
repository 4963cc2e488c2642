package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Bounds of compound expressions beyond MaxExpr.
const (
	maxNodes = 500     // of the syntax tree
	maxNest  = 8       // calls inside each other; the compiler takes twice as long for each
	maxLoops = 8       // any(), all() and the like, none of them inside another
	maxMatch = 256     // bytes of the right side of matches, which a loop may try on each class
	maxCells = 10_000  // list elements an expression may make
	maxWork  = 1 << 26 // bytes that the functions of an expression may look at
)

// builtins are the functions of the expr language that expressions may use. Those that make values
// larger than what they are given (repeat, join, reduce, map, replace, toJSON and the like) are not
// among them, nor are variables: a few of them one inside the other fill any memory. string is our own.
var builtins = []string{
	"all", "any", "one", "none", "filter", "find", "findIndex", "findLast", "findLastIndex", "count",
	"len", "type", "abs", "ceil", "floor", "round", "int", "float", "max", "min", "mean", "median", "sum",
	"trim", "trimPrefix", "trimSuffix", "upper", "lower", "split", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"now", "duration", "date", "first", "last", "get", "keys", "values", "reverse", "sort", "uniq", "string",
}

var errWork = errors.New("too much work")

// compound matches the compound filters of a filter. More of them must match than not; one that
// cannot be evaluated makes the whole fail.
func (m *match) compound(list []Compound) (bool, error) {
	if len(list) == 0 {
		return true, nil
	}
	score := 0
	for _, c := range list {
		ok, err := m.expression(c.Expr)
		if err != nil {
			return false, fmt.Errorf("compound filter %.80q: %w", c.Expr, err)
		}
		if ok {
			score++
		} else {
			score--
		}
	}
	return score > 0, nil
}

func (m *match) expression(text string) (ok bool, err error) {
	if text == "" {
		return false, nil
	}
	if len(text) > MaxExpr {
		return false, fmt.Errorf("longer than %d bytes", MaxExpr)
	}
	// The text is foreign and the evaluator large; whatever it stumbles over must not end a daemon.
	defer func() {
		if r := recover(); r != nil {
			ok, err = false, fmt.Errorf("evaluation panicked: %v", r)
		}
	}()

	tree, err := parser.Parse(text)
	if err != nil {
		return false, firstLine(err)
	}
	var seen inspector
	if ast.Walk(&tree.Node, &seen); seen.err != nil {
		return false, seen.err
	}
	env := m.env()
	if seen.facts {
		env["facts"] = m.nodeFacts()
	}
	program, err := expr.Compile(text, expr.Env(env), expr.AllowUndefinedVariables(), expr.AsBool(), expr.Optimize(false))
	if err != nil {
		return false, firstLine(err)
	}
	result, err := (&vm.VM{MemoryBudget: maxCells}).Run(program, env)
	if err != nil {
		return false, firstLine(err)
	}
	ok, isBool := result.(bool)
	if !isBool {
		return false, fmt.Errorf("yields %T, want true or false", result)
	}
	return ok, nil
}

// Validate returns what makes c no expression of the language, which no node could ever match. Whether one
// that is can be evaluated is for nodes to say, who know their data plugins.
func (c Compound) Validate() error {
	if len(c.Expr) > MaxExpr {
		return fmt.Errorf("compound filter: longer than %d bytes", MaxExpr)
	}
	if _, err := parser.Parse(c.Expr); err != nil {
		return fmt.Errorf("compound filter %q: %w", c.Expr, firstLine(err))
	}
	return nil
}

// functions are those of our own, besides the builtins and the data plugins.
var functions = []string{"with", "fact", "include", "semver", "string"}

// DataPlugins returns the names of the data plugins that the compound expressions of f ask, sorted. An
// expression that is none asks nothing.
func (f Filter) DataPlugins() []string {
	var asked calls
	for _, c := range f.Compound {
		if len(c.Expr) > MaxExpr {
			continue
		}
		if tree, err := parser.Parse(c.Expr); err == nil {
			ast.Walk(&tree.Node, &asked)
		}
	}
	slices.Sort(asked)
	return slices.Compact(asked)
}

// calls are the names of functions that an expression calls and the language does not have.
type calls []string

// Visit implements ast.Visitor.
func (c *calls) Visit(node *ast.Node) {
	call, ok := (*node).(*ast.CallNode)
	if !ok {
		return
	}
	if name, ok := call.Callee.(*ast.IdentifierNode); ok && !slices.Contains(functions, name.Value) {
		*c = append(*c, name.Value)
	}
}

// firstLine drops the drawing of the place in the expression that errors of expr end with.
func firstLine(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}

// env returns what the names in an expression stand for.
func (m *match) env() map[string]any {
	env := map[string]any{
		"facts": json.RawMessage(nil), // read when an expression names it
	}
	maps.Copy(env, m.node.Functions)
	env["classes"] = m.nodeClasses()
	env["agents"] = m.nodeAgents()
	env["with"] = m.with
	env["fact"] = m.value
	env["include"] = m.include
	env["semver"] = m.semver
	env["string"] = m.string
	return env
}

// spend accounts for n bytes of work.
func (m *match) spend(n int) error {
	if m.work -= n + 64; m.work < 0 {
		return errWork
	}
	return nil
}

// with is true when text is a fact filter that matches, else when it is a class, else an agent.
func (m *match) with(text string) (bool, error) {
	if f, err := ParseFact(text); err == nil {
		if err := m.spend(len(m.nodeFacts())); err != nil {
			return false, err
		}
		return m.fact(f)
	}
	if err := m.spend(100 * len(text)); err != nil {
		return false, err
	}
	return m.class(text) || m.agent(text), nil
}

// value is the fact at path, nil if there is none.
func (m *match) value(path string) (any, error) {
	if err := m.spend(len(m.nodeFacts())); err != nil {
		return nil, err
	}
	value, err := lookup(m.nodeFacts(), path)
	if err != nil {
		return nil, err
	}
	return value.Value(), nil
}

// include is true when list has an element that equals want. Numbers are compared whatever their
// type, since those of facts are all floating point.
func (m *match) include(list, want any) (bool, error) {
	v := reflect.ValueOf(list)
	if !v.IsValid() {
		return false, nil
	}
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return false, fmt.Errorf("include: want a list, got %T", list)
	}
	if err := m.spend(32 * v.Len()); err != nil {
		return false, err
	}
	number, isNumber := toFloat(want)
	for i := range v.Len() {
		got := v.Index(i).Interface()
		if n, ok := toFloat(got); ok {
			if isNumber && n == number {
				return true, nil
			}
		} else if isScalar(got) && isScalar(want) && got == want {
			return true, nil
		}
	}
	return false, nil
}

func isScalar(v any) bool {
	switch v.(type) {
	case string, bool, nil:
		return true
	}
	return false
}

func toFloat(v any) (float64, bool) {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(r.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(r.Uint()), true
	case reflect.Float32, reflect.Float64:
		return r.Float(), true
	}
	return 0, false
}

// semver is true when version satisfies constraint.
func (m *match) semver(version, constraint string) (bool, error) {
	if err := m.spend(100 * (len(version) + len(constraint))); err != nil {
		return false, err
	}
	v, err := semver.NewVersion(version)
	if err != nil {
		return false, fmt.Errorf("version %.40q: %w", version, err)
	}
	c, err := semver.NewConstraint(constraint)
	if err != nil {
		return false, fmt.Errorf("version constraint %.40q: %w", constraint, err)
	}
	return c.Check(v), nil
}

// string is the text of a value that is no list or map.
func (m *match) string(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, m.spend(0)
	case json.RawMessage:
		return string(v), m.spend(len(v))
	case nil:
		return "", m.spend(0)
	case bool:
		return strconv.FormatBool(v), m.spend(0)
	}
	if n, ok := toFloat(v); ok {
		return strconv.FormatFloat(n, 'f', -1, 64), m.spend(0)
	}
	return "", fmt.Errorf("string: %T is no text, number or boolean", v)
}

// An inspector looks at the syntax tree of an expression before anything else is done with it. It
// sees inner nodes before outer ones.
type inspector struct {
	nodes, loops int
	facts        bool             // the variable facts is used
	calls        map[ast.Node]int // how many calls are inside each other there
	err          error
}

// Visit implements ast.Visitor.
func (in *inspector) Visit(node *ast.Node) {
	if in.nodes++; in.nodes > maxNodes {
		in.err = errors.New("too long an expression")
	}
	if in.err != nil {
		return
	}
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		in.facts = in.facts || n.Value == "facts"
	case *ast.VariableDeclaratorNode:
		in.err = errors.New("variables cannot be used in a filter")
	case *ast.BinaryNode:
		if n.Operator != "matches" {
			return
		}
		// Any other would be compiled again for each element of a loop.
		re, ok := n.Right.(*ast.StringNode)
		if !ok || len(re.Value) > maxMatch {
			in.err = fmt.Errorf("matches wants a string of at most %d bytes", maxMatch)
		}
	case *ast.CallNode:
		in.call(n)
	case *ast.BuiltinNode:
		if !slices.Contains(builtins, n.Name) {
			in.err = fmt.Errorf("%s() cannot be used in a filter", n.Name)
			return
		}
		in.call(n)
	case *ast.PredicateNode:
		if in.loops++; in.loops > maxLoops {
			in.err = fmt.Errorf("more than %d loops", maxLoops)
			return
		}
		if find(n.Node, in).loop {
			in.err = errors.New("loops cannot be used in loops")
		}
	}
}

// call accounts for a call of a function.
func (in *inspector) call(n ast.Node) {
	depth := find(n, in).calls + 1
	if depth > maxNest {
		in.err = fmt.Errorf("calls nested deeper than %d", maxNest)
		return
	}
	if in.calls == nil {
		in.calls = make(map[ast.Node]int)
	}
	in.calls[n] = depth
}

// found is what the tree below a node holds.
type found struct {
	in    *inspector
	calls int // inside each other
	loop  bool
}

func find(n ast.Node, in *inspector) found {
	f := found{in: in}
	ast.Walk(&n, &f)
	return f
}

// Visit implements ast.Visitor.
func (f *found) Visit(node *ast.Node) {
	switch (*node).(type) {
	case *ast.CallNode, *ast.BuiltinNode:
		f.calls = max(f.calls, f.in.calls[*node])
	case *ast.PredicateNode:
		f.loop = true
	}
}
