package playbook_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParallel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o, _, out := runPlan(t, "demo::parallel", nil, map[string]any{"how": "values", "dir": dir})
	branch := func(item string) string {
		mine := "outer " + item
		return `["` + mine + `",["` + mine + ` 1","` + mine + ` 2","` + mine + ` 3"],5,"demo::parallel"]`
	}
	checkResult(t, o, map[string]string{"values": "[" + branch("a") + "," + branch("b") + "," + branch("c") + "]", "outer": `"outer"`})
	for _, item := range []string{"a", "b", "c"} {
		if line := "Notice: Scope(<module>/demo/plans/parallel.pp, 19): branch outer " + item; !strings.Contains(strings.Join(out.lines(), "\n"), line) {
			t.Errorf("no line %q in\n%s", line, strings.Join(out.lines(), "\n"))
		}
	}
	o, _, _ = runPlan(t, "demo::parallel", nil, map[string]any{"how": "lock", "dir": dir})
	if o.Failure != nil {
		t.Errorf("a lock was held by two branches: %s", o.Failure.Text())
	}
}

func TestParallelFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o, _, _ := runPlan(t, "demo::parallel", nil, map[string]any{"how": "fail", "dir": dir})
	if o.Failure == nil || o.Failure.Msg != "branch 2" || o.Failure.Line != 28 {
		t.Errorf("failure %+v", o.Failure)
	}
	if _, err := os.Stat(filepath.Join(dir, "3")); err != nil {
		t.Errorf("the branch after the one that failed: %v", err)
	}
}

// TestParallelInterrupt interrupts branches of branches that hold locks: all of them unwind.
func TestParallelInterrupt(t *testing.T) {
	t.Parallel()
	s, out := newSession(t, "demo::parallel", nil)
	out.seen = make(chan string, 1000)
	ready(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		sleeping := 0
		for line := range out.seen {
			if strings.Contains(line, "Sleeping 600 seconds") {
				if sleeping++; sleeping == 6 {
					cancel()
				}
			}
		}
	}()
	o, err := s.Run(ctx, map[string]any{"how": "wait", "dir": t.TempDir()})
	if err != nil || !o.Interrupted() {
		t.Fatalf("outcome %+v, %v", o, err)
	}
	s.Close()
	out.mu.Lock()
	close(out.seen)
	out.seen = nil
	out.mu.Unlock()
	text := strings.Join(out.lines(), "\n")
	for _, want := range []string{"cleaned 1", "cleaned 2", "cleaned 3", "cleanup 1 1", "cleanup 1 2", "cleanup 2 1", "cleanup 2 2", "cleanup 3 1", "cleanup 3 2"} {
		if strings.Count(text, "): "+want+"\n")+strings.Count(text+"\n", "): "+want+"\n") == 0 {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
