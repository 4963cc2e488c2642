package agents

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/internal/config"
)

// Defaults of plugin.puppet.splay and plugin.puppet.splaylimit, those of the Ruby agent.
const (
	defaultSplay      = true
	defaultSplayLimit = 30 // seconds
)

// puppet is the agent puppet.
type puppet struct {
	setting setting
	state   *puppetState
	now     func() time.Time
}

// Puppet returns the agent puppet. It loads no Puppet library: it reads the files of the Puppet agent,
// and starts "puppet agent" as a process of its own. It is nil on a machine without Puppet. get looks
// up configuration keys and may be nil.
func Puppet(get func(key string) (value string, ok bool)) *agent.Agent {
	p := newPuppet(get)
	if p == nil {
		return nil
	}
	return p.agent()
}

func newPuppet(get setting) *puppet {
	// As in the Ruby agent the key holds the command of runs, "puppet agent". There are no quotes in it.
	words := strings.Fields(get.or("plugin.puppet.command", ""))
	if n := len(words); n > 1 && words[n-1] == "agent" {
		words = words[:n-1]
	}
	if len(words) == 0 {
		program := findPuppet()
		if program == "" {
			return nil
		}
		words = []string{program}
	}
	return &puppet{setting: get, now: time.Now, state: &puppetState{
		command: words, config: get.or("plugin.puppet.config", ""), setting: get,
	}}
}

// findPuppet returns the program puppet: that in PATH, as Debian packages it, or that of the packages of
// Puppet itself, which is not in the PATH of services.
func findPuppet() string {
	if path, err := exec.LookPath("puppet"); err == nil {
		return path
	}
	for _, path := range []string{"/opt/puppetlabs/bin/puppet", "/opt/puppetlabs/puppet/bin/puppet"} {
		if executable(path) {
			return path
		}
	}
	return ""
}

func (p *puppet) agent() *agent.Agent {
	return newAgent("puppet", map[string]agent.Action{
		"disable": p.disable, "enable": p.enable, "last_run_summary": p.lastRunSummary,
		"resource": p.resource, "runonce": p.runonce, "status": p.status,
	})
}

// A puppetSwitch is the data of the actions enable and disable.
type puppetSwitch struct {
	Status  string `json:"status"`
	Enabled bool   `json:"enabled"`
}

func (p *puppet) disable(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	in := struct {
		Message string `json:"message"`
	}{fmt.Sprintf("Disabled by %s at %s", req.Caller, p.now().Format("2006-01-02 15:04"))}
	if err := bind(req, &in); err != nil {
		return err
	}
	return p.change(ctx, reply, func(f *puppetFiles) (string, error) {
		if err := f.disable(in.Message); err != nil {
			return "", fmt.Errorf("could not disable Puppet: %w", err)
		}
		return "The Puppet agent is disabled: " + in.Message, nil
	})
}

func (p *puppet) enable(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	return p.change(ctx, reply, func(f *puppetFiles) (string, error) {
		if err := f.enable(); err != nil {
			return "", fmt.Errorf("could not enable Puppet: %w", err)
		}
		return "The Puppet agent is enabled", nil
	})
}

// change does something and says whether the agent may run afterwards.
func (p *puppet) change(ctx context.Context, reply *agent.Reply, do func(*puppetFiles) (string, error)) error {
	f, err := p.state.files(ctx)
	if err != nil {
		return aborted(err)
	}
	text, err := do(f)
	if err != nil {
		text = err.Error()
	}
	disabled, _ := f.disabled()
	reply.Data = &puppetSwitch{Status: text, Enabled: !disabled}
	return aborted(err)
}

// A puppetStatus is the data of the action status.
type puppetStatus struct {
	Applying       bool   `json:"applying"`
	Idling         bool   `json:"idling"`
	Enabled        bool   `json:"enabled"`
	DaemonPresent  bool   `json:"daemon_present"`
	LastRun        int64  `json:"lastrun"`       // Unix seconds, 0 when there was none
	SinceLastRun   int64  `json:"since_lastrun"` // seconds
	Status         string `json:"status"`
	DisableMessage string `json:"disable_message"`
	Message        string `json:"message"`
}

func (p *puppet) status(ctx context.Context, _ *agent.Request, reply *agent.Reply) error {
	f, err := p.state.files(ctx)
	if err != nil {
		return aborted(err)
	}
	reply.Data = p.look(f)
	return nil
}

// look returns the status of the Puppet agent.
func (p *puppet) look(f *puppetFiles) *puppetStatus {
	summary, _ := f.summary() // what cannot be read counts as no run
	s := &puppetStatus{Applying: f.applying(), DaemonPresent: f.daemon() > 0, LastRun: whole(summary.section("time")["last_run"])}
	disabled, message := f.disabled()
	s.Enabled, s.DisableMessage = !disabled, message
	s.Idling = s.DaemonPresent && !s.Applying
	s.SinceLastRun = max(0, p.now().Unix()-s.LastRun)
	switch {
	case disabled:
		s.Status = "disabled"
	case s.Applying:
		s.Status = "applying a catalog"
	case s.Idling:
		s.Status = "idling"
	default:
		s.Status = "stopped"
	}
	s.Message = fmt.Sprintf("Currently %s; no completed run is known", s.Status)
	if s.LastRun > 0 {
		s.Message = fmt.Sprintf("Currently %s; last completed run %s ago", s.Status, ago(s.SinceLastRun))
	}
	return s
}

// ago is a number of seconds in words, as in 1 day 2 hours 3 minutes 04 seconds.
func ago(seconds int64) string {
	days, hours, minutes := seconds/86400, seconds/3600%24, seconds/60%60
	text := fmt.Sprintf("%02d seconds", seconds%60)
	if seconds >= 60 {
		text = fmt.Sprintf("%d minutes %s", minutes, text)
	}
	if seconds >= 3600 {
		text = fmt.Sprintf("%d hours %s", hours, text)
	}
	switch {
	case days == 1:
		text = "1 day " + text
	case days > 1:
		text = fmt.Sprintf("%d days %s", days, text)
	}
	return text
}

// A lastRun is the data of the action last_run_summary.
type lastRun struct {
	OutOfSync        int64            `json:"out_of_sync_resources"`
	Failed           int64            `json:"failed_resources"`
	Corrected        int64            `json:"corrected_resources"`
	Changed          int64            `json:"changed_resources"`
	Total            int64            `json:"total_resources"`
	RetrievalTime    float64          `json:"config_retrieval_time"` // seconds
	TotalTime        float64          `json:"total_time"`            // seconds
	Logs             []puppetLog      `json:"logs"`
	LastRun          int64            `json:"lastrun"`
	SinceLastRun     int64            `json:"since_lastrun"`
	ConfigVersion    string           `json:"config_version"`
	TypeDistribution map[string]int64 `json:"type_distribution"`
	Summary          puppetSummary    `json:"summary"`
}

func (p *puppet) lastRunSummary(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in struct {
		Logs bool `json:"logs"`
	}
	if err := bind(req, &in); err != nil {
		return err
	}
	f, err := p.state.files(ctx)
	if err != nil {
		return aborted(err)
	}
	s, err := f.summary()
	if err != nil {
		return aborted(err)
	}
	resources, times := s.section("resources"), s.section("time")
	r := &lastRun{
		OutOfSync:     whole(resources["out_of_sync"]),
		Failed:        whole(resources["failed"]),
		Corrected:     whole(resources["corrective_change"]),
		Changed:       whole(resources["changed"]),
		Total:         whole(resources["total"]),
		RetrievalTime: decimal(times["config_retrieval"]),
		TotalTime:     decimal(times["total"]),
		LastRun:       whole(times["last_run"]),
		Logs:          []puppetLog{},
		ConfigVersion: "unknown",
		Summary:       s,
	}
	r.SinceLastRun = max(0, p.now().Unix()-r.LastRun)
	if v := s.section("version")["config"]; v != nil {
		r.ConfigVersion = fmt.Sprint(v)
	}
	if r.TypeDistribution, err = f.types(); err != nil {
		return aborted(err)
	}
	if in.Logs {
		if r.Logs, err = f.logs(); err != nil {
			return aborted(err)
		}
		for !fits(r) && len(r.Logs) > 0 {
			r.Logs = r.Logs[(len(r.Logs)+1)/2:] // the end of a log says more than its start
		}
	}
	if !fits(r) {
		return agent.Errorf(agent.Aborted, "summary of the last run: too large for one reply")
	}
	reply.Data = r
	return nil
}

// whole returns a number of a summary, 0 for what is none.
func whole(v any) int64 {
	if f := decimal(v); f > -math.MaxInt32 && f < 1<<53 {
		return int64(f)
	}
	return 0
}

func decimal(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	}
	return 0
}

// A runInput is the input of the action runonce. Nil is not given.
type runInput struct {
	Force            bool     `json:"force"`
	Server           string   `json:"server"`
	Tags             string   `json:"tags"`
	SkipTags         string   `json:"skip_tags"`
	Noop             *bool    `json:"noop"`
	Splay            *bool    `json:"splay"`
	SplayLimit       *float64 `json:"splaylimit"` // seconds
	Environment      string   `json:"environment"`
	UseCachedCatalog *bool    `json:"use_cached_catalog"`
	IgnoreSchedules  bool     `json:"ignoreschedules"`
}

// A runReply is the data of the action runonce.
type runReply struct {
	Summary     string `json:"summary"`
	InitiatedAt int64  `json:"initiated_at"` // Unix seconds
}

func (p *puppet) runonce(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	var in runInput
	if err := bind(req, &in); err != nil {
		return err
	}
	data := &runReply{}
	reply.Data = data
	summary, err := p.start(ctx, &in)
	if err != nil {
		data.Summary = err.Error()
		return aborted(err)
	}
	data.Summary, data.InitiatedAt = summary, p.now().Unix()
	return nil
}

// start starts a run, or makes the daemon start one, and says which.
func (p *puppet) start(ctx context.Context, in *runInput) (string, error) {
	f, err := p.state.files(ctx)
	if err != nil {
		return "", err
	}
	if disabled, message := f.disabled(); disabled {
		if message == "" {
			return "", errors.New("Puppet is disabled")
		}
		return "", fmt.Errorf("Puppet is disabled: '%s'", message)
	}
	if f.applying() {
		return "", errors.New("Puppet is applying a catalog, cannot run now")
	}
	if in.Server != "" && !p.flag("plugin.puppet.allow_server_override", false) {
		return "", errors.New("this node does not let callers choose the Puppet server, see plugin.puppet.allow_server_override")
	}
	daemon := f.daemon()
	signal := daemon > 0 && p.flag("plugin.puppet.signal_daemon", true)
	options, err := p.options(in, signal)
	if err != nil {
		return "", err
	}
	if !signal {
		return p.spawn(options)
	}
	if len(options) > 0 {
		return "", errors.New("Puppet runs as a daemon, which takes no options for a run: " + strings.Join(options, " "))
	}
	// Puppet starts a run on this signal, see puppet-agent(8).
	if err := syscall.Kill(daemon, syscall.SIGUSR1); err != nil {
		return "", fmt.Errorf("signal the Puppet daemon, process %d: %w", daemon, err)
	}
	return "Signalled the running Puppet daemon", nil
}

// flag returns a boolean setting; one that is no boolean is as good as not set.
func (p *puppet) flag(key string, other bool) bool {
	if value, err := config.ParseBool(p.setting.or(key, "")); err == nil {
		return value
	}
	return other
}

// options returns the options of "puppet agent" for a run. The inputs were held against the patterns of
// the description, so none of them can be taken for an option.
func (p *puppet) options(in *runInput, signal bool) ([]string, error) {
	var options []string
	yesNo := func(name string, value *bool) {
		switch {
		case value == nil:
		case *value:
			options = append(options, "--"+name)
		default:
			options = append(options, "--no-"+name)
		}
	}
	list := func(name, tags string) {
		if tags != "" {
			options = append(options, "--"+name, strings.ReplaceAll(tags, " ", ""))
		}
	}
	list("tags", in.Tags)
	list("skip_tags", in.SkipTags)
	if !signal { // the daemon has splay settings of its own
		splay, limit, err := p.splay(in)
		if err != nil {
			return nil, err
		}
		yesNo("splay", &splay)
		if limit >= 0 {
			options = append(options, "--splaylimit", fmt.Sprint(limit))
		}
	}
	yesNo("noop", in.Noop)
	list("environment", in.Environment)
	if in.Server != "" {
		host, port, err := splitServer(in.Server)
		if err != nil {
			return nil, err
		}
		list("server", host)
		list("masterport", port) // the name that Puppet 5 to 8 know
	}
	if in.IgnoreSchedules {
		options = append(options, "--ignoreschedules")
	}
	yesNo("use_cached_catalog", in.UseCachedCatalog)
	return options, nil
}

// splay returns whether a run waits first, and for how many seconds at most; -1 leaves that to Puppet.
func (p *puppet) splay(in *runInput) (splay bool, limit int, err error) {
	if in.Force {
		return false, -1, nil
	}
	splay, limit = p.flag("plugin.puppet.splay", defaultSplay), -1
	if in.Splay != nil {
		splay = *in.Splay
	}
	switch {
	case in.SplayLimit != nil:
		f := *in.SplayLimit
		if f != math.Trunc(f) || f < 0 || f > 86400 {
			return false, 0, fmt.Errorf("splaylimit %v: want whole seconds, at most a day", f)
		}
		limit = int(f)
	case splay:
		limit = defaultSplayLimit
		if text := p.setting.or("plugin.puppet.splaylimit", ""); text != "" {
			if _, err := fmt.Sscanf(text, "%d", &limit); err != nil || limit < 0 {
				return false, 0, fmt.Errorf("plugin.puppet.splaylimit: %q is no number of seconds", text)
			}
		}
	}
	return splay, limit, nil
}

// splitServer takes host:port apart; the port may be missing, and an IPv6 address stands in brackets.
func splitServer(server string) (host, port string, err error) {
	host = server
	if i := strings.LastIndexByte(server, ':'); i > strings.LastIndexByte(server, ']') {
		host, port = server[:i], server[i+1:]
	}
	host = strings.Trim(host, "[]")
	if host == "" || strings.HasPrefix(host, "-") {
		return "", "", fmt.Errorf("%q is no address of a Puppet server", server)
	}
	return host, port, nil
}

// spawn starts a run in a session of its own, which goes on when the daemon ends.
func (p *puppet) spawn(options []string) (string, error) {
	argv := p.state.argv("agent", append([]string{"--onetime", "--no-daemonize", "--color=false", "--show_diff", "--verbose"}, options...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start Puppet: %w", err)
	}
	go cmd.Wait() // so that it leaves the process table; Puppet writes down itself how it went
	return fmt.Sprintf("Started a Puppet run using the '%s' command", strings.Join(argv, " ")), nil
}
