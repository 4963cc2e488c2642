//go:build !race

package transport_test

const overhead = 0
