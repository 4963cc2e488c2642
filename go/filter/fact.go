package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// maxModifiers is how many modifiers (@keys and the like) a fact name may use. Some of them make
// their input grow by a factor, so a chain of them could fill the memory of a node.
const maxModifiers = 2

// ParseFact parses a fact filter as typed on a command line: name, operator, value, as in country=uk.
// Where several operators stand in text the right-most one counts. A value between slashes is a
// regular expression, whatever the operator.
func ParseFact(text string) (Fact, error) {
	at, op := lastOperator(text)
	f := Fact{Operator: op}
	if op != "" {
		f.Name, f.Value = strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+len(op):])
	}
	if f.Name == "" || f.Value == "" {
		return Fact{}, fmt.Errorf("fact filter %q: want name, operator and value, as in country=uk", text)
	}
	switch op {
	case "=":
		f.Operator = "=="
	case "=>":
		f.Operator = ">="
	case "=<":
		f.Operator = "<="
	}
	if _, ok := cutSlashes(f.Value); ok {
		f.Operator = "=~"
	}
	return f, nil
}

// lastOperator returns the right-most operator of text and where it is; it is empty when there is none.
func lastOperator(text string) (at int, op string) {
	for i := 0; i < len(text); {
		n := operatorLen(text[i:])
		if n == 0 {
			i++
			continue
		}
		at, op = i, text[i:i+n]
		i += n
	}
	return at, op
}

// operatorLen returns the length of the operator that text begins with, 0 if it begins with none.
func operatorLen(text string) int {
	if len(text) >= 2 {
		switch text[:2] {
		case "<=", ">=", "=>", "=<", "!=", "=~", "==":
			return 2
		}
	}
	switch text[0] {
	case '<', '>', '=':
		return 1
	}
	return 0
}

// AddWords adds to f what text says, words separated by spaces: fact filters such as country=uk and
// classes, each a name or a /regex/.
func (f *Filter) AddWords(text string) error {
	for _, word := range strings.Fields(text) {
		if _, op := lastOperator(word); op == "" {
			f.Class = append(f.Class, word)
			continue
		}
		fact, err := ParseFact(word)
		if err != nil {
			return err
		}
		f.Fact = append(f.Fact, fact)
	}
	return nil
}

// MatchFact reports whether the fact f.Name of the JSON object facts satisfies f. A fact that is
// missing, null, an array or an object never does. The error says why the comparison makes no sense.
func MatchFact(facts json.RawMessage, f Fact) (bool, error) {
	m := match{facts: facts, haveFacts: true, regexes: MaxRegexes}
	return m.fact(f)
}

func (m *match) fact(f Fact) (bool, error) {
	if err := f.validate(); err != nil {
		return false, err
	}
	value, err := lookup(m.nodeFacts(), f.Name)
	if err != nil || !value.Exists() {
		return false, err
	}
	switch value.Type {
	case gjson.String:
		return m.text(value.Str, f), nil
	case gjson.Number:
		return m.number(value.Num, f), nil
	case gjson.True, gjson.False:
		return boolean(value.Type == gjson.True, f)
	}
	if orders(f.Operator) {
		return false, fmt.Errorf("fact %q: %s has no order", f.Name, kind(value))
	}
	return false, nil
}

func kind(value gjson.Result) string {
	switch {
	case value.IsArray():
		return "an array"
	case value.IsObject():
		return "an object"
	}
	return "null"
}

// lookup returns the fact at path.
func lookup(facts json.RawMessage, path string) (gjson.Result, error) {
	if err := checkPath(path); err != nil {
		return gjson.Result{}, err
	}
	return gjson.GetBytes(facts, path), nil
}

// checkPath refuses paths that could make a result much larger than the facts. Selectors of several
// paths, [a,b] and {a,b}, are refused since nothing in their result could ever match.
func checkPath(path string) error {
	if len(path) > MaxPath {
		return fmt.Errorf("fact name %.40q…: longer than %d bytes", path, MaxPath)
	}
	if strings.Count(path, "@") > maxModifiers {
		return fmt.Errorf("fact name %q: more than %d modifiers", path, maxModifiers)
	}
	for i := range len(path) {
		if (path[i] == '[' || path[i] == '{') && (i == 0 || strings.IndexByte(".|([{,", path[i-1]) >= 0) {
			return fmt.Errorf("fact name %q: selects more than one fact", path)
		}
	}
	return nil
}

func orders(op string) bool { return op == "<" || op == ">" || op == "<=" || op == ">=" }

// text compares a fact that is a string. Case does not count.
func (m *match) text(got string, f Fact) bool {
	switch f.Operator {
	case "==":
		return strings.EqualFold(got, f.Value)
	case "!=":
		return !strings.EqualFold(got, f.Value)
	case "=~":
		return m.like(got, f.Value)
	}
	return ordered(strings.Compare(strings.ToLower(got), strings.ToLower(f.Value)), f.Operator)
}

// like matches the regular expression of a fact filter, which may stand between slashes.
func (m *match) like(got, want string) bool {
	re := m.regex("(?i)" + strings.Trim(want, "/"))
	return re != nil && re.MatchString(got)
}

// number compares a fact that is a number: as decimal fractions when the wanted value has a point,
// else by the integer part of the fact.
func (m *match) number(got float64, f Fact) bool {
	decimal := strings.Contains(f.Value, ".")
	whole := strconv.FormatInt(int64(got), 10)
	switch {
	case f.Operator == "=~" && decimal:
		return m.like(strconv.FormatFloat(got, 'f', 4, 64), f.Value)
	case f.Operator == "=~":
		return m.like(whole, f.Value)
	case decimal:
		want, err := strconv.ParseFloat(f.Value, 64)
		if err != nil {
			return false
		}
		switch f.Operator {
		case "==":
			return got == want
		case "!=":
			return got != want
		case "<":
			return got < want
		case "<=":
			return got <= want
		}
		return got >= want // also for >, see the package comment
	case f.Operator == "==":
		return whole == f.Value
	case f.Operator == "!=":
		return whole != f.Value
	}
	want, err := strconv.ParseInt(f.Value, 10, 64)
	if err != nil {
		return false
	}
	switch n := int64(got); {
	case n < want:
		return ordered(-1, f.Operator)
	case n > want:
		return ordered(1, f.Operator)
	}
	return ordered(0, f.Operator)
}

// ordered reports whether c, the outcome of a comparison, is what op wants.
func ordered(c int, op string) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	}
	return false
}

var errBoolean = errors.New("true and false have no order")

// boolean compares a fact that is true or false. What is not one of 1 t T TRUE true True counts as
// false.
func boolean(got bool, f Fact) (bool, error) {
	if orders(f.Operator) {
		return false, fmt.Errorf("fact %q: %w", f.Name, errBoolean)
	}
	want, err := strconv.ParseBool(f.Value)
	equal := got == (want && err == nil)
	if f.Operator == "!=" && got {
		return !equal, nil
	}
	return equal, nil // also for != on a false fact, see the package comment
}
