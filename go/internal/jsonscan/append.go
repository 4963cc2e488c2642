package jsonscan

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendString appends text as a JSON string to dst. Only what must be escaped is; what is no UTF-8
// becomes U+FFFD.
func AppendString[T ~string | ~[]byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := plain(text, 0); i < len(text); i = plain(text, i) {
		c := text[i]
		if c >= utf8.RuneSelf {
			// A character is at most four bytes; converting more would copy the rest each time.
			r, n := utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, text[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, text[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"')
}

// AppendStrings appends list as a JSON array of strings to dst, which is never null.
func AppendStrings[T ~string](dst []byte, list []T) []byte {
	dst = append(dst, '[')
	for i, text := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, text)
	}
	return append(dst, ']')
}
