package playbook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// sensitive is the one member of the object that stands for a Sensitive value on the socket.
const sensitive = "__sensitive"

// shortest is how long a secret must be, in bytes, to be looked for inside of other text: shorter ones
// are in many words. A text that is nothing but a secret is masked however short it is.
const shortest = 4

// shortestLine is how long a line of a secret must be, in bytes, to be one by itself: a brace is not.
const shortestLine = 8

// Secrets are the values that must not be seen: in logs, results and reports they are masked. A nil
// Secrets masks nothing. The methods may be called concurrently.
type Secrets struct {
	mu       sync.Mutex
	whole    map[string]bool
	replacer *strings.Replacer // of those long enough
}

// Add makes every string and number in value a secret.
func (s *Secrets) Add(value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := len(s.whole)
	s.add(value)
	if len(s.whole) == known {
		return
	}
	var long []string
	for secret := range s.whole {
		if len(secret) >= shortest {
			long = append(long, secret)
		}
	}
	// The replacer takes the first that fits: a secret that contains another goes first.
	slices.SortFunc(long, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	var pairs []string
	for _, secret := range long {
		pairs = append(pairs, secret, Redacted)
	}
	s.replacer = strings.NewReplacer(pairs...)
}

func (s *Secrets) add(value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			s.add(item)
		}
	case map[string]any:
		for _, item := range value {
			s.add(item)
		}
	case string, json.Number:
		text := fmt.Sprint(value)
		if text == "" {
			return
		}
		if s.whole == nil {
			s.whole = map[string]bool{}
		}
		for _, form := range forms(text) {
			s.whole[form] = true
		}
		// A key of many lines is printed line by line.
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != text && len(line) >= shortestLine {
				for _, form := range forms(line) {
					s.whole[form] = true
				}
			}
		}
	}
}

// How Puppet writes a text into another one: in single quotes when it can.
var (
	singleQuoted = strings.NewReplacer(`'`, `\'`)
	doubleQuoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\t", `\t`, "\n", `\n`, "\r", `\r`)
)

// forms are a text as it is, and as it stands between quotes in JSON and in what Puppet prints.
func forms(text string) []string {
	list := []string{text, singleQuoted.Replace(text), doubleQuoted.Replace(text)}
	if quoted, err := json.Marshal(text); err == nil {
		list = append(list, string(quoted[1:len(quoted)-1]))
	}
	return list
}

// Mask returns text without secrets.
func (s *Secrets) Mask(text string) string {
	if s == nil {
		return text
	}
	s.mu.Lock()
	whole, replacer := s.whole[text], s.replacer
	s.mu.Unlock()
	if whole {
		return Redacted
	}
	if replacer == nil {
		return text
	}
	return replacer.Replace(text)
}

// In reports whether a secret is in text.
func (s *Secrets) In(text string) bool { return s.Mask(text) != text }

// Reveal returns value with every Sensitive in it replaced by what it hides, which becomes a secret.
func (s *Secrets) Reveal(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = s.Reveal(value[i])
		}
	case map[string]any:
		if hidden, ok := value[sensitive]; ok && len(value) == 1 {
			s.Add(hidden)
			return s.Reveal(hidden)
		}
		for key := range value {
			value[key] = s.Reveal(value[key])
		}
	}
	return value
}

// MaskJSON returns a JSON document without secrets, compact and in its order. What is Sensitive in it
// is replaced as a whole.
func (s *Secrets) MaskJSON(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out bytes.Buffer
	err := s.mask(d, &out)
	return out.Bytes(), err
}

func (s *Secrets) mask(d *json.Decoder, out *bytes.Buffer) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return s.maskList(d, out)
		}
		return s.maskObject(d, out)
	case string:
		return writeJSON(out, s.Mask(token))
	case json.Number:
		if text := token.String(); len(text) >= shortest && s.Mask(text) != text {
			return writeJSON(out, Redacted)
		}
		out.WriteString(token.String())
		return nil
	}
	return writeJSON(out, token)
}

func (s *Secrets) maskList(d *json.Decoder, out *bytes.Buffer) error {
	out.WriteByte('[')
	for first := true; d.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		if err := s.mask(d, out); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	_, err := d.Token()
	return err
}

func (s *Secrets) maskObject(d *json.Decoder, out *bytes.Buffer) error {
	start := out.Len()
	hidden := false
	out.WriteByte('{')
	for first := true; d.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return errors.New("an object whose key is no string")
		}
		hidden = first && key == sensitive
		if err := writeJSON(out, s.Mask(key)); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := s.mask(d, out); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	if hidden {
		out.Truncate(start)
		if err := writeJSON(out, Redacted); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// writeJSON writes value as JSON without escaping what only HTML needs escaped.
func writeJSON(out *bytes.Buffer, value any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	out.Truncate(max(0, out.Len()-1)) // the line end
	return err
}
