// Package config reads the key = value files of servers, brokers and clients into typed structs.
//
// Every key's type, default and text stand once, in the tags of Config. Lines are read in this order,
// later ones win: the main file, plugin.d/*.cfg beside it, for clients the choria.conf of each
// directory from the root down to the working directory, and the environment.
package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Source is where a value came from.
type Source struct {
	File string // empty: the built-in default. With Line 0 it says in words what is not a file
	Line int
}

// inCode is the source of what Set is given.
const inCode = "the program"

func (s Source) String() string {
	switch {
	case s.File == "":
		return "default"
	case s.Line == 0:
		return s.File
	}
	return s.File + ":" + strconv.Itoa(s.Line)
}

// at returns the source as the start of a message, empty for what has no place.
func (s Source) at() string {
	if s.File == "" || s.File == inCode {
		return ""
	}
	return s.String() + ": "
}

// New returns a configuration of defaults alone, for programs that configure in code. What is found
// out about the machine is left empty: Identity and SSLDir; see Complete.
func New() *Config {
	c := table().defaults
	return &c
}

// Set sets key as if it stood in a file; programs that configure in code use it. An empty value, as
// in a file, changes nothing.
func (c *Config) Set(key, value string) error {
	if err := c.set(key, strings.TrimSpace(value), Source{File: inCode}); err != nil {
		return err
	}
	c.derive()
	return nil
}

// set records one line and applies it.
func (c *Config) set(name, text string, src Source) error {
	if text == "" {
		return nil
	}
	t := table()
	k := t.lookup(name)
	if k != nil && name == k.Alias {
		name = k.Name
	}
	was, again := c.values[name]
	kept := text
	switch {
	case k == nil:
		if !again && t.unknown(name) {
			c.warnUnknown(name, src)
		}
	default:
		note, err := k.apply(c, text)
		if err != nil {
			return &ValueError{Source: src, Key: name, Value: shown(name, text), Err: err}
		}
		if note != "" {
			c.warn(src, fmt.Sprintf("%s: value %q: %s", name, text, note))
		}
		if again && k.Type == "paths" {
			kept = was.text + string(filepath.ListSeparator) + text
		} else if again && k.Type == "repeat" {
			kept = was.text + ", " + text
		}
	}
	if c.values == nil {
		c.values = map[string]value{}
	}
	c.values[name] = value{kept, src}
	return nil
}

// derive fills in what follows from other keys.
func (c *Config) derive() {
	if _, ok := c.values["collectives"]; !ok {
		name := "mcollective"
		if c.SecurityProvider == "choria" {
			name = "choria"
		}
		if len(c.Collectives) != 1 || c.Collectives[0] != name {
			c.Collectives = []string{name}
		}
	}
	if _, ok := c.values["main_collective"]; !ok {
		c.MainCollective = c.Collectives[0] // a list without names is refused
	}
	if _, ok := c.values["registration_collective"]; !ok {
		c.RegistrationCollective = c.MainCollective
	}
}

// maxWarnings is how many warnings are kept; more are only counted.
const maxWarnings = 50

func (c *Config) warn(src Source, text string) {
	if len(c.warnings) >= maxWarnings {
		c.unwarned++
		return
	}
	c.warnings = append(c.warnings, src.at()+text)
}

func (c *Config) warnUnknown(name string, src Source) {
	text := fmt.Sprintf("unknown key %q is ignored", name)
	if len(c.warnings) < maxWarnings { // finding near names takes longer than all else
		if near := Near(name); len(near) > 0 {
			text += fmt.Sprintf("; did you mean %s?", near[0])
		}
	}
	c.warn(src, text)
}

// Warnings returns what was accepted but deserves a warning, unknown keys among it, once each.
func (c *Config) Warnings() []string {
	if c.unwarned > 0 {
		return append(slices.Clone(c.warnings), fmt.Sprintf("and %d more", c.unwarned))
	}
	return c.warnings
}

// File returns the path of the main file, empty for a configuration made in code.
func (c *Config) File() string { return c.file }

// Keys returns, sorted, every key that was set, known to this package or not.
func (c *Config) Keys() []string { return slices.Sorted(maps.Keys(c.values)) }

// Raw returns the value of any key as written, known to this package or not. ok says whether it was
// set at all.
func (c *Config) Raw(key string) (value string, src Source, ok bool) {
	v, ok := c.values[canonical(key)]
	return v.text, v.src, ok
}

// Section returns what was set below prefix, which ends with a dot, by the rest of the key:
// Section("plugin.puppet.") is the settings of the plugin puppet. It never returns nil.
func (c *Config) Section(prefix string) map[string]string {
	section := map[string]string{}
	for name, v := range c.values {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			section[rest] = v.text
		}
	}
	return section
}

// Value returns what is in force for key: what was set, or else its default. It is a string, a bool,
// an int, a time.Duration, an fs.FileMode or a []string as Key.Type says, and a string for keys that
// this package does not know. ok is false when key is unknown and not set.
func (c *Config) Value(key string) (v any, src Source, ok bool) {
	set, isSet := c.values[canonical(key)]
	k := table().lookup(key)
	switch {
	case k == nil:
		return set.text, set.src, isSet
	case k.field >= 0:
		return reflect.ValueOf(c).Elem().Field(k.field).Interface(), set.src, true
	}
	text := k.Default
	if isSet {
		text = set.text
	}
	v, _, err := k.parse(text)
	if err != nil { // only the empty default of a type that has no empty value
		return k.zero(), set.src, true
	}
	switch n := v.(type) {
	case int64:
		if k.Type == "duration" {
			return time.Duration(n), set.src, true
		}
		return int(n), set.src, true
	case []string:
		if len(n) == 0 {
			return []string(nil), set.src, true
		}
	}
	return v, set.src, true
}

// Text returns the value in force for a key that has no field and is a string or path, empty when it
// is neither set nor known.
func (c *Config) Text(key string) string { return in[string](c, key) }

// Bool is to keys of type bool what Text is to strings.
func (c *Config) Bool(key string) bool { return in[bool](c, key) }

// Int is to keys of types int and port what Text is to strings.
func (c *Config) Int(key string) int { return in[int](c, key) }

// Duration is to keys of type duration what Text is to strings.
func (c *Config) Duration(key string) time.Duration { return in[time.Duration](c, key) }

// List is to keys that are lists what Text is to strings.
func (c *Config) List(key string) []string { return in[[]string](c, key) }

func in[T any](c *Config, key string) T {
	v, _, _ := c.Value(key)
	t, _ := v.(T)
	return t
}

// canonical returns the name that key is kept under.
func canonical(key string) string {
	if k := table().exact[key]; k != nil {
		return k.Name
	}
	return key
}
