package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// growth draws how time grows with the number of stages: one panel for chains, one
// for fan-outs, both axes logarithmic, so that what grows alike rises alike.
func growth(r *report) string {
	panels := []panel{
		{title: "chain", lines: r.series(chain)},
		{title: "fan-out and a join", lines: r.series(fan)},
	}
	s := fit(panels)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Seconds for a run, by its number of stages">`+"\n", len(panels)*panelWidth, panelHeight)
	b.WriteString(style())
	for i, p := range panels {
		fmt.Fprintf(&b, "<g transform=\"translate(%d 0)\">\n%s</g>\n", i*panelWidth, s.draw(p))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// Lengths in the picture's own unit.
const (
	panelWidth, panelHeight         = 560, 420
	left, top, plotWidth, plotDepth = 56, 40, 280, 320
	labelAt                         = left + plotWidth + 28 // names of the lines
	labelStep                       = 15
)

// Colours that can be read on white and on black; amlflow has the first.
var colours = []string{"#e8590c", "#f08c00", "#868e96", "#2f9e44", "#1098ad", "#1c7ed6", "#7048e8", "#ae3ec9", "#d6336c", "#74b816", "#0ca678", "#b08968", "#5c7cfa"}

func style() string {
	return `<style>
text { font: 12px system-ui, sans-serif; fill: #495057; }
.title { font-weight: 600; }
.grid { stroke: #adb5bd; stroke-opacity: .35; }
.line { fill: none; stroke-width: 1.5; }
.ours { stroke-width: 3.5; }
.lead { fill: none; stroke-width: .75; stroke-dasharray: 2 2; }
@media (prefers-color-scheme: dark) { text { fill: #ced4da; } }
</style>
`
}

// panel is one plot.
type panel struct {
	title string
	lines []series
}

// series is one tool's line.
type series struct {
	tool   string
	colour string
	ours   bool
	points []point
}

type point struct{ stages, seconds float64 }

// series lists the tools with what they took for the works of a shape that grow.
func (r *report) series(of shape) (all []series) {
	for i, t := range r.present() {
		line := series{tool: t.Name, colour: colours[i%len(colours)], ours: i == 0}
		for _, w := range r.Works {
			f := r.find(w.Name, t.Name)
			if w.Shape == of && w.Stages >= 100 && !w.Check && f != nil && f.Fails == "" && len(f.Seconds) > 0 {
				line.points = append(line.points, point{float64(w.Stages), f.median()})
			}
		}
		if len(line.points) > 0 {
			all = append(all, line)
		}
	}
	return all
}

// scale maps stages and seconds to places; it holds powers of ten.
type scale struct{ fromX, toX, fromY, toY float64 }

// fit is the scale that has room for every point of all panels.
func fit(panels []panel) scale {
	s := scale{fromX: 2, toX: 3, fromY: 0, toY: 1}
	for _, p := range panels {
		for _, l := range p.lines {
			for _, at := range l.points {
				s.toX = max(s.toX, math.Ceil(math.Log10(at.stages)))
				s.fromY = min(s.fromY, math.Floor(math.Log10(at.seconds)))
				s.toY = max(s.toY, math.Ceil(math.Log10(at.seconds)))
			}
		}
	}
	return s
}

func (s scale) x(stages float64) float64 {
	return left + plotWidth*(math.Log10(stages)-s.fromX)/(s.toX-s.fromX)
}

func (s scale) y(seconds float64) float64 {
	return top + plotDepth*(s.toY-math.Log10(seconds))/(s.toY-s.fromY)
}

func (s scale) draw(p panel) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<text class=\"title\" x=\"%d\" y=\"20\">%s</text>\n", left, escape(p.title))
	b.WriteString(s.axes())
	for _, l := range slices.Backward(p.lines) { // so that ours is on top
		b.WriteString(s.line(l))
	}
	b.WriteString(s.labels(p.lines))
	return b.String()
}

func (s scale) axes() string {
	var b strings.Builder
	for e := s.fromX; e <= s.toX; e++ {
		x := s.x(math.Pow(10, e))
		fmt.Fprintf(&b, "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x, top, top+plotDepth, x, top+plotDepth+18, thousands(math.Pow(10, e)))
	}
	for e := s.fromY; e <= s.toY; e++ {
		y := s.y(math.Pow(10, e))
		fmt.Fprintf(&b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", left, y, left+plotWidth, left-6, y+4, math.Pow(10, e))
	}
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">stages</text>\n", left+plotWidth/2, top+plotDepth+40)
	fmt.Fprintf(&b, "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">seconds</text>\n", top+plotDepth/2)
	return b.String()
}

func (s scale) line(l series) string {
	var places, dots strings.Builder
	for _, at := range l.points {
		x, y := s.x(at.stages), s.y(at.seconds)
		fmt.Fprintf(&places, " %.1f,%.1f", x, y)
		fmt.Fprintf(&dots, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>", x, y, l.colour)
	}
	class := "line"
	if l.ours {
		class = "line ours"
	}
	return fmt.Sprintf("<polyline class=\"%s\" stroke=\"%s\" points=\"%s\"/>%s\n", class, l.colour, places.String()[1:], dots.String())
}

// labels names the lines at their right, in the order in which they end, and leads
// from each line's end to its name.
func (s scale) labels(lines []series) string {
	end := func(l series) float64 { return s.y(l.points[len(l.points)-1].seconds) }
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b series) int { return cmp.Compare(end(a), end(b)) })
	wanted := make([]float64, len(lines))
	for i, l := range lines {
		wanted[i] = end(l)
	}
	var b strings.Builder
	for i, y := range apart(wanted) {
		l := lines[i]
		fmt.Fprintf(&b, "<path class=\"lead\" stroke=\"%s\" d=\"M%.1f %.1fL%d %.1f\"/><text x=\"%d\" y=\"%.1f\" style=\"fill: %s\">%s</text>\n",
			l.colour, s.x(l.points[len(l.points)-1].stages), wanted[i], labelAt-4, y, labelAt, y+4, l.colour, escape(l.tool))
	}
	return b.String()
}

// apart moves places, which are in order, so that each is labelStep behind the one
// before it and the last is within the plot.
func apart(wanted []float64) []float64 {
	out := slices.Clone(wanted)
	for i := 1; i < len(out); i++ {
		out[i] = max(out[i], out[i-1]+labelStep)
	}
	limit := float64(top + plotDepth)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = min(out[i], limit)
		limit = out[i] - labelStep
	}
	return out
}

// thousands writes a whole number as people do.
func thousands(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
