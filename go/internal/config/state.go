package config

import (
	"os"
	"path/filepath"
)

// StateDirectory returns where the data of a daemon is kept when no setting says so: the directory that
// systemd gives it, /var/lib/choria for root, and none, which is empty, for others.
func StateDirectory() string {
	if dirs := filepath.SplitList(os.Getenv("STATE_DIRECTORY")); len(dirs) > 0 && filepath.IsAbs(dirs[0]) {
		return dirs[0]
	}
	if os.Geteuid() == 0 {
		return "/var/lib/choria"
	}
	return ""
}
