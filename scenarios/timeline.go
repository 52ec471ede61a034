package scenarios

import (
	"fmt"
	"html"
	"strings"
	"time"

	"tribune/linearizability"
)

const (
	chartLeft  = 60.0
	chartWidth = 1100.0
	laneHeight = 14.0
	bins       = 220
)

// timeline draws a run as an SVG picture: a row of operations by outcome, who
// led when, and a lane for each fault.
func timeline(p Plan, r Result) string {
	end := r.Virtual
	x := func(t time.Duration) float64 { return chartLeft + chartWidth*float64(t)/float64(end) }
	labels, lanes := place(r.Faults, end, x)
	top := 120.0
	height := top + 30 + laneHeight*float64(lanes) + 40
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="%.0f" font-family="sans-serif" font-size="11">`+"\n", height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%.0f" y="20" font-size="15">%s, seed %d</text>`+"\n", chartLeft, html.EscapeString(p.Scenario.Name), p.Seed)
	if r.Healed > 0 {
		fmt.Fprintf(&b, `<rect x="%.1f" y="30" width="%.1f" height="%.1f" fill="#eef7ee"/><text x="%.1f" y="%.1f" fill="#484">healed</text>`+"\n", x(r.Healed), x(end)-x(r.Healed), height-60, x(r.Healed)+4, height-36)
	}
	drawOps(&b, r, end)
	drawReigns(&b, r, end, x)
	for _, l := range labels {
		y := top + 10 + laneHeight*float64(l.lane)
		fmt.Fprintf(&b, `<g><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#d9822b" opacity="0.55"/><text x="%.1f" y="%.1f">%s</text></g>`+"\n",
			html.EscapeString(l.title), l.bar, y, l.barWidth, laneHeight-3, l.text+2, y+9, html.EscapeString(short(l.title)))
	}
	for i := range 11 {
		t := end * time.Duration(i) / 10
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="#666" text-anchor="middle">%.0f s</text>`+"\n", x(t), height-10, t.Seconds())
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func short(text string) string {
	if len(text) > 60 {
		return text[:57] + "..."
	}
	return text
}

// label is a fault in the picture: a bar with a text on it that may be longer.
type label struct {
	title         string
	bar, barWidth float64
	text          float64 // where the text starts
	lane          int
}

// place puts faults in lanes in which none overlaps another, its text included.
func place(faults []FaultLog, end time.Duration, x func(time.Duration) float64) (labels []label, lanes int) {
	const perLetter, right = 5.7, chartLeft + chartWidth
	var free []float64 // up to where each lane is taken
	for _, f := range faults {
		until := f.Until
		if until == 0 {
			until = end
		}
		l := label{title: f.Text, bar: x(f.At), barWidth: max(x(until)-x(f.At), 2)}
		width := perLetter * float64(len(short(f.Text)))
		l.text = max(min(l.bar, right-width), chartLeft)
		for l.lane < len(free) && free[l.lane] > l.text {
			l.lane++
		}
		if l.lane == len(free) {
			free = append(free, 0)
		}
		free[l.lane] = max(l.bar+l.barWidth, l.text+width)
		labels = append(labels, l)
	}
	return labels, len(free)
}

// drawOps draws the operations that returned in each slice of time, by outcome.
func drawOps(b *strings.Builder, r Result, end time.Duration) {
	var counts [bins][3]int
	most := 1
	for _, o := range r.History {
		i := min(int(float64(o.Return)/float64(end)*bins), bins-1)
		switch o.Outcome {
		case linearizability.OK:
			counts[i][0]++
		case linearizability.Failed:
			counts[i][1]++
		default:
			counts[i][2]++
		}
		most = max(most, counts[i][0]+counts[i][1]+counts[i][2])
	}
	const base, tall = 90.0, 50.0
	width := chartWidth / bins
	for i, c := range counts {
		y := base
		for j, color := range []string{"#4a7fb5", "#bbb", "#c0392b"} {
			h := tall * float64(c[j]) / float64(most)
			y -= h
			if h > 0 {
				fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", chartLeft+float64(i)*width, y, width-0.5, h, color)
			}
		}
	}
	fmt.Fprintf(b, `<text x="4" y="60">operations</text><text x="4" y="74" fill="#4a7fb5">done</text><text x="36" y="74" fill="#999">ref.</text><text x="4" y="86" fill="#c0392b">unknown</text>`+"\n")
}

func drawReigns(b *strings.Builder, r Result, end time.Duration, x func(time.Duration) float64) {
	const y = 96.0
	fmt.Fprintf(b, `<text x="4" y="%.0f">leader</text>`+"\n", y+12)
	for i, l := range r.Reigns {
		until := end
		if i+1 < len(r.Reigns) {
			until = r.Reigns[i+1].At
		}
		fill := []string{"#cfe3d4", "#a9cdb3"}[i%2]
		fmt.Fprintf(b, `<g><title>%s leads in term %d</title><rect x="%.1f" y="%.0f" width="%.1f" height="16" fill="%s"/><text x="%.1f" y="%.0f">%s</text></g>`+"\n",
			l.Server, l.Term, x(l.At), y, x(until)-x(l.At), fill, x(l.At)+2, y+12, l.Server)
	}
}
