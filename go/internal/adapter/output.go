package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// How much is handed to a sink at once. More lets it be quicker, and takes memory.
const (
	batchMessages = 128
	batchBytes    = 4 << 20
)

// Times of publishing.
const (
	// publishTimeout is how long a sink may take for one batch.
	publishTimeout = 10 * time.Second

	// After an attempt in vain the next one follows after leastDelay, then after twice as long, and so
	// on up to mostDelay.
	leastDelay = 100 * time.Millisecond
	mostDelay  = 5 * time.Second
)

// An output is one worker that publishes.
type output struct {
	adapter *Adapter
	sink    Sink
	side    side
}

// run publishes what is in the queue until that is closed and empty.
func (o *output) run() {
	for first := range o.adapter.queue {
		batch := o.collect(first)
		var size int64
		for i := range batch {
			size += batch[i].size()
		}
		o.deliver(batch)
		o.adapter.room.Release(size)
	}
}

// collect returns first with what waits behind it.
func (o *output) collect(first Message) []Message {
	batch := []Message{first}
	for size := first.size(); len(batch) < batchMessages && size < batchBytes; {
		select {
		case m, ok := <-o.adapter.queue:
			if !ok {
				return batch
			}
			size += m.size()
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}

// deliver brings messages to the sink, or to the spill. When neither takes them it keeps trying,
// which in the end holds up those who receive.
func (o *output) deliver(batch []Message) {
	a := o.adapter
	for delay := leastDelay; ; delay = min(2*delay, mostDelay) {
		if a.spill.waiting() == 0 { // else they would overtake what waits there
			if batch = o.publish(a.life, batch); len(batch) == 0 {
				return
			}
		}
		if a.spill != nil {
			err := a.spill.append(batch)
			if err == nil {
				return
			}
			a.away.spill(err)
		}
		if a.life.Err() != nil {
			a.tally.dropped(stopped).Add(uint64(len(batch)))
			return
		}
		select {
		case <-time.After(delay):
		case <-a.life.Done():
		}
	}
}

// publish makes one attempt. It returns what is worth another one.
func (o *output) publish(ctx context.Context, batch []Message) (again []Message) {
	a := o.adapter
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	start := time.Now()
	results := o.sink.Publish(ctx, batch)
	o.side.time.Since(start)
	var last error
	for i, err := range results {
		switch {
		case err == nil:
			o.side.received.Inc() // the name that acknowledged messages have with the peer
			o.side.published.Inc()
			o.side.bytes.Add(uint64(len(batch[i].Data)))
		case errors.Is(err, ErrRefused):
			o.side.errors.Inc()
			a.bury("", batch[i].Data, &rejection{sinkRefuse, fmt.Errorf("message %s of %s: %w", batch[i].ID, batch[i].Sender, err)})
		default:
			o.side.errors.Inc()
			again = append(again, batch[i])
			last = err
		}
	}
	a.away.sink(last)
	return again
}

// drainSpill publishes what is in the spill, the oldest first, until ctx ends.
func (o *output) drainSpill(ctx context.Context) {
	a := o.adapter
	delay := leastDelay
	for ctx.Err() == nil {
		batch, end, err := a.spill.next(batchMessages, batchBytes)
		switch {
		case errors.Is(err, errDamaged):
			n := a.spill.skip()
			a.Log.Error("messages in the spill are damaged, and left out", "err", err, "messages", n)
			a.tally.dropped(damaged).Add(uint64(n))
			continue
		case err != nil: // of the disk, or too many open files: not a reason to give messages up
			a.away.spill(err)
			select {
			case <-time.After(mostDelay):
			case <-ctx.Done():
			}
			continue
		case len(batch) == 0:
			select {
			case <-a.spill.wake:
			case <-ctx.Done():
			}
			continue
		}
		for len(batch) > 0 {
			was := len(batch)
			if batch = o.publish(ctx, batch); len(batch) == 0 {
				delay = leastDelay
				break
			}
			if len(batch) < was {
				delay = leastDelay
			}
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return // they stay
			}
			delay = min(2*delay, mostDelay)
		}
		if err := a.spill.done(end); err != nil {
			a.Log.Warn("spill", "err", err)
		}
	}
}

// An awayLog says once that a sink or a spill does not take messages, and once that it does again.
type awayLog struct {
	log *slog.Logger

	mu          sync.Mutex
	since       time.Time // of the first attempt in vain; zero: the sink takes messages
	last, spare string
}

// sink is told how an attempt went: nil for well.
func (l *awayLog) sink(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && !l.since.IsZero():
		l.since, l.last, l.spare = time.Time{}, "", ""
		l.log.Info("the sink takes messages again")
	case err != nil && l.last != err.Error():
		if l.since.IsZero() {
			l.since = time.Now()
		}
		l.last = err.Error()
		l.log.Warn("the sink does not take messages, they wait", "err", err)
	}
}

// lag returns how long the sink has not taken what it was offered.
func (l *awayLog) lag() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return 0
	}
	return time.Since(l.since)
}

// spill is told why there is no room.
func (l *awayLog) spill(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := err.Error(); l.spare != text {
		l.spare = text
		l.log.Error("messages cannot wait on disk; when the queue is full they are dropped", "err", err)
	}
}
