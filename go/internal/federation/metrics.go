package federation

import (
	"strconv"

	"choria.io/choria/go/internal/metrics"
)

// A tally is what one part of one worker counts. Source: protocol section 11.
type tally struct {
	received, errors *metrics.Counter
	published        *metrics.Counter // nil for parts that do not publish
	time             *metrics.Summary
}

// tally returns that of worker number of a part: nats_ingest, nats_egest or a transformer.
func (b *Broker) tally(part, connectedTo string, number int) tally {
	labels := []string{"name", part, "worker", strconv.Itoa(number), "connected_to", connectedTo, "cluster", b.Site, "identity", b.Identity}
	t := tally{
		received: b.Metrics.Counter("choria_federation_received_msgs", "Number of messages received by a Federation Broker worker", labels...),
		errors:   b.Metrics.Counter("choria_federation_errors", "Messages that could not be handled", labels...),
		time:     b.Metrics.Summary("choria_federation_time", "Time taken to process messages", labels...),
	}
	if part == "nats_egest" {
		t.published = b.Metrics.Counter("choria_federation_published_msgs", "Number of messages published by a Federation Broker worker", labels...)
	}
	return t
}
