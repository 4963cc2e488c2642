// Package props reads the properties that plans give to tasks, node sources and data stores.
package props

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Props are the properties of one thing. The methods that read one remember the first value that is
// no good, for Err, and which names were asked for, for Unknown.
type Props struct {
	owner   string
	values  map[string]any
	known   map[string]bool
	secrets []string
	err     error
}

// New returns the properties of owner, which errors name: "task of type shell". Values are decoded
// JSON whose numbers are json.Number. Names that begin with an underscore are left out.
func New(owner string, values map[string]any) *Props {
	p := &Props{owner: owner, values: make(map[string]any, len(values)), known: map[string]bool{}}
	for name, value := range values {
		if !strings.HasPrefix(name, "_") {
			p.values[name] = value
		}
	}
	return p
}

// Err returns what was wrong with the properties read so far.
func (p *Props) Err() error { return p.err }

// Refuse makes p fail, with why as the reason that the property of that name is refused.
func (p *Props) Refuse(name, why string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("property %q of %s: %s", name, p.owner, fmt.Sprintf(why, args...))
	}
}

// Unknown returns the names that nobody has asked for, sorted.
func (p *Props) Unknown() []string {
	var unknown []string
	for name := range p.values {
		if !p.known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown) // mostly there are none
	return unknown
}

// Rest returns the properties that nobody has asked for yet, apart from those of some names, and takes them for known.
func (p *Props) Rest(without ...string) map[string]any {
	rest := map[string]any{}
	for _, name := range p.Unknown() {
		p.known[name] = true
		if !slices.Contains(without, name) {
			rest[name] = p.values[name]
		}
	}
	return rest
}

// Get returns the value of a property; a null is the same as none.
func (p *Props) Get(name string) (value any, ok bool) {
	p.known[name] = true
	value = p.values[name]
	return value, value != nil
}

// Has reports whether the property is there.
func (p *Props) Has(name string) bool {
	_, ok := p.Get(name)
	return ok
}

// Text reads a string.
func (p *Props) Text(name, def string) string {
	value, ok := p.Get(name)
	if !ok {
		return def
	}
	text, ok := value.(string)
	if !ok {
		p.Refuse(name, "want a string, got %s", Show(value))
	}
	return text
}

// Required reads a string that must be there and not be empty.
func (p *Props) Required(name string) string {
	text := p.Text(name, "")
	if text == "" {
		p.Refuse(name, "is required")
	}
	return text
}

// Path reads the name of a file; ~/ is the home directory of the user.
func (p *Props) Path(name string) string {
	path := p.Required(name)
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		home, err := os.UserHomeDir()
		if err != nil {
			p.Refuse(name, "%q: %s", path, err)
			return path
		}
		return filepath.Join(home, rest)
	}
	return path
}

// Choice reads a string that is one of choices.
func (p *Props) Choice(name, def string, choices ...string) string {
	text := p.Text(name, def)
	if !slices.Contains(choices, text) {
		p.Refuse(name, "want %s, got %q", strings.Join(choices, " or "), text)
	}
	return text
}

// Bool reads a boolean.
func (p *Props) Bool(name string, def bool) bool {
	value, ok := p.Get(name)
	if !ok {
		return def
	}
	b, ok := value.(bool)
	if !ok {
		p.Refuse(name, "want true or false, got %s", Show(value))
	}
	return b
}

// Switch reads a boolean, also one written as a word.
func (p *Props) Switch(name string, def bool) bool {
	value, ok := p.Get(name)
	if text, isText := value.(string); ok && isText {
		switch strings.ToLower(text) {
		case "true", "yes", "on", "1":
			return true
		case "false", "no", "off", "0":
			return false
		}
	}
	return p.Bool(name, def)
}

// Int reads a whole number, also one written as a string of digits, that is at least low.
func (p *Props) Int(name string, def, low int) int {
	value, ok := p.Get(name)
	if !ok {
		return def
	}
	n, err := strconv.Atoi(fmt.Sprint(value))
	if _, composite := value.([]any); err != nil || composite {
		p.Refuse(name, "want a whole number, got %s", Show(value))
		return def
	}
	if n < low {
		p.Refuse(name, "want at least %d, got %d", low, n)
	}
	return n
}

// Seconds reads a number of seconds that is not negative.
func (p *Props) Seconds(name string, def time.Duration) time.Duration {
	value, ok := p.Get(name)
	if !ok {
		return def
	}
	seconds, err := strconv.ParseFloat(fmt.Sprint(value), 64)
	if err != nil || !(seconds >= 0 && seconds <= 1e9) { // NaN is neither
		p.Refuse(name, "want seconds, got %s", Show(value))
		return def
	}
	return time.Duration(seconds * float64(time.Second))
}

// A Share is a number of things, or a percentage of them.
type Share struct {
	N       int
	Percent bool
}

// Of returns how many of n things s stands for, rounded down.
func (s Share) Of(n int) int {
	if s.Percent {
		return n * s.N / 100
	}
	return s.N
}

// Up is Of, rounded up.
func (s Share) Up(n int) int {
	if s.Percent {
		return (n*s.N + 99) / 100
	}
	return s.N
}

// Share reads a number or, with a percent sign, a percentage from 0 to 100.
func (p *Props) Share(name string, def Share) Share {
	value, ok := p.Get(name)
	if !ok {
		return def
	}
	text, percent := strings.CutSuffix(fmt.Sprint(value), "%")
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || percent && n > 100 {
		p.Refuse(name, "want a number or a percentage, got %s", Show(value))
		return def
	}
	return Share{N: n, Percent: percent}
}

// Strings reads an array of strings.
func (p *Props) Strings(name string) []string {
	value, ok := p.Get(name)
	if !ok {
		return nil
	}
	items, ok := value.([]any)
	if !ok {
		p.Refuse(name, "want an array of strings, got %s", Show(value))
		return nil
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			p.Refuse(name, "want an array of strings, got %s in it", Show(item))
			return nil
		}
		list = append(list, text)
	}
	return list
}

// List is Strings, and also takes one string for a list of one.
func (p *Props) List(name string) []string {
	if value, _ := p.Get(name); value != nil {
		if text, ok := value.(string); ok {
			return []string{text}
		}
	}
	return p.Strings(name)
}

// Map reads a hash.
func (p *Props) Map(name string) map[string]any {
	value, ok := p.Get(name)
	if !ok {
		return nil
	}
	m, ok := value.(map[string]any)
	if !ok {
		p.Refuse(name, "want a hash, got %s", Show(value))
	}
	return m
}

// StringMap reads a hash of strings. Numbers and booleans are taken as they are written.
func (p *Props) StringMap(name string) map[string]string {
	m := map[string]string{}
	for key, value := range p.Map(name) {
		switch value := value.(type) {
		case string:
			m[key] = value
		case json.Number, bool:
			m[key] = fmt.Sprint(value)
		default:
			p.Refuse(name, "want a hash of strings, got %s for %q", Show(value), key)
		}
	}
	return m
}

// Show writes a value for an error message, cut to a reasonable length.
func Show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%T", value)
	}
	const most = 80
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "…"
	}
	return string(text)
}
