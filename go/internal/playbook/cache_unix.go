//go:build unix

package playbook

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// private makes sure that nobody but the user and root can change what is in a directory. One that is the
// user's own is for nobody else at all.
func private(path string, own bool) error {
	stat := os.Stat
	if own {
		stat = os.Lstat // of a link the target could be changed later
	}
	st, err := stat(path)
	if err != nil {
		return err
	}
	owner := int(st.Sys().(*syscall.Stat_t).Uid)
	switch mode := st.Mode(); {
	case !mode.IsDir():
		return fmt.Errorf("%s is no directory", path)
	case owner != os.Geteuid() && (own || owner != 0):
		return fmt.Errorf("%s belongs to another user", path)
	case own && mode.Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %04o: want 0700", path, mode.Perm())
	case mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0:
		return fmt.Errorf("%s can be written to by other users", path)
	}
	return nil
}
