package playbook_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/internal/playbook"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/playbook/tasktest"
)

// measure returns how long a playbook runs, from its first statement to its result.
func measure(b *testing.B, name string, n task.Network, parameters map[string]any) (time.Duration, *playbook.Outcome) {
	b.Helper()
	s, _ := newSession(b, name, n)
	defer s.Close()
	ready(b, s)
	o, err := s.Run(b.Context(), parameters)
	if err != nil || o.Failure != nil {
		b.Fatal(err, o)
	}
	return o.End.Sub(o.Start), o
}

// BenchmarkFirstLine measures from the start of Ruby to the first line of a plan.
func BenchmarkFirstLine(b *testing.B) {
	for b.Loop() {
		o, _, _ := runPlan(b, "demo", nil, nil)
		if o.Failure != nil {
			b.Fatal(o.Failure)
		}
	}
}

// BenchmarkCall measures one call of a function that the host answers at once, and how much of it Puppet takes
// to evaluate the call of a function that needs no host.
func BenchmarkCall(b *testing.B) {
	evaluation, _ := measure(b, "demo::evaluates", nil, map[string]any{"calls": b.N})
	s, _ := newSession(b, "demo::counts", nil)
	ready(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	if o, err := s.Run(b.Context(), map[string]any{"calls": b.N}); err != nil || o.Failure != nil {
		b.Fatal(err, o)
	}
	b.ReportMetric(float64(evaluation.Nanoseconds())/float64(b.N), "evaluation-ns/op")
}

// BenchmarkResults measures a plan that looks at 10 000 results, and how much of it is not evaluation: what
// the same plan takes longer than with results that need no host.
func BenchmarkResults(b *testing.B) {
	const nodes = 10_000
	network := &tasktest.Network{Answer: func(string, client.Request) (client.Reply, bool) {
		return tasktest.OK(`{"applying":false,"daemon_present":true,"disable_message":"","enabled":true,"idling":true,` +
			`"lastrun":1785000000,"since_lastrun":120,"message":"Currently idling; last completed run 2 minutes ago","status":"idling"}`)
	}}
	for i := range nodes {
		network.Nodes = append(network.Nodes, fmt.Sprintf("node%05d.example.net", i))
	}
	run := func(task bool) time.Duration {
		d, o := measure(b, "demo::loops", network, map[string]any{"nodes": network.Nodes, "task": task})
		if string(o.Result) != strconv.Itoa(nodes) {
			b.Fatalf("the plan counted %s nodes; want %d", o.Result, nodes)
		}
		return d
	}
	var evaluation, whole time.Duration
	for b.Loop() {
		evaluation += run(false)
		whole += run(true)
	}
	b.ReportMetric(evaluation.Seconds()/float64(b.N), "evaluation-s")
	b.ReportMetric(whole.Seconds()/float64(b.N), "whole-s")
	b.ReportMetric(max(0, (whole-evaluation).Seconds())/float64(b.N), "beyond-s")
}
