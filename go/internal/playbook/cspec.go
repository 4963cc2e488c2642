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

	"choria.io/choria/go/internal/playbook/store"
)

// A suite is what a summary needs to know of one element of a cspec report.
type suite struct {
	Name    string            `json:"testsuite"`
	Success bool              `json:"success"`
	Cases   []json.RawMessage `json:"testcases"`
}

// checkSuites returns an error unless the item suites of a data file is a list of names.
func checkSuites(value any) error {
	list, ok := value.([]any)
	for _, one := range list {
		name, text := one.(string)
		ok = ok && text && name != ""
	}
	if !ok || len(list) == 0 {
		return errors.New("the data item suites has to be a list of playbooks")
	}
	return nil
}

// clearReport deletes a report, and makes sure that a new one can be written.
func clearReport(path string) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("report %s: is no file", path)
	}
	// Reports are written by way of a temporary file beside them.
	probe, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("report %s cannot be written: %w", path, cause(err))
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	if removed := os.Remove(path); !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	return nil
}

// cause leaves out the name of a temporary file that means nothing to anybody.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("directory %s: %w", filepath.Dir(path.Path), path.Err)
	}
	return err
}

// readReport returns the suites of a report.
func readReport(path string) ([]json.RawMessage, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var suites []json.RawMessage
	if err := json.Unmarshal(data, &suites); err != nil {
		return nil, fmt.Errorf("report %s is no cspec report: %w", path, err)
	}
	return suites, nil
}

// appendReport adds a suite to a report, which it creates if there is none.
func appendReport(path string, added json.RawMessage) error {
	suites, err := readReport(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	compact, err := json.Marshal(append(suites, added))
	if err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	var data bytes.Buffer
	if err := json.Indent(&data, compact, "", "  "); err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	data.WriteByte('\n')
	if err := store.WriteFile(path, data.Bytes(), 0o644); err != nil {
		return fmt.Errorf("report %s cannot be written: %w", path, cause(err))
	}
	return nil
}

// A summary is what a report comes to.
type summary struct {
	Suites  []summarySuite `json:"testsuites"`
	Success bool           `json:"success"`
}

type summarySuite struct {
	Name    string `json:"name"`
	Cases   int    `json:"cases"`
	Success bool   `json:"success"`
}

// summarizeReport returns the summary of a report; that of a missing one says so.
func summarizeReport(path string) (any, error) {
	raw, err := readReport(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]any{"error": fmt.Sprintf("there is no report %s", path)}, nil
	}
	if err != nil {
		return nil, err
	}
	sum := summary{Suites: []summarySuite{}, Success: true}
	for _, one := range raw {
		var s suite
		if err := json.Unmarshal(one, &s); err != nil {
			return nil, fmt.Errorf("report %s is no cspec report: %w", path, err)
		}
		sum.Success = sum.Success && s.Success
		sum.Suites = append(sum.Suites, summarySuite{s.Name, len(s.Cases), s.Success})
	}
	return sum, nil
}

// conclude says why a summary is no success, empty when it is one.
func conclude(summary map[string]any) string {
	if ok, _ := summary["success"].(bool); ok {
		return ""
	}
	if text, ok := summary["error"].(string); ok {
		return text
	}
	suites, _ := summary["testsuites"].([]any)
	var failed []string
	for _, one := range suites {
		s, _ := one.(map[string]any)
		if ok, _ := s["success"].(bool); !ok {
			failed = append(failed, fmt.Sprint(s["name"]))
		}
	}
	return fmt.Sprintf("%d of %d test suites failed: %s", len(failed), len(suites), strings.Join(failed, ", "))
}
