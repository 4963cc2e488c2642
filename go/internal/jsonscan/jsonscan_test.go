package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"choria.io/choria/go/internal/vectors"
)

// read decodes any value into what encoding/json makes of it.
func read(s *Scanner) (any, error) {
	switch s.Kind() {
	case '"':
		return s.String()
	case 'n':
		if !s.Null() {
			return nil, s.Skip()
		}
		return nil, nil
	case '[':
		list := []any{}
		err := s.Array(func() error {
			v, err := read(s)
			list = append(list, v)
			return err
		})
		return list, err
	}
	text, err := s.Raw()
	if err != nil {
		return nil, err
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

// compare holds the scanner against encoding/json.
func compare(t *testing.T, data []byte) {
	var want any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	wantErr := dec.Decode(&want)
	if wantErr == nil && !json.Valid(data) {
		wantErr = errors.New("more than one value")
	}

	s := New(data)
	got, err := read(&s)
	if err == nil {
		err = s.End()
	}
	if err != nil && strings.Contains(err.Error(), "nested deeper") {
		return
	}
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%q: got error %v, encoding/json has %v", data, err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%q = %#v, encoding/json has %#v", data, got, want)
	}
}

var texts = []string{
	``, ` `, `null`, `nul`, `true`, `tru`, `false`, `falsee`, `0`, `-0`, `01`, `1.`, `1.5`, `1e5`, `1e`, `1E+3`, `-`, `+1`, `.5`,
	`""`, `"a"`, `"a`, `"\"`, `"\\"`, `"\\\\\""`, `"a\nb\t\/\b\f\r"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`,
	`"\ud83d\u0041"`, `"\ude00\ud83d"`, `"\u12"`, `"\u12xx"`, `"\x"`, "\"a\x01\"", "\"\xff\"", "\"\xc3\xa9\"", "\"\xe2\x80\xa8\"", "\"\xed\xa0\x80\"",
	"\"\x7f\"", "\"0123456789\xff0123456789\"", `"0123456789\\0123456789"`, `"01234567890123456789"`, "\"01234567\n\"", "\"\xf0\x9f\x98\x80\"",
	`[]`, `[1,"a",null,[]]`, `[1,]`, `[1 2]`, `[`, `[1`, `{}`, `{"a":1}`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{"a":1`, `{"a":{"b":[1,{"c":null}]}}`,
	` { "a" : [ 1 , 2 ] } `, `{"a":1}x`, `{"a":1} {"b":2}`, strings.Repeat("[", 200), strings.Repeat("[", 99) + strings.Repeat("]", 99),
}

func TestAgainstEncodingJSON(t *testing.T) {
	for _, text := range texts {
		compare(t, []byte(text))
	}
}

func TestDepth(t *testing.T) {
	for _, depth := range []int{MaxDepth, MaxDepth + 1} {
		s := New([]byte(strings.Repeat("[", depth) + strings.Repeat("]", depth)))
		if err := s.Skip(); (err == nil) != (depth <= MaxDepth) {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	// Siblings do not add up.
	s := New([]byte("[" + strings.Repeat("[{}],", 3*MaxDepth) + "0]"))
	if err := s.Skip(); err != nil {
		t.Error(err)
	}
}

func TestObject(t *testing.T) {
	tests := []struct {
		in   string
		seen uint64
		a, b string
		err  string
	}{
		{`{}`, 0, "", "", ""},
		{`{"b":"2","x":[{"a":"no"}],"a":"1"}`, 3, "1", "2", ""},
		{`{"A":"1"}`, 0, "", "", ""},
		{`{"\u0061":"1"}`, 1, "1", "", ""},
		{`{"a":"1","a":"2"}`, 0, "", "", `json: member "a" stands twice`},
		{`{"x":1,"x":2}`, 0, "", "", ""},
		{`{"a":1}`, 0, "", "", `a: json: want a string, got '1' at byte 5`},
		{`{"a":"1" "b":"2"}`, 0, "", "", `json: want a comma or }, got '"' at byte 9`},
		{`[]`, 0, "", "", `json: want an object, got '[' at byte 0`},
		{`{"a"`, 0, "", "", `json: unexpected end`},
	}
	for _, tt := range tests {
		var value [2]string
		s := New([]byte(tt.in))
		seen, err := s.Object([]string{"a", "b"}, func(i int) (err error) {
			value[i], err = s.String()
			return err
		})
		if message(err) != tt.err {
			t.Errorf("%s: error %q, want %q", tt.in, message(err), tt.err)
		}
		if err == nil && (seen != tt.seen || value != [2]string{tt.a, tt.b}) {
			t.Errorf("%s: seen %b, values %q; want %b, %q, %q", tt.in, seen, value, tt.seen, tt.a, tt.b)
		}
	}
}

func TestInt(t *testing.T) {
	tests := []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"42", 42, true}, {"-42", -42, true},
		{"9223372036854775807", math.MaxInt64, true}, {"9223372036854775808", 0, false}, {"92233720368547758070", 0, false},
		{"-9223372036854775807", -math.MaxInt64, true}, {"18446744073709551616", 0, false},
		{"1.5", 0, false}, {"1.0", 0, false}, {"1e3", 0, false}, {`"1"`, 0, false}, {"null", 0, false}, {"", 0, false},
	}
	for _, tt := range tests {
		s := New([]byte(tt.in))
		got, err := s.Int()
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: got %d, %v; want %d, ok %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, text := range []string{"", "plain", `quote " slash \ / `, "\n\r\t\b\f\x00\x1f\x7f", "é😀\u2028", "\xff", "a\xc3", "\xed\xa0\x80b", "<&>"} {
		got := AppendString(nil, text)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Errorf("%q: %s: %v", text, got, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); back != want && text != "\xed\xa0\x80b" {
			t.Errorf("%q: came back as %q", text, back)
		}
		if again := AppendString(nil, []byte(text)); !bytes.Equal(got, again) {
			t.Errorf("%q: %s as string, %s as bytes", text, got, again)
		}
	}
	if got := string(AppendStrings(nil, []string{"a", `b"`})); got != `["a","b\""]` {
		t.Error(got)
	}
	if got := string(AppendStrings[string](nil, nil)); got != `[]` {
		t.Error(got)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzScanner(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	for _, name := range []string{"v1/must_drop.json", "v1/filters.json", "v1/captured/rpcutil_get_fact.json"} {
		data, err := os.ReadFile(filepath.Join(vectors.Dir(f), name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(compare)
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\x00\xffé")
	f.Fuzz(func(t *testing.T, text string) {
		var want, back string
		std, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(AppendString(nil, text), &back); err != nil {
			t.Fatal(err)
		}
		if back != want {
			t.Errorf("%q came back as %q, from encoding/json as %q", text, back, want)
		}
	})
}
