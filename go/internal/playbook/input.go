package playbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"choria.io/choria/go/internal/playbook/props"
)

// isJSON reports whether text is meant as a JSON array or object.
func isJSON(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")
}

// decode decodes one JSON document; numbers become json.Number.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if d.More() {
		return nil, errors.New("is more than one JSON document")
	}
	return value, nil
}

// convert turns the text of an option into a value of type t. Only the shape is made sure of; Puppet checks
// the value.
func convert(t *Type, text string) (any, error) {
	switch t.kind() {
	case "boolean":
		if text == "true" || text == "false" {
			return text == "true", nil
		}
		return nil, fmt.Errorf("want true or false, got %q", text)
	case "integer":
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("want a whole number, got %q", text)
	case "float", "numeric":
		if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			return nil, fmt.Errorf("want a number, got %q", text)
		}
		if t.kind() == "float" && !strings.ContainsAny(text, ".eE") {
			text += ".0" // Puppet tells 1 from 1.0
		}
		return json.Number(text), nil
	case "array", "hash", "struct":
		value, err := decode(text)
		_, list := value.([]any)
		_, object := value.(map[string]any)
		if err == nil && (t.kind() == "array") == list && list != object {
			return value, nil
		}
		return nil, fmt.Errorf("want a JSON %s, got %q", map[bool]string{true: "array", false: "object"}[t.kind() == "array"], text)
	case "variant":
		return convertVariant(t.inner(), text), nil
	}
	return text, nil
}

// variant returns the first variant of a kind; struct counts as hash.
func (t *Type) variant(kind string) *Type {
	for _, v := range t.Variants {
		if k := v.kind(); k == kind || kind == "hash" && k == "struct" {
			return v.inner()
		}
	}
	return nil
}

// convertVariant tries the variants, those that take few texts first: what is left for strings are the texts
// that nothing else takes.
func convertVariant(t *Type, text string) any {
	for _, kind := range []string{"enum", "boolean", "integer", "float", "numeric", "array", "hash"} {
		v := t.variant(kind)
		switch {
		case v == nil:
		case kind == "enum":
			if slices.Contains(v.Values, text) {
				return text
			}
		default:
			if value, err := convert(v, text); err == nil {
				return value
			}
		}
	}
	if list := t.variant("array"); list != nil && t.variant("string") == nil && t.variant("other") == nil {
		if item, err := convert(list.Of, text); err == nil {
			return []any{item}
		}
	}
	return text
}

// readInput reads the parameters of one --input: JSON, or @FILE.
func readInput(input string, stdin []byte) (map[string]any, error) {
	path, isFile := strings.CutPrefix(input, "@")
	if !isFile {
		return object(decode(input))
	}
	if path == "-" {
		value, err := object(decodeAny(stdin))
		if err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
		return value, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var value map[string]any
	switch filepath.Ext(path) {
	case ".json":
		value, err = object(decode(string(data)))
	case ".yaml", ".yml":
		value, err = object(decodeYAML(data))
	default:
		value, err = object(decodeAny(data))
	}
	if err != nil {
		err = fmt.Errorf("file %s: %w", path, err)
	}
	return value, err
}

func object(value any, err error) (map[string]any, error) {
	if err != nil {
		return nil, err
	}
	m, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("want an object of parameters, got %s", props.Show(value))
	}
	return m, nil
}

// decodeAny decodes JSON, or YAML when it is none.
func decodeAny(data []byte) (any, error) {
	if json.Valid(data) {
		return decode(string(data))
	}
	return decodeYAML(data)
}

func decodeYAML(data []byte) (any, error) {
	var value any
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&value); err != nil {
		return nil, fmt.Errorf("is neither JSON nor YAML: %s", yaml.FormatError(err, false, false))
	}
	if _, err := json.Marshal(value); err != nil {
		return nil, fmt.Errorf("holds what cannot be passed on: %w", err)
	}
	return value, nil
}
