package ddl

import (
	"encoding/json"
	"slices"
	"strings"
)

// A Summary is what one aggregate made of all replies.
type Summary struct {
	Output   string // name of the output
	Function string
	Lines    []string        // for people, without indentation; empty: nothing to say
	Value    json.RawMessage // for programs; nil: nothing to say
}

// An Aggregator takes the data of replies one by one in constant memory for each distinct value.
type Aggregator struct {
	parts []part
}

// A part is one aggregate at work.
type part struct {
	output   string
	function string
	missing  json.RawMessage // what counts when a reply lacks the output; nil: nothing
	fold     fold
}

// A fold is the state of one aggregate function.
type fold interface {
	add(value json.RawMessage)
	summary() (lines []string, value any) // value nil: nothing to say
}

// options are what an aggregate has besides the name of the output.
type options struct {
	format string            // empty: the function's own
	labels map[string]string // summary: what to show for a value
}

// folds makes the state of the functions that are known.
var folds = map[string]func(options) fold{
	"summary":         newSummary,
	"boolean_summary": newSummary,
	"average":         newAverage,
	"sum":             newSum,
	"chart":           newChart,
	"nettest_mma":     newMinMaxAverage,
	"process_summary": newProcessSummary,
}

// Aggregator returns a new aggregator for the action's aggregates. Functions that are not known
// are passed over.
func (a *Action) Aggregator() *Aggregator {
	g := &Aggregator{}
	for _, agg := range a.Aggregate {
		var output string
		if len(agg.Args) == 0 || json.Unmarshal(agg.Args[0], &output) != nil {
			continue
		}
		start := folds[agg.Function]
		if start == nil {
			continue
		}
		p := part{output: output, function: agg.Function, fold: start(aggregateOptions(agg))}
		if out := a.Output[output]; out != nil {
			p.missing = out.Default
		}
		g.parts = append(g.parts, p)
	}
	slices.SortStableFunc(g.parts, func(a, b part) int { return strings.Compare(a.output, b.output) })
	return g
}

// aggregateOptions reads the second argument, {"format": TEXT, VALUE: LABEL, ...}. Descriptions
// made from Ruby ones have a colon before names that were symbols.
func aggregateOptions(agg Aggregate) options {
	o := options{labels: make(map[string]string)}
	if len(agg.Args) < 2 {
		return o
	}
	var raw map[string]json.RawMessage
	if json.Unmarshal(agg.Args[1], &raw) != nil {
		return o
	}
	for key, value := range raw {
		key = strings.TrimPrefix(key, ":")
		if key == "format" {
			o.format = Text(value)
			continue
		}
		o.labels[key] = Text(value)
	}
	return o
}

// Add takes the data of one reply. Data that is no JSON object is passed over.
func (g *Aggregator) Add(data json.RawMessage) {
	if len(g.parts) == 0 {
		return
	}
	var outputs map[string]json.RawMessage
	if json.Unmarshal(data, &outputs) != nil || outputs == nil {
		return
	}
	for i := range g.parts {
		p := &g.parts[i]
		value, ok := outputs[p.output]
		if !ok {
			value = p.missing
		}
		if value != nil {
			p.fold.add(value)
		}
	}
}

// Summaries returns what was made of the replies so far, sorted by output.
func (g *Aggregator) Summaries() []Summary {
	all := make([]Summary, 0, len(g.parts))
	for _, p := range g.parts {
		s := Summary{Output: p.output, Function: p.function}
		if lines, value := p.fold.summary(); value != nil {
			s.Lines = lines
			s.Value = json.RawMessage(marshal(value))
		}
		all = append(all, s)
	}
	return all
}

// maxCounted is how many bytes of a value a summary keeps. Longer ones are cut, so that large
// replies of many nodes do not fill the memory.
const maxCounted = 1024

// counts counts how often each value occurs.
type counts struct {
	options
	n map[string]int
}

func newSummary(o options) fold { return &counts{o, make(map[string]int)} }

func (c *counts) add(value json.RawMessage) { c.n[cut(Text(value), maxCounted)]++ }

func (c *counts) summary() ([]string, any) {
	if len(c.n) == 0 {
		return nil, nil
	}
	// Two values may have the same label.
	byLabel := make(map[string]int, len(c.n))
	widest := 0
	for value, n := range c.n {
		label, ok := c.labels[value]
		if !ok {
			label = value
		}
		byLabel[label] += n
		widest = max(widest, width(label))
	}
	labels := sortedKeys(byLabel)
	slices.SortStableFunc(labels, func(a, b string) int { return byLabel[b] - byLabel[a] })
	lines := make([]string, 0, len(labels))
	for _, label := range labels {
		if c.format != "" {
			lines = append(lines, format(c.format, label, byLabel[label]))
			continue
		}
		lines = append(lines, strings.Repeat(" ", widest-width(label))+format("%s: %d", label, byLabel[label]))
	}
	return lines, byLabel
}
