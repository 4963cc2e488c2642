package agents

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"choria.io/choria/go/agent"
)

// runAs makes cmd run as the user of that name with the user's groups. An empty name is the user
// of the daemon. A command of another user gets little of the environment of the daemon, which may
// hold secrets.
func runAs(cmd *exec.Cmd, name string) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return agent.Errorf(agent.Aborted, "user %q: there is no such user", name)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return agent.Errorf(agent.Aborted, "user %q: id %s and group %s are no numbers", name, u.Uid, u.Gid)
	}
	if int(uid) == os.Geteuid() {
		return nil
	}
	if os.Geteuid() != 0 {
		return agent.Errorf(agent.Aborted, "user %q: the daemon runs as user %d, only root may run commands as others", name, os.Geteuid())
	}
	ids, err := u.GroupIds()
	if err != nil {
		return agent.Errorf(agent.Aborted, "groups of user %q: %v", name, err)
	}
	groups := []uint32{}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, uint32(n))
		}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: groups}
	cmd.Env = []string{"HOME=" + u.HomeDir, "USER=" + name, "LOGNAME=" + name}
	for _, kv := range os.Environ() {
		key, _, _ := strings.Cut(kv, "=")
		if key == "PATH" || key == "LANG" || key == "TZ" || strings.HasPrefix(key, "LC_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	return nil
}
