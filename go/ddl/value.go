package ddl

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// Text returns a JSON value as text: a string as it is, anything else as compact JSON with sorted
// keys. This is the form in which values are counted and compared. What is not JSON is returned
// as it is.
func Text(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "null"
	}
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	case '{', '[':
		v, err := decode(raw)
		if err != nil {
			break
		}
		return marshal(v)
	}
	return string(raw)
}

// decode decodes one JSON value, keeping numbers as they are written.
func decode(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// marshal encodes v without the escapes that HTML needs; keys come out sorted.
func marshal(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "null"
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}

// compact returns a copy of raw, which is valid JSON, without white space.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return bytes.Clone(raw)
	}
	return b.Bytes()
}

// shown returns v as it stands in messages: strings quoted, the rest as JSON, long ones cut.
func shown(v any) string {
	const most = 80
	if s, ok := v.(string); ok {
		return strconv.Quote(cut(s, most))
	}
	return cut(marshal(v), most)
}

// cut shortens s to at most n bytes and a mark, at a character's end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
