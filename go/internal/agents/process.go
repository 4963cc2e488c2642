package agents

import (
	"context"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"

	"choria.io/choria/go/agent"
)

// A processes is the agent process.
type processes struct {
	proc string // where the kernel tells about processes: /proc
}

// Process returns the agent process, which lists processes.
func Process() *agent.Agent { return newProcess("/proc") }

func newProcess(proc string) *agent.Agent {
	p := &processes{proc}
	return newAgent("process", map[string]agent.Action{"list": p.list})
}

// list also lists kernel threads, whose command line is taken to be their name.
func (p *processes) list(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Pattern string `json:"pattern"`
		Zombies bool   `json:"just_zombies"`
		User    string `json:"user"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	pattern, err := regexp.Compile(in.Pattern)
	if err != nil {
		return agent.Errorf(agent.InvalidData, "input \"pattern\" of process#list: %v", err)
	}
	names := make(usernames)
	found := []*processInfo{}
	var data struct {
		List []*processInfo `json:"pslist"`
	}
	data.List = found
	reply.Data = &data

	owner := -1
	if in.User != "" {
		uid, ok := uidOf(in.User)
		if !ok {
			return nil // nobody has processes who is not there
		}
		owner = uid
	}
	pids, err := pids(p.proc)
	if err != nil {
		return aborted(err)
	}
	table := newProcTable(p.proc)
	for _, pid := range pids {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		info, ok := table.process(pid)
		if !ok || !pattern.MatchString(info.CommandLine) {
			continue
		}
		if in.Zombies && info.State != "Z" || owner >= 0 && info.UID != owner {
			continue
		}
		info.Username = names.of(info.UID)
		data.List = append(data.List, info)
	}
	if !fits(data) {
		n := len(data.List)
		data.List = found
		return agent.Errorf(agent.Aborted, "list of %d processes: too large for one reply, narrow it by pattern or user", n)
	}
	return nil
}

// pids returns the ids of all processes, in order.
func pids(proc string) ([]int, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all, nil
}

// uidOf returns the id of a user given by name or number.
func uidOf(name string) (int, bool) {
	if u, err := user.Lookup(name); err == nil {
		name = u.Uid
	}
	uid, err := strconv.Atoi(name)
	return uid, err == nil && uid >= 0
}

// usernames remembers names by id, since each look-up reads a file.
type usernames map[int]any

// of returns the name of the user, or the id when it has none.
func (n usernames) of(uid int) any {
	name, ok := n[uid]
	if !ok {
		name = uid
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			name = u.Username
		}
		n[uid] = name
	}
	return name
}
