package cli

import (
	"encoding/json"
	"errors"
	"time"

	"choria.io/choria/go/client"
	"choria.io/choria/go/ddl"
)

// A show is one request being shown.
type show struct {
	cmd     *rpcCommand
	call    *call
	out     *screen // where replies go
	console *screen // where the discovery and the progress go

	method        string // of the discovery; empty for a service
	discovered    int    // nodes asked
	discoveryTime time.Duration
	stats         client.Stats // when the replies are over

	aggregates *ddl.Aggregator
}

// aggregator returns what summarises the replies of the action.
func (s *show) aggregator() *ddl.Aggregator {
	if s.aggregates == nil {
		s.aggregates = s.call.action.Aggregator()
	}
	return s.aggregates
}

// A format shows a request in one way. Its methods are called in this order; an error from one of
// them ends the request.
type format interface {
	begin(s *show)              // before anything is sent
	discovering()               // not for services
	found() error               // nodes are known, perhaps none; not for services
	arrived()                   // for each reply
	reply(r client.Reply) error // for each reply to show
	end() error                 // all replies are there
	failed(err error) error     // at the very end, also without begin; err is nil when all went well
}

// format returns the format that the flags ask for.
func (c *rpcCommand) format() (format, error) {
	n := 0
	for _, on := range []bool{c.asLines, c.asTable, c.asJSON && !c.senders, c.senders} {
		if on {
			n++
		}
	}
	if n > 1 {
		return nil, errors.New("--json, --jsonl, --table and --senders: give one of them")
	}
	var f format
	switch {
	case c.replyTo != "" || c.noResults:
		return &quiet{}, nil
	case c.asLines:
		f = &linesFormat{enc: json.NewEncoder(c.stdout)}
	case c.senders:
		f = &sendersFormat{}
	case c.asJSON:
		f = &jsonFormat{}
	case c.asTable:
		f = &tableFormat{}
	default:
		f = &textFormat{}
	}
	if c.sorted {
		f = &sortedFormat{format: f}
	}
	return f, nil
}

// quiet is a format that shows nothing; others embed it for what they leave out.
type quiet struct{ *show }

func (q *quiet) begin(s *show)            { q.show = s }
func (q *quiet) discovering()             {}
func (q *quiet) found() error             { return nil }
func (q *quiet) arrived()                 {}
func (q *quiet) reply(client.Reply) error { return nil }
func (q *quiet) end() error               { return nil }
func (q *quiet) failed(err error) error   { return err }
