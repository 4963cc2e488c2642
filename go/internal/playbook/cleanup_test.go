package playbook_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/store"
)

// said returns what a plan said of a few words, in order.
func said(out *terminal, words ...string) string {
	var found []string
	for _, line := range out.lines() {
		for _, word := range words {
			if strings.HasSuffix(line, ": "+word) {
				found = append(found, word)
			}
		}
	}
	return strings.Join(found, ", ")
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	tests := []struct{ how, said, result, msg string }{
		{"normal", "body, cleaned by a task, cleanup first", `"end"`, ""},
		{"fail", "cleaned by a task, cleanup first", "", "as asked"},
		{"return", "cleaned by a task, cleanup first", `"returned"`, ""},
		{"bad", "cleaned by a task, cleanup first, cleanup failed", "", "cleanup failed"},
		{"both", "cleaned by a task, cleanup first, cleanup failed", "", "as asked"},
		{"nested", "cleaned by a task, cleanup first, after the nested one, cleaned by a task, cleanup first", `"end"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			o, _, out := runPlan(t, "demo::cleans", nil, map[string]any{"how": tt.how})
			msg := ""
			if o.Failure != nil {
				msg = o.Failure.Msg
			}
			if string(o.Result) != tt.result && tt.msg == "" || msg != tt.msg {
				t.Errorf("result %s, failure %q; want %s, %q", o.Result, msg, tt.result, tt.msg)
			}
			if got := said(out, "body", "cleaned by a task", "cleanup first", "cleanup failed", "after the nested one"); got != tt.said {
				t.Errorf("said %s; want %s; log\n%s", got, tt.said, strings.Join(out.lines(), "\n"))
			}
		})
	}
}

// TestEnsureAfterInterrupt interrupts a plan that holds a lock: the lock is released and the plan cleans up.
func TestEnsureAfterInterrupt(t *testing.T) {
	t.Parallel()
	properties := map[string]any{"type": "file", "file": filepath.Join(t.TempDir(), "s.yaml"), "create": true}
	s, out := newSession(t, "demo::cleans", nil)
	out.seen = make(chan string, 100)
	ready(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for line := range out.seen {
			if strings.Contains(line, "Sleeping 600 seconds") {
				cancel()
			}
		}
	}()
	o, err := s.Run(ctx, map[string]any{"how": "wait", "store": properties})
	if err != nil || !o.Interrupted() {
		t.Fatalf("outcome %+v, %v", o, err)
	}
	s.Close()
	out.mu.Lock()
	close(out.seen)
	out.seen = nil
	out.mu.Unlock()
	if got := said(out, "cleaned by a task", "cleanup first"); got != "cleaned by a task, cleanup first" {
		t.Errorf("said %q; log\n%s", got, strings.Join(out.lines(), "\n"))
	}
	lock, err := store.NewEnv(nil).Lock(t.Context(), "l", properties)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
