package agents

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"choria.io/choria/go/agent"
)

// settle is how long a service may take to fall over before its status is looked at. The Ruby agent
// waits as long.
const settle = 500 * time.Millisecond

// services is the agent service.
type services struct {
	systemctl string // program; empty: systemd does not run this machine
	service   string // program for SysV scripts; empty: they are run from initDir
	initDir   string
	settle    time.Duration // see settle
}

// Service returns the agent service, which starts and stops services: those of systemd where it runs
// the machine, else SysV ones. plugin.service.provider may be systemd or sysv; any other value, the
// puppet of the Ruby agent too, finds out. get looks up configuration keys and may be nil.
func Service(get func(key string) (value string, ok bool)) *agent.Agent {
	s := &services{initDir: "/etc/init.d", settle: settle}
	_, err := os.Stat("/run/systemd/system") // as sd_booted(3) has it
	systemd := err == nil
	switch setting(get).or("plugin.service.provider", "") {
	case "systemd":
		systemd = true
	case "sysv":
		systemd = false
	}
	if systemd {
		s.systemctl = "systemctl"
	} else if path, err := exec.LookPath("service"); err == nil {
		s.service = path
	} else if path := "/usr/sbin/service"; executable(path) {
		s.service = path
	}
	return s.agent()
}

func (s *services) agent() *agent.Agent {
	return newAgent("service", map[string]agent.Action{
		"restart": s.restart, "start": s.start, "status": s.status, "stop": s.stop,
	})
}

// executable reports whether there is a program at path.
func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// command returns what does something with a service.
func (s *services) command(verb, name string) command {
	switch {
	case s.systemctl != "" && verb == "status":
		return command{argv: []string{s.systemctl, "show", "--property=ActiveState", "--", name}}
	case s.systemctl != "":
		return command{argv: []string{s.systemctl, "--no-ask-password", "--no-pager", verb, "--", name}}
	case s.service != "":
		return command{argv: []string{s.service, name, verb}}
	}
	return command{argv: []string{filepath.Join(s.initDir, name), verb}}
}

// state returns running or stopped. A service that is not known is stopped, as the Ruby agent has it.
func (s *services) state(ctx context.Context, name string) (string, error) {
	f, err := s.command("status", name).run(ctx)
	if s.systemctl == "" && s.service == "" && errors.Is(err, fs.ErrNotExist) {
		return "stopped", nil // there is no such script
	}
	if err != nil {
		return "", err
	}
	running := f.code == 0 // LSB: 0 is running, 1 to 3 are ways of not running, others are not known
	if s.systemctl != "" {
		if f.code != 0 {
			return "", f.failure(s.command("status", name))
		}
		state := strings.TrimSpace(f.stdout)
		running = state == "ActiveState=active" || state == "ActiveState=reloading"
	}
	if running {
		return "running", nil
	}
	return "stopped", nil
}

// A serviceReply is the data of all actions.
type serviceReply struct {
	Status string `json:"status"` // running, stopped or unknown
}

// named returns the service that a request is about.
func named(req *agent.Request) (string, error) {
	var in struct {
		Service string `json:"service"`
	}
	err := bind(req, &in)
	return in.Service, err
}

func (s *services) status(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	data := &serviceReply{"unknown"}
	reply.Data = data
	name, err := named(req)
	if err != nil {
		return err
	}
	state, err := s.state(ctx, name)
	if err != nil {
		return aborted(err)
	}
	data.Status = state
	return nil
}

func (s *services) start(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	return s.change(ctx, req, reply, "running")
}

func (s *services) stop(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	return s.change(ctx, req, reply, "stopped")
}

func (s *services) restart(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	return s.change(ctx, req, reply, "")
}

// change does what the action is called. It is an error when the service has the wanted state already.
func (s *services) change(ctx context.Context, req *agent.Request, reply *agent.Reply, want string) error {
	data := &serviceReply{"unknown"}
	reply.Data = data
	name, err := named(req)
	if err != nil {
		return err
	}
	if want != "" {
		state, err := s.state(ctx, name)
		if err != nil {
			return aborted(err)
		}
		if state == want {
			data.Status = state
			return agent.Errorf(agent.Aborted, "could not %s service %s: it is already %s", req.Action, name, state)
		}
	}
	c := s.command(req.Action, name)
	f, err := c.run(ctx)
	if err != nil {
		return aborted(err)
	}
	pause(ctx, s.settle)
	state, err := s.state(ctx, name)
	if err == nil {
		data.Status = state
	}
	if f.code != 0 {
		return aborted(f.failure(c))
	}
	return aborted(err)
}
