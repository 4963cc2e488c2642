package ddl

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// The size of charts in characters, without the scale.
const (
	chartHeight = 15
	chartWidth  = 60
)

// A chart draws the values of replies in the order they came. It keeps means of runs of values, and
// doubles the length of the runs when there are too many of them.
type chart struct {
	options
	means   []float64 // of full runs
	run     int       // values a run; a power of two
	pending float64   // sum of the run that is not full
	count   int       // values in it
}

func newChart(o options) fold { return &chart{options: o, run: 1} }

func (c *chart) add(value json.RawMessage) {
	f, ok := numeric(value)
	if !ok || math.Abs(f) > 1e300 { // so that differences are finite
		return
	}
	c.pending += f / float64(c.run)
	c.count++
	if c.count < c.run {
		return
	}
	c.means = append(c.means, c.pending)
	c.pending, c.count = 0, 0
	if len(c.means) < 4*chartWidth {
		return
	}
	for i := range len(c.means) / 2 {
		c.means[i] = (c.means[2*i] + c.means[2*i+1]) / 2
	}
	c.means = c.means[:len(c.means)/2]
	c.run *= 2
}

func (c *chart) summary() ([]string, any) {
	values := c.means
	if c.count > 0 {
		values = append(values[:len(values):len(values)], c.pending*float64(c.run)/float64(c.count))
	}
	if len(values) == 0 {
		return nil, nil
	}
	lines := plot(fit(values))
	return lines, map[string]string{"chart": strings.Join(lines, "\n")}
}

// fit spreads values over the width of a chart, with straight lines between them.
func fit(values []float64) []float64 {
	if len(values) == 1 {
		values = []float64{values[0], values[0]}
	}
	columns := make([]float64, chartWidth)
	for x := range columns {
		at := float64(x) * float64(len(values)-1) / float64(chartWidth-1)
		i := min(int(at), len(values)-2)
		part := at - float64(i)
		// In this form equal values stay exactly equal.
		columns[x] = values[i] + (values[i+1]-values[i])*part
	}
	return columns
}

// plot draws a line through the values, one a column, with a scale on the left.
func plot(values []float64) []string {
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	span := high - low
	row := func(v float64) int { // 0 is the lowest
		if span == 0 {
			return 0
		}
		return int(math.Round((v - low) / span * float64(chartHeight-1)))
	}
	grid := make([][]rune, chartHeight)
	for y := range grid {
		grid[y] = []rune(strings.Repeat(" ", len(values)))
	}
	for x, v := range values {
		y := row(v)
		from := y
		if x > 0 {
			from = row(values[x-1])
		}
		switch {
		case from == y:
			grid[y][x] = '─'
		case from < y:
			grid[from][x], grid[y][x] = '╯', '╭'
		default:
			grid[from][x], grid[y][x] = '╮', '╰'
		}
		for between := min(from, y) + 1; between < max(from, y); between++ {
			grid[between][x] = '│'
		}
	}
	if span == 0 {
		grid = grid[:1]
	}
	scale := make([]string, len(grid))
	widest := 0
	for y := range grid {
		v := low
		if len(grid) > 1 {
			v = low + span*float64(y)/float64(len(grid)-1)
		}
		scale[y] = strconv.FormatFloat(v, 'f', 2, 64)
		if math.Abs(v) >= 1e9 {
			scale[y] = strconv.FormatFloat(v, 'g', 4, 64)
		}
		widest = max(widest, len(scale[y]))
	}
	lines := make([]string, 0, len(grid))
	for y := len(grid) - 1; y >= 0; y-- {
		line := strings.Repeat(" ", widest-len(scale[y])) + scale[y] + " ┤" + string(grid[y])
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}
