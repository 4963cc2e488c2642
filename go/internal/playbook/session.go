package playbook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/uuid/v5"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/playbook/store"
	"choria.io/choria/go/internal/playbook/task"
	"choria.io/choria/go/internal/streams"
)

// protocol is what both ends of the socket must speak.
const protocol = 1

// unwind is how long a plan may take to end after it was interrupted.
const unwind = 15 * time.Second

// loading is how long a Ruby may take to load Puppet, unless a session says otherwise. It takes a second; what has not
// done it by then, on the slowest of machines, is another program.
const loading = 2 * time.Minute

// A Target is something to validate: a playbook or a file.
type Target struct {
	Name string `json:"name"`           // as the user wrote it
	File string `json:"file,omitempty"` // empty: Name is that of a playbook
}

// A Session evaluates one playbook, or validates some. Set its fields, then call Start, Ready, Run and
// Close in this order. Only Run can be left out.
type Session struct {
	Playbook   string       // the playbook to run or describe; empty: none
	Validate   []Target     // what to validate
	Modulepath []string     // directories of modules; nil means those of the installed Puppet
	Log        *Log         // required
	Secrets    *Secrets     // required; that of Log
	Network    task.Network // nil: playbooks cannot use the network
	Environ    []string     // environment variables of the run, as NAME=value
	// Streams connects to the streams of the network; nil: playbooks cannot use them.
	Streams func(context.Context) (*streams.Conn, error)

	Cache string // where compiled Ruby code is kept, from CacheDir; empty: nowhere

	Loading time.Duration // how long a Ruby may take to load Puppet until the next one is tried; 0 means two minutes

	// Abort, closed, ends a plan that unwinds after an interrupt at once: what it has not cleaned up by then stays, but
	// for its locks. Nil: only the context of Run ends it.
	Abort <-chan struct{}

	id      string
	dir     string
	modules string
	rubies  []string
	unfit   Unusable
	missing []Problem // what was to be validated and cannot be read
	child   *child
	ready   *Ready
	data    *store.Env
	locks   locks

	cleaning atomic.Int32 // calls that blocks make that have to run to their end

	mu     sync.Mutex
	tasks  []reportTask
	nodes  []nodesRecord
	failed string // set by a playbook that wants the run to count as failed
}

// A Ready is what a session knows before it runs anything.
type Ready struct {
	Modulepath []string   `json:"modulepath"` // the bundled modules come first
	Puppet     string     `json:"puppet"`     // version
	Ruby       string     `json:"ruby"`       // version
	Plan       *Signature `json:"plan"`       // nil: there is no such playbook, or Error
	Error      *Failure   `json:"error"`      // what is wrong with the playbook
	Problems   []Problem  `json:"problems"`   // of what was to be validated
}

// A Problem is what is wrong with a target.
type Problem struct {
	Target string `json:"target"` // its name
	Failure
}

// An Outcome is what came of a run.
type Outcome struct {
	Result  json.RawMessage // of the plan; not masked
	Failure *Failure        // nil: the plan came to its end
	Failed  string          // the plan came to its end and says that the run has failed, and why

	tasks int // that were run

	Start, End time.Time
}

// Success reports whether the run was one.
func (o *Outcome) Success() bool { return o.Failure == nil && o.Failed == "" }

// Interrupted reports whether the run was interrupted.
func (o *Outcome) Interrupted() bool { return o.Failure != nil && o.Failure.Kind == kindInterrupted }

// ID returns the id of the run.
func (s *Session) ID() string { return s.id }

// Start starts Ruby, which loads Puppet while the caller does other things.
func (s *Session) Start() error {
	id, err := uuid.NewV4()
	if err != nil {
		return fmt.Errorf("run id: %w", err)
	}
	s.id = strings.ReplaceAll(id.String(), "-", "")
	s.data = store.NewEnv(s.Environ)
	s.data.Streams = s.streams
	s.data.Hide = s.Secrets.Add
	if s.dir, err = os.MkdirTemp("", "choria-playbook-"); err != nil {
		return fmt.Errorf("directory of the run: %w", err)
	}
	// Ruby knows files by their real names.
	if s.dir, err = filepath.EvalSymlinks(s.dir); err != nil {
		return fmt.Errorf("directory of the run: %w", err)
	}
	if s.modules, err = unpack(s.dir); err != nil {
		return err
	}
	s.rubies = rubies(os.Getenv)
	return s.next()
}

// streams connects to the streams of the network: Streams may be set after Start.
func (s *Session) streams(ctx context.Context) (*streams.Conn, error) {
	if s.Streams == nil {
		return nil, errors.New("there is no network")
	}
	return s.Streams(ctx)
}

// next starts the next Ruby that can be started.
func (s *Session) next() error {
	for len(s.rubies) > 0 {
		ruby := s.rubies[0]
		s.rubies = s.rubies[1:]
		var err error
		if s.child, err = startChild(ruby, s.modules, s.Cache, s.Environ, s.Log); err == nil {
			s.unfit.Tried = append(s.unfit.Tried, ruby)
			return s.hello()
		}
		s.unfit.Tried = append(s.unfit.Tried, err.Error())
	}
	return &s.unfit
}

// hello tells the child what to do. A child that has ended already is noticed by who reads from it.
func (s *Session) hello() error {
	params := map[string]any{
		"protocol": protocol, "dir": filepath.Join(s.dir, "puppet"), "bundled": []string{s.modules},
		"modulepath": s.Modulepath, "level": s.Log.Level.String(),
		"facts": map[string]any{"choria": map[string]any{
			"playbook": s.Playbook, "run_id": s.id, "version": build.Version,
		}},
	}
	if s.Playbook != "" {
		params["plan"] = s.Playbook
	}
	if s.Validate != nil {
		params["validate"] = s.readable()
	}
	_ = s.child.send(map[string]any{"method": "hello", "params": params})
	return os.MkdirAll(filepath.Join(s.dir, "puppet"), 0o700)
}

// readable returns what can be validated: Puppet takes a file that it cannot read for an empty one.
func (s *Session) readable() []Target {
	s.missing = nil
	targets := []Target{}
	for _, target := range s.Validate {
		if target.File != "" {
			f, err := os.Open(target.File)
			if err != nil {
				s.missing = append(s.missing, Problem{target.Name, Failure{Msg: err.Error()}})
				continue
			}
			f.Close()
		}
		targets = append(targets, target)
	}
	return targets
}

// Ready waits until Puppet is loaded. A Ruby that cannot load it, or does not in time, is followed by the next one.
func (s *Session) Ready(ctx context.Context) (*Ready, error) {
	for {
		child := s.child
		stop := context.AfterFunc(ctx, child.kill)
		limit := cmp.Or(s.Loading, loading)
		late := time.AfterFunc(limit, child.kill)
		m, err := s.await(ctx)
		if !stop() {
			late.Stop()
			return nil, ctx.Err()
		}
		var unusable struct{ Reason string }
		switch {
		case !late.Stop():
			unusable.Reason = fmt.Sprintf("has not loaded Puppet in %.4g seconds", limit.Seconds())
		case errors.Is(err, errEnded): // it may be no Ruby at all
			unusable.Reason = err.Error()
		case err != nil:
			return nil, err
		case m.Method == "unusable":
			if err := json.Unmarshal(m.Params, &unusable); err != nil {
				return nil, err
			}
		}
		if unusable.Reason != "" {
			s.unfit.Tried[len(s.unfit.Tried)-1] += ": " + unusable.Reason
			child.close()
			if err := s.next(); err != nil {
				return nil, err
			}
			continue
		}
		s.ready = &Ready{}
		if err := json.Unmarshal(m.Params, s.ready); err != nil {
			return nil, fmt.Errorf("ready message of the Ruby process: %w", err)
		}
		if s.ready.Plan != nil {
			s.ready.Plan.document()
			s.ready.Plan.File = s.Shown(s.ready.Plan.File)
		}
		s.ready.Problems = append(s.ready.Problems, s.missing...)
		s.data.Modulepath = s.ready.Modulepath
		return s.ready, nil
	}
}

// Shown returns the name by which a file is shown: those of the bundled modules are gone after the run, and named as
// Puppet names files of modules.
func (s *Session) Shown(path string) string {
	if rest, ok := strings.CutPrefix(path, s.modules+"/"); ok {
		return "<module>/" + rest
	}
	return path
}

// await returns the first message that is no line of the log.
func (s *Session) await(ctx context.Context) (*message, error) {
	for {
		m, err := s.child.receive()
		switch {
		case errors.Is(err, errEnded):
			return nil, s.child.ended(ctx)
		case err != nil:
			return nil, err
		case m.Method == "log":
			s.say(m.Params)
		default:
			return m, nil
		}
	}
}

// say logs a line that Puppet logged.
func (s *Session) say(params json.RawMessage) {
	var line struct{ Level, Text, Source string }
	if err := json.Unmarshal(params, &line); err != nil {
		return // it is a line of the log; there is nobody to tell
	}
	level, err := ParseLevel(line.Level)
	if err != nil {
		level = Notice
	}
	s.Log.Say(level, line.Source, line.Text)
}

// Run runs the playbook with parameters, which Puppet checks first. The end of ctx interrupts it: the plan
// unwinds, and the Outcome says so. Also when Ruby dies there is an Outcome; an error is one of the machinery.
func (s *Session) Run(ctx context.Context, parameters map[string]any) (*Outcome, error) {
	for _, p := range s.ready.Plan.Parameters {
		if value, ok := parameters[p.Name]; ok && p.Type.secret() {
			s.Secrets.Add(value)
		}
	}
	o := &Outcome{Start: time.Now()}
	defer s.locks.release(context.WithoutCancel(ctx), s.Log)
	var at frame // of the last call
	if err := s.child.send(map[string]any{"method": "run", "params": map[string]any{"parameters": parameters}}); err != nil {
		return s.died(ctx, o, s.child.ended(ctx), at), nil
	}
	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() { s.interrupt(done) })
	defer stop()

	// A plan makes one call at a time, so calls are served right here, apart from those of branches. One whose
	// caller has ended is cancelled.
	unwinding, cancelAll := context.WithCancel(context.WithoutCancel(ctx))
	callCtx, cancel := context.WithCancel(ctx)
	var calls sync.WaitGroup
	defer func() {
		cancel()
		cancelAll()
		calls.Wait()
	}()
	go func() {
		select {
		case <-s.child.exited:
			cancel()
			cancelAll()
		case <-done:
		}
	}()
	for {
		m, err := s.child.receive()
		if err != nil {
			if errors.Is(err, errEnded) {
				err = s.child.ended(ctx)
			}
			return s.died(ctx, o, err, at), nil
		}
		if m.ID != 0 {
			at = frame{m.File, m.Line}
		}
		switch {
		case m.Method == "log":
			s.say(m.Params)
		case m.Method == "done":
			o.End = time.Now()
			var done struct {
				Result json.RawMessage
				Error  *Failure
			}
			if err := json.Unmarshal(m.Params, &done); err != nil {
				return nil, fmt.Errorf("last message of the Ruby process: %w", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			o.Result, o.Failure, o.Failed, o.tasks = done.Result, done.Error, s.failed, len(s.tasks)
			return o, nil
		case m.ID != 0 && m.Async:
			calls.Go(func() { s.serve(callCtx, unwinding, m) })
		case m.ID != 0:
			s.serve(callCtx, unwinding, m)
		}
	}
}

// died is the outcome of a run whose Ruby process has ended before the plan did. at is where the last call was made.
func (s *Session) died(ctx context.Context, o *Outcome, err error, at frame) *Outcome {
	o.End = time.Now()
	if ctx.Err() != nil {
		o.Failure = &Failure{Msg: "interrupted", Kind: kindInterrupted}
		return o
	}
	o.Failure = &Failure{Msg: err.Error(), Kind: kindRuby}
	if at.File != "" {
		o.Failure.Msg += "; the last call of the plan was made at " + s.Shown(at.File) + ":" + strconv.Itoa(at.Line)
	}
	return o
}

// interrupt makes the plan unwind, and ends it by force if it does not. What it cleans up may take its time, unless
// Abort says that it may not.
func (s *Session) interrupt(done <-chan struct{}) {
	s.child.interrupt()
	for {
		select {
		case <-done:
			return
		case <-s.Abort:
			s.child.kill()
			return
		case <-time.After(unwind):
		}
		if s.cleaning.Load() == 0 {
			s.child.kill()
			return
		}
	}
}

// Close ends the Ruby process and removes the directory of the run.
func (s *Session) Close() {
	if s.child != nil {
		s.child.close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// Refused reports whether the parameters did not fit; nothing was run then.
func (o *Outcome) Refused() bool { return o.Failure != nil && o.Failure.Kind == kindParameters }

// Useless reports whether a file that was given was no good, which was found out before any task was run.
func (o *Outcome) Useless() bool {
	return o.Failure != nil && o.Failure.Kind == kindInput && o.tasks == 0
}
