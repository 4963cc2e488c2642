package assert

import (
	"fmt"
	"strings"
)

type kind int

const (
	testToken kind = iota
	andToken
	orToken
	notToken
	openToken
	closeToken
	openListToken
	closeListToken
)

// A token is a piece of an expression. Tests hold their parts.
type token struct {
	kind    kind
	text    string
	key, op string
	value   string
	quoted  bool // the value was quoted: it is text, and no regular expression
	regexp  bool // the value was written as /re/
}

var symbols = map[byte]kind{'(': openToken, ')': closeToken, '[': openListToken, ']': closeListToken}

var words = map[string]kind{"and": andToken, "&&": andToken, "or": orToken, "||": orToken, "not": notToken}

func scan(text string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case symbols[c] != 0:
			tokens = append(tokens, token{kind: symbols[c], text: text[i : i+1]})
			i++
		case c == '!' && !strings.HasPrefix(text[i:], "!="):
			tokens = append(tokens, token{kind: notToken, text: "!"})
			i++
		default:
			t, n, err := scanWord(text[i:])
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
			i += n
		}
	}
	return tokens, nil
}

// scanWord reads a word: and, or, not, or a test. It returns how many bytes it is long.
func scanWord(text string) (token, int, error) {
	end := strings.IndexAny(text, " \t\r\n()[]=!<>")
	if end < 0 {
		end = len(text)
	}
	key := text[:end]
	if kind, ok := words[key]; ok {
		return token{kind: kind, text: key}, end, nil
	}
	if len(key) > 1 && (key[0] == '+' || key[0] == '-') {
		return token{kind: testToken, text: key, key: key[1:], op: key[:1]}, end, nil
	}
	op := operator(text[end:])
	if key == "" || op == "" {
		return token{}, 0, fmt.Errorf("%q is no test: want key=value, without spaces, +key or -key", firstWord(text))
	}
	value, n, err := scanValue(text[end+len(op):])
	if err != nil {
		return token{}, 0, err
	}
	n += end + len(op)
	value.kind, value.text, value.key, value.op = testToken, text[:n], key, op
	if value.value == "" && !value.quoted {
		return token{}, 0, fmt.Errorf("%q: no value", value.text)
	}
	return value, n, nil
}

func operator(text string) string {
	for _, op := range []string{"!=", "<=", ">=", "<", ">", "="} {
		if strings.HasPrefix(text, op) {
			return op
		}
	}
	return ""
}

// scanValue reads the value of a test: quoted, /re/, or up to a space or closing bracket.
func scanValue(text string) (token, int, error) {
	if text == "" {
		return token{}, 0, nil
	}
	switch c := text[0]; c {
	case '\'', '"', '/':
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == c:
				return token{value: b.String(), quoted: c != '/', regexp: c == '/'}, i + 1, nil
			case text[i] == '\\' && i+1 < len(text) && text[i+1] == c:
				i++
			}
			b.WriteByte(text[i])
		}
		return token{}, 0, fmt.Errorf("missing closing %c", c)
	}
	end := strings.IndexAny(text, " \t\r\n()]")
	if end < 0 {
		end = len(text)
	}
	return token{value: text[:end]}, end, nil
}

func firstWord(text string) string {
	if i := strings.IndexAny(text, " \t\r\n"); i > 0 {
		return text[:i]
	}
	return text
}
