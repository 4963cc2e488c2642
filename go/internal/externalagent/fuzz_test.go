package externalagent

import (
	"os"
	"path/filepath"
	"testing"

	"choria.io/choria/go/agent"
)

// Whatever a program writes as its reply is understood or refused.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"statuscode":0,"statusmsg":"OK","data":{"a":1}}`))
	f.Add([]byte(`{"activate":true}`))
	f.Add([]byte(` null`))
	f.Add([]byte(`{"data":[]}{}`))
	path := filepath.Join(f.TempDir(), "reply.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var reply struct {
			Status  agent.Status   `json:"statuscode"`
			Message string         `json:"statusmsg"`
			Data    map[string]any `json:"data"`
		}
		if err := decode(path, &reply); err == nil && len(text) == 0 {
			t.Fatal("nothing is understood as a reply")
		}
	})
}
