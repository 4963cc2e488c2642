//go:build !linux

package main

// unmapProgram does nothing where resident memory is not counted as on Linux.
func unmapProgram() error { return nil }
