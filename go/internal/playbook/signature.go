package playbook

import (
	"bufio"
	"os"
	"regexp"
	"strings"
)

// A Signature describes a playbook.
type Signature struct {
	File       string      `json:"file"`
	Line       int         `json:"line"`
	Parameters []Parameter `json:"parameters"`

	// From the comment above the plan.
	Summary string `json:"summary"`
	Doc     string `json:"doc"`
	Returns string `json:"returns"`
}

// A Parameter is one parameter of a playbook.
type Parameter struct {
	Name     string  `json:"name"`
	Required bool    `json:"required"` // it has no default
	Type     *Type   `json:"structure"`
	Text     string  `json:"type"`    // the type as Puppet writes it
	Default  *string `json:"default"` // as it is written in the plan
	Doc      string  `json:"doc"`
}

// A Type is the structure of a Puppet type, as far as the command line needs it.
type Type struct {
	Kind     string           `json:"kind"`     // boolean integer float numeric string enum array hash struct optional sensitive variant other
	Of       *Type            `json:"of"`       // of arrays and hashes their elements; what is optional or sensitive
	Members  map[string]*Type `json:"members"`  // of structs
	Variants []*Type          `json:"variants"` // of variants
	Values   []string         `json:"values"`   // of enums
}

// kind returns the kind of t as an option, looking through Optional and Sensitive.
func (t *Type) kind() string {
	if t == nil {
		return "other"
	}
	if (t.Kind == "optional" || t.Kind == "sensitive") && t.Of != nil {
		return t.Of.kind()
	}
	return t.Kind
}

// inner returns what is optional or sensitive in t.
func (t *Type) inner() *Type {
	for t != nil && (t.Kind == "optional" || t.Kind == "sensitive") && t.Of != nil {
		t = t.Of
	}
	return t
}

// secret reports whether values of t are hidden, or may be.
func (t *Type) secret() bool {
	if t == nil {
		return false
	}
	if t.Kind == "sensitive" || t.Kind == "optional" && t.Of.secret() {
		return true
	}
	for _, variant := range t.Variants {
		if variant.secret() {
			return true
		}
	}
	return false
}

// find returns the parameter that an option of that name is for: case does not matter, and neither does
// whether words are joined by - or _.
func (s *Signature) find(option string) *Parameter {
	fold := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }
	for i := range s.Parameters {
		if fold(s.Parameters[i].Name) == fold(option) {
			return &s.Parameters[i]
		}
	}
	return nil
}

var tag = regexp.MustCompile(`^@(summary|param|return|api|example)\b ?(.*)$`)

// document reads the comment above the plan: text, @summary, @param and @return.
func (s *Signature) document() {
	f, err := os.Open(s.File)
	if err != nil {
		return // documentation is a courtesy
	}
	defer f.Close()
	var comment []string
	scanner := bufio.NewScanner(f)
	for n := 1; n < s.Line && scanner.Scan(); n++ {
		if text, ok := strings.CutPrefix(strings.TrimSpace(scanner.Text()), "#"); ok {
			comment = append(comment, text)
		} else {
			comment = nil
		}
	}
	doc := map[string]*string{}
	for i := range s.Parameters {
		doc[s.Parameters[i].Name] = &s.Parameters[i].Doc
	}
	var skip string
	into := &s.Doc
	for _, line := range comment {
		text := strings.TrimSpace(line)
		if m := tag.FindStringSubmatch(text); m != nil {
			text = m[2]
			switch m[1] {
			case "summary":
				into = &s.Summary
			case "return":
				into = &s.Returns
			case "param":
				var name string
				name, text, _ = strings.Cut(text, " ")
				if into = doc[strings.TrimPrefix(name, "$")]; into == nil {
					into = &skip
				}
			default:
				into = &skip
			}
		}
		*into = strings.TrimSpace(*into + " " + text)
	}
}
