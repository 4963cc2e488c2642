package assert

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// A node is a part of an expression.
type node interface {
	match(data any) bool
	keys(func(key string))
}

type (
	andNode struct{ left, right node }
	orNode  struct{ left, right node }
	notNode struct{ of node }
)

func (n andNode) match(data any) bool   { return n.left.match(data) && n.right.match(data) }
func (n andNode) keys(f func(string))   { n.left.keys(f); n.right.keys(f) }
func (n orNode) match(data any) bool    { return n.left.match(data) || n.right.match(data) }
func (n orNode) keys(f func(string))    { n.left.keys(f); n.right.keys(f) }
func (n notNode) match(data any) bool   { return !n.of.match(data) }
func (n notNode) keys(f func(string))   { n.of.keys(f) }
func (n anyNode) keys(f func(string))   { f(n.key) }
func (t *test) keys(f func(key string)) { f(t.key) }

// An anyNode holds when some element of the array at key satisfies of.
type anyNode struct {
	key string
	of  node
}

// newAny makes an anyNode of what stands between [ and ]: all its tests share their first key, which
// is that of the array.
func newAny(of node) (node, error) {
	key := ""
	var err error
	of.keys(func(k string) {
		first, _, _ := strings.Cut(k, ".")
		switch {
		case key == "":
			key = first
		case key != first:
			err = fmt.Errorf("[ ] tests one array, not %q and %q", key, first)
		}
	})
	return anyNode{key, of}, err
}

func (n anyNode) match(data any) bool {
	value, _ := lookup(data, n.key)
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	for _, item := range items {
		if n.of.match(map[string]any{n.key: item}) {
			return true
		}
	}
	return false
}

// A test compares the value of one key.
type test struct {
	key, op string
	want    string
	number  *big.Rat // want as a number
	re      *regexp.Regexp
}

func newTest(t token) (node, error) {
	n := &test{key: t.key, op: t.op, want: t.value}
	if t.regexp {
		re, err := regexp.Compile(t.value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", t.text, err)
		}
		if t.op != "=" && t.op != "!=" {
			return nil, fmt.Errorf("%q: a regular expression takes = or !=", t.text)
		}
		n.re = re
	}
	n.number = number(t.value)
	return n, nil
}

func (t *test) match(data any) bool {
	value, found := lookup(data, t.key)
	switch t.op {
	case "+":
		return found
	case "-":
		return !found
	case "=":
		return t.equal(value)
	case "!=":
		return !t.equal(value)
	}
	order, ok := t.compare(value)
	if !ok {
		return false // an impossible comparison excludes the reply
	}
	switch t.op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// equal compares value with what is wanted. A missing key is null.
func (t *test) equal(value any) bool {
	if t.re != nil {
		text, ok := value.(string)
		return ok && t.re.MatchString(text)
	}
	switch value := value.(type) {
	case nil:
		return t.want == "null"
	case bool:
		return t.want == fmt.Sprint(value)
	case string:
		return value == t.want || t.number != nil && digits(value) && number(value).Cmp(t.number) == 0
	case json.Number:
		if n := number(value.String()); n != nil && t.number != nil {
			return n.Cmp(t.number) == 0
		}
	}
	return false
}

// compare orders value against what is wanted; false when they cannot be ordered.
func (t *test) compare(value any) (order int, ok bool) {
	switch value := value.(type) {
	case string:
		if n := number(value); n != nil && t.number != nil {
			return n.Cmp(t.number), true
		}
		return strings.Compare(value, t.want), t.number == nil
	case json.Number:
		if n := number(value.String()); n != nil && t.number != nil {
			return n.Cmp(t.number), true
		}
	}
	return 0, false
}

// number returns text as a number, nil when it is none or unreasonably long.
func number(text string) *big.Rat {
	if text == "" || len(text) > 100 || strings.ContainsAny(text, "/_xXoObBpP") {
		return nil
	}
	// An exponent of six digits would fill the memory.
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 {
		return nil
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil
	}
	return n
}

// digits reports whether text, a string in the data, is compared as a number.
func digits(text string) bool {
	return text != "" && strings.Trim(strings.TrimPrefix(text, "-"), "0123456789.") == "" && number(text) != nil
}

// lookup descends from data along the dotted key. An array of one element is descended into as if it
// were that element. A key that has dots itself is found as well.
func lookup(data any, key string) (value any, found bool) {
	if items, ok := data.([]any); ok && len(items) == 1 {
		data = items[0]
	}
	m, ok := data.(map[string]any)
	if !ok {
		return nil, false
	}
	if value, found = m[key]; found {
		return value, true
	}
	first, rest, dotted := strings.Cut(key, ".")
	if !dotted {
		return nil, false
	}
	if value, found = m[first]; !found {
		return nil, false
	}
	return lookup(value, rest)
}
