package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// properties decodes the properties of a task as the host does.
func properties(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t testing.TB, n task.Network, text string) (*task.Outcome, *tasktest.Log) {
	t.Helper()
	log := &tasktest.Log{}
	env := &task.Env{Network: n, Log: log, Environ: func() []string { return []string{"PATH=/usr/bin:/bin"} }}
	o, err := task.Run(t.Context(), env, "mcollective", properties(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return o, log
}

// hosts returns host or host!error of all results.
func hosts(o *task.Outcome) []string {
	var list []string
	for _, r := range o.Results {
		host := r.Host
		if r.Error != nil {
			host += "!" + r.Error.Kind
		}
		list = append(list, host)
	}
	return list
}

func status(node string, _ client.Request) (client.Reply, bool) {
	switch node {
	case "silent":
		return client.Reply{}, false
	case "bad":
		return tasktest.Failed("no such file")
	case "busy":
		return tasktest.OK(`{"idling":false}`)
	}
	return tasktest.OK(`{"idling":true}`)
}

func TestRequest(t *testing.T) {
	const kind = "!" + task.KindTask
	tests := []struct {
		name, properties string
		success          bool
		hosts            []string
		message          string
	}{
		{"good", `"nodes":["a","b","a"]`, true, []string{"a", "b"},
			"Successful request 00000000000000000000000000000001 for puppet#status in 1.00s against 2 nodes"},
		{"failed and silent", `"nodes":["a","bad","silent"]`, false, []string{"a", "bad" + kind, "silent" + kind},
			"Failed request 00000000000000000000000000000001 for puppet#status on 2 failing nodes"},
		{"nobody answers", `"nodes":["silent"],"fail_threshold":"100%"`, false, []string{"silent" + kind},
			"Failed request 00000000000000000000000000000001 for puppet#status on 1 failing node"},
		{"tolerated", `"nodes":["a","b","bad","silent"],"fail_threshold":"50%"`, true, []string{"a", "b", "bad" + kind, "silent" + kind},
			"Successful request 00000000000000000000000000000001 for puppet#status in 1.00s against 2 nodes"},
		{"not tolerated", `"nodes":["a","bad","silent"],"fail_threshold":1`, false, []string{"a", "bad" + kind, "silent" + kind},
			"Failed request 00000000000000000000000000000001 for puppet#status on 2 failing nodes"},
		{"assertion holds", `"nodes":["a","b"],"assert":"idling=true"`, true, []string{"a", "b"},
			"Successful request 00000000000000000000000000000001 for puppet#status in 1.00s against 2 nodes"},
		{"assertion fails", `"nodes":["a","busy"],"assert":"idling=true"`, false, []string{"a", "busy!" + task.KindAssertion},
			`Failed request 00000000000000000000000000000001 for puppet#status: assertion "idling=true" on 1 failing node`},
		{"no assertion after a failure", `"nodes":["busy","bad"],"assert":"idling=true"`, false, []string{"busy", "bad" + kind},
			"Failed request 00000000000000000000000000000001 for puppet#status on 1 failing node"},
		{"summary", `"nodes":["a","busy","b"],"post":["summarize"],"description":"idle nodes"`, true, []string{"a", "busy", "b"},
			`idle nodes: {"busy":1,"idle":2}`},
		{"reply filter", `"nodes":["a","busy"],"reply_filter":"data(\"idling\") == true"`, true, []string{"a"},
			"Successful request 00000000000000000000000000000001 for puppet#status in 1.00s against 2 nodes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := &tasktest.Network{Answer: status}
			o, _ := run(t, n, `{"action":"puppet.status",`+tt.properties+`}`)
			if o.Success != tt.success || o.Message != tt.message || !slices.Equal(hosts(o), tt.hosts) {
				t.Errorf("success %v, message %q, hosts %q;\nwant %v, %q, %q",
					o.Success, o.Message, hosts(o), tt.success, tt.message, tt.hosts)
			}
			if (o.Error() == nil) != tt.success {
				t.Errorf("Error() = %v", o.Error())
			}
		})
	}
}

func TestRequestValue(t *testing.T) {
	n := &tasktest.Network{Answer: status}
	o, _ := run(t, n, `{"action":"puppet.status","nodes":["a","bad","silent"],"fail_ok":true}`)
	got, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	const id = "00000000000000000000000000000001"
	want := `{"exception":null,"failed":false,"message":"Failed request ` + id + ` for puppet#status on 2 failing nodes","results":[` +
		`{"host":"a","result":{"value":{"agent":"puppet","action":"status","sender":"a","statuscode":0,"statusmsg":"OK","data":{"idling":true},"requestid":"` + id + `"},"type":"mcollective","fail_ok":true}},` +
		`{"host":"bad","result":{"value":{"agent":"puppet","action":"status","sender":"bad","statuscode":1,"statusmsg":"no such file","data":{},"requestid":"` + id + `"},"type":"mcollective","fail_ok":true,` +
		`"error":{"msg":"no such file","kind":"choria.playbook/taskerror","details":{"action":"status","agent":"puppet","issue_code":1}}}},` +
		`{"host":"silent","result":{"value":{},"type":"mcollective","fail_ok":true,` +
		`"error":{"msg":"no response received","kind":"choria.playbook/taskerror","details":{"action":"status","agent":"puppet"}}}}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRequestLog(t *testing.T) {
	n := &tasktest.Network{Answer: status}
	const id = "00000000000000000000000000000001"
	tests := []struct {
		properties string
		want       []string
	}{
		{`"nodes":["a","bad","silent"],"description":"look","surprise":1}`, []string{
			`warning: The mcollective task has no property "surprise": it is ignored`,
			"notice: About to run task: look",
			"notice: Starting request for puppet#status against 3 nodes",
			`notice: a puppet#status: {"idling":true}`,
			"warning: bad puppet#status failed: no such file: {}",
			"warning: Request " + id + " for puppet#status failed in 1.00s",
			"warning: No responses from: silent",
			"warning: Failed result from bad: no such file",
			"error: Failed request " + id + " for puppet#status on 2 failing nodes",
		}},
		{`"nodes":["a","busy"],"silent":true,"assert":"idling=true","batch_size":"40%"}`, []string{
			"notice: About to run task: mcollective task",
			"notice: Starting request for puppet#status against 2 nodes",
			"notice: Batch 1 of 2: 1 node",
			"notice: Batch 2 of 2: 1 node",
			`warning: Assertion "idling=true" failed on busy: idling is false`,
			`warning: Assertion "idling=true" failed on 1 node of 2`,
			`error: Failed request ` + id + ` for puppet#status: assertion "idling=true" on 1 failing node`,
		}},
	}
	for _, tt := range tests {
		*n = tasktest.Network{Answer: status}
		_, log := run(t, n, `{"action":"puppet.status",`+tt.properties)
		if got := log.Lines(); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.properties, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

func TestRequestFactFilter(t *testing.T) {
	n := &tasktest.Network{
		Nodes:  []string{"a", "b", "elsewhere"},
		Answer: status,
	}
	o, _ := run(t, n, `{"action":"puppet.status","nodes":["b","other","a"],"fact_filter":["kernel=Linux"],"collective":"uk"}`)
	if !o.Success || !slices.Equal(hosts(o), []string{"b", "a"}) {
		t.Errorf("success %v, hosts %v; want those that match, in the order of the plan", o.Success, hosts(o))
	}
	d := n.Discoveries()[0]
	if d.Collective != "uk" || len(d.Filter.Fact) != 1 || d.Filter.Fact[0].Name != "kernel" || d.Filter.Fact[0].Value != "Linux" {
		t.Errorf("discovery %+v", d)
	}
	r := n.Requests()[0]
	if !slices.Equal(r.Nodes, []string{"b", "a"}) || len(r.Filter.Fact) != 1 {
		t.Errorf("request to %v with filter %+v", r.Nodes, r.Filter)
	}

	n.Nodes = nil
	o, _ = run(t, n, `{"action":"puppet.status","nodes":["a"],"fact_filter":["kernel=Linux"]}`)
	if o.Success || o.Failure == nil || o.Message != "puppet#status: none of the nodes match the fact filter" {
		t.Errorf("no match: %+v", o)
	}
}

func TestRequestInputs(t *testing.T) {
	n := &tasktest.Network{Settings: map[string]string{"default_batch_size": "2", "default_batch_sleep_time": "3"}}
	o, _ := run(t, n, `{"action":"nettest.connect","nodes":["a","b","c"],"timeout":7.5,"ttl":90,
		"properties":{"fqdn":"example.net","port":"22"}}`)
	if !o.Success {
		t.Fatal(o.Message)
	}
	r := n.Requests()[0]
	inputs, err := json.Marshal(r.Data)
	if err != nil || string(inputs) != `{"fqdn":"example.net","port":22}` {
		t.Errorf("inputs %s, %v; want the port as a number", inputs, err)
	}
	if r.Timeout != 7500*time.Millisecond || r.TTL != 90*time.Second || r.BatchSize != 2 || r.BatchSleep != 3*time.Second {
		t.Errorf("request %+v", r)
	}
}

func TestRequestImpossible(t *testing.T) {
	tests := []struct {
		network          *tasktest.Network
		properties, want string
	}{
		{&tasktest.Network{}, `{"action":"nope.x","nodes":["a"]}`, `nope#x: agent "nope": no description`},
		{&tasktest.Network{}, `{"action":"puppet.x","nodes":["a"]}`, `puppet#x: agent puppet has no action "x"`},
		{&tasktest.Network{Err: errors.New("no broker")}, `{"action":"puppet.status","nodes":["a"]}`, `puppet#status: no broker`},
		{&tasktest.Network{Lost: errors.New("connection lost")}, `{"action":"puppet.status","nodes":["a"]}`, `puppet#status: connection lost`},
		{&tasktest.Network{}, `{"action":"nettest.connect","nodes":["a"],"properties":{"port":22}}`, `nettest#connect: `},
		{nil, `{"action":"puppet.status","nodes":["a"]}`, `puppet#status: there is no network`},
	}
	for _, tt := range tests {
		var network task.Network
		if tt.network != nil {
			network = tt.network
		}
		o, _ := run(t, network, tt.properties)
		if o.Success || o.Failure == nil || o.Failure.Kind != task.KindRequest || !strings.HasPrefix(o.Message, tt.want) {
			t.Errorf("%s: success %v, message %q, failure %+v; want %q", tt.properties, o.Success, o.Message, o.Failure, tt.want)
		}
	}
}

func TestRequestHostileReplies(t *testing.T) {
	answers := map[string]string{
		"deep":    strings.Repeat("[", 200) + strings.Repeat("]", 200),
		"broken":  `{"a":`,
		"bytes":   "{\"a\":\"\xff\"}",
		"strings": `{"a":"[[[[\"[[[["}`,
	}
	n := &tasktest.Network{Answer: func(node string, _ client.Request) (client.Reply, bool) { return tasktest.OK(answers[node]) }}
	o, _ := run(t, n, `{"action":"puppet.status","nodes":["deep","broken","bytes","strings"],"post":["summarize"]}`)
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Success || !slices.Equal(hosts(o), []string{"deep!" + task.KindTask, "broken", "bytes", "strings"}) {
		t.Errorf("hosts %v", hosts(o))
	}
	if strings.Contains(string(data), "[[[[[[") || !strings.Contains(string(data), `"a":"\ufffd"`) && !strings.Contains(string(data), `"a":"�"`) {
		t.Errorf("what plans get: %s", data)
	}
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		try := 0
		n := &tasktest.Network{Answer: func(node string, _ client.Request) (client.Reply, bool) {
			if node == "a" {
				try++
			}
			if node == "b" && try < 3 {
				return tasktest.Failed("not yet")
			}
			return tasktest.OK("{}")
		}}
		start := time.Now()
		o, log := run(t, n, `{"action":"puppet.enable","nodes":["a","b"],"tries":5,"try_sleep":20,"pre_sleep":5}`)
		if !o.Success || o.Tries != 3 || len(o.Requests) != 3 {
			t.Errorf("success %v after %d tries, requests %v; want 3", o.Success, o.Tries, o.Requests)
		}
		if took := time.Since(start); took != 45*time.Second {
			t.Errorf("took %v; want 5 s before the first try and 20 s between tries", took)
		}
		want := "warning: Try 2 of 5 failed, trying again in 20 seconds: Failed request 00000000000000000000000000000002 for puppet#enable on 1 failing node"
		if !slices.Contains(log.Lines(), want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(log.Lines(), "\n"))
		}
	})
}

func TestRetryFailedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		n := &tasktest.Network{Answer: func(node string, r client.Request) (client.Reply, bool) {
			if node == r.Nodes[0] {
				requests++
			}
			switch {
			case node == "late" && requests == 1:
				return client.Reply{}, false
			case node == "busy" && requests == 2:
				return tasktest.OK(`{"idling":false}`)
			case node == "bad" && requests < 3:
				return tasktest.Failed("x")
			}
			return tasktest.OK(`{"idling":true}`)
		}}
		o, _ := run(t, n, `{"action":"puppet.status","nodes":["a","late","bad"],"tries":3,"retry_failed":true,"assert":"idling=true"}`)
		if !o.Success || !slices.Equal(hosts(o), []string{"a", "late", "bad"}) {
			t.Errorf("success %v, hosts %v", o.Success, hosts(o))
		}
		var asked [][]string
		for _, r := range n.Requests() {
			asked = append(asked, r.Nodes)
		}
		if got := fmt.Sprint(asked); got != "[[a late bad] [late bad] [bad]]" {
			t.Errorf("asked %s; want those that had failed", got)
		}
	})
}

func TestCancelDuringRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := &tasktest.Network{Answer: func(string, client.Request) (client.Reply, bool) { return tasktest.Failed("x") }}
		env := &task.Env{Network: n, Log: &tasktest.Log{}}
		_, err := task.Run(ctx, env, "mcollective", properties(t, `{"action":"puppet.enable","nodes":["a"],"tries":10,"try_sleep":3600}`))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v; want that of the context", err)
		}
	})
}

func TestRefusedProperties(t *testing.T) {
	tests := []struct{ typ, properties, err string }{
		{"mcollective", `{"action":"puppet.status"}`, `property "nodes" of the mcollective task: no nodes were given`},
		{"mcollective", `{"action":"puppet.status","nodes":"a"}`, `property "nodes" of the mcollective task: want an array of strings, got "a"`},
		{"mcollective", `{"action":"puppet.status","nodes":[1]}`, `property "nodes" of the mcollective task: want an array of strings, got 1 in it`},
		{"mcollective", `{"nodes":["a"]}`, `property "action" of the mcollective task: is required`},
		{"mcollective", `{"action":"puppet","nodes":["a"]}`, `property "action" of the mcollective task: want agent.action, got "puppet"`},
		{"mcollective", `{"action":"a.b","nodes":["a"],"post":["x"]}`, `property "post" of the mcollective task: only summarize is known, got "x"`},
		{"mcollective", `{"action":"a.b","nodes":["a"],"assert":"k = 1"}`, `property "assert" of the mcollective task: assertion "k = 1": "k" is no test: want key=value, without spaces, +key or -key`},
		{"mcollective", `{"action":"a.b","nodes":["a"],"batch_size":"x%"}`, `property "batch_size" of the mcollective task: want a number or a percentage, got "x%"`},
		{"mcollective", `{"action":"a.b","nodes":["a"],"tries":0}`, `property "tries" of the mcollective task: want at least 1, got 0`},
		{"shell", `{}`, `property "command" of the shell task: is required`},
		{"shell", `{"command":"true","cwd":"/does/not/exist"}`, `property "cwd" of the shell task: stat /does/not/exist: no such file or directory`},
		{"shell", `{"command":"true","nodes":"a"}`, `property "nodes" of the shell task: want an array of strings, got "a"`},
		{"shell", `{"command":"true","nodes":["a;b"]}`, `property "nodes" of the shell task: a name has characters that the shell acts on`},
		{"nope", `{}`, `unknown type of task "nope": want email, external, graphite_event, mcollective, nats, shell, slack, webhook, or one of a module such as acme::page`},
	}
	for _, tt := range tests {
		env := &task.Env{Network: &tasktest.Network{}, Log: &tasktest.Log{}, Environ: func() []string { return nil }}
		_, err := task.Run(t.Context(), env, tt.typ, properties(t, tt.properties))
		if err == nil || err.Error() != tt.err {
			t.Errorf("%s %s: %v; want %s", tt.typ, tt.properties, err, tt.err)
		}
	}
}

// TestSecretInputs holds that one is told which secrets nodes write into their audit, once.
func TestSecretInputs(t *testing.T) {
	for text, want := range map[string]string{
		`{"action":"puppet.disable","nodes":["a"],"properties":{"message":"hunter22"}}`: `warning: Input "message" of puppet#disable has a secret in it, and nodes write it into their audit: the description of the agent does not call it sensitive`,
		`{"action":"puppet.disable","nodes":["a"],"properties":{"message":"hello"}}`:    "",
	} {
		log := &tasktest.Log{}
		env := &task.Env{
			Network: &tasktest.Network{Answer: func(string, client.Request) (client.Reply, bool) { return tasktest.Failed("no") }}, Log: log,
			Environ: func() []string { return nil }, Secret: func(text string) bool { return strings.Contains(text, "hunter22") },
		}
		p := properties(t, text)
		p["tries"], p["try_sleep"] = json.Number("2"), json.Number("0")
		if _, err := task.Run(t.Context(), env, "mcollective", p); err != nil {
			t.Fatal(err)
		}
		var warned []string
		for _, line := range log.Lines() {
			if strings.Contains(line, "has a secret") {
				warned = append(warned, line)
			}
		}
		if strings.Join(warned, "\n") != want {
			t.Errorf("%s: %q; want %q", text, warned, want)
		}
	}
}

func TestRequestProgress(t *testing.T) {
	t.Parallel()
	var seen []string
	running := 0
	env := &task.Env{Network: &tasktest.Network{Answer: status}, Log: &tasktest.Log{}, Environ: func() []string { return nil }}
	env.Watch = func(at task.Progress) (func(task.Progress), func()) {
		running++
		last := at
		return func(at task.Progress) { last = at }, func() { running--; seen = append(seen, last.String()) }
	}
	_, err := task.Run(t.Context(), env, "mcollective",
		properties(t, `{"action":"puppet.status","nodes":["good","bad","busy","silent"],"tries":2,"try_sleep":0,"batch_size":2,"batch_sleep_time":0}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"puppet#status: 2 of 4 nodes done, 1 failed, 1 silent (batch 2 of 2, try 1 of 2)",
		"puppet#status: 2 of 4 nodes done, 1 failed, 1 silent (batch 2 of 2, try 2 of 2)",
	}
	if !slices.Equal(seen, want) || running != 0 {
		t.Errorf("seen %q, %d still running; want %q", seen, running, want)
	}
}
