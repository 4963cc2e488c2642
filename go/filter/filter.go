// Package filter decides for whom a request is: it parses filters and matches them against a node.
//
// A filter has five parts. A node matches when it satisfies each part that is not empty; they are
// tried in the order identity, agent, class, fact, compound, since the first are the cheapest.
//
// Some answers look odd and are kept because every node of a network has to give the same one, or a
// client reaches other nodes than it discovered: a class filter is compared in lower case with the
// class names as they are, an inexact comparison of numbers goes by their integer part, "!=" on a
// false fact answers as "==" does, ">" with a decimal point includes equality, and of several
// compound filters the majority decides. Each is held by the messages of real peers.
//
// Filters come from the network. Matching one never panics, and what it may cost is bounded by the
// constants of this package; a filter beyond them matches nothing.
package filter

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bounds of one filter.
const (
	// MaxRegex is the longest regular expression that is tried, in bytes, MaxRegexes the sum over
	// all that are tried while one filter is matched.
	MaxRegex   = 1 << 10
	MaxRegexes = 1 << 15

	// MaxPath is the longest fact name, in bytes.
	MaxPath = 512

	// MaxExpr is the longest compound expression, in bytes.
	MaxExpr = 4 << 10
)

// A Fact is one fact comparison of a filter. Name and Value are not empty in a valid filter.
type Fact struct {
	Name     string `json:"fact"`     // a gjson path: os.family, disks.0.size
	Operator string `json:"operator"` // one of >= <= < > != == =~
	Value    string `json:"value"`
}

// String returns f as it is typed on a command line.
func (f Fact) String() string {
	op := f.Operator
	if op == "==" {
		op = "="
	}
	return f.Name + op + f.Value
}

// A Compound is one boolean expression in the expr language. An empty Expr stands for something
// received that is no expression (the parsed statement lists of old clients); it never matches.
type Compound struct {
	Expr string
}

// A Filter says which nodes a request is for. The zero value matches every node. On the wire it is
// the object that docs/protocol.md describes; encoding always writes all five members as arrays.
type Filter struct {
	Fact     []Fact
	Class    []string // cf_class: name or /regex/; all must match
	Agent    []string // name or /regex/; all must match
	Identity []string // name or /regex/; any may match
	Compound []Compound
}

// A Node is what a filter is matched against. The functions are called only when the filter needs
// what they return, at most once for each Match; nil ones stand for a node that has none of it.
type Node struct {
	Identity string
	Agents   func() []string
	Classes  func() []string
	Facts    func() json.RawMessage // one JSON object

	// Functions are the data plugins that compound expressions may call, by name.
	Functions map[string]any
}

// Empty reports whether f matches every node.
func (f Filter) Empty() bool {
	return len(f.Fact) == 0 && len(f.Class) == 0 && len(f.Agent) == 0 && len(f.Identity) == 0 && len(f.Compound) == 0
}

// Match reports whether n is one of the nodes f is for. The error says why f could not be evaluated;
// the answer is false then.
func (f Filter) Match(n *Node) (bool, error) {
	if f.Empty() {
		return true, nil
	}
	m := match{node: n, regexes: MaxRegexes, work: maxWork}
	if len(f.Identity) > 0 && !slices.ContainsFunc(f.Identity, m.identity) {
		return false, nil
	}
	for _, want := range f.Agent {
		if !m.agent(want) {
			return false, nil
		}
	}
	for _, want := range f.Class {
		if !m.class(want) {
			return false, nil
		}
	}
	for _, want := range f.Fact {
		if ok, err := m.fact(want); !ok || err != nil {
			return false, err
		}
	}
	return m.compound(f.Compound)
}

// Validate returns what makes f invalid on the wire: unknown operators, empty names or values.
func (f Filter) Validate() error {
	for _, fact := range f.Fact {
		if err := fact.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (f Fact) validate() error {
	switch {
	case f.Name == "":
		return fmt.Errorf("fact filter %q: the name is empty", f)
	case f.Value == "":
		return fmt.Errorf("fact filter %q: the value is empty", f)
	}
	switch f.Operator {
	case ">=", "<=", "<", ">", "!=", "==", "=~":
		return nil
	}
	return fmt.Errorf("fact filter of %q: no operator %q, there are >= <= < > != == =~", f.Name, f.Operator)
}

// A match is one filter being matched against one node. It asks the node for each thing once.
type match struct {
	node                               *Node
	facts                              json.RawMessage
	classes, agents                    []string
	haveFacts, haveClasses, haveAgents bool

	regexes int // bytes of regular expressions that may still be compiled
	work    int // bytes of facts that expressions may still look at
}

func (m *match) nodeFacts() json.RawMessage {
	if !m.haveFacts && m.node.Facts != nil {
		m.facts = m.node.Facts()
	}
	m.haveFacts = true
	return m.facts
}

func (m *match) nodeClasses() []string {
	if !m.haveClasses && m.node.Classes != nil {
		m.classes = m.node.Classes()
	}
	m.haveClasses = true
	return m.classes
}

func (m *match) nodeAgents() []string {
	if !m.haveAgents && m.node.Agents != nil {
		m.agents = m.node.Agents()
	}
	m.haveAgents = true
	return m.agents
}

func (m *match) identity(want string) bool {
	if text, ok := cutSlashes(want); ok {
		re := m.regex(text)
		return re != nil && re.MatchString(m.node.Identity)
	}
	return m.node.Identity == want
}

func (m *match) agent(want string) bool {
	if text, ok := cutSlashes(want); ok {
		re := m.regex(text)
		return re != nil && slices.ContainsFunc(m.nodeAgents(), re.MatchString)
	}
	return slices.Contains(m.nodeAgents(), want)
}

func (m *match) class(want string) bool {
	if text, ok := cutSlashes(want); ok {
		re := m.regex("(?i)" + text)
		return re != nil && slices.ContainsFunc(m.nodeClasses(), re.MatchString)
	}
	return slices.Contains(m.nodeClasses(), strings.ToLower(want))
}

// MatchClass reports whether one of classes satisfies the class filter want: a name, which is put
// into lower case first, or a /regex/, which is not case-sensitive.
func MatchClass(classes []string, want string) bool {
	m := match{classes: classes, haveClasses: true, regexes: MaxRegexes}
	return m.class(want)
}

// cutSlashes returns what stands between the slashes when text is a /regex/.
func cutSlashes(text string) (string, bool) {
	if len(text) < 2 || text[0] != '/' || text[len(text)-1] != '/' {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// regex compiles text, or returns nil when that is no regular expression, or more of it than allowed.
func (m *match) regex(text string) *regexp.Regexp {
	m.regexes -= len(text)
	if len(text) > MaxRegex+len("(?i)") || m.regexes < 0 {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil
	}
	return re
}
