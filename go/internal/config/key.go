package config

import (
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Key is one key that a configuration file may have.
type Key struct {
	Name string // * stands for a name of the user's

	// Type is the form of the value:
	//
	//	string       any text
	//	bool         1, yes, true, y, t or 0, no, false, n, f in any case
	//	int, port    a whole number
	//	duration     see ParseDuration
	//	mode         the mode of a file, in octal
	//	path         ~ at the start is the home directory
	//	paths        paths separated as in PATH; a further line adds to it
	//	list         texts separated by commas; a further line replaces it
	//	hosts        a list of host:port or URLs, see ParseHost
	//	regexps      a list of regular expressions, each of which may stand between slashes
	//	repeat       a text; a further line adds one
	//	identity     letters, digits, _, - and .
	//	collective   a word without spaces and wildcards of subjects
	//	collectives  a list of these
	Type string

	Default string // as in a file; empty for the zero value
	Derived string // the default in words, where it depends on the machine or on other keys
	Enum    []string
	Alias   string
	Env     string
	Scope   string // of S, B and C: read by servers, brokers, clients
	Doc     string
	Section string

	min, max, cap int64 // of ints, and of durations in nanoseconds; cap 0 is none
	field         int   // in Config; -1 when the value is only kept as text
}

// zero returns what the key is when it has neither value nor default.
func (k *Key) zero() any {
	switch k.Type {
	case "bool":
		return false
	case "int", "port":
		return 0
	case "duration":
		return time.Duration(0)
	case "mode":
		return fs.FileMode(0)
	case "string", "path", "identity", "collective":
		return ""
	}
	return []string(nil)
}

// Secret reports whether the values of a key are not to be shown.
func Secret(key string) bool {
	_, last, _ := cutLast(key, ".")
	for _, word := range [...]string{"password", "passwd", "pass", "secret", "token", "seed"} {
		if last == word || strings.HasSuffix(last, "_"+word) {
			return true
		}
	}
	return false
}

// Known returns all keys that this package knows, in the order of their documentation.
func Known() []Key { return table().keys }

// Lookup returns the key called name, which may be an alias or an instance of one with a *.
func Lookup(name string) (Key, bool) {
	k := table().lookup(name)
	if k == nil {
		return Key{}, false
	}
	return *k, true
}

// A keyTable is Config's tags, read once for all configurations of the process.
type keyTable struct {
	keys     []Key
	exact    map[string]*Key // aliases too
	patterns []*Key
	obsolete map[string]bool
	defaults Config
}

// table is constant once made.
var table = sync.OnceValue(func() *keyTable {
	t := &keyTable{exact: map[string]*Key{}, obsolete: map[string]bool{}}
	typ := reflect.TypeFor[Config]()
	t.keys = make([]Key, 0, typ.NumField())
	section := ""
	for i := range typ.NumField() {
		f := typ.Field(i)
		if s, ok := f.Tag.Lookup("section"); ok {
			section = s
		}
		if _, ok := f.Tag.Lookup("key"); ok {
			k := keyOf(f, i)
			k.Section = section
			t.keys = append(t.keys, k)
		}
	}
	for i := range t.keys {
		k := &t.keys[i]
		if strings.Contains(k.Name, "*") {
			t.patterns = append(t.patterns, k)
			continue
		}
		t.exact[k.Name] = k
		if k.Alias != "" {
			t.exact[k.Alias] = k
		}
	}
	for _, name := range tolerated {
		t.obsolete[name] = true
	}
	for i := range t.keys {
		k := &t.keys[i]
		if k.Default == "" {
			continue
		}
		if _, err := k.apply(&t.defaults, k.Default); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", k.Name, err)) // a test makes the table
		}
	}
	t.defaults.derive()
	return t
})

// keyOf reads the tags of f, which is field i of Config.
func keyOf(f reflect.StructField, i int) Key {
	k := Key{
		Name: f.Tag.Get("key"), Type: f.Tag.Get("type"),
		Default: f.Tag.Get("default"), Derived: f.Tag.Get("derived"),
		Enum: strings.Fields(f.Tag.Get("enum")), Alias: f.Tag.Get("alias"), Env: f.Tag.Get("env"),
		Scope: f.Tag.Get("scope"), Doc: f.Tag.Get("doc"),
		min: math.MinInt64, max: math.MaxInt64, field: i,
	}
	if f.Name == "_" {
		k.field = -1
	}
	if k.Type == "" {
		switch f.Type {
		case reflect.TypeFor[bool]():
			k.Type = "bool"
		case reflect.TypeFor[int]():
			k.Type = "int"
		case reflect.TypeFor[time.Duration]():
			k.Type = "duration"
		case reflect.TypeFor[fs.FileMode]():
			k.Type = "mode"
		case reflect.TypeFor[[]string]():
			k.Type = "list"
		default:
			k.Type = "string"
		}
	}
	bound := func(tag string, to *int64) {
		text := f.Tag.Get(tag)
		if text == "" {
			return
		}
		if k.Type == "duration" {
			d, err := ParseDuration(text)
			if err != nil {
				panic(fmt.Sprintf("config: %s of %s: %v", tag, k.Name, err))
			}
			*to = int64(d)
			return
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("config: %s of %s: %v", tag, k.Name, err))
		}
		*to = n
	}
	switch k.Type {
	case "port":
		k.min, k.max = 0, 65535
	case "duration":
		k.min = 0
	}
	bound("min", &k.min)
	bound("max", &k.max)
	bound("cap", &k.cap)
	return k
}

// lookup returns the key called name, which may be an alias or an instance of a pattern.
func (t *keyTable) lookup(name string) *Key {
	if k := t.exact[name]; k != nil {
		return k
	}
	for _, k := range t.patterns {
		before, after, _ := strings.Cut(k.Name, "*")
		middle, ok := strings.CutPrefix(name, before)
		if !ok {
			continue
		}
		middle, ok = strings.CutSuffix(middle, after)
		if ok && middle != "" && !strings.Contains(middle, ".") {
			return k
		}
	}
	return nil
}

// ours are the names below plugin. that the keys of this package have; below all others stand the
// settings of plugins, which nobody here knows.
var ours = [...]string{
	"actionpolicy", "choria", "login", "machines", "nats", "regopolicy", "rpcaudit", "scout", "security", "yaml",
}

// unknown reports whether name is worth a warning.
func (t *keyTable) unknown(name string) bool {
	if t.lookup(name) != nil || t.obsolete[name] {
		return false
	}
	rest, ok := strings.CutPrefix(name, "plugin.")
	if !ok {
		return true
	}
	plugin, _, ok := strings.Cut(rest, ".")
	return !ok || slices.Contains(ours[:], plugin)
}

// maxName is the longest name that can be a slip of the finger.
const maxName = 100

// Near returns the known keys that name may have been meant for, the likeliest first.
func Near(name string) []string {
	type candidate struct {
		name string
		far  int
	}
	if len(name) > maxName {
		return nil
	}
	var found []candidate
	limit := max(2, 1+len(name)/8)
	_, last, _ := cutLast(name, ".")
	for _, k := range table().keys {
		if strings.Contains(k.Name, "*") {
			continue
		}
		far := limit + 1
		if d := len(name) - len(k.Name); d <= limit && -d <= limit {
			far = distance(name, k.Name)
		}
		if _, l, _ := cutLast(k.Name, "."); last == l || len(name) > 3 && strings.Contains(k.Name, name) {
			far = min(far, 2) // the right name in the wrong place, or a part of it
		}
		if far <= limit {
			found = append(found, candidate{k.Name, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	var names []string
	for _, c := range found[:min(len(found), 3)] {
		names = append(names, c.name)
	}
	return names
}

// distance returns how many bytes are to be changed, put in or taken out to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
