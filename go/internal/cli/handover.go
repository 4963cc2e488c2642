package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
)

// daemons are the commands that are other programs, as in git: a node must not pay for the broker,
// nor a client for either.
var daemons = map[string]string{
	"server": "choria-server",
	"broker": "choria-broker",
}

// handsOver reports whether the command line is that of another program, but for what choria itself
// does for people: broker info.
func handsOver(args []string) bool {
	if len(args) == 0 || daemons[args[0]] == "" {
		return false
	}
	help := len(args) == 1 || args[1] == "--help" || args[1] == "-h"
	return args[0] != "broker" || !help && args[1] != "info"
}

// addServer and addBroker are there for the help; Main has handed over before it parses anything.
func addServer(e *env, app *kingpin.Application) {
	addDaemon(e, app, "server", "Runs the node: hands over to choria-server.")
}
func addBroker(e *env, app *kingpin.Application) {
	cmd := app.Command("broker", "Runs a broker, or shows what brokers do.")
	run := cmd.Command("run", "Runs a broker: hands over to choria-broker.")
	run.HelpLong(fmt.Sprintf(`The program is looked for beside %[1]s, then in PATH.

Examples:
  %[1]s broker run --config /etc/choria/broker.conf
`, e.name))
	args := run.Arg("args", "Arguments of the program").Strings()
	run.Action(func(*kingpin.ParseContext) error {
		return e.handOver(daemons["broker"], append([]string{"run"}, *args...))
	})
	addBrokerInfo(e, cmd)
}

func addDaemon(e *env, app *kingpin.Application, name, help string) {
	cmd := app.Command(name, help)
	cmd.HelpLong(fmt.Sprintf(`The program is looked for beside %[1]s, then in PATH.

Examples:
  %[1]s %[2]s --help
  %[1]s %[2]s run --config /etc/choria/%[2]s.conf
`, e.name, name))
	args := cmd.Arg("args", "Arguments of the program").Strings()
	cmd.Action(func(*kingpin.ParseContext) error { return e.handOver(daemons[name], *args) })
}

// handOver replaces this process by program, which is beside our own or in PATH.
func (e *env) handOver(program string, args []string) error {
	path, err := findProgram(program)
	if err != nil {
		return err
	}
	err = syscall.Exec(path, append([]string{program}, args...), os.Environ())
	return fmt.Errorf("%s: %w", path, err)
}

func findProgram(program string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		// mco is a link; the programs are beside what it points to.
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		beside := filepath.Join(filepath.Dir(self), program)
		if st, err := os.Stat(beside); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return beside, nil
		}
	}
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrNotFound) {
		return "", withHint(fmt.Errorf("%s: neither beside %s nor in PATH", program, self), "install the package that has %s, or put it beside this program", program)
	}
	return path, err
}
