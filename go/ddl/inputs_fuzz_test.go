package ddl

import (
	"encoding/json"
	"testing"
)

// Whatever inputs a request has, each action of each built-in agent takes or refuses them, and what it takes it
// takes again after a round through JSON.
func FuzzInputs(f *testing.F) {
	f.Add([]byte(`{"package":"nginx","version":"1.0-1"}`))
	f.Add([]byte(`{"type":"user","name":"x","password":"p","groups":["a",1,null,{"b":true}]}`))
	f.Add([]byte(`{"force":true,"tags":"a,b::c","splaylimit":1e3,"noop":null,"server":"[::1]:8140"}`))
	f.Add([]byte(`{"service":"getty@tty1.service","fqdn":"localhost","port":22.0,"timeout":-1.5,"mode":"all"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var inputs map[string]any
		if json.Unmarshal(data, &inputs) != nil {
			return
		}
		for _, a := range Builtin() {
			for _, act := range a.Actions {
				full, err := a.Complete(act.Name, inputs)
				if err != nil {
					continue
				}
				text, err := json.Marshal(full)
				if err != nil {
					t.Fatal(err)
				}
				var again map[string]any
				if err := json.Unmarshal(text, &again); err != nil {
					t.Fatal(err)
				}
				if err := a.Validate(act.Name, again); err != nil {
					t.Errorf("%s#%s takes %s and then refuses %s: %v", a.Metadata.Name, act.Name, data, text, err)
				}
			}
		}
	})
}
