package rubyagent

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"
	"unicode/utf8"

	"choria.io/choria/go/agent"
)

// Whatever a process writes, the caller gets a status that is one, and words and data that can be sent.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"statuscode":0,"statusmsg":"OK","data":{"a":1}}`), []byte(""), []byte(""), "")
	f.Add([]byte(`null`), []byte("x"), []byte("\xff"), "exit status 1")
	f.Add([]byte(`{"statuscode":9,"data":[]}`), []byte(" \n"), []byte("a\nb"), "killed after 1s")
	log := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, result, stdout, stderr []byte, status string) {
		reply := &agent.Reply{}
		out := &outcome{result: result, stdout: stdout, stderr: stderr, status: status, duration: time.Second}
		err := out.reply("a#b", log, reply)
		if err != nil {
			if e, is := err.(*agent.Error); !is || e.Status != agent.Aborted || len(e.Message) > 64<<10+len(status) {
				t.Fatalf("%v", err)
			}
			return
		}
		if reply.Status < agent.OK || reply.Status > agent.UnknownError {
			t.Fatalf("status %d", reply.Status)
		}
		if raw, is := reply.Data.(json.RawMessage); is && (!json.Valid(raw) || raw[0] != '{') {
			t.Fatalf("data %q", raw)
		}
		if !utf8.ValidString(reply.Message) {
			t.Fatalf("message %q", reply.Message)
		}
	})
}

// Whatever the process of an agent reports, it is taken in, or the process is known to misbehave.
func FuzzReport(f *testing.F) {
	for _, line := range []string{
		`{"ready":true,"fork":true}`, `{"forked":"1","pid":7}`, `{"ended":"1","status":3}`, `{"ended":"1","signal":9}`,
		`{"ended":"2","error":"no"}`, `{"loading":true}`, `{"ended":"1","signal":-70}`, `{}`, `null`, `[`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var m report
		if json.Unmarshal(line, &m) != nil {
			return
		}
		late := time.NewTimer(time.Hour)
		defer late.Stop()
		j := &job{ended: make(chan struct{})}
		pa := &parent{ready: make(chan struct{}), jobs: map[string]*job{"1": j}, log: slog.New(slog.DiscardHandler)}
		for range 2 {
			if pa.heard(&m, late) != nil {
				return
			}
		}
	})
}
