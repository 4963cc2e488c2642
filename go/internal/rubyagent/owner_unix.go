//go:build unix

package rubyagent

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// distrust says why what is in a directory may be the work of others, nothing when it is not.
func distrust(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Sprintf("belongs to user %d, want user %d", st.Uid, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Sprintf("others may write there, mode %04o", info.Mode().Perm())
	}
	return ""
}
