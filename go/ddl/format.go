package ddl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// format is printf for formats from descriptions. They are written for other languages, so a value
// is converted to what its verb takes, missing values are empty, and a verb that is not known
// stands as it is. Widths are bounded.
func format(f string, values ...any) string {
	var b strings.Builder
	next := 0
	for {
		i := strings.IndexByte(f, '%')
		if i < 0 {
			b.WriteString(f)
			return b.String()
		}
		b.WriteString(f[:i])
		f = f[i:]
		if strings.HasPrefix(f, "%%") {
			b.WriteByte('%')
			f = f[2:]
			continue
		}
		spec, arg, verb, ok := directive(f, &next)
		if !ok {
			b.WriteByte('%')
			f = f[1:]
			continue
		}
		f = f[spec.length:]
		if arg < len(values) {
			fmt.Fprintf(&b, "%"+spec.flags+string(verb), convert(values[arg], verb))
		}
	}
}

type directiveSpec struct {
	flags  string // flags, width and precision
	length int    // of the directive in the format
}

// directive reads the directive at the start of f, which is a percent sign. It also returns the
// number of the value it takes and the verb in Go.
func directive(f string, next *int) (spec directiveSpec, arg int, verb rune, ok bool) {
	i := 1
	digits := func() string {
		start := i
		for i < len(f) && f[i] >= '0' && f[i] <= '9' {
			i++
		}
		return f[start:i]
	}
	arg = -1
	if n := digits(); n != "" && i < len(f) && f[i] == '$' { // %2$s takes the second value
		number, err := strconv.Atoi(n)
		if err != nil || number < 1 || number > 9 {
			return spec, 0, 0, false
		}
		arg = number - 1
		i++
	} else {
		i = 1
	}
	var flags strings.Builder
	for i < len(f) && strings.IndexByte("-+ 0#", f[i]) >= 0 && flags.Len() < 5 {
		flags.WriteByte(f[i])
		i++
	}
	if w := digits(); len(w) <= 3 {
		flags.WriteString(w)
	}
	if i < len(f) && f[i] == '.' {
		i++
		if p := digits(); len(p) <= 2 {
			flags.WriteString("." + p)
		}
	}
	if i == len(f) {
		return spec, 0, 0, false
	}
	switch f[i] {
	case 's', 'p':
		verb = 's'
	case 'd', 'i', 'u':
		verb = 'd'
	case 'f', 'e', 'g', 'E', 'G':
		verb = rune(f[i])
	default:
		return spec, 0, 0, false
	}
	if arg < 0 {
		arg = *next
		*next++
	}
	return directiveSpec{flags.String(), i + 1}, arg, verb, true
}

// convert returns v as the type that verb takes.
func convert(v any, verb rune) any {
	switch verb {
	case 's':
		if f, ok := v.(float64); ok {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
		return fmt.Sprint(v)
	case 'd':
		if f, ok := v.(float64); ok {
			return int64(f)
		}
		if s, ok := v.(string); ok {
			n, _ := strconv.ParseFloat(s, 64)
			return int64(n)
		}
		return v
	}
	switch n := v.(type) {
	case int:
		return float64(n)
	case string:
		f, _ := strconv.ParseFloat(n, 64)
		return f
	}
	return v
}

// width is the number of columns of s, taking one for each character.
func width(s string) int { return utf8.RuneCountInString(s) }
