package bench

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	plotLeft   = 380 // for the names
	plotBars   = 520
	plotRight  = 90 // for the figures
	plotRow    = 26
	plotHeader = 64
)

// SVG draws what was measured in seconds: a bar up to the median, a line from the least to the most, and a
// mark where the budget is.
func (r *Report) SVG(w io.Writer) error {
	var rows []*Row
	longest := 0.0
	for _, row := range r.Rows {
		if row.Unit != "s" || len(row.Values) == 0 {
			continue
		}
		rows = append(rows, row)
		longest = max(longest, row.Max)
		if b := r.limit(row); b > 0 {
			longest = max(longest, b)
		}
	}
	if longest == 0 {
		longest = 1
	}
	height := plotHeader + plotRow*len(rows) + 20
	width := plotLeft + plotBars + plotRight
	x := func(v float64) float64 { return plotLeft + v/longest*plotBars }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	security := "TLS"
	if !r.TLS {
		security = "without TLS"
	}
	fmt.Fprintf(&b, `<text x="10" y="22" font-size="15">%d nodes, %d broker(s), %s: seconds, median of %d</text>`+"\n", r.Nodes, r.Brokers, security, r.Repeat)
	fmt.Fprintf(&b, `<text x="10" y="42" fill="#555">%s</text>`+"\n", html.EscapeString(r.Machine.String()))
	for i, row := range rows {
		y := plotHeader + i*plotRow
		color := "#3b7dd8"
		switch {
		case row.Missed:
			color = "#c0392b"
		case strings.HasPrefix(row.Name, "floor"):
			color = "#999999"
		}
		mid := y + plotRow/2 - 3
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, plotLeft-8, mid+4, html.EscapeString(row.What))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="14" fill="%s"/>`, plotLeft, mid-7, x(row.Median)-plotLeft, color)
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="black"/>`, x(row.Min), x(row.Max), mid, mid)
		if limit := r.limit(row); limit > 0 {
			fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#c0392b" stroke-width="2"/>`, x(limit), x(limit), mid-10, mid+10)
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s s</text>`+"\n", x(max(row.Max, row.Median))+6, mid+4, number(row.Median))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// limit returns the budget of a row in its own unit, by way of its ratio if that has one. Zero: none.
func (r *Report) limit(row *Row) float64 {
	if row.Budget != nil {
		return *row.Budget
	}
	if ratio := r.Row(row.Name + "_ratio"); ratio != nil && ratio.Budget != nil && ratio.Median > 0 {
		return row.Median / ratio.Median * *ratio.Budget
	}
	return 0
}
