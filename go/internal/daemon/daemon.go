// Package daemon is what all daemons have in common: a log that can be reopened, a statistics port,
// files that say how a process is, a word to the service manager.
package daemon
