// Package build says which build of Choria this is.
package build

// Version is the version of this build. Release builds set it, and Commit, with -ldflags -X.
var (
	Version = "1.0.0"
	Commit  = "unknown"
)
