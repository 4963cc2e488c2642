package discovery

import "strings"

// anyCase returns a regular expression of PostgreSQL that matches what re does, in any case. Each
// letter that stands for itself becomes a set of both cases; PostgreSQL's own switch for this would
// have to stand at the very beginning, where others may be.
func anyCase(re string) string {
	var b strings.Builder
	for i := 0; i < len(re); {
		switch {
		case re[i] == '\\':
			n := escapeLen(re[i:])
			b.WriteString(re[i : i+n])
			i += n
		case re[i] == '[':
			n := anyCaseSet(&b, re[i:])
			i += n
		case re[i] == '(' && strings.HasPrefix(re[i:], "(?"):
			n := 2 // the letters of (?i) and (?:, which are not text
			for i+n < len(re) && isLetter(re[i+n]) {
				n++
			}
			b.WriteString(re[i : i+n])
			i += n
		case isLetter(re[i]):
			b.WriteByte('[')
			b.WriteByte(re[i] | 0x20)
			b.WriteByte(re[i] &^ 0x20)
			b.WriteByte(']')
			i++
		default:
			b.WriteByte(re[i])
			i++
		}
	}
	return b.String()
}

// anyCaseSet writes the bracket expression that re begins with, with the other case of all its
// letters, and returns how long it was. Without an end it is written as it is, for PostgreSQL to
// refuse.
func anyCaseSet(b *strings.Builder, re string) int {
	var set strings.Builder
	set.WriteByte('[')
	i := 1
	if i < len(re) && re[i] == '^' {
		set.WriteByte('^')
		i++
	}
	if i < len(re) && re[i] == ']' { // first, it is one of the set
		set.WriteByte(']')
		i++
	}
	for i < len(re) && re[i] != ']' {
		switch {
		case re[i] == '\\':
			n := escapeLen(re[i:])
			set.WriteString(re[i : i+n])
			i += n
		case re[i] == '[' && i+1 < len(re) && strings.IndexByte(":.=", re[i+1]) >= 0:
			n := len(re) - i
			if end := strings.Index(re[i+2:], re[i+1:i+2]+"]"); end >= 0 {
				n = 2 + end + 2
			}
			set.WriteString(re[i : i+n])
			i += n
		case i+2 < len(re) && re[i+1] == '-' && re[i+2] != ']' && re[i+2] != '\\' && re[i+2] != '[': // a range
			set.WriteString(re[i : i+3])
			if isLetter(re[i]) && isLetter(re[i+2]) && re[i]&0x20 == re[i+2]&0x20 {
				set.Write([]byte{re[i] ^ 0x20, '-', re[i+2] ^ 0x20})
			}
			i += 3
		case isLetter(re[i]):
			set.Write([]byte{re[i] | 0x20, re[i] &^ 0x20})
			i++
		default:
			set.WriteByte(re[i])
			i++
		}
	}
	if i == len(re) {
		b.WriteString(re)
		return len(re)
	}
	b.WriteString(set.String())
	b.WriteByte(']')
	return i + 1
}

// escapeLen returns the length of the escape that re begins with. Source: PostgreSQL manual, section
// 9.7.3.3; what is longer than two letters there are \cX, \xHHH, \uHHHH and \UHHHHHHHH.
func escapeLen(re string) int {
	if len(re) < 2 {
		return len(re)
	}
	most := 0
	switch re[1] {
	case 'c':
		return min(3, len(re))
	case 'u':
		most = 4
	case 'U':
		most = 8
	case 'x':
		most = len(re)
	}
	n := 2
	for n < len(re) && n < 2+most && strings.IndexByte("0123456789abcdefABCDEF", re[n]) >= 0 {
		n++
	}
	return n
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
