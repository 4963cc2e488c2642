//go:build race

package transport_test

// The race detector makes everything larger.
const overhead = 16 << 10
