package discovery

import (
	"errors"
	"strings"
)

// SplitWords splits a command line as a shell does, with quotes and backslashes but nothing else.
func SplitWords(line string) ([]string, error) {
	var (
		args  []string
		arg   strings.Builder
		quote rune
		in    bool // in an argument
		skip  bool // after a backslash
	)
	for _, c := range line {
		switch {
		case skip:
			arg.WriteRune(c)
			skip = false
		case c == '\\' && quote != '\'':
			in, skip = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			arg.WriteRune(c)
		case c == '\'' || c == '"':
			in, quote = true, c
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				args = append(args, arg.String())
				arg.Reset()
				in = false
			}
		default:
			in = true
			arg.WriteRune(c)
		}
	}
	if quote != 0 || skip {
		return nil, errors.New("unfinished quote")
	}
	if in {
		args = append(args, arg.String())
	}
	return args, nil
}
