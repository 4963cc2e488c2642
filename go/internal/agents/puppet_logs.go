package agents

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"
)

// A puppetLog is one line of the log of a run.
type puppetLog struct {
	TimeUTC int64  `json:"time_utc"` // Unix seconds
	Time    int64  `json:"time"`     // the same
	Level   string `json:"level"`
	Source  string `json:"source"`
	Message string `json:"msg"`
}

// logs returns the log of the last run. Reports are large, tens of megabytes for some thousand resources,
// and Ruby objects: only the part with the logs is parsed.
func (f *puppetFiles) logs() ([]puppetLog, error) {
	file, err := os.Open(f.reportFile)
	if errors.Is(err, fs.ErrNotExist) {
		return []puppetLog{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	logs, err := parseLogs(io.LimitReader(file, maxReport))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.reportFile, err)
	}
	return logs, nil
}

// parseLogs parses the list under the key logs of a report.
func parseLogs(r io.Reader) ([]puppetLog, error) {
	section, err := logSection(r)
	if err != nil {
		return nil, err
	}
	var entries []struct {
		Level   string `yaml:"level"`
		Source  string `yaml:"source"`
		Message string `yaml:"message"`
		Time    any    `yaml:"time"`
	}
	if err := decodeYAML(section, &entries); err != nil {
		return nil, fmt.Errorf("its logs are no YAML: %w", err)
	}
	logs := make([]puppetLog, 0, len(entries))
	for _, e := range entries {
		at := unixTime(e.Time)
		logs = append(logs, puppetLog{
			TimeUTC: at, Time: at, Level: strings.TrimPrefix(e.Level, ":"), Source: e.Source, Message: strings.TrimRight(e.Message, "\n"),
		})
	}
	return logs, nil
}

// unixTime returns a time of a report in Unix seconds, 0 when it is none.
func unixTime(v any) int64 {
	switch v := v.(type) {
	case time.Time:
		return v.Unix()
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02 15:04:05.999999999 -07:00"} {
			if t, err := time.Parse(layout, v); err == nil {
				return t.Unix()
			}
		}
	}
	return 0
}

// logSection returns the lines between logs: and the next key, without the tags of Ruby classes. Of a very
// long log it returns the start.
func logSection(r io.Reader) ([]byte, error) {
	var section bytes.Buffer
	lines := bufio.NewReaderSize(r, 64<<10)
	inside, skipping := false, false
	for {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull) // its rest comes with the next calls
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return nil, err
		}
		switch {
		case skipping:
		case bytes.HasPrefix(line, []byte("logs:")):
			if rest := bytes.TrimSpace(line[len("logs:"):]); len(rest) > 0 {
				return rest, nil // on one line, as in logs: []
			}
			inside = true
		case !inside:
		case len(line) > 0 && line[0] != ' ' && line[0] != '-' && line[0] != '\n' && line[0] != '\r':
			return section.Bytes(), nil
		case section.Len() > maxLogs && line[0] == '-':
			return section.Bytes(), nil
		default:
			section.Write(withoutTag(line))
		}
		skipping = long && !inside
		if errors.Is(err, io.EOF) {
			return section.Bytes(), nil
		}
		if section.Len() > 2*maxLogs {
			return nil, fmt.Errorf("a line of the log is longer than %d bytes", maxLogs)
		}
	}
}

// rubyTag is the class of a log entry, or that a level is a symbol, as reports of old versions of Puppet have
// it. The same words may stand in a message.
var rubyTag = regexp.MustCompile(`^(\s*-|\s*-?\s*level:) !ruby/\S+`)

func withoutTag(line []byte) []byte { return rubyTag.ReplaceAll(line, []byte("$1")) }
