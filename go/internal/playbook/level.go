package playbook

import (
	"fmt"
	"slices"
	"strings"
)

// A Level says how much a line of the log matters. The levels are those of Puppet.
type Level int

// The levels.
const (
	Debug Level = iota
	Info
	Notice
	Warning
	Err
	Alert
	Emerg
	Crit
)

// levels have the name that Puppet uses and the word that lines begin with.
var levels = [...]struct {
	name, word string
	colour     string // of the terminal
}{
	Debug:   {"debug", "Debug", "36"},
	Info:    {"info", "Info", "32"},
	Notice:  {"notice", "Notice", ""},
	Warning: {"warning", "Warning", "93"},
	Err:     {"err", "Error", "91"},
	Alert:   {"alert", "Alert", "91"},
	Emerg:   {"emerg", "Emergency", "91"},
	Crit:    {"crit", "Critical", "91"},
}

// LevelNames lists the names of the levels, the gravest first.
func LevelNames() []string {
	var names []string
	for _, level := range slices.Backward(levels[:]) {
		names = append(names, level.name)
	}
	return names
}

// ParseLevel parses the name of a level.
func ParseLevel(name string) (Level, error) {
	for level := range levels {
		if levels[level].name == name {
			return Level(level), nil
		}
	}
	return Info, fmt.Errorf("level %q: want one of %s", name, strings.Join(LevelNames(), ", "))
}

// String returns the name that Puppet uses.
func (l Level) String() string { return levels[l].name }
