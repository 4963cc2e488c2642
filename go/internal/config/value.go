package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wanted is why a value does not parse: what would have.
type wanted string

func (w wanted) Error() string { return "want " + string(w) }

// apply parses text and puts it into c. The note is what deserves a warning.
func (k *Key) apply(c *Config, text string) (note string, err error) {
	v, note, err := k.parse(text)
	if err != nil || k.field < 0 {
		return note, err
	}
	f := reflect.ValueOf(c).Elem().Field(k.field)
	switch v := v.(type) {
	case string:
		f.SetString(v)
	case bool:
		f.SetBool(v)
	case int64:
		f.SetInt(v)
	case fs.FileMode:
		f.SetUint(uint64(v))
	case []string:
		if k.accumulates() {
			if f.Len() > maxItems {
				return "", wanted(fmt.Sprintf("at most %d items in all", maxItems))
			}
			v = slices.Concat(f.Interface().([]string), v) // never in place: defaults are shared
		}
		f.Set(reflect.ValueOf(v))
	}
	return note, nil
}

// maxItems bounds what lines may add up to.
const maxItems = 1000

// accumulates reports whether a further line adds to the value.
func (k *Key) accumulates() bool { return k.Type == "paths" || k.Type == "repeat" }

// parse returns text as a string, bool, int64, fs.FileMode or []string, as Type says.
func (k *Key) parse(text string) (v any, note string, err error) {
	switch k.Type {
	case "bool":
		v, err = ParseBool(text)
	case "int", "port":
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil || n < k.min || n > k.max {
			return nil, "", k.wantNumber()
		}
		v = n
	case "duration":
		d, err := ParseDuration(text)
		if err != nil {
			return nil, "", err
		}
		if int64(d) < k.min || int64(d) > k.max {
			return nil, "", wanted("at least " + FormatDuration(time.Duration(k.min)))
		}
		if k.cap > 0 && int64(d) > k.cap {
			d = time.Duration(k.cap)
			note = "using the largest that is accepted, " + FormatDuration(d)
		}
		return int64(d), note, nil
	case "mode":
		n, err := strconv.ParseUint(text, 8, 32)
		if err != nil || n > 0o777 {
			return nil, "", wanted("a file mode in octal, as 0640")
		}
		v = fs.FileMode(n)
	case "path":
		v = expand(text)
	case "paths":
		var list []string
		for _, p := range filepath.SplitList(text) {
			if p = strings.TrimSpace(p); p != "" {
				list = append(list, expand(p))
			}
		}
		v = list
	case "repeat":
		v = []string{text}
	case "list", "hosts", "regexps", "collectives":
		v, err = k.list(text)
	case "identity":
		v, err = text, checkIdentity(text)
	case "collective":
		v, err = text, checkCollective(text)
	default:
		if len(k.Enum) > 0 {
			v, err = oneOf(k.Enum, text)
			break
		}
		v = text
	}
	return v, "", err
}

func (k *Key) wantNumber() error {
	switch {
	case k.max < math.MaxInt64:
		return wanted(fmt.Sprintf("a whole number from %d to %d", k.min, k.max))
	case k.min > math.MinInt64:
		return wanted(fmt.Sprintf("a whole number, at least %d", k.min))
	}
	return wanted("a whole number")
}

// list parses the types that are separated by commas.
func (k *Key) list(text string) ([]string, error) {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		var err error
		switch k.Type {
		case "hosts":
			_, err = ParseHost(item)
		case "regexps":
			if n := len(item); n > 2 && item[0] == '/' && item[n-1] == '/' {
				item = item[1 : n-1]
			}
			if _, e := regexp.Compile(item); e != nil {
				err = wanted(fmt.Sprintf("regular expressions, and %q is none: %v", item, e))
			}
		case "collectives":
			if slices.Contains(list, item) {
				continue
			}
			err = checkCollective(item)
		default:
			if len(k.Enum) > 0 {
				item, err = oneOf(k.Enum, item)
			}
		}
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	if k.Type == "collectives" && len(list) == 0 {
		return nil, wanted("at least one name")
	}
	return list, nil
}

// oneOf returns the word of words that text is, in any case.
func oneOf(words []string, text string) (string, error) {
	for _, w := range words {
		if strings.EqualFold(w, text) {
			return w, nil
		}
	}
	return "", wanted("one of " + strings.Join(words, ", "))
}

// checkIdentity accepts [\w.\-]+, the form of node names in subjects and caller ids.
func checkIdentity(text string) error {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return wanted("letters, digits, _, - and . alone")
		}
	}
	if text == "" {
		return wanted("a name")
	}
	return nil
}

// checkCollective refuses what would make another subject of a collective's.
func checkCollective(text string) error {
	if text == "" || strings.ContainsAny(text, "*> \t\r\n\x00") {
		return wanted("names without spaces, * and >")
	}
	return nil
}

// ParseBool parses a boolean as configuration files write it: 1, yes, true, y, t or 0, no, false, n,
// f in any case.
func ParseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "yes", "true", "y", "t":
		return true, nil
	case "0", "no", "false", "n", "f":
		return false, nil
	}
	return false, wanted("true or false (also yes, no, 1, 0, y, n, t, f)")
}

// units of a duration. A month is 30 days, a year 365.
var units = [...]struct {
	name string
	is   time.Duration
}{
	{"ns", time.Nanosecond}, {"us", time.Microsecond}, {"µs", time.Microsecond}, {"ms", time.Millisecond},
	{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour},
	{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"M", 30 * 24 * time.Hour}, {"y", 365 * 24 * time.Hour},
}

const wantDuration = wanted("seconds, or numbers with the units ms, s, m, h, d, w, M (30 d), y, as 1h30m")

// ParseDuration parses a duration as configuration files write it: plain integers are seconds, and
// besides the units of Go there are d, w, M (30 days) and y (365 days). It is never negative.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, wantDuration
	}
	if n, err := strconv.ParseUint(text, 10, 63); err == nil {
		if n > math.MaxInt64/uint64(time.Second) {
			return 0, wanted("at most 292 years")
		}
		return time.Duration(n) * time.Second, nil
	}
	var sum float64
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		n, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return 0, wantDuration
		}
		rest = rest[digits:]
		end := strings.IndexAny(rest, "0123456789.")
		if end < 0 {
			end = len(rest)
		}
		i := slices.IndexFunc(units[:], func(u struct {
			name string
			is   time.Duration
		}) bool {
			return u.name == rest[:end]
		})
		if i < 0 {
			return 0, wantDuration
		}
		rest = rest[end:]
		sum += n * float64(units[i].is)
	}
	if sum >= math.MaxInt64 {
		return 0, wanted("at most 292 years")
	}
	return time.Duration(math.Round(sum)), nil
}

// FormatDuration writes d as a person would: 24h and not 24h0m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseHost parses one item of a list of hosts: host:port, or scheme://host:port with the scheme
// nats, tls or wss, and with IPv6 addresses in brackets. The URL has a scheme, nats when item has
// none, and may have a user and password.
func ParseHost(item string) (*url.URL, error) {
	const want = wanted("host:port, nats://host:port, tls://host:port or wss://host:port, separated by commas")
	text := item
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, want
	}
	switch u.Scheme {
	case "nats", "tls", "wss":
	default:
		return nil, want
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil || host == "" || strings.ContainsAny(host, " \t") {
		return nil, want
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, want
	}
	if u.Path != "" && u.Scheme != "wss" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, want
	}
	return u, nil
}

// expand replaces ~ at the start of path by the home directory.
func expand(path string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && !os.IsPathSeparator(rest[0]) {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}

// A ValueError says which value does not parse and what would.
type ValueError struct {
	Source Source
	Key    string
	Value  string // without passwords
	Err    error
}

func (e *ValueError) Error() string {
	return e.Source.at() + fmt.Sprintf("%s: value %q: %v", e.Key, e.Value, e.Err)
}

func (e *ValueError) Unwrap() error { return e.Err }

// Hint returns what to do about it.
func (e *ValueError) Hint() string {
	var w wanted
	switch {
	case !errors.As(e.Err, &w) || e.Source.File == "" || e.Source.File == inCode:
		return ""
	case e.Source.Line == 0:
		return "correct or remove the " + e.Source.File
	}
	return fmt.Sprintf("correct or remove line %d of %s", e.Source.Line, e.Source.File)
}

// Mask returns text as it may be shown: without the passwords of URLs, and nothing of it when key is a
// secret.
func Mask(key, text string) string {
	if Secret(key) && text != "" {
		return Masked
	}
	return maskURLs(text)
}

// shown returns text as it is quoted in messages: masked and short.
func shown(key, text string) string {
	text = Mask(key, text)
	if r := []rune(text); len(r) > 120 {
		text = string(r[:120]) + "…"
	}
	return text
}

// Format writes a value of k, as Value returns it, as a file would have it.
func (k Key) Format(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case time.Duration:
		return FormatDuration(v)
	case fs.FileMode:
		return fmt.Sprintf("%04o", uint32(v))
	case []string:
		if k.Type == "paths" {
			return strings.Join(v, string(filepath.ListSeparator))
		}
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(v)
}

// Masked is shown in place of a secret.
const Masked = "(masked)"

// maskURLs replaces what stands between :// and @, which may hold a password.
func maskURLs(text string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "://")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexAny(after, ",/ ")
		if end < 0 {
			end = len(after)
		}
		if at := strings.LastIndexByte(after[:end], '@'); at >= 0 {
			b.WriteString(Masked)
			after = after[at:]
		}
		text = after
	}
}
