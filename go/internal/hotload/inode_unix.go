//go:build unix

package hotload

import (
	"io/fs"
	"strconv"
	"syscall"
)

// inode tells a file from another that took its name within one tick of the clock.
func inode(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return " " + strconv.FormatUint(st.Ino, 10)
	}
	return ""
}
