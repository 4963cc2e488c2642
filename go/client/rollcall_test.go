package client

import (
	"fmt"
	"testing"
)

// A node is gone when two rounds that follow each other have missed it, and not before.
func TestRollCall(t *testing.T) {
	type word struct {
		round, node int
		gone        bool // afterwards
	}
	tests := map[string][]word{
		"said of the request":  {{0, 0, true}},
		"missed once":          {{1, 0, false}},
		"missed twice":         {{1, 0, false}, {2, 0, true}},
		"said twice":           {{1, 0, false}, {1, 0, false}},
		"was back":             {{1, 0, false}, {3, 0, false}, {4, 0, true}},
		"of several":           {{1, 0, false}, {1, 1, false}, {2, 1, true}},
		"of a round not made":  {{8, 0, false}, {9, 0, false}},
		"answered in between":  {{1, 2, false}, {2, 2, false}},
		"the one before again": {{2, 0, false}, {1, 0, false}},
	}
	for name, words := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Run{nodes: make([]string, 3), state: []nodeState{waiting, waiting, answered}, from: 0, to: 3, open: 2}
			r.roll.begin(0)
			r.roll.round = 5
			for _, w := range words {
				next := r.missing(absence{node: w.node, site: -1, round: w.round})
				if gone := r.state[w.node] == absent; gone != w.gone {
					t.Fatalf("%+v: gone is %v", w, gone)
				}
				if next != 0 && r.state[w.node] != waiting {
					t.Errorf("%+v: another round is wanted in %v", w, next)
				}
			}
		})
	}
}

// In a federation a node is missed when all sites have said so in one round.
func TestRollCallOfSites(t *testing.T) {
	type word struct {
		round, site int
		gone        bool // afterwards
	}
	tests := map[string][]word{
		"missed everywhere":      {{1, 0, false}, {1, 1, false}, {2, 1, false}, {2, 0, true}},
		"one site does not say":  {{1, 0, false}, {2, 0, false}, {3, 0, false}},
		"one site says it twice": {{1, 0, false}, {1, 0, false}, {2, 1, false}, {2, 1, false}},
		"one site is late":       {{1, 0, false}, {2, 0, false}, {1, 1, false}, {2, 1, false}},
		"was back":               {{1, 0, false}, {1, 1, false}, {3, 0, false}, {3, 1, false}},
	}
	for name, words := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Run{nodes: make([]string, 1), state: []nodeState{waiting}, from: 0, to: 1, open: 1, unserved: unserved{sites: []string{"a", "b"}}}
			r.roll.begin(0)
			for _, w := range words {
				if w.round > r.roll.round {
					r.roll.round = w.round
					clear(r.roll.told)
				}
				r.missing(absence{node: 0, site: w.site, round: w.round})
				if gone := r.state[0] == absent; gone != w.gone {
					t.Fatalf("%+v: gone is %v", w, gone)
				}
			}
		})
	}
}

func TestParseAbsence(t *testing.T) {
	const nodes, sites = 10, 2
	const base = "mcollective.reply.0.1.nr."
	tests := map[string]absence{
		"7":    {node: 7, site: -1},
		"r3-7": {node: 7, site: -1, round: 3},
		"f1":   {node: -1, site: 1},
	}
	for text, want := range tests {
		if got, ok := parseAbsence(base+text, nodes, sites); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, ok, want)
		}
	}
	if got, _ := parseAbsence(rollAbsence("reply", 12, 3), nodes, sites); got != (absence{node: 3, site: -1, round: 12}) {
		t.Errorf("read back: %+v", got)
	}
	for _, text := range []string{"", "10", "-1", "x", "f2", "r", "r1", "r1-", "r0-1", "r-1-1", "r1-10", "r1-2-3"} {
		if got, ok := parseAbsence(base+text, nodes, sites); ok {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// Whatever a broker says, it is about a node or a site that there is.
func FuzzParseAbsence(f *testing.F) {
	for _, seed := range []string{"reply.nr.1", "reply.nr.r1-1", "reply.nr.f0", "r99999999999999999999-1", "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		const nodes, sites = 3, 2
		a, ok := parseAbsence(subject, nodes, sites)
		if ok && (a.node >= nodes || a.site >= sites || a.node < 0 && a.site < 0 || a.round < 0) {
			t.Errorf("%q: %s", subject, fmt.Sprintf("%+v", a))
		}
	})
}
