package rubyagent

import (
	"encoding/json"
	"testing"
	"time"
)

// BenchmarkPuppet measures an agent whose action requires Puppet: cold, which is the first request
// and starts a process; warm, in a fork of it; and one process for each request. The overhead is what
// the request takes besides the action itself. The budget is 50 ms for the warm one.
func BenchmarkPuppet(b *testing.B) {
	for _, mode := range []string{"cold", "warm", "oneshot"} {
		b.Run(mode, func(b *testing.B) {
			setting := "warm"
			if mode == "oneshot" {
				setting = mode
			}
			r := newRig(b, "", "plugin.choria.ruby.mode", setting)
			var action, total time.Duration
			request := func() {
				start := time.Now()
				reply, err := r.call("puppetized", "version", "{}", patience)
				took := time.Since(start)
				var data struct{ Seconds float64 }
				raw, _ := reply.Data.(json.RawMessage)
				if err != nil || json.Unmarshal(raw, &data) != nil {
					b.Fatalf("%v %s", err, raw)
				}
				total += took
				action += time.Duration(data.Seconds * float64(time.Second))
			}
			if mode == "warm" {
				request() // starts the process, and tells it what to load
				request()
				total, action = 0, 0
			}
			b.ReportAllocs()
			for b.Loop() {
				request()
				if mode == "cold" {
					b.StopTimer()
					r.Close()
					r = newRig(b, "")
					b.StartTimer()
				}
			}
			n := float64(b.N)
			b.ReportMetric(float64(total-action)/n/float64(time.Millisecond), "overhead-ms")
		})
	}
}
