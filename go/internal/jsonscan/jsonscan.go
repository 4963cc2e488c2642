// Package jsonscan reads and writes JSON of known shapes without reflection.
//
// It reads what encoding/json reads, with the same strings and numbers out of it (a fuzz test holds
// the two together), and differs in three points, all of them stricter: member names are compared
// exactly, a name that is asked for may stand only once in an object, and nesting has a limit.
package jsonscan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may be nested.
const MaxDepth = 100

var errEnd = errors.New("json: unexpected end")

// A Scanner reads one JSON text from front to back. After an error it is of no further use.
type Scanner struct {
	data  []byte
	pos   int
	depth int
}

// New returns a scanner of data, which it does not change.
func New(data []byte) Scanner { return Scanner{data: data} }

// Kind returns what the next value is: one of { [ " t f n, 0 for a number, and e at the end and for
// what can start no value.
func (s *Scanner) Kind() byte {
	s.space()
	if s.pos >= len(s.data) {
		return 'e'
	}
	switch c := s.data[s.pos]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return 'e'
}

// End returns an error when anything but white space is left.
func (s *Scanner) End() error {
	s.space()
	if s.pos < len(s.data) {
		return s.unexpected("the end")
	}
	return nil
}

// Null reports whether the next value is null, and reads it if so.
func (s *Scanner) Null() bool {
	return s.Kind() == 'n' && s.word("null") == nil
}

// Object reads an object. It calls member with the index in names of each member that stands there;
// member must read the value. Other members are skipped. Bit i of seen is set when names[i] was
// there, so at most 64 names can be asked for.
func (s *Scanner) Object(names []string, member func(i int) error) (seen uint64, err error) {
	if err := s.open('{'); err != nil {
		return 0, err
	}
	defer func() { s.depth-- }()
	if s.closed('}') {
		return 0, nil
	}
	for {
		if s.Kind() != '"' {
			return 0, s.unexpected("a member name")
		}
		name, err := s.Bytes()
		if err != nil {
			return 0, err
		}
		s.space()
		if s.pos >= len(s.data) || s.data[s.pos] != ':' {
			return 0, s.unexpected("a colon")
		}
		s.pos++
		i := index(names, name)
		switch {
		case i < 0:
			err = s.Skip()
		case seen&(1<<i) != 0:
			err = fmt.Errorf("json: member %q stands twice", name)
		default:
			seen |= 1 << i
			if err = member(i); err != nil {
				err = fmt.Errorf("%s: %w", names[i], err)
			}
		}
		if err != nil {
			return 0, err
		}
		if more, err := s.next('}'); !more {
			return seen, err
		}
	}
}

func index(names []string, name []byte) int {
	for i, n := range names {
		if n == string(name) {
			return i
		}
	}
	return -1
}

// Array reads an array. It calls element in front of each element, which element must read.
func (s *Scanner) Array(element func() error) error {
	if err := s.open('['); err != nil {
		return err
	}
	defer func() { s.depth-- }()
	if s.closed(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if more, err := s.next(']'); !more {
			return err
		}
	}
}

// Skip reads any value.
func (s *Scanner) Skip() error {
	switch s.Kind() {
	case '{':
		_, err := s.Object(nil, nil)
		return err
	case '[':
		return s.Array(s.Skip)
	case '"':
		_, err := s.Bytes()
		return err
	case '0':
		_, err := s.number()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.unexpected("a value")
}

// Raw reads any value and returns its text, which is part of what the scanner was made with.
func (s *Scanner) Raw() ([]byte, error) {
	s.space()
	from := s.pos
	if err := s.Skip(); err != nil {
		return nil, err
	}
	return s.data[from:s.pos:s.pos], nil
}

// Int reads a number without fraction and exponent.
func (s *Scanner) Int() (int64, error) {
	if s.Kind() != '0' {
		return 0, s.unexpected("an integer")
	}
	text, err := s.number()
	if err != nil {
		return 0, err
	}
	digits, negative := text, false
	if text[0] == '-' {
		digits, negative = text[1:], true
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("json: %s is no integer", text)
		}
		if n > math.MaxInt64/10 {
			return 0, fmt.Errorf("json: %.20s is out of range", text)
		}
		n = n*10 + uint64(c-'0')
	}
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("json: %.20s is out of range", text)
	}
	if negative {
		return -int64(n), nil
	}
	return int64(n), nil
}

// String reads a string.
func (s *Scanner) String() (string, error) {
	b, err := s.Bytes()
	return string(b), err
}

// Bytes reads a string. Where no character was escaped the result is part of what the scanner was
// made with, else it is a fresh copy.
func (s *Scanner) Bytes() ([]byte, error) {
	if s.Kind() != '"' {
		return nil, s.unexpected("a string")
	}
	from := s.pos + 1
	end := plain(s.data, from)
	if end < len(s.data) && s.data[end] == '"' {
		s.pos = end + 1
		return s.data[from:end:end], nil
	}
	return s.unescape(from, end)
}

// plain returns the index of the first byte at or after i that does not stand for itself in a
// string: a quote, a backslash, a control character or the start of what may be no UTF-8.
func plain[T ~string | ~[]byte](data T, i int) int {
	const ones = 0x0101010101010101
	for ; i+8 <= len(data); i += 8 {
		w := uint64(data[i]) | uint64(data[i+1])<<8 | uint64(data[i+2])<<16 | uint64(data[i+3])<<24 |
			uint64(data[i+4])<<32 | uint64(data[i+5])<<40 | uint64(data[i+6])<<48 | uint64(data[i+7])<<56
		// The high bit of a byte is set in zero(x) when that byte of x is 0, and in w-ones*0x20 when
		// that byte of w is below 0x20. Borrows make false alarms behind a true one, never before.
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if ((quote-ones)&^quote|(slash-ones)&^slash|(w-ones*0x20)|w)&(ones*0x80) != 0 {
			break
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c == '"' || c == '\\' || c < 0x20 || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// unescape reads on in a string that begins at from and stands for itself up to i.
func (s *Scanner) unescape(from, i int) ([]byte, error) {
	end := closing(s.data, i)
	if end < 0 {
		return nil, errEnd
	}
	// Escape sequences are longer than what they stand for, so this is enough unless the text is no UTF-8.
	out := make([]byte, 0, end-from)
	for {
		out = append(out, s.data[from:i]...)
		if i >= len(s.data) {
			return nil, errEnd
		}
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			return out, nil
		case c == '\\':
			r, n, err := s.escape(i)
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
			i += n
		case c < 0x20:
			return nil, fmt.Errorf("json: control character %#02x in a string, at byte %d", c, i)
		default:
			r, n := utf8.DecodeRune(s.data[i:]) // what is no UTF-8 becomes U+FFFD, byte for byte
			out = utf8.AppendRune(out, r)
			i += n
		}
		from = i
		i = plain(s.data, i)
	}
}

// closing returns the index of the quote that ends a string of which i is not within an escape
// sequence, or -1.
func closing(data []byte, i int) int {
	for from := i; ; i++ {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for i-slashes > from && data[i-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// escape returns the character that the escape sequence at i stands for and how long it is.
func (s *Scanner) escape(i int) (r rune, n int, err error) {
	if i+1 >= len(s.data) {
		return 0, 0, errEnd
	}
	switch c := s.data[i+1]; c {
	case '"', '\\', '/':
		return rune(c), 2, nil
	case 'b':
		return '\b', 2, nil
	case 'f':
		return '\f', 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case 'u':
		r := s.hex4(i + 2)
		if r < 0 {
			break
		}
		if !utf16.IsSurrogate(r) {
			return r, 6, nil
		}
		if i+7 < len(s.data) && s.data[i+6] == '\\' && s.data[i+7] == 'u' {
			if pair := utf16.DecodeRune(r, s.hex4(i+8)); pair != utf8.RuneError {
				return pair, 12, nil
			}
		}
		return utf8.RuneError, 6, nil // half a pair
	}
	return 0, 0, fmt.Errorf("json: no such escape sequence, at byte %d", i)
}

// hex4 returns the number that four hexadecimal digits at i are, or -1.
func (s *Scanner) hex4(i int) rune {
	if i+4 > len(s.data) {
		return -1
	}
	var r rune
	for _, c := range s.data[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number reads a number and returns its text.
func (s *Scanner) number() ([]byte, error) {
	from := s.pos
	if s.at('-') {
		s.pos++
	}
	switch {
	case s.at('0'):
		s.pos++
	case !s.digits():
		return nil, s.unexpected("a digit")
	}
	if s.at('.') {
		s.pos++
		if !s.digits() {
			return nil, s.unexpected("a digit")
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if !s.digits() {
			return nil, s.unexpected("a digit")
		}
	}
	return s.data[from:s.pos], nil
}

func (s *Scanner) digits() bool {
	from := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > from
}

func (s *Scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *Scanner) word(w string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return s.unexpected("a value")
	}
	s.pos += len(w)
	return nil
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// open reads the bracket that begins an object or array.
func (s *Scanner) open(bracket byte) error {
	s.space()
	if !s.at(bracket) {
		if bracket == '{' {
			return s.unexpected("an object")
		}
		return s.unexpected("an array")
	}
	if s.depth >= MaxDepth {
		return fmt.Errorf("json: nested deeper than %d", MaxDepth)
	}
	s.depth++
	s.pos++
	return nil
}

// closed reports whether the bracket that ends an object or array is next, and reads it if so.
func (s *Scanner) closed(bracket byte) bool {
	s.space()
	if s.at(bracket) {
		s.pos++
		return true
	}
	return false
}

// next reads the comma before the next member or element, or the bracket that ends them.
func (s *Scanner) next(bracket byte) (more bool, err error) {
	if s.closed(bracket) {
		return false, nil
	}
	if s.at(',') {
		s.pos++
		return true, nil
	}
	return false, s.unexpected("a comma or " + string(rune(bracket)))
}

func (s *Scanner) unexpected(want string) error {
	if s.pos >= len(s.data) {
		return errEnd
	}
	return fmt.Errorf("json: want %s, got %q at byte %d", want, s.data[s.pos], s.pos)
}
