package agents

import (
	"fmt"
	"unicode/utf8"
)

// A head keeps the first bytes written to it and counts the rest.
type head struct {
	data []byte // at most maxPlain
	more int64  // bytes that were not kept
	open bool   // more may follow data
}

func (h *head) Write(p []byte) (int, error) {
	keep := min(len(p), maxPlain-len(h.data))
	h.data = append(h.data, p[:keep]...)
	h.more += int64(len(p) - keep)
	h.open = h.more > 0
	return len(p), nil
}

// share cuts two outputs so that they fit into one reply, and says at the end of each how much it lacks.
func share(a, b *head) (string, string) {
	textA, textB := shareParts(a, b)
	return textA + lacking(a, len(textA)), textB + lacking(b, len(textB))
}

func lacking(h *head, kept int) string {
	if n := int64(len(h.data)-kept) + h.more; n > 0 {
		return fmt.Sprintf("\n[output cut here: %d more bytes]\n", n)
	}
	return ""
}

// shareParts cuts two outputs so that they fit into one reply. Each may have half of the room and
// what the other does not need.
func shareParts(a, b *head) (string, string) {
	const room = maxPlain - 4096 // for the rest of the reply
	keepA, costA := a.prefix(room / 2)
	keepB, costB := b.prefix(room / 2)
	if keepA < len(a.data) {
		keepA, _ = a.prefix(room - costB)
	} else if keepB < len(b.data) {
		keepB, _ = b.prefix(room - costA)
	}
	return string(a.data[:keepA]), string(b.data[:keepB])
}

// prefix returns how many bytes, whole characters, may be sent when there is room for so many
// bytes, and how much of it they need. Quoting makes more of some bytes, in JSON and when that
// is quoted again; the factors are such that what fits by them also passes fits.
func (h *head) prefix(room int) (n, cost int) {
	text := h.data
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		c := size
		switch {
		case r == utf8.RuneError && size == 1:
			if h.open && !utf8.FullRune(text[n:]) {
				return n, cost // a character whose rest is not there yet
			}
			c = 6
		case r == '"' || r == '\\':
			c = 5 // 2 in JSON, 8 when quoted twice more
		case r < ' ' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' || r == 0x7f:
			c = 6 // written as \u001f
		}
		if cost+c > room {
			return n, cost
		}
		cost += c
		n += size
	}
	return n, cost
}
