package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"choria.io/choria/go/filter"
)

// A condition is a compound expression in the facts or classes of a rule, in the language of Ruby
// policies: classes, /regexes/ of classes, facts as name=value and data as name('query').field=value,
// with and, or, not, ! and parentheses. As in Ruby and and or bind equally strongly, from left to
// right. An error of eval means that it cannot be said whether the condition holds.
type condition interface {
	eval(r *Request) (bool, error)
}

// maxDepth is how deep parentheses and negations may be nested.
const maxDepth = 32

type (
	// A chain is conditions with and and or between.
	chain struct {
		first condition
		rest  []link
	}
	link struct {
		and  bool // or else
		next condition
	}
	negation  struct{ of condition }
	factIs    struct{ filter.Fact }
	classIs   struct{ name string } // or /regex/
	dataMatch struct {
		source, query string
		hasQuery      bool
		fact          filter.Fact // Name is that of the output
	}
)

func (c *chain) eval(r *Request) (bool, error) {
	ok, err := c.first.eval(r)
	for _, l := range c.rest {
		if err != nil {
			return false, err
		}
		if ok == l.and {
			ok, err = l.next.eval(r)
		}
	}
	return ok, err
}

func (c *negation) eval(r *Request) (bool, error) {
	ok, err := c.of.eval(r)
	return !ok && err == nil, err
}

func (c *factIs) eval(r *Request) (bool, error) { return filter.MatchFact(r.facts(), c.Fact) }

func (c *classIs) eval(r *Request) (bool, error) { return filter.MatchClass(r.classes(), c.name), nil }

func (c *dataMatch) eval(r *Request) (bool, error) {
	if r.Data == nil {
		return false, fmt.Errorf("data %s: there are no data plugins here", c.source)
	}
	values, err := r.Data(c.source, c.query, c.hasQuery)
	if err != nil {
		return false, fmt.Errorf("data %s: %w", c.source, err)
	}
	value, ok := values[c.fact.Name]
	if !ok {
		return false, fmt.Errorf("data %s: no output %q", c.source, c.fact.Name)
	}
	text, err := json.Marshal(map[string]any{"value": value})
	if err != nil {
		return false, fmt.Errorf("data %s: %w", c.source, err)
	}
	f := c.fact
	f.Name = "value"
	return filter.MatchFact(text, f)
}

// isCondition reports whether a field is a compound expression, not words that all have to match.
func isCondition(field string) bool {
	for word := range strings.FieldsSeq(field) {
		if word == "and" || word == "or" || word == "not" || strings.HasPrefix(word, "!") {
			return true
		}
		if _, ok := slashed(word); ok || !strings.ContainsAny(word, "()") {
			continue
		}
		if f, err := filter.ParseFact(word); err != nil || partOfCompound(f) {
			return true
		}
	}
	return false
}

// partOfCompound reports whether what looks like a comparison has a negation or a parenthesis of a
// compound expression in it.
func partOfCompound(f filter.Fact) bool {
	return strings.ContainsAny(f.Name, "!()") || (f.Operator != "=~" && strings.ContainsAny(f.Value, "()"))
}

// parseCondition parses a compound expression.
func parseCondition(text string) (condition, error) {
	p := &conditionParser{text: text}
	c, err := p.chain(0)
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%q: want and, or, or the end", p.peek())
	}
	if err != nil {
		return nil, fmt.Errorf("condition %q: %w", text, err)
	}
	return c, nil
}

// A conditionParser reads a compound expression from left to right.
type conditionParser struct {
	text string // what is left
	next string // a token that was looked at
}

var errOpen = errors.New("a parenthesis is not closed")

func (p *conditionParser) chain(depth int) (condition, error) {
	first, err := p.factor(depth)
	if err != nil {
		return nil, err
	}
	c := &chain{first: first}
	for {
		word := p.peek()
		if word != "and" && word != "or" {
			break
		}
		p.take()
		next, err := p.factor(depth)
		if err != nil {
			return nil, err
		}
		c.rest = append(c.rest, link{word == "and", next})
	}
	if c.rest == nil {
		return first, nil
	}
	return c, nil
}

func (p *conditionParser) factor(depth int) (condition, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch token := p.take(); token {
	case "":
		return nil, errors.New("it ends where a fact or a class is wanted")
	case "and", "or", ")":
		return nil, fmt.Errorf("%q: want a fact or a class", token)
	case "not", "!":
		of, err := p.factor(depth + 1)
		return &negation{of}, err
	case "(":
		c, err := p.chain(depth + 1)
		if err == nil && p.take() != ")" {
			err = errOpen
		}
		return c, err
	default:
		return parseStatement(token)
	}
}

func (p *conditionParser) peek() string {
	if p.next == "" {
		p.next = p.scan()
	}
	return p.next
}

func (p *conditionParser) take() string {
	token := p.peek()
	p.next = ""
	return token
}

// scan returns the next token: a parenthesis, !, or what reaches to the next space or closing
// parenthesis outside of quotes, a /regex/ and parentheses of its own. It is empty at the end.
func (p *conditionParser) scan() string {
	p.text = strings.TrimLeft(p.text, " ")
	if p.text == "" {
		return ""
	}
	if c := p.text[0]; c == '(' || c == ')' || c == '!' {
		p.text = p.text[1:]
		return string(c)
	}
	n := statementLen(p.text)
	token := p.text[:n]
	p.text = p.text[n:]
	return token
}

// statementLen returns how long the statement is that text begins with.
func statementLen(text string) int {
	depth := 0
	until := byte(0) // what closes the quotes or the regex that we are in
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case until != 0:
			if c == '\\' {
				i++
			} else if c == until {
				until = 0
			}
		case c == '\'' || c == '"', c == '/' && (i == 0 || strings.IndexByte("=~<>", text[i-1]) >= 0):
			// A path as a value is no regex: it has no second slash to close it before the next space.
			if c != '/' || strings.IndexByte(text[i+1:], '/') >= 0 {
				until = c
			}
		case c == '(':
			depth++
		case c == ')' && depth == 0, c == ' ':
			return i
		case c == ')':
			depth--
		}
	}
	return len(text)
}

// dataCall is name('query').field followed by a comparison.
var dataCall = regexp.MustCompile(`^([a-z][a-z0-9_]*)\(\s*(?:'([^']*)'|"([^"]*)")?\s*\)\.([a-z][a-z0-9_]*)(.*)$`)

func parseStatement(text string) (condition, error) {
	if m := dataCall.FindStringSubmatchIndex(text); m != nil {
		c := &dataMatch{source: text[m[2]:m[3]]}
		for _, at := range []int{4, 6} {
			if m[at] >= 0 {
				c.query, c.hasQuery = text[m[at]:m[at+1]], true
			}
		}
		var err error
		c.fact, err = parseComparison(text[m[8]:])
		return c, err
	}
	if _, ok := slashed(text); !ok && strings.ContainsAny(text, "=<>") {
		f, err := parseComparison(text)
		if strings.ContainsAny(f.Name, `()'"`) {
			return nil, errStatement(text)
		}
		if pattern, ok := slashed(f.Value); ok && f.Operator == "!=" {
			return unlike(f.Name, "/"+pattern+"/"), err
		}
		return &factIs{f}, err
	}
	if strings.ContainsAny(text, `()'"`) {
		return nil, errStatement(text)
	}
	if pattern, ok := slashed(text); ok {
		if _, err := regexp.Compile(pattern); err != nil {
			return nil, fmt.Errorf("class %q: %w", text, err)
		}
	}
	return &classIs{text}, nil
}

func errStatement(text string) error {
	return fmt.Errorf("%q: want a class, a fact as name=value or data as name('query').field=value", text)
}

// unlike is a fact that is there and does not match a /regex/.
func unlike(name, regex string) condition {
	there := &factIs{filter.Fact{Name: name, Operator: "=~", Value: "/^/"}}
	return &chain{there, []link{{and: true, next: &negation{&factIs{filter.Fact{Name: name, Operator: "=~", Value: regex}}}}}}
}

// parseComparison parses name, operator and value, which may stand in quotes.
func parseComparison(text string) (filter.Fact, error) {
	at := strings.IndexAny(text, "=<>!")
	if at <= 0 {
		return filter.Fact{}, fmt.Errorf("%q: want name, operator and value, as in country=uk", text)
	}
	operator := text[at : at+1]
	if len(text) > at+1 && strings.IndexByte("=~<>", text[at+1]) >= 0 {
		operator = text[at : at+2]
	}
	if slices.Contains([]string{"!", "<>", "><", "<<", ">>", "<~", ">~"}, operator) {
		return filter.Fact{}, fmt.Errorf("%q: %s is no comparison", text, operator)
	}
	value := strings.TrimSpace(text[at+len(operator):])
	if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	f := filter.Fact{Name: strings.TrimSpace(text[:at]), Value: value}
	switch operator {
	case "=", "==":
		f.Operator = "=="
	case "=>":
		f.Operator = ">="
	case "=<":
		f.Operator = "<="
	default:
		f.Operator = operator
	}
	if value == "" {
		return filter.Fact{}, fmt.Errorf("%q: the value is missing", text)
	}
	pattern, isRegex := slashed(value)
	if isRegex && f.Operator == "==" {
		f.Operator = "=~"
	}
	if f.Operator == "=~" || isRegex {
		if !isRegex {
			pattern = value
		}
		if _, err := regexp.Compile(pattern); err != nil {
			return filter.Fact{}, fmt.Errorf("fact %q: %w", text, err)
		}
	}
	return f, nil
}
