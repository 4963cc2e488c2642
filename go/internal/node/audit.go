package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"choria.io/choria/go/agent"
	"choria.io/choria/go/ddl"
	"choria.io/choria/go/internal/config"
)

// auditTime is the form of times in the audit file. Source: rpc section 7.
const auditTime = "2006-01-02T15:04:05.000000-0700"

// A disk that hangs must not keep a node from answering: a request waits this long for its record
// to be written, and no more than this many records wait.
const (
	auditPatience = 250 * time.Millisecond
	auditQueue    = 1024
)

var (
	errAuditFull = errors.New("too many records wait to be written")
	errAuditSlow = fmt.Errorf("not written within %v, which it may be later", auditPatience)
)

// Audit is the file that every request is recorded in, one JSON object a line.
type Audit struct {
	path string
	mode fs.FileMode
	gid  int // -1: as it comes
	log  *slog.Logger

	mu      sync.Mutex
	queue   []*record
	writing bool // a goroutine is at it

	fileMu sync.Mutex
	file   *os.File
}

// A record is one line on its way.
type record struct {
	line []byte
	done chan error // holds 1
}

// auditRecord has the members in the order that readers of existing files expect.
type auditRecord struct {
	Timestamp   string          `json:"timestamp"`
	RequestID   string          `json:"request_id"`
	RequestTime int64           `json:"request_time"`
	Caller      string          `json:"caller"`
	Sender      string          `json:"sender"`
	Agent       string          `json:"agent"`
	Action      string          `json:"action"`
	Data        json.RawMessage `json:"data"`
	Denied      string          `json:"denied,omitempty"` // the rule that denied it
}

func openAudit(cfg *config.Config, log *slog.Logger) (*Audit, error) {
	a := &Audit{path: cfg.AuditLogFile, mode: cfg.AuditLogMode.Perm(), gid: -1, log: log}
	if a.path == "" {
		return nil, errors.New("rpcaudit is on, but plugin.rpcaudit.logfile is not set")
	}
	if cfg.AuditLogGroup != "" {
		gid, err := groupID(cfg.AuditLogGroup)
		if err != nil {
			return nil, fmt.Errorf("plugin.rpcaudit.logfile.group: %w", err)
		}
		a.gid = gid
	}
	if err := a.Reopen(); err != nil {
		return nil, err
	}
	return a, nil
}

// groupID returns the number of the group called name, which may be a number.
func groupID(name string) (int, error) {
	if gid, err := strconv.Atoi(name); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// Reopen opens the file anew, after it was renamed by a log rotation.
func (a *Audit) Reopen() error {
	f, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, a.mode)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := a.own(f); err != nil {
		f.Close()
		return fmt.Errorf("audit: %w", err)
	}
	a.fileMu.Lock()
	old := a.file
	a.file = f
	a.fileMu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

// own gives the file the mode and the group that the configuration says, whatever the umask is.
func (a *Audit) own(f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err // a pipe or a device is somebody else's
	}
	if info.Mode().Perm() != a.mode {
		if err := f.Chmod(a.mode); err != nil {
			return err
		}
	}
	if a.gid >= 0 {
		return f.Chown(-1, a.gid)
	}
	return nil
}

// mask stands in the audit for an input that the description of its agent calls sensitive.
const mask = "(masked)"

// masked returns the data of a request as it may be recorded. The request itself is not changed.
func (s *service) masked(r *agent.Request) json.RawMessage {
	actions := s.ddl.Actions // somebody may have mistyped the name of any
	if act := s.ddl.Action(r.Action); act != nil {
		actions = []*ddl.Action{act}
	}
	var secret []string
	for _, act := range actions {
		for name, in := range act.Input {
			if in.Sensitive {
				secret = append(secret, name)
			}
		}
	}
	if secret == nil {
		return r.Data
	}
	var inputs map[string]json.RawMessage
	if err := json.Unmarshal(r.Data, &inputs); err != nil {
		return json.RawMessage(strconv.Quote(mask)) // nothing that could be told apart
	}
	for name := range inputs {
		// Some agents take names in any case.
		if slices.ContainsFunc(secret, func(s string) bool { return strings.EqualFold(s, name) }) {
			inputs[name] = json.RawMessage(strconv.Quote(mask))
		}
	}
	data, err := json.Marshal(inputs)
	if err != nil {
		return json.RawMessage(strconv.Quote(mask))
	}
	return data
}

// Record appends a request with data in place of its own; denied is the rule that denied it, empty for one that will run. It
// returns when the record is written, or soon after when that takes long.
func (a *Audit) Record(r *agent.Request, data json.RawMessage, denied string) error {
	line, err := json.Marshal(auditRecord{
		Timestamp:   time.Now().UTC().Format(auditTime),
		RequestID:   r.ID,
		RequestTime: r.Time.Unix(),
		Caller:      r.Caller,
		Sender:      r.Sender,
		Agent:       r.Agent,
		Action:      r.Action,
		Data:        data,
		Denied:      denied,
	})
	if err != nil {
		return err
	}
	rec := &record{append(line, '\n'), make(chan error, 1)}
	a.mu.Lock()
	if len(a.queue) >= auditQueue {
		a.mu.Unlock()
		return errAuditFull
	}
	a.queue = append(a.queue, rec)
	start := !a.writing
	a.writing = true
	a.mu.Unlock()
	if start {
		go a.drain()
	}
	timer := time.NewTimer(auditPatience)
	defer timer.Stop()
	select {
	case err := <-rec.done:
		return err
	case <-timer.C:
		return errAuditSlow
	}
}

// drain writes what waits.
func (a *Audit) drain() {
	for {
		a.mu.Lock()
		if len(a.queue) == 0 {
			a.writing = false
			a.queue = nil
			a.mu.Unlock()
			return
		}
		rec := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		a.fileMu.Lock()
		_, err := a.file.Write(rec.line)
		a.fileMu.Unlock()
		rec.done <- err
	}
}

// Close closes the file. Records that are made later are lost.
func (a *Audit) Close() error {
	a.fileMu.Lock()
	defer a.fileMu.Unlock()
	return a.file.Close()
}
