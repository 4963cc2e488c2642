package playbook_test

import (
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/tasktest"
)

// TestLostLock takes its lock away from a plan: its next call fails, and it cleans up.
func TestLostLock(t *testing.T) {
	t.Parallel()
	url := tasktest.Etcd(t)
	o, _, out := runPlan(t, "demo::loses", nil, map[string]any{
		"store": map[string]any{"type": "etcd", "url": url, "ttl": 3}, "lock": map[string]any{"type": "etcd", "url": url}, "sleeps": 60,
	})
	if o.Failure == nil || !strings.HasPrefix(o.Failure.Msg, `lock "l" was lost: `) {
		t.Errorf("outcome %+v", o)
	}
	if got := said(out, "went on", "cleaned"); got != "cleaned" {
		t.Errorf("said %q; log\n%s", got, strings.Join(out.lines(), "\n"))
	}
}
