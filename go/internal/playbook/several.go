package playbook

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/task"
)

// atOnce is how many tasks or branches run at the same time, unless the plan says so.
const atOnce = 10

// runTasks runs tasks at the same time. All of them are checked before any is started, and all are run whatever
// comes of the others.
func runTasks(ctx context.Context, c *call, params map[string]any) (any, error) {
	p := props.New("choria::tasks", params)
	limit := p.Int("limit", atOnce, 1)
	list, _ := p.Get("tasks")
	items, _ := list.([]any)
	if err := p.Err(); err != nil {
		return nil, err
	}
	types := make([]string, len(items))
	properties := make([]map[string]any, len(items))
	for i, item := range items {
		properties[i], _ = item.(map[string]any)
		types[i] = "mcollective"
		if typ, ok := properties[i]["_type"].(string); ok {
			types[i] = typ
		}
		if err := task.Check(c.env(), types[i], properties[i]); err != nil {
			return nil, fmt.Errorf("task %d of %d: %w", i+1, len(items), err)
		}
	}

	outcomes := make([]*task.Outcome, len(items))
	errs := make([]error, len(items))
	running := make(chan struct{}, limit)
	var wg sync.WaitGroup
	for i := range items {
		running <- struct{}{}
		wg.Go(func() {
			defer func() { <-running }()
			outcomes[i], errs[i] = task.Run(ctx, c.env(), types[i], properties[i])
		})
	}
	wg.Wait()
	var failed []string
	for i, outcome := range outcomes {
		if errs[i] != nil {
			return nil, errs[i]
		}
		c.s.record(c, outcome)
		caught, _ := properties[i]["_catch_errors"].(bool)
		if failure := outcome.Error(); failure != nil && !caught {
			failed = append(failed, failure.Msg)
		}
	}
	if len(failed) > 0 {
		return nil, &task.Failure{
			Msg:     fmt.Sprintf("%d of %d tasks failed: %s", len(failed), len(items), strings.Join(failed, "; ")),
			Kind:    task.KindTask,
			Details: map[string]any{"failures": failed},
		}
	}
	return outcomes, nil
}
