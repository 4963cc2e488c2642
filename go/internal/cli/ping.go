package cli

import (
	"fmt"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/client"
)

// A pingCommand is one run of the command ping.
type pingCommand struct {
	*env
	filterFlags

	silent  bool
	names   bool
	graph   bool
	expect  int
	timeout seconds
}

func addPing(e *env, app *kingpin.Application) {
	c := &pingCommand{env: e}
	cmd := app.Command("ping", "Asks who is there, without running an agent.")
	cmd.HelpLong(fmt.Sprintf(`Examples:
  %[1]s ping
  %[1]s ping -F kernel=Linux --expect 20
  %[1]s ping --names --timeout 5

It is a discovery itself, of all who hear it, and so has no --dm: "%[1]s rpc rpcutil ping --dm METHOD" asks nodes that are
known otherwise.

Exit status:
  0  somebody answered; with --expect, at least so many
  1  an error, nobody answered, or fewer than --expect
`, e.name))
	c.filterFlags.add(cmd)
	c.addConnection(cmd)
	cmd.Flag("silent", "Only the statistics").BoolVar(&c.silent)
	cmd.Flag("names", "Only the names").BoolVar(&c.names)
	cmd.Flag("expect", "End when so many nodes have answered").PlaceHolder("N").IntVar(&c.expect)
	cmd.Flag("timeout", "How long to wait for answers, otherwise discovery_timeout").PlaceHolder("SECONDS").SetValue(&c.timeout)
	cmd.Flag("graph", "Draw when the answers came").Short('g').BoolVar(&c.graph)
	cmd.Flag("workers", "").Hidden().Int() // one connection carries what three did
	cmd.Action(func(*kingpin.ParseContext) error { return c.run() })
}

func (c *pingCommand) run() error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	// Statistics are about the answers, not about the first connection.
	if err := cl.Connect(c.ctx); err != nil {
		return err
	}
	out := screenOn(c.stdout, colored(cl))
	var p pongs
	start := time.Now()
	d := client.Discovery{Filter: f, Collective: c.collective, Timeout: time.Duration(c.timeout), OnSent: func() { p.overhead = time.Since(start) }}
	for pong, err := range cl.Ping(c.ctx, d, c.expect) {
		if err != nil {
			return err
		}
		p.add(pong.Took)
		switch {
		case c.names:
			out.printf("%s\n", pong.Sender)
		case !c.silent:
			out.printf("%s time=%d ms\n", pad(pong.Sender, 40), pong.Took.Milliseconds())
		}
	}
	if !c.names {
		if c.graph {
			out.printf("\n%s", p.graph())
		}
		out.printf("\n\n%s\n%s\n", out.paint(white, "---- ping statistics ----"), p.statistics())
	}
	if p.count == 0 || p.count < c.expect {
		return &exit{code: exitFailed}
	}
	return nil
}

// pongs are the times of answers, in constant memory.
type pongs struct {
	count         int
	min, max, sum time.Duration
	overhead      time.Duration // from the start to the publication
	buckets       [graphColumns]int
	last          int // bucket
}

const (
	graphColumns = 60
	graphRows    = 15
	graphBucket  = 50 * time.Millisecond
)

func (p *pongs) add(took time.Duration) {
	if p.count == 0 || took < p.min {
		p.min = took
	}
	p.max = max(p.max, took)
	p.sum += took
	p.count++
	b := min(int(took/graphBucket), graphColumns-1)
	p.buckets[b]++
	p.last = max(p.last, b)
}

// statistics returns the line that sums up.
func (p *pongs) statistics() string {
	if p.count == 0 {
		return "0 replies"
	}
	ms := time.Millisecond
	return fmt.Sprintf("%d replies max: %v min: %v avg: %v overhead: %v", p.count,
		p.max.Round(ms), p.min.Round(ms), (p.sum / time.Duration(p.count)).Round(ms), p.overhead.Round(ms))
}

// graph draws the number of answers in each 50 ms; the last column has all later ones.
func (p *pongs) graph() string {
	most := 1
	for _, n := range p.buckets {
		most = max(most, n)
	}
	var out []byte
	for row := graphRows; row > 0; row-- {
		label := ""
		if row == graphRows {
			label = fmt.Sprint(most)
		}
		out = fmt.Appendf(out, " %7s |", label)
		for _, n := range p.buckets[:p.last+1] {
			mark := byte(' ')
			// An answer is never too few to be seen.
			if height := (n*graphRows + most - 1) / most; height >= row {
				mark = '#'
			}
			out = append(out, mark)
		}
		out = append(out, '\n')
	}
	out = fmt.Appendf(out, " %7s +", "")
	for range p.buckets[:p.last+1] {
		out = append(out, '-')
	}
	return string(fmt.Appendf(out, "\n %7s  0 to %v, replies in each %v\n", "", time.Duration(p.last+1)*graphBucket, graphBucket))
}
