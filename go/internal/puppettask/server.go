// Package puppettask gets Puppet Tasks from a Puppet Server.
package puppettask

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"choria.io/choria/go/internal/build"
)

const (
	answerTimeout = 30 * time.Second // until an answer begins
	maxMetadata   = 4 << 20          // bytes of the description of a task
	maxFile       = 256 << 20        // bytes of one file
	maxComplaint  = 300              // bytes of a refusal that are shown
)

// contentPath is where all files of tasks are.
const contentPath = "/puppet/v3/file_content/"

// A Server is a Puppet Server, which gives tasks to those with a certificate of its authority.
// Source: rpc section 3.5.
type Server struct {
	Address string      // host:port
	TLS     *tls.Config // with a client certificate
}

// A Task is what a server says of a task.
type Task struct {
	Metadata json.RawMessage `json:"metadata"` // an object with description, input_method, parameters and more
	Files    []File          `json:"files"`    // the first one is what is run
}

// A File is one file of a task.
type File struct {
	Filename string `json:"filename"`   // a name, or a path below the modules, beginning with that of the module
	SHA256   string `json:"sha256"`     // in hexadecimal digits
	Size     int64  `json:"size_bytes"` // in bytes
	URI      URI    `json:"uri"`
}

// A URI is where on the server a file is.
type URI struct {
	Path   string            `json:"path"`
	Params map[string]string `json:"params"`
}

var (
	taskName = regexp.MustCompile(`\A[a-z][a-z0-9_]*(::[a-z][a-z0-9_]*)*\z`)
	digest   = regexp.MustCompile(`\A[0-9a-fA-F]{64}\z`)
)

// ValidName reports whether name can be that of a task.
func ValidName(name string) bool { return taskName.MatchString(name) }

// ParseFiles parses the list of files of a task, which is the JSON of an array, and checks that each can be
// fetched and put below a directory.
func ParseFiles(text string) ([]File, error) {
	var files []File
	if err := json.Unmarshal([]byte(text), &files); err != nil {
		return nil, fmt.Errorf("files of the task: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("files of the task: none are given")
	}
	for _, f := range files {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (f *File) check() error {
	switch {
	case !filepath.IsLocal(f.Filename) || filepath.Clean(f.Filename) != f.Filename || f.Filename == "." || strings.ContainsRune(f.Filename, 0):
		return fmt.Errorf("file %q of the task: want a name, or a path below the modules", f.Filename)
	case !digest.MatchString(f.SHA256):
		return fmt.Errorf("file %q of the task: %q is no SHA-256 digest", f.Filename, f.SHA256)
	case f.Size < 0 || f.Size > maxFile:
		return fmt.Errorf("file %q of the task: %d bytes, want at most %d", f.Filename, f.Size, maxFile)
	}
	return nil
}

// Task returns what the server says of a task of an environment.
func (s *Server) Task(ctx context.Context, name, environment string) (*Task, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("task %q: want a name such as package or service::linux", name)
	}
	module, task, ok := strings.Cut(name, "::")
	if !ok {
		task = "init"
	}
	path := "/puppet/v3/tasks/" + module + "/" + task
	t := &Task{}
	err := s.get(ctx, path, url.Values{"environment": {environment}}, "application/json", func(body io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(body, maxMetadata+1))
		if err == nil && len(data) > maxMetadata {
			err = fmt.Errorf("more than %d bytes", maxMetadata)
		}
		if err == nil {
			err = json.Unmarshal(data, t)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("task %s of environment %s: %w", name, environment, err)
	}
	for _, f := range t.Files {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("task %s of environment %s: from %s: %w", name, environment, s.Address, err)
		}
	}
	if len(t.Metadata) == 0 || string(t.Metadata) == "null" {
		t.Metadata = json.RawMessage("{}")
	}
	return t, nil
}

// Fetch writes a file to w, no more of it than it should have. Whether it has the right digest is for the
// caller to see.
func (s *Server) Fetch(ctx context.Context, f File, w io.Writer) error {
	path := f.URI.Path
	if !strings.HasPrefix(path, contentPath) || strings.Contains(path+"/", "/../") {
		return fmt.Errorf("file %q of the task: %q is no path below %s", f.Filename, path, contentPath)
	}
	params := url.Values{}
	for name, value := range f.URI.Params {
		params.Set(name, value)
	}
	return s.get(ctx, path, params, "application/octet-stream", func(body io.Reader) error {
		n, err := io.Copy(w, io.LimitReader(body, f.Size+1))
		if err == nil && n != f.Size {
			err = fmt.Errorf("file %q of the task: not the %d bytes that were announced", f.Filename, f.Size)
		}
		return err
	})
}

// get makes one request and hands the body of a good answer to read.
func (s *Server) get(ctx context.Context, path string, params url.Values, accept string, read func(io.Reader) error) error {
	u := url.URL{Scheme: "https", Host: s.Address, Path: path, RawQuery: params.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "Choria/"+build.Version)
	transport := &http.Transport{
		TLSClientConfig: s.TLS.Clone(), DisableKeepAlives: true, ResponseHeaderTimeout: answerTimeout,
		TLSHandshakeTimeout: answerTimeout, DialContext: (&net.Dialer{Timeout: answerTimeout}).DialContext,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("puppet server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
		if err != nil {
			text = nil // what it said is a courtesy
		}
		return &Refusal{Server: s.Address, Status: resp.StatusCode, Text: strings.ToValidUTF8(strings.TrimSpace(string(text)), "\uFFFD")}
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("answer of %s: %w", s.Address, err)
	}
	return nil
}

// A Refusal is the error of an answer that is none.
type Refusal struct {
	Server string // host:port
	Status int    // of HTTP
	Text   string // the beginning of what it said
}

func (e *Refusal) Error() string {
	text := fmt.Sprintf("puppet server %s: answers %d %s", e.Server, e.Status, http.StatusText(e.Status))
	if e.Text != "" {
		text += fmt.Sprintf(": %q", e.Text)
	}
	return text
}

// Hint says what to do about it.
func (e *Refusal) Hint() string {
	switch e.Status {
	case http.StatusNotFound:
		return "is there such a task in a module of that environment?"
	case http.StatusForbidden:
		return "its auth.conf says which certificates may read /puppet/v3/tasks and /puppet/v3/file_content"
	}
	return ""
}
