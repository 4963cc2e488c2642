package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/streams"
)

// openStreams connects to the streams of the user's network.
func (e *env) openStreams() (*streams.Conn, *config.Config, error) {
	cfg, err := config.LoadClient(e.config)
	if err != nil {
		return nil, nil, err
	}
	log := e.log()
	for _, w := range cfg.Warnings() {
		log.Warn("configuration", "warning", w)
	}
	s, err := streams.Open(e.ctx, cfg, log)
	if err != nil {
		return nil, nil, err
	}
	return s, cfg, nil
}

// encode prints v as JSON over many lines.
func (e *env) encode(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// encodeLine prints v as JSON on one line, for what comes one after the other.
func (e *env) encodeLine(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table prints rows under headings in columns. Columns whose heading begins with a space hold
// numbers and are aligned at the right.
func (s *screen) table(headings []string, rows [][]string) {
	widths := make([]int, len(headings))
	right := make([]bool, len(headings))
	head := make([]string, len(headings))
	for i, h := range headings {
		right[i] = strings.HasPrefix(h, " ")
		head[i] = strings.TrimPrefix(h, " ")
		widths[i] = utf8.RuneCountInString(head[i])
	}
	for _, row := range rows {
		for i := range row {
			row[i] = strings.ReplaceAll(printable(row[i]), "\n", `\n`)
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	line := func(row []string, p paint) {
		var cells []string
		for i, cell := range row {
			switch {
			case right[i]:
				cell = padLeft(cell, widths[i])
			case i < len(row)-1:
				cell = pad(cell, widths[i])
			}
			cells = append(cells, s.paint(p, cell))
		}
		s.printf("%s\n", strings.TrimRight(strings.Join(cells, "  "), " "))
	}
	line(head, bold)
	for _, row := range rows {
		line(row, plain)
	}
}

// width returns how wide the names of fields are.
func (s *screen) width(pairs [][2]string) int {
	width := 0
	for _, p := range pairs {
		if p[1] != "" {
			width = max(width, utf8.RuneCountInString(p[0]))
		}
	}
	return width
}

// fields prints names and values below one another, those without a value left out.
func (s *screen) fields(pairs [][2]string) {
	width := s.width(pairs)
	for _, p := range pairs {
		if p[1] != "" {
			s.printf("%s: %s\n", s.paint(bold, padLeft(p[0], width)), printable(p[1]))
		}
	}
}

// sizeText returns bytes for people.
func sizeText(n uint64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatUint(n, 10) + " B"
	}
	value, prefix := float64(n), -1
	for value >= unit && prefix < len("KMGTP")-1 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}

// ageText returns how long ago t was, for people; empty when t is no time.
func ageText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(time.Since(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// limitText returns a time that things are kept, for people.
func limitText(d time.Duration) string {
	if d == 0 {
		return "for ever"
	}
	return config.FormatDuration(d)
}

// timeText returns a time for people, empty when it is none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// payload is a message or value in JSON: as text, or in base64 where it is none.
type payload struct {
	Text   *string `json:"value,omitempty"`
	Base64 []byte  `json:"value_base64,omitempty"`
}

func payloadOf(data []byte) payload {
	if utf8.Valid(data) {
		text := string(data)
		return payload{Text: &text}
	}
	return payload{Base64: data}
}
