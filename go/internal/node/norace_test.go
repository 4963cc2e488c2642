//go:build !race

package node_test

const slack = 1
