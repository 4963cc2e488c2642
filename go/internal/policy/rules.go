package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"choria.io/choria/go/filter"
)

// rules are the content of one policy file.
type rules struct {
	path          string
	lines         []rule
	named         bool   // a line has callers by name, which may be groups
	fallback      bool   // what "policy default" says
	fallbackWhere string // FILE:LINE of it; empty: there is no such line
}

// A rule is one line: allow or deny, callers, actions, facts and classes, with tabs between.
type rule struct {
	where   string // FILE:LINE
	allow   bool
	callers []caller // empty: everybody
	actions []string // empty: every action
	facts   []filter.Fact
	classes []string

	condition condition // nil: none; holds beside facts and classes
}

// A caller is one entry of the callers of a rule.
type caller struct {
	name   string // caller id or group
	regexp *regexp.Regexp
}

// groupMembers are the caller ids of each group.
type groupMembers map[string][]string

// errClass is about a class among the facts of a rule that are no compound expression.
var errClass = errors.New("a class where a fact is wanted")

// errCounted is about the facts of a deny line that cannot be evaluated. They count as matching: the
// other way round the line would let in what it is there to keep out.
var errCounted = errors.New("the line denies whatever the facts are")

// A mismatch is why a line does not match.
type mismatch string

const (
	matches        mismatch = ""
	otherCaller    mismatch = "it is for other callers"
	otherAction    mismatch = "it is for other actions"
	otherFacts     mismatch = "this node has other facts"
	otherClasses   mismatch = "this node does not have its classes"
	otherCondition mismatch = "its condition does not hold"
)

// decide returns what the first matching line says, else the default. visit, when set, is told about
// every line that was looked at.
func (rs *rules) decide(r *Request, groups groupMembers, unconfigured bool, visit func(*rule, mismatch, error)) Decision {
	for i := range rs.lines {
		l := &rs.lines[i]
		why, err := l.match(r, groups)
		if visit != nil {
			visit(l, why, err)
		}
		switch {
		case err != nil && !l.allow:
			return Decision{Rule: fmt.Sprintf("%s: %v, and %v", l.where, err, errCounted)}
		case err == nil && why == matches:
			return Decision{Allow: l.allow, Rule: l.where}
		}
	}
	if rs.fallbackWhere != "" {
		return Decision{Allow: rs.fallback, Rule: rs.fallbackWhere}
	}
	return Decision{Allow: unconfigured, Rule: rs.path + ": no line matches"}
}

// match returns why the line does not match. An error means that its condition cannot be evaluated.
func (l *rule) match(r *Request, groups groupMembers) (mismatch, error) {
	switch {
	case !l.matchesCaller(r.Caller, groups):
		return otherCaller, nil
	case len(l.actions) > 0 && !slices.Contains(l.actions, r.Action):
		return otherAction, nil
	case !l.matchesFacts(r):
		return otherFacts, nil
	case !l.matchesClasses(r):
		return otherClasses, nil
	case l.condition == nil:
		return matches, nil
	}
	holds, err := l.condition.eval(r)
	if err == nil && !holds {
		return otherCondition, nil
	}
	return matches, err
}

func (l *rule) matchesCaller(id string, groups groupMembers) bool {
	if len(l.callers) == 0 {
		return true
	}
	for _, c := range l.callers {
		switch {
		case c.regexp != nil && c.regexp.MatchString(id),
			c.regexp == nil && c.name == id,
			c.regexp == nil && slices.Contains(groups[c.name], id):
			return true
		}
	}
	return false
}

func (l *rule) matchesFacts(r *Request) bool {
	if len(l.facts) == 0 {
		return true
	}
	facts := r.facts()
	for _, f := range l.facts {
		// A comparison that makes no sense, as of a list with a number, does not match.
		if ok, err := filter.MatchFact(facts, f); err != nil || !ok {
			return false
		}
	}
	return true
}

func (l *rule) matchesClasses(r *Request) bool {
	if len(l.classes) == 0 {
		return true
	}
	classes := r.classes()
	for _, want := range l.classes {
		if !filter.MatchClass(classes, want) {
			return false
		}
	}
	return true
}

func (r *Request) facts() json.RawMessage {
	if r.Facts == nil {
		return json.RawMessage("{}")
	}
	return r.Facts()
}

func (r *Request) classes() []string {
	if r.Classes == nil {
		return nil
	}
	return r.Classes()
}

// parseRules reads a policy file. A line that allows something and cannot be understood is left out,
// which never allows more; anything else that cannot be understood makes the whole file deny, since
// leaving out a deny would allow more.
func parseRules(f *file, data []byte) error {
	rs := &rules{path: f.path}
	n := 0
	for raw := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(raw), " \t\r\n")
		if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		where := fmt.Sprintf("%s:%d", f.path, n)
		err := rs.parseLine(where, text)
		if err == nil {
			continue
		}
		err = fmt.Errorf("%s: %w", where, err)
		if !errors.Is(err, errCounted) && firstWord(text) != "allow" {
			return err
		}
		f.warnings = append(f.warnings, err)
	}
	f.rules = rs
	return nil
}

func (rs *rules) parseLine(where, text string) error {
	if words := strings.Fields(text); words[0] == "policy" {
		if len(words) != 3 || words[1] != "default" || (words[2] != "allow" && words[2] != "deny") {
			return fmt.Errorf("%q: want policy default allow, or policy default deny", text)
		}
		rs.fallback, rs.fallbackWhere = words[2] == "allow", where
		return nil
	}
	l, err := parseRule(text)
	if err != nil && !errors.Is(err, errCounted) {
		return err
	}
	l.where = where
	rs.named = rs.named || slices.ContainsFunc(l.callers, func(c caller) bool { return c.regexp == nil })
	rs.lines = append(rs.lines, l)
	return err
}

// parseRule parses a line of four or five fields; missing classes are any classes.
func parseRule(text string) (rule, error) {
	var fields []string
	for _, field := range strings.Split(text, "\t") {
		if field = strings.TrimSpace(field); field != "" {
			fields = append(fields, field)
		}
	}
	if len(fields) == 1 {
		return rule{}, fmt.Errorf("%q: want allow or deny, callers, actions, facts and classes with tabs between", text)
	}
	if fields[0] != "allow" && fields[0] != "deny" {
		return rule{}, fmt.Errorf("%q: want allow, deny or policy default", fields[0])
	}
	if len(fields) != 4 && len(fields) != 5 {
		return rule{}, fmt.Errorf("%d fields: want allow or deny, callers, actions, facts and classes with tabs between", len(fields))
	}
	l := rule{allow: fields[0] == "allow"}
	var err error
	if l.callers, err = parseCallers(fields[1]); err != nil {
		return rule{}, err
	}
	l.actions = words(fields[2])
	if len(fields) == 5 {
		if l.classes, l.condition, err = parseClasses(fields[4]); err != nil {
			return rule{}, err
		}
	}
	// A line of four fields may have classes among its facts, as in Ruby.
	if isCondition(fields[3]) || len(fields) == 4 && len(words(fields[3])) == 1 {
		if fields[3] == "*" {
			return l, nil
		}
		of, err := parseCondition(fields[3])
		if err != nil {
			return rule{}, err
		}
		if l.condition != nil {
			of = &chain{of, []link{{and: true, next: l.condition}}}
		}
		l.condition = of
		return l, nil
	}
	l.facts, err = parseFacts(fields[3])
	if errors.Is(err, errClass) && !l.allow {
		err = fmt.Errorf("%w: %w", err, errCounted)
	}
	return l, err
}

// words splits a field; * has no words, which stands for everything.
func words(field string) []string {
	if field == "*" {
		return nil
	}
	return strings.Fields(field)
}

func parseCallers(field string) ([]caller, error) {
	var callers []caller
	for _, word := range words(field) {
		c := caller{name: word}
		if pattern, ok := slashed(word); ok {
			re, err := regexp.Compile(pattern)
			if err != nil {
				return nil, fmt.Errorf("caller %q: %w", word, err)
			}
			c = caller{regexp: re}
		}
		callers = append(callers, c)
	}
	return callers, nil
}

// parseFacts parses facts that all have to match.
func parseFacts(field string) ([]filter.Fact, error) {
	var facts []filter.Fact
	for _, word := range words(field) {
		f, err := filter.ParseFact(word)
		if err != nil {
			return nil, fmt.Errorf("facts %q: %q: %w", field, word, errClass)
		}
		if f.Operator == "=~" {
			if _, err := regexp.Compile(strings.Trim(f.Value, "/")); err != nil {
				return nil, fmt.Errorf("fact %q: %w", word, err)
			}
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// parseClasses parses classes that all have to match, or a condition.
func parseClasses(field string) ([]string, condition, error) {
	if isCondition(field) {
		c, err := parseCondition(field)
		return nil, c, err
	}
	classes := words(field)
	for _, word := range classes {
		if pattern, ok := slashed(word); ok {
			if _, err := regexp.Compile(pattern); err != nil {
				return nil, nil, fmt.Errorf("class %q: %w", word, err)
			}
		}
	}
	return classes, nil, nil
}

// slashed returns what is between the slashes of /…/.
func slashed(word string) (string, bool) {
	if len(word) < 2 || word[0] != '/' || word[len(word)-1] != '/' {
		return "", false
	}
	return word[1 : len(word)-1], true
}

func firstWord(text string) string {
	for word := range strings.FieldsSeq(text) {
		return word
	}
	return ""
}

// parseGroups reads the groups file: a name and its caller ids on each line.
func parseGroups(f *file, data []byte) error {
	f.groups = make(groupMembers)
	n := 0
	for raw := range bytes.Lines(data) {
		n++
		words := strings.Fields(string(raw))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if !isGroupName(words[0]) {
			f.warnings = append(f.warnings, fmt.Errorf("%s:%d: group %q: want letters, digits, _, - and . in a name", f.path, n, words[0]))
			continue
		}
		f.groups[words[0]] = append(f.groups[words[0]], words[1:]...)
	}
	return nil
}

func isGroupName(name string) bool {
	for _, c := range name {
		if !(c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return name != ""
}
