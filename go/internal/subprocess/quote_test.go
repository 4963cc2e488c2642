package subprocess

import (
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":           "",
		" \n":        "",
		"a\nb\n":     `"a\nb"`,
		"caf\xe9 \"": `"caf? \""`,
		"first" + strings.Repeat("x", 10_000) + "last": `"first` + strings.Repeat("x", maxQuoted/2-5) + "…" + strings.Repeat("x", maxQuoted/2-4) + `last"`,
	} {
		if got := Quote([]byte(text)); got != want {
			t.Errorf("%.20q: %s, want %s", text, got, want)
		}
	}
}

// However a reader splits it, all that it has comes, and where it fails is told.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("line\n", 4<<10)
	lines := 0
	b := Buffer{Limit: 1 << 20, Line: func([]byte) { lines++ }}
	if n, err := b.ReadFrom(strings.NewReader(text)); n != int64(len(text)) || err != nil || string(b.Bytes()) != text || lines != 4<<10 {
		t.Errorf("%d bytes and %d lines of %d, %v", n, lines, len(text), err)
	}
}
