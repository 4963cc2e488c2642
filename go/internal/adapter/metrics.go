package adapter

import (
	"strconv"

	"choria.io/choria/go/internal/metrics"
)

// A side is what one worker counts. Source: protocol section 11.
type side struct {
	received, published, errors, bytes *metrics.Counter
	time                               *metrics.Summary
}

// A tally is what an adapter counts.
type tally struct {
	registry       *metrics.Registry
	name, identity string
}

func newTally(a *Adapter) tally {
	t := tally{a.Metrics, a.Name, a.Identity}
	labels := []string{"name", a.Name, "identity", a.Identity}
	a.Metrics.Gauge("choria_adapter_queue_capacity", "How many messages can be in the work queue", labels...).Set(float64(a.QueueLength))
	a.Metrics.GaugeFunc("choria_adapter_queue_length", "How many messages are in the work queue", func() float64 { return float64(len(a.queue)) }, labels...)
	// Shown from the start: of a counter that appears with a value nobody can tell that it grew.
	for _, reason := range []string{overflow, stopped, damaged, lostLetter} {
		t.dropped(reason)
	}
	for _, kind := range []string{malformed, unproven, expired, badSender, sinkRefuse} {
		t.deadLetters(kind)
	}
	return t
}

// lag shows how long messages of a have waited for the sink, on disk or in memory.
func (t tally) lag(a *Adapter) {
	t.registry.GaugeFunc("choria_adapter_lag_seconds", "Time since no message waited for the sink", func() float64 {
		return max(a.spill.lag(), a.away.lag()).Seconds()
	}, "name", t.name, "identity", t.identity)
}

// side returns that of worker n; role is input or output.
func (t tally) side(role string, n int) side {
	labels := []string{"name", t.name + "." + strconv.Itoa(n), "role", role, "identity", t.identity}
	s := side{
		received: t.registry.Counter("choria_adapter_received_msgs", "Number of messages received by adapters on their inputs, and acknowledged to their outputs", labels...),
		errors:   t.registry.Counter("choria_adapter_errors", "Messages that could not be handled", labels...),
		bytes:    t.registry.Counter("choria_adapter_bytes", "Bytes processed by the adapter", labels...),
		time:     t.registry.Summary("choria_adapter_time", "Time taken to process messages", labels...),
	}
	if role == "output" {
		s.published = t.registry.Counter("choria_adapter_published_msgs", "Number of messages that the sink has acknowledged", labels...)
	}
	return s
}

// Why a message is lost: the values of the label reason.
const (
	overflow   = "overflow"    // it came when all queues were full
	stopped    = "stopped"     // the adapter ended, and neither sink nor spill took it
	damaged    = "damaged"     // its file cannot be read
	lostLetter = "dead_letter" // it was a dead letter and could not be published
)

// dropped counts messages that are lost.
func (t tally) dropped(reason string) *metrics.Counter {
	return t.registry.Counter("choria_adapter_dropped_msgs", "Messages that were lost", "name", t.name, "identity", t.identity, "reason", reason)
}

// deadLetters counts messages that are not carried.
func (t tally) deadLetters(reason string) *metrics.Counter {
	return t.registry.Counter("choria_adapter_dead_letters", "Messages that were not accepted, or refused by the sink", "name", t.name, "identity", t.identity, "reason", reason)
}
