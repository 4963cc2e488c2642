package playbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"choria.io/choria/go/internal/build"
	"choria.io/choria/go/internal/playbook/task"
)

// A RunReport is the file that --run-report writes.
type RunReport struct {
	path string
	tmp  *os.File
}

// OpenRunReport makes sure that a report can be written to path, before anything is run.
func OpenRunReport(path string) (*RunReport, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return nil, &UsageError{Err: fmt.Errorf("run report %s: is no file", path)}
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, &UsageError{Err: fmt.Errorf("run report %s cannot be written: %w", path, cause(err))}
	}
	return &RunReport{path, tmp}, nil
}

// Close drops a report that was not written.
func (r *RunReport) Close() {
	r.tmp.Close()
	if err := os.Remove(r.tmp.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // a temporary file that stays is nothing that anybody could act on
	}
}

// The report, as it stands in the file.
type (
	reportFile struct {
		Report   reportHead          `json:"report"`
		Playbook reportPlaybook      `json:"playbook"`
		Inputs   reportInputs        `json:"inputs"`
		Nodes    map[string][]string `json:"nodes"` // by where in the plan they were discovered
		Tasks    []reportTask        `json:"tasks"`
		Metrics  reportMetrics       `json:"metrics"`
		Logs     []Line              `json:"logs"`
	}
	reportHead struct {
		Version   int       `json:"version"`
		Timestamp time.Time `json:"timestamp"`
		Success   bool      `json:"success"`
		Error     any       `json:"playbook_error"`
		Run       string    `json:"run_id"`
		Stack     []frame   `json:"stack,omitempty"`
	}
	reportPlaybook struct {
		Name    string `json:"name"`
		Version string `json:"version"` // of Choria
		File    string `json:"file"`
	}
	reportInputs struct {
		Static  map[string]any `json:"static"`
		Dynamic []string       `json:"dynamic"`
	}
	reportTask struct {
		Type        string                `json:"type"`
		Set         string                `json:"set"`
		Description string                `json:"description"`
		Start       time.Time             `json:"start_time"`
		End         time.Time             `json:"end_time"`
		Seconds     float64               `json:"run_time"`
		Ran         bool                  `json:"ran"`
		Message     string                `json:"msg"`
		Success     bool                  `json:"success"`
		File        string                `json:"file"`
		Line        int                   `json:"line"`
		Tries       int                   `json:"tries"`
		Requests    []string              `json:"requests"`
		Nodes       map[string]reportNode `json:"nodes"`
		Stdout      string                `json:"stdout,omitempty"` // of a command
		Stderr      string                `json:"stderr,omitempty"`
	}
	reportNode struct {
		Success bool   `json:"success"`
		Error   string `json:"error,omitempty"`
	}
	reportMetrics struct {
		Start   time.Time                `json:"start_time"`
		End     time.Time                `json:"end_time"`
		Seconds float64                  `json:"run_time"`
		Count   int                      `json:"task_count"`
		Types   map[string]*reportTotals `json:"task_types"`
	}
	reportTotals struct {
		Count   int     `json:"count"`
		Seconds float64 `json:"total_time"`
		Pass    int     `json:"pass"`
		Fail    int     `json:"fail"`
	}
)

// Write writes the report of a run that has ended. Secrets in it are masked.
func (r *RunReport) Write(s *Session, parameters map[string]any, o *Outcome) error {
	raw, err := json.Marshal(s.report(parameters, o))
	if err == nil {
		raw, err = s.Secrets.MaskJSON(raw)
	}
	var data bytes.Buffer
	if err == nil {
		err = json.Indent(&data, raw, "", "  ")
	}
	if err == nil {
		data.WriteByte('\n')
		_, err = r.tmp.Write(data.Bytes())
	}
	err = errors.Join(err, r.tmp.Chmod(0o600), r.tmp.Close())
	if err == nil {
		err = os.Rename(r.tmp.Name(), r.path)
	}
	if err != nil {
		return fmt.Errorf("run report %s: %w", r.path, err)
	}
	return nil
}

func (s *Session) report(parameters map[string]any, o *Outcome) *reportFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &reportFile{
		Report:   reportHead{Version: 1, Timestamp: o.Start, Success: o.Success(), Run: s.id},
		Playbook: reportPlaybook{s.Playbook, build.Version, s.ready.Plan.File},
		Inputs:   reportInputs{Static: parameters, Dynamic: []string{}},
		Nodes:    map[string][]string{},
		Tasks:    []reportTask{},
		Metrics: reportMetrics{
			Start: o.Start, End: o.End, Seconds: since(o.Start, o.End), Count: len(s.tasks), Types: map[string]*reportTotals{},
		},
		Logs: s.Log.Lines(),
	}
	if o.Failed != "" {
		f.Report.Error = o.Failed
	}
	if o.Failure != nil {
		f.Report.Error, f.Report.Stack = o.Failure.Msg, o.Failure.Stack
	}
	found := map[frame]int{}
	for _, n := range s.nodes {
		set := n.at.String()
		if found[n.at]++; found[n.at] > 1 { // in a loop, say
			set = fmt.Sprintf("%s (%d)", set, found[n.at])
		}
		f.Nodes[set] = n.nodes
	}
	f.Tasks = append(f.Tasks, s.tasks...)
	for _, t := range s.tasks {
		totals := f.Metrics.Types[t.Type]
		if totals == nil {
			totals = &reportTotals{}
			f.Metrics.Types[t.Type] = totals
		}
		totals.Count++
		totals.Seconds += t.Seconds
		if t.Success {
			totals.Pass++
		} else {
			totals.Fail++
		}
	}
	return f
}

// reportOutput is how much output of a command the report has, in bytes of each stream.
const reportOutput = 64 << 10

// output is what the report has of the output of a command. It is masked here: half a secret cannot be.
func (s *Secrets) output(text string) string {
	text = s.Mask(text)
	if len(text) <= reportOutput {
		return text
	}
	return strings.ToValidUTF8(text[:reportOutput], "") + fmt.Sprintf("… and %d more bytes", len(text)-reportOutput)
}

// newReportTask keeps of a task what the report says: the data of replies is not in it.
func (s *Session) newReportTask(o *task.Outcome, at frame) reportTask {
	r := reportTask{
		Type: o.Type, Set: "tasks", Description: o.Description,
		Start: o.Start, End: o.End, Seconds: since(o.Start, o.End),
		Ran: o.Failure == nil, Message: o.Message, Success: o.Success,
		File: at.File, Line: at.Line, Tries: o.Tries,
		Requests: append([]string{}, o.Requests...), Nodes: map[string]reportNode{},
		Stdout: s.Secrets.output(o.Stdout), Stderr: s.Secrets.output(o.Stderr),
	}
	for _, result := range o.Results {
		node := reportNode{Success: result.Error == nil}
		if result.Error != nil {
			node.Error = result.Error.Msg
		}
		r.Nodes[result.Host] = node
	}
	return r
}
