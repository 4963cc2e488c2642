package props

import (
	"maps"
	"slices"
	"strings"
)

// Secret reads a string that nobody must see. A value that is refused is not shown.
func (p *Props) Secret(name string) string {
	value, ok := p.Get(name)
	if !ok {
		return ""
	}
	text, ok := value.(string)
	if !ok {
		p.Refuse(name, "want a string, got a %s", kind(value))
		return ""
	}
	p.Hide(text)
	return text
}

// Hide says that a value, or a part of one, is a secret.
func (p *Props) Hide(secret string) {
	if secret != "" && !slices.Contains(p.secrets, secret) {
		p.secrets = append(p.secrets, secret)
	}
}

// Secrets returns what has been read as secret so far: logs, results and reports must not show it.
func (p *Props) Secrets() []string { return p.secrets }

// Headers reads a hash of headers of HTTP, and hides those that carry credentials.
func (p *Props) Headers(name string) map[string]string {
	headers := p.StringMap(name)
	for _, header := range slices.Sorted(maps.Keys(headers)) {
		value := headers[header]
		if header == "" || strings.ContainsAny(header, " \t\r\n:\x00") || strings.ContainsAny(value, "\r\n\x00") {
			p.Refuse(name, "%q cannot be a header", header)
		}
		if !credential(header) {
			continue
		}
		p.Hide(value)
		if _, secret, ok := strings.Cut(value, " "); ok { // Bearer SECRET, Basic SECRET
			p.Hide(strings.TrimSpace(secret))
		}
	}
	return headers
}

// credential reports whether a header of that name carries a secret, going by what such headers are called.
func credential(header string) bool {
	header = strings.ToLower(header)
	return slices.ContainsFunc([]string{"auth", "cookie", "key", "password", "secret", "signature", "token"}, func(word string) bool {
		return strings.Contains(header, word)
	})
}

// kind is what a value is, for messages that must not show it.
func kind(value any) string {
	switch value.(type) {
	case map[string]any:
		return "hash"
	case []any:
		return "list"
	case bool:
		return "boolean"
	}
	return "number"
}
