package agent

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

type inputs struct {
	Host    string         `json:"host"`
	Port    int            `json:"port"`
	Size    uint8          `json:"size"`
	Timeout float64        `json:"timeout"`
	Force   *bool          `json:"force"`
	Tags    []string       `json:"tags,omitempty"`
	Env     map[string]any `json:"env"`
	Hidden  string         `json:"-"`
}

func TestBind(t *testing.T) {
	yes := true
	tests := []struct {
		data string
		want inputs
		err  string // the whole message; empty means success
	}{
		{``, inputs{}, ""},
		{`{}`, inputs{}, ""},
		{` {"host":"n1","port":22,"size":3,"timeout":1.5,"force":true,"tags":["a"],"env":{"k":1}} `,
			inputs{Host: "n1", Port: 22, Size: 3, Timeout: 1.5, Force: &yes, Tags: []string{"a"}, Env: map[string]any{"k": 1.0}}, ""},
		{`{"port":80.0,"size":2e1}`, inputs{Port: 80, Size: 20}, ""},
		{`{"port":9007199254740993}`, inputs{Port: 9007199254740993}, ""},
		{`{"host":null,"force":null}`, inputs{}, ""},
		{`{"process_results":true,"host":"n1"}`, inputs{Host: "n1"}, ""},
		{`{"port":"80"}`, inputs{}, `input "port" of demo#run: want an integer, not a string`},
		{`{"port":1.5}`, inputs{}, `input "port" of demo#run: want an integer, not this number`},
		{`{"port":1e300}`, inputs{}, `input "port" of demo#run: want an integer, not this number`},
		{`{"size":-1}`, inputs{}, `input "size" of demo#run: want an integer that is not negative, not this number`},
		{`{"size":256.0}`, inputs{}, `input "size" of demo#run: want an integer that is not negative, not this number`},
		{`{"host":{"a":1}}`, inputs{}, `input "host" of demo#run: want a string, not a hash`},
		{`{"force":[true]}`, inputs{}, `input "force" of demo#run: want a boolean, not an array`},
		{`{"timeout":false}`, inputs{}, `input "timeout" of demo#run: want a number, not a boolean`},
		{`{"tags":"a"}`, inputs{}, `input "tags" of demo#run: want an array, not a string`},
		{`{"noop":true}`, inputs{}, `input "noop": demo#run has no such input, it takes env, force, host, port, size, tags, timeout`},
		{`{"Hidden":"x"}`, inputs{}, `input "Hidden": demo#run has no such input, it takes env, force, host, port, size, tags, timeout`},
		{`[]`, inputs{}, `data of demo#run: want a JSON object of inputs`},
		{`null`, inputs{}, `data of demo#run: want a JSON object of inputs`},
		{`{"host":"n1"`, inputs{}, `data of demo#run: want a JSON object of inputs`},
	}
	for _, tt := range tests {
		var got inputs
		req := &Request{Agent: "demo", Action: "run", Data: json.RawMessage(tt.data)}
		err := req.Bind(&got)
		if tt.err != "" {
			var e *Error
			if !errors.As(err, &e) || e.Status != InvalidData || e.Message != tt.err {
				t.Errorf("Bind(%s) = %v; want status 4, %q", tt.data, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Bind(%s) = %v", tt.data, err)
		}
		// A field before the one refused may be set: only successes are compared.
		if got.Force != nil && *got.Force == yes {
			got.Force = &yes
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Bind(%s) = %+v; want %+v", tt.data, got, tt.want)
		}
	}
}

func TestBindWithoutInputs(t *testing.T) {
	req := &Request{Agent: "demo", Action: "run", Data: json.RawMessage(`{"a":1}`)}
	err := req.Bind(&struct{}{})
	if want := `input "a": demo#run takes no inputs`; err == nil || err.Error() != want {
		t.Errorf("Bind = %v; want %q", err, want)
	}
}

func TestBindEmbedded(t *testing.T) {
	type common struct {
		Name string `json:"name"`
	}
	var got struct {
		common
		Plain string
	}
	req := &Request{Data: json.RawMessage(`{"name":"x","plain":"y"}`)}
	if err := req.Bind(&got); err != nil || got.Name != "x" || got.Plain != "y" {
		t.Errorf("Bind = %+v, %v", got, err)
	}
}

func TestErrorf(t *testing.T) {
	err := Errorf(Aborted, "%s is gone", "it")
	var e *Error
	if !errors.As(err, &e) || e.Status != Aborted || e.Error() != "it is gone" {
		t.Errorf("Errorf = %#v", err)
	}
}

func FuzzBind(f *testing.F) {
	f.Add([]byte(`{"host":"n1","port":22,"size":3.0,"timeout":1.5,"force":true,"tags":["a"],"env":{"k":1}}`))
	f.Add([]byte(`{"port":1e999,"force":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got inputs
		err := (&Request{Agent: "demo", Action: "run", Data: data}).Bind(&got)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Status != InvalidData) {
			t.Errorf("Bind(%q) = %#v; want an *Error with status 4", data, err)
		}
	})
}
