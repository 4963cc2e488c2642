package cli

import (
	"fmt"
	"strings"
	"time"
)

// maxListed is how many names of silent nodes are shown unless asked for all.
const maxListed = 200

// footer ends the text of a request: how many answered, how long it took, who is missing.
func (f *textFormat) footer() error {
	if f.cmd.verbose {
		f.statistics()
	} else {
		f.out.finished(f.stats.Responses, f.discovered, (f.discoveryTime + f.stats.RequestTime).Round(time.Millisecond).String())
	}
	f.out.names("No Responses from", f.stats.NoResponse, f.cmd.verbose)
	f.out.names("Unexpected Responses from", f.stats.Unexpected, f.cmd.verbose)
	return nil
}

// finished writes the line that tells how many of the nodes answered.
func (s *screen) finished(responses, nodes int, took string) {
	p := green
	switch {
	case responses == 0:
		p = red
	case responses < nodes:
		p = yellow
	}
	s.printf("\nFinished processing %s hosts in %s\n", s.paint(p, fmt.Sprintf("%d / %d", responses, nodes)), s.paint(white, took))
}

// statistics writes all numbers.
func (f *textFormat) statistics() {
	s := f.stats
	f.out.printf("\n%s\n", f.out.paint(white, "---- request stats ----"))
	line := func(label, format string, args ...any) {
		f.out.printf("%s: %s\n", padLeft(label, 20), fmt.Sprintf(format, args...))
	}
	line("Nodes", "%d / %d", s.Responses, f.discovered)
	line("Pass / Fail", "%d / %d", s.OK, s.Failed)
	line("No Responses", "%d", len(s.NoResponse))
	if len(s.Absent) > 0 {
		line("Not Connected", "%d", len(s.Absent))
	}
	line("Unexpected Responses", "%d", len(s.Unexpected))
	if s.Duplicates > 0 {
		line("Duplicate Responses", "%d", s.Duplicates)
	}
	line("Start Time", "%s", s.Start.Format("2006-01-02T15:04:05-0700"))
	line("Discovery Time", "%v", f.discoveryTime)
	line("Publish Time", "%v", s.PublishTime)
	line("Agent Time", "%v", max(0, s.RequestTime-s.PublishTime)) // nodes may answer while others are being asked
	line("Total Time", "%v", f.discoveryTime+s.RequestTime)
}

// names lists nodes, three a line.
func (s *screen) names(title string, names []string, all bool) {
	if len(names) == 0 {
		return
	}
	s.printf("\n%s: %s\n\n", title, s.paint(red, fmt.Sprint(len(names))))
	more := 0
	if !all && len(names) > maxListed {
		names, more = names[:maxListed], len(names)-maxListed
	}
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	const columns = 3
	for len(names) > 0 {
		n := min(columns, len(names))
		row := make([]string, columns)
		copy(row, names[:n])
		names = names[n:]
		var b strings.Builder
		for _, name := range row {
			b.WriteString(pad(name, width) + "    ")
		}
		s.printf("    %s\n", b.String())
	}
	if more > 0 {
		s.printf("\n    and %d more; --verbose lists them all\n", more)
	}
}
