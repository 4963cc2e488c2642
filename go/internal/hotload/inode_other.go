//go:build !unix

package hotload

import "io/fs"

func inode(fs.FileInfo) string { return "" }
