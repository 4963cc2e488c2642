//go:build race

package node_test

// slack is how much more memory than in a normal build the race detector takes.
const slack = 6
