package playbook_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/task"
)

// meeting returns a shell task that ends when another runs at the same time, and prints its own name.
func meeting(dir, own, other string) map[string]any {
	return map[string]any{
		"_type":   "shell",
		"command": fmt.Sprintf("touch %[1]s/%[2]s; while [ ! -e %[1]s/%[3]s ]; do sleep 0.02; done; echo %[2]s", dir, own, other),
		"timeout": 60,
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tasks := []any{meeting(dir, "a", "b"), meeting(dir, "b", "a"), map[string]any{"_type": "shell", "command": "echo c; exit 1", "_catch_errors": true}}
	o, _, _ := runPlan(t, "demo::several", nil, map[string]any{"limit": 3, "tasks": tasks})
	checkResult(t, o, map[string]string{"values": `["a","b","c"]`, "ok": "[true,true,false]"})
}

func TestTasksLimit(t *testing.T) {
	t.Parallel()
	// mkdir succeeds once: who finds the directory there runs together with somebody else.
	alone := filepath.Join(t.TempDir(), "alone")
	tasks := []any{}
	for range 4 {
		tasks = append(tasks, map[string]any{"_type": "shell", "command": []any{"/bin/sh", "-c", "mkdir " + alone + " && sleep 0.05 && rmdir " + alone}})
	}
	o, _, _ := runPlan(t, "demo::several", nil, map[string]any{"limit": 1, "tasks": tasks})
	checkResult(t, o, map[string]string{"values": `["","","",""]`, "ok": "[true,true,true,true]"})
}

func TestTasksFail(t *testing.T) {
	t.Parallel()
	ran := filepath.Join(t.TempDir(), "ran")
	touch := map[string]any{"_type": "shell", "command": "touch " + ran}
	bad := map[string]any{"_type": "shell", "command": "exit 3"}
	o, _, _ := runPlan(t, "demo::several", nil, map[string]any{"limit": 1, "tasks": []any{bad, map[string]any{"_type": "shell"}, touch}})
	if want := `task 2 of 3: property "command" of the shell task: is required`; o.Failure == nil || o.Failure.Msg != want {
		t.Errorf("a task without its properties: %+v, want %s", o.Failure, want)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a task was run although another is no good")
	}
	o, _, _ = runPlan(t, "demo::several", nil, map[string]any{"limit": 1, "tasks": []any{bad, touch}})
	if o.Failure == nil || o.Failure.Kind != task.KindTask || !strings.HasPrefix(o.Failure.Msg, "1 of 2 tasks failed: Command exit 3 failed with exit code 3") || o.Failure.Line != 3 {
		t.Errorf("failure %+v", o.Failure)
	}
	if _, err := os.Stat(ran); err != nil {
		t.Errorf("the task after one that failed was not run: %v", err)
	}
}
