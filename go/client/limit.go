package client

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A Limit takes some of the nodes that were discovered.
type Limit struct {
	Count  string // N, or N% of the nodes, rounded down but at least one; empty: all
	Method string // first in alphabetical order, or random; empty: first

	// Seed makes random choose the same of the same nodes again, whatever order they were discovered
	// in. Zero chooses differently each time.
	Seed int64
}

// Check returns what is wrong with l, whatever nodes there are.
func (l Limit) Check() error {
	if l.Method != "" && l.Method != "first" && l.Method != "random" {
		return fmt.Errorf("limit method %q: want first or random", l.Method)
	}
	if l.Count == "" {
		return nil
	}
	_, err := l.count(1)
	return err
}

// Of returns the nodes chosen, sorted for first and shuffled for random. More than there are is all of
// them.
func (l Limit) Of(nodes []string) ([]string, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	if l.Count == "" || len(nodes) == 0 {
		return nodes, nil
	}
	n, err := l.count(len(nodes))
	if err != nil {
		return nil, err
	}
	nodes = slices.Sorted(slices.Values(nodes))
	if l.Method == "random" {
		seed := uint64(l.Seed)
		if l.Seed == 0 {
			seed = rand.Uint64()
		}
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	}
	return nodes[:n], nil
}

// count returns how many of total nodes the limit leaves.
func (l Limit) count(total int) (int, error) {
	text, percent := strings.CutSuffix(l.Count, "%")
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil, n < 1:
		return 0, fmt.Errorf("limit %q: want a number of nodes from 1, or a percentage as in 25%%", l.Count)
	case percent && n > 100:
		return 0, fmt.Errorf("limit %q: more than 100%%", l.Count)
	case percent:
		n = max(1, total*n/100) // asking nobody is not what anybody wants
	}
	return min(n, total), nil
}
