package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// processResults is what Ruby clients put beside the inputs of every request. It is for the library
// of the node, never an input of an action.
const processResults = "process_results"

// Bind decodes the data of the request into the struct v points to, whose fields are named by their
// json tags. What does not fit is an *Error with status InvalidData that names the input: values of
// another type, and inputs that v has no field for, since to ignore one (noop, say) can be worse than
// to refuse it. Inputs that are missing or null leave their field as it is. A number without a
// fraction fits an integer field however it is written, as in 80.0.
//
// Bind panics when v is not a pointer to a struct.
func (r *Request) Bind(v any) error {
	dst := reflect.ValueOf(v)
	if dst.Kind() != reflect.Pointer || dst.IsNil() || dst.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("agent: Bind wants a pointer to a struct, not %T", v))
	}
	data := bytes.TrimSpace(r.Data)
	if len(data) == 0 {
		data = []byte("{}")
	}
	var inputs map[string]json.RawMessage
	if err := json.Unmarshal(data, &inputs); err != nil || inputs == nil {
		return Errorf(InvalidData, "data of %s#%s: want a JSON object of inputs", r.Agent, r.Action)
	}
	fields := inputFields(dst.Elem())
	for _, name := range sortedKeys(inputs) {
		field, ok := fields[name]
		if !ok {
			if name == processResults {
				continue
			}
			return r.unknown(name, fields)
		}
		if err := bindValue(field, inputs[name]); err != nil {
			return Errorf(InvalidData, "input %q of %s#%s: %v", name, r.Agent, r.Action, err)
		}
	}
	return nil
}

// unknown is the error for an input that the action does not have.
func (r *Request) unknown(name string, fields map[string]reflect.Value) error {
	if len(fields) == 0 {
		return Errorf(InvalidData, "input %q: %s#%s takes no inputs", name, r.Agent, r.Action)
	}
	return Errorf(InvalidData, "input %q: %s#%s has no such input, it takes %s",
		name, r.Agent, r.Action, strings.Join(sortedKeys(fields), ", "))
}

// inputFields returns the exported fields of a struct by the name of the input that they hold.
func inputFields(s reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value)
	for _, f := range reflect.VisibleFields(s.Type()) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" || (f.Anonymous && tag == "") {
			continue
		}
		if tag == "" {
			tag = strings.ToLower(f.Name)
		}
		if field, err := s.FieldByIndexErr(f.Index); err == nil {
			fields[tag] = field
		}
	}
	return fields
}

// bindValue decodes one input into its field.
func bindValue(field reflect.Value, raw json.RawMessage) error {
	if string(raw) == "null" {
		return nil
	}
	target := field
	for target.Kind() == reflect.Pointer {
		if target.IsNil() {
			target.Set(reflect.New(target.Type().Elem()))
		}
		target = target.Elem()
	}
	if whole, ok := wholeNumber(raw); ok && (target.CanInt() || target.CanUint()) {
		raw = whole
	}
	if err := json.Unmarshal(raw, target.Addr().Interface()); err != nil {
		return fmt.Errorf("want %s, not %s", describeType(target.Type()), describeValue(raw))
	}
	return nil
}

// wholeNumber rewrites a JSON number with a fraction or an exponent as plain digits if it is an
// integer of at most 64 bits.
func wholeNumber(raw json.RawMessage) (json.RawMessage, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<64 || !bytes.ContainsAny(raw, ".eE") {
		return nil, false
	}
	return strconv.AppendFloat(nil, f, 'f', 0, 64), true
}

// describeType names a Go type in the words of a description.
func describeType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Map, reflect.Struct:
		return "a hash"
	}
	return "another type"
}

// describeValue names the type of a JSON value. The value itself may be a secret and is not shown.
func describeValue(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "a hash"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	}
	return "this number"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
