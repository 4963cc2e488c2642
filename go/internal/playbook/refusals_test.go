package playbook_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"choria.io/choria/go/internal/playbook/tasktest"
)

// TestRefusals calls every function in all the ways that it refuses, and holds that the error says why and where. The
// plan demo::refused has the calls; what it has and is not here fails.
func TestRefusals(t *testing.T) {
	t.Parallel()
	want := map[string]string{ // what the message contains
		"task_type":          `unknown type of task "abacus": want email, external, graphite_event, mcollective, nats, shell, slack, webhook`,
		"task_no_properties": `The function 'choria::task' was called with arguments it does not accept. It expects one of:`,
		"task_tries":         `property "tries" of the shell task: want at least 1, got 0`,
		"task_command":       `property "command" of the shell task: is required`,
		"task_nodes":         `property "nodes" of the mcollective task: `,
		"task_action":        `property "action" of the mcollective task: is required`,
		"task_assert":        `property "assert" of the mcollective task: `,
		"tasks_type":         `task 2 of 2: unknown type of task "abacus"`,
		"tasks_option":       `unrecognized key 'limits'`,
		"tasks_limit":        `entry 'limit' expects an Integer[1]`,

		"discover_source":   `unknown source of nodes "abacus"`,
		"discover_argument": `The function 'choria::discover' was called with arguments it does not accept. It expects one of:`,
		"discover_limit":    `property "limit" of the mcollective source of nodes: want a number or a percentage, got "some"`,
		"discover_uses":     `property "uses" of the mcollective source of nodes: agent puppet: version range "new": `,

		"data_no_store":         `'choria::data' expects between 2 and 3 arguments, got 1`,
		"data_no_item":          `rejected: parameter 'item' expects a String[1] value, got String`,
		"data_item_type":        `rejected: parameter 'item' expects a String value, got Integer`,
		"data_store_type":       `rejected: parameter 'store' expects a Hash value, got String`,
		"data_value_type":       `rejected: parameter 'value' expects a value of type Data or Sensitive[Data], got Timestamp`,
		"data_no_type":          `read data item "plan_store/a": unknown type of store ""`,
		"data_missing":          `read data item "plan_store/a": no such item`,
		"data_text":             `write data item "plan_store/A": the environment store holds text alone, not `,
		"data_delete_no_store":  `'choria::data_delete' expects 2 arguments, got 1`,
		"data_delete_item_type": `'choria::data_delete' parameter 'item' expects a String value, got Tuple`,
		"data_delete_no_type":   `delete data item "plan_store/a": unknown type of store "abacus"`,
		"data_delete_broken":    `property "command" of the shell store: "/bin/sh -c true" is no program that can be run`,

		"lock_no_block":    `'choria::lock' expects a block`,
		"lock_block":       `'choria::lock' block expects no arguments, got 1`,
		"lock_item":        `'choria::lock' parameter 'item' expects a String[1] value, got String`,
		"lock_environment": `lock data item "plan_store/a": the environment store has no locks`,
		"lock_shell":       `lock data item "plan_store/a": the shell store has no locks`,
		"lock_type":        `lock data item "plan_store/a": unknown type of store "abacus"`,
		"lock_timeout":     `property "timeout" of the file store: want seconds, got -1`,
		"lock_ttl_consul":  `property "ttl" of the consul store: want at least 10, got 9`,
		"lock_ttl_etcd":    `property "ttl" of the etcd store: want at least 2, got 1`,
		"lock_ttl_kv":      `property "ttl" of the kv store: want at least 1, got 0`,
		"lock_held":        `lock data item "plan_store/a": not obtained within 0 seconds: somebody else has it`,

		"groups_none":         `'choria::in_groups_of' parameter 'size' expects an Integer[1] value, got Integer[0, 0]`,
		"groups_no_block":     `'choria::in_groups_of' expects a block`,
		"groups_text":         `'choria::in_groups_of' parameter 'items' expects an Array value, got String`,
		"on_error_no_block":   `'choria::on_error' expects a block`,
		"on_success_no_block": `'choria::on_success' expects a block`,
		"sleep_negative":      `property "seconds" of choria::sleep: want seconds, got -1`,
		"sleep_text":          `'choria::sleep' parameter 'seconds' expects a Numeric value, got String`,
		"exist_type":          `'choria::playbook_exist' parameter 'name' expects a String value, got Integer`,

		"run_unknown":   `unknown playbook "demo::nope"; it was searched in`,
		"run_no_name":   `'choria::run_playbook' parameter 'name' expects a String[1] value, got String`,
		"run_arguments": `'choria::run_playbook' parameter 'arguments' expects a Hash value, got Tuple`,
		"run_parameter": `has no parameter named 'c'`,

		"parallel_limit":    `entry 'limit' expects an Integer[1] value, got Integer[0, 0]`,
		"parallel_option":   `unrecognized key 'limits'`,
		"parallel_items":    `'choria::parallel' parameter 'items' expects an Array value, got String`,
		"parallel_no_block": `'choria::parallel' expects a block`,
		"ensure_no_block":   `'choria::ensure' expects a block`,
		"ensure_argument":   `'choria::ensure' expects no arguments, got 1`,
		"ensure_block":      `'choria::ensure' block expects no arguments, got 1`,

		"validate_input":    `there is no parameter 'a'`,
		"validate_metadata": `'choria::tasks::validate_input' parameter 'metadata' expects a Hash value, got String`,
		"metadata_task":     `'choria::tasks::metadata' parameter 'task' expects a String`,
		"to_json":           `'choria::to_json' expects 1 argument, got none`,
		"to_yaml":           `'choria::to_yaml' expects 1 argument, got none`,
	}
	text, err := os.ReadFile("testdata/modules/demo/plans/refused.pp")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	var ways []any
	for i, line := range strings.Split(string(text), "\n") {
		if m := regexp.MustCompile(`^    '(\w+)': `).FindStringSubmatch(line); m != nil {
			lines[m[1]] = i + 1
			ways = append(ways, m[1])
		}
	}
	if len(ways) != len(want) {
		t.Errorf("the plan has %d ways, and this test %d", len(ways), len(want))
	}
	n := &tasktest.Network{Nodes: []string{"a"}}
	o, _, _ := runPlan(t, "demo::refusals", n, map[string]any{"ways": ways, "dir": t.TempDir()})
	if o.Failure != nil {
		t.Fatal(o.Failure.Text())
	}
	var got []struct {
		Way, Msg string
		Line     int
	}
	if err := json.Unmarshal(o.Result, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(ways) {
		t.Errorf("%d answers to %d ways", len(got), len(ways))
	}
	for _, g := range got {
		if w, ok := want[g.Way]; !ok || !strings.Contains(g.Msg, w) || g.Line != lines[g.Way] {
			t.Errorf("%s: %q in line %d; want %q in line %d", g.Way, g.Msg, g.Line, w, lines[g.Way])
		}
	}
	if len(n.Requests()) > 0 {
		t.Errorf("%d requests were made", len(n.Requests()))
	}
}
