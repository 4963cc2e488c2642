package playbook

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"choria.io/choria/go/internal/playbook/task"
)

// A glass is a terminal: what a person sees on it in the end.
type glass struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *glass) Write(data []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(data)
}

// seen returns the lines, as they stand after all that was erased and written over.
func (g *glass) seen() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for _, line := range strings.Split(g.text.String(), "\n") {
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+4:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func at(done, failed, nodes int) task.Progress {
	return task.Progress{Name: "a#b", Nodes: nodes, Done: done, Failed: failed, Batch: 2, Batches: 4, Try: 1, Tries: 3}
}

func TestProgressOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &glass{}
		columns := 100
		l := &Log{Out: g, Err: g, Level: Info, Screen: &Screen{Writer: g, Columns: func() int { return columns }}}
		check := func(want string) {
			t.Helper()
			if got := g.seen(); got != want {
				t.Errorf("the terminal shows %q; want %q", got, want)
			}
		}
		update, end := l.watch("", at(0, 0, 50))
		check("a#b: 0 of 50 nodes done, 0 failed, 50 silent (batch 2 of 4, try 1 of 3)")
		update(at(1, 0, 50)) // too soon to draw again
		check("a#b: 0 of 50 nodes done, 0 failed, 50 silent (batch 2 of 4, try 1 of 3)")
		time.Sleep(redraw)
		update(at(12, 3, 50))
		check("a#b: 12 of 50 nodes done, 3 failed, 35 silent (batch 2 of 4, try 1 of 3)")
		l.Say(Notice, "", "something")
		check("Notice: something\na#b: 12 of 50 nodes done, 3 failed, 35 silent (batch 2 of 4, try 1 of 3)")
		columns = 20
		_, endOther := l.watch("", task.Progress{Name: "c#d", Nodes: 1})
		check("Notice: something\n[+1] a#b: 12 of 50 ")
		end()
		check("Notice: something\nc#d: 0 of 1 node do")
		endOther()
		check("Notice: something\n")
	})
}

func TestProgressElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &glass{}
		l := &Log{Out: g, Err: g, Level: Info}
		update, end := l.watch("Scope(x, 3)", at(0, 0, 50))
		time.Sleep(report - time.Second)
		update(at(7, 0, 50))
		synctest.Wait()
		if got := g.seen(); got != "" {
			t.Errorf("too early: %q", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := "Notice: Scope(x, 3): a#b: 7 of 50 nodes done, 0 failed, 43 silent (batch 2 of 4, try 1 of 3)\n"
		if got := g.seen(); got != want {
			t.Errorf("after %s: %q; want %q", report, got, want)
		}
		end()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := g.seen(); got != want {
			t.Errorf("after the end: %q; want %q", got, want)
		}
	})
}

func TestProgressText(t *testing.T) {
	p := task.Progress{Name: "a#b", Nodes: 1, Done: 1, Batch: 1, Batches: 1, Try: 1, Tries: 1}
	if got, want := fmt.Sprint(p), "a#b: 1 of 1 node done, 0 failed, 0 silent"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
