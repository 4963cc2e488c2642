// Package assert is the language in which plans say what the data of every reply must be.
//
//	or    = and { ("or" | "||") and }
//	and   = not { ("and" | "&&") not }
//	not   = ("not" | "!") not | "(" or ")" | "[" or "]" | test
//	test  = key operator value | "+" key | "-" key
//
// Operators are = != < <= > >=, without spaces around them. Keys descend by dots. Values may be quoted,
// and /re/ is a regular expression. [key.a=1 and key.b=2] holds when one element of the array key
// satisfies all of it. The language is that of JGrep, as measured; where JGrep cannot compare, which
// is signed numbers and integers with decimals, this compares.
package assert

import (
	"fmt"
)

// maxDepth is how deep parentheses may nest; expressions are written by people.
const maxDepth = 100

// An Expr is a parsed expression. It may be used concurrently.
type Expr struct {
	text string
	root node
}

// Parse parses an expression.
func Parse(text string) (*Expr, error) {
	p := &parser{}
	var err error
	if p.tokens, err = scan(text); err != nil {
		return nil, fmt.Errorf("assertion %q: %w", text, err)
	}
	root, err := p.or(0)
	if err == nil && p.pos < len(p.tokens) {
		err = fmt.Errorf("unexpected %q", p.tokens[p.pos].text)
	}
	if err != nil {
		return nil, fmt.Errorf("assertion %q: %w", text, err)
	}
	return &Expr{text, root}, nil
}

// String returns the expression as it was written.
func (e *Expr) String() string { return e.text }

// Match reports whether data satisfies e. Data is decoded JSON whose numbers are json.Number.
func (e *Expr) Match(data any) bool { return e.root.match(data) }

// A Finding is one key of an expression and what a reply has there.
type Finding struct {
	Key   string
	Value any
	Found bool
}

// Findings returns what data has at the keys that e tests, in their order, each once.
func (e *Expr) Findings(data any) []Finding {
	var findings []Finding
	seen := map[string]bool{}
	e.root.keys(func(key string) {
		if !seen[key] {
			seen[key] = true
			value, found := lookup(data, key)
			findings = append(findings, Finding{key, value, found})
		}
	})
	return findings
}

type parser struct {
	tokens []token
	pos    int
	inList bool // between [ and ]
}

func (p *parser) take(kind kind) bool {
	if p.pos < len(p.tokens) && p.tokens[p.pos].kind == kind {
		p.pos++
		return true
	}
	return false
}

func (p *parser) or(depth int) (node, error) {
	left, err := p.and(depth)
	for err == nil && p.take(orToken) {
		var right node
		right, err = p.and(depth)
		left = orNode{left, right}
	}
	return left, err
}

func (p *parser) and(depth int) (node, error) {
	left, err := p.not(depth)
	for err == nil && p.take(andToken) {
		var right node
		right, err = p.not(depth)
		left = andNode{left, right}
	}
	return left, err
}

func (p *parser) not(depth int) (node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if p.pos == len(p.tokens) {
		return nil, fmt.Errorf("unexpected end")
	}
	t := p.tokens[p.pos]
	p.pos++
	switch t.kind {
	case notToken:
		n, err := p.not(depth + 1)
		return notNode{n}, err
	case openToken:
		n, err := p.or(depth + 1)
		if err == nil && !p.take(closeToken) {
			err = fmt.Errorf("missing )")
		}
		return n, err
	case openListToken:
		return p.list(depth)
	case testToken:
		return newTest(t)
	}
	return nil, fmt.Errorf("unexpected %q", t.text)
}

func (p *parser) list(depth int) (node, error) {
	if p.inList {
		return nil, fmt.Errorf("[ ] cannot be nested")
	}
	p.inList = true
	n, err := p.or(depth + 1)
	p.inList = false
	if err == nil && !p.take(closeListToken) {
		err = fmt.Errorf("missing ]")
	}
	if err != nil {
		return nil, err
	}
	return newAny(n)
}
