//go:build unix

package config

import (
	"io/fs"
	"os"
	"syscall"
)

// distrust returns why the file of info is not read, empty when it is: it belongs to another user
// than this one and root, or everybody may write to it.
func distrust(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return "it belongs to another user"
	}
	if info.Mode().Perm()&0o002 != 0 {
		return "everybody may write to it"
	}
	return ""
}
