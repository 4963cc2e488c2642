package subprocess

import (
	"bytes"
	"fmt"
	"strings"
)

// maxQuoted is how much of foreign text is passed on, in bytes.
const maxQuoted = 1 << 10

// Quote returns foreign text for people, short and in quotes; blank text gives none. What is long loses
// its middle: why a program has failed stands first in what Ruby writes, and last in what Python does.
func Quote(text []byte) string {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return ""
	}
	if len(text) > maxQuoted {
		const half = maxQuoted / 2
		return fmt.Sprintf("%q", valid(text[:half])+"…"+valid(text[len(text)-half:]))
	}
	return fmt.Sprintf("%q", valid(text))
}

func valid(text []byte) string { return strings.ToValidUTF8(string(text), "?") }
