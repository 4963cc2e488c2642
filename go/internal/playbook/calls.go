package playbook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"choria.io/choria/go/internal/playbook/nodes"
	"choria.io/choria/go/internal/playbook/props"
	"choria.io/choria/go/internal/playbook/store"
	"choria.io/choria/go/internal/playbook/task"
)

// A call is one call of a Puppet function.
type call struct {
	s  *Session
	at frame // where in the plan it was made
}

// A method answers a call. Its parameters are decoded JSON whose numbers are json.Number; Sensitive values
// in it are in the clear.
type method struct {
	run func(ctx context.Context, c *call, params map[string]any) (any, error)

	// ending methods also work while an interrupted plan unwinds.
	ending bool

	// unlocked methods also work in the block of a lock that was lost.
	unlocked bool
}

// methods are what the Ruby side can call.
var methods = map[string]method{
	"task":            {run: runTask},
	"tasks":           {run: runTasks},
	"discover":        {run: discover},
	"data.read":       {run: readData, ending: true},
	"data.write":      {run: writeData, ending: true},
	"data.delete":     {run: deleteData, ending: true},
	"lock.take":       {run: takeLock},
	"lock.release":    {run: releaseLock, ending: true, unlocked: true},
	"sleep":           {run: sleep},
	"playbook.exist":  {run: playbookExist, ending: true},
	"playbook.find":   {run: playbookFind},
	"cspec.check":     {run: cspecCheck},
	"cspec.clear":     {run: cspecClear},
	"cspec.record":    {run: cspecRecord, ending: true},
	"cspec.summarize": {run: cspecSummarize, ending: true},
	"cspec.conclude":  {run: cspecConclude},

	"json.encode":         {run: encodeJSON, ending: true},
	"puppettask.metadata": {run: puppetTask},
}

// serve answers one call. One that the end of ctx has cut short gets no answer: the interrupt that is on its
// way is the answer, and any other could be caught by the plan. What is called while the plan unwinds is cut
// short by the end of unwinding alone.
func (s *Session) serve(ctx, unwinding context.Context, m *message) {
	method, ok := methods[m.Method]
	if !ok {
		method.run = func(context.Context, *call, map[string]any) (any, error) {
			return nil, fmt.Errorf("the playbook host does not know %q", m.Method)
		}
	}
	switch {
	case m.Ending:
		s.cleaning.Add(1)
		defer s.cleaning.Add(-1)
		ctx = unwinding
	case ctx.Err() != nil && method.ending:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(unwinding, unwind)
		defer cancel()
	}
	c := &call{s, frame{m.File, m.Line}}
	var result any
	err := s.locks.lost()
	if err == nil || method.unlocked || m.Ending {
		result, err = c.run(ctx, method, m.Params)
	}
	if ctx.Err() != nil {
		return
	}
	// Whoever reads from a child that has ended notices; nobody waits for this answer then.
	_ = s.child.answer(m.ID, result, err)
}

func (c *call) run(ctx context.Context, method method, raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var params map[string]any
	if err := d.Decode(&params); err != nil {
		return nil, fmt.Errorf("parameters of the call: %w", err)
	}
	c.s.Secrets.Reveal(params)
	return method.run(ctx, c, params)
}

// source is where the call was made, as Puppet writes it.
func (c *call) source() string {
	if c.at.File == "" {
		return ""
	}
	path := c.at.File
	for _, dir := range c.s.ready.Modulepath {
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/"); ok {
			path = "<module>/" + rest
			break
		}
	}
	return fmt.Sprintf("Scope(%s, %d)", path, c.at.Line)
}

// env is what tasks and sources of nodes run in, with a voice that says where in the plan it comes from.
func (c *call) env() *task.Env {
	return &task.Env{
		Network: c.s.Network, Log: voice{c.s.Log, c.source()}, Environ: c.s.data.Environ.List,
		Watch:   func(at task.Progress) (func(task.Progress), func()) { return c.s.Log.watch(c.source(), at) },
		Streams: c.s.streams, Modulepath: c.s.ready.Modulepath, Playbook: c.s.Playbook, Hide: c.s.Secrets.Add, Secret: c.s.Secrets.In,
	}
}

// data is the stores' part of the run, with a voice that says where in the plan it comes from.
func (c *call) data() *store.Env {
	env := *c.s.data
	env.Warn = func(text string) { c.s.Log.Say(Warning, c.source(), text) }
	return &env
}

func runTask(ctx context.Context, c *call, params map[string]any) (any, error) {
	typ, _ := params["type"].(string)
	properties, _ := params["properties"].(map[string]any)
	outcome, err := task.Run(ctx, c.env(), typ, properties)
	if err != nil {
		return nil, err
	}
	c.s.record(c, outcome)
	if caught, _ := properties["_catch_errors"].(bool); !caught {
		if failure := outcome.Error(); failure != nil {
			return nil, failure
		}
	}
	return outcome, nil
}

func discover(ctx context.Context, c *call, params map[string]any) (any, error) {
	name, _ := params["source"].(string)
	properties, _ := params["properties"].(map[string]any)
	found, err := nodes.Discover(ctx, c.env(), name, properties)
	if err == nil {
		c.s.recordNodes(c, found)
	}
	return found, err
}

func item(params map[string]any) (string, map[string]any) {
	name, _ := params["item"].(string)
	properties, _ := params["store"].(map[string]any)
	return name, properties
}

func readData(ctx context.Context, c *call, params map[string]any) (any, error) {
	name, properties := item(params)
	return c.data().Read(ctx, name, properties)
}

func writeData(ctx context.Context, c *call, params map[string]any) (any, error) {
	name, properties := item(params)
	return params["value"], c.data().Write(ctx, name, params["value"], properties)
}

func deleteData(ctx context.Context, c *call, params map[string]any) (any, error) {
	name, properties := item(params)
	return nil, c.data().Delete(ctx, name, properties)
}

func sleep(ctx context.Context, c *call, params map[string]any) (any, error) {
	p := props.New("choria::sleep", params)
	d := p.Seconds("seconds", 0)
	if err := p.Err(); err != nil {
		return nil, err
	}
	c.env().Log.Notice("Sleeping %.4g seconds", d.Seconds())
	return nil, task.Sleep(ctx, d)
}

func playbookExist(_ context.Context, c *call, params map[string]any) (any, error) {
	name, _ := params["name"].(string)
	_, ok := findPlan(c.s.ready.Modulepath, name)
	return ok, nil
}

func playbookFind(_ context.Context, c *call, params map[string]any) (any, error) {
	name, _ := params["name"].(string)
	path, ok := findPlan(c.s.ready.Modulepath, name)
	if !ok {
		return nil, &UnknownPlaybook{name, c.s.ready.Modulepath}
	}
	c.env().Log.Debug("Running playbook %s", name)
	return path, nil
}

func cspecClear(_ context.Context, _ *call, params map[string]any) (any, error) {
	path, _ := params["report"].(string)
	if err := clearReport(path); err != nil {
		return nil, &task.Failure{Msg: err.Error(), Kind: kindInput}
	}
	return nil, nil
}

func cspecCheck(ctx context.Context, c *call, params map[string]any) (any, error) {
	_, properties := item(params)
	suites, err := c.s.data.Read(ctx, "suites", properties)
	if err == nil {
		err = checkSuites(suites)
	}
	if err != nil {
		return nil, &task.Failure{Msg: err.Error(), Kind: kindInput}
	}
	return suites, nil
}

func cspecRecord(_ context.Context, c *call, params map[string]any) (any, error) {
	path, _ := params["report"].(string)
	suite, err := json.Marshal(params["suite"])
	if err == nil {
		suite, err = c.s.Secrets.MaskJSON(suite)
	}
	if err != nil {
		return nil, fmt.Errorf("report %s: %w", path, err)
	}
	return nil, appendReport(path, suite)
}

func cspecSummarize(_ context.Context, _ *call, params map[string]any) (any, error) {
	path, _ := params["report"].(string)
	return summarizeReport(path)
}

func cspecConclude(_ context.Context, c *call, params map[string]any) (any, error) {
	summary, _ := params["summary"].(map[string]any)
	failed := conclude(summary)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if failed != "" {
		c.s.failed = failed
	}
	return failed == "", nil
}

// A nodesRecord is what the report of the run says about the nodes that were found.
type nodesRecord struct {
	at    frame
	nodes []string
}

func (s *Session) record(c *call, outcome *task.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = append(s.tasks, s.newReportTask(outcome, c.at))
}

func (s *Session) recordNodes(c *call, found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, nodesRecord{c.at, found})
}

// An UnknownPlaybook is the error of a name that no module has a playbook for.
type UnknownPlaybook struct {
	Name       string
	Modulepath []string // where it was looked for, the bundled modules first
}

func (e *UnknownPlaybook) Error() string {
	searched := []string{"the bundled modules"}
	if len(e.Modulepath) > 1 {
		searched = append(searched, e.Modulepath[1:]...)
	}
	return fmt.Sprintf("unknown playbook %q; it was searched in\n  %s", e.Name, strings.Join(searched, "\n  "))
}

// Hint says what to do about it.
func (e *UnknownPlaybook) Hint() string { return "--modulepath says where modules are" }

// findPlan returns the file of a playbook. Of several modules of one name the first counts, as in Puppet.
func findPlan(modulepath []string, name string) (path string, ok bool) {
	if !validName(name) {
		return "", false
	}
	parts := strings.Split(strings.TrimPrefix(name, "::"), "::")
	file := "init"
	if len(parts) > 1 {
		file = filepath.Join(parts[1:]...)
	}
	for _, dir := range modulepath {
		module := filepath.Join(dir, parts[0])
		if st, err := os.Stat(module); err != nil || !st.IsDir() {
			continue
		}
		path = filepath.Join(module, "plans", file+".pp")
		st, err := os.Stat(path)
		return path, err == nil && !st.IsDir()
	}
	return "", false
}

// since is the seconds from start, as reports write them.
func since(start, end time.Time) float64 {
	return float64(end.Sub(start).Milliseconds()) / 1000
}
