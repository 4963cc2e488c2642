package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A paint is how text stands out on a terminal: the parameters of the ANSI sequence.
type paint string

const (
	plain  paint = ""
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	white  paint = "97" // bright
	bold   paint = "1"
)

// A screen writes text for people. The zero value of color writes no escape sequences.
type screen struct {
	io.Writer
	color bool
}

// screenOn returns the screen on w. There are colours on a terminal, unless the configuration
// (color = false) or the environment (NO_COLOR, see no-color.org, and TERM=dumb) says otherwise.
func screenOn(w io.Writer, configured bool) *screen {
	color := configured && terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &screen{Writer: w, color: color}
}

// paint returns text in a colour.
func (s *screen) paint(p paint, text string) string {
	if !s.color || p == plain || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

func (s *screen) printf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// printable makes what a node or a file said harmless for a terminal: control characters, which could
// move the cursor or change what was printed before, become visible. Line ends and tabs stay.
func printable(text string) string {
	clean := func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && r != '\n' && r != '\t'
	}
	if strings.IndexFunc(text, clean) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\r' && strings.HasPrefix(text[size:], "\n"): // the line end of Windows
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// pad returns text followed by spaces up to width columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// padLeft returns text behind spaces up to width columns.
func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))) + text
}
