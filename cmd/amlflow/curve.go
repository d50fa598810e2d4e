package main

import (
	"fmt"
	"html"
	"math"
	"sort"
	"strings"
)

// curve is a series as it is drawn: step by value. Without steps values are counted.
type curve struct {
	name string
	x, y []float64
}

func curveOf(name string, s *summary) curve {
	c := curve{name: name}
	for i, p := range s.points {
		x := float64(i)
		if p.HasStep {
			x = p.Step
		}
		if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			c.x, c.y = append(c.x, x), append(c.y, p.Value)
		}
	}
	sort.Stable(c) // steps may have been written in another order
	return c
}

// Len, Less and Swap are those of sort.Interface, by steps.
func (c curve) Len() int           { return len(c.x) }
func (c curve) Less(i, j int) bool { return c.x[i] < c.x[j] }
func (c curve) Swap(i, j int)      { c.x[i], c.x[j], c.y[i], c.y[j] = c.x[j], c.x[i], c.y[j], c.y[i] }

// frame is the part of the plane that has all curves.
type frame struct{ left, right, low, high float64 }

func frameOf(lines []curve) frame {
	f := frame{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	for _, c := range lines {
		for i := range c.x {
			f.left, f.right = min(f.left, c.x[i]), max(f.right, c.x[i])
			f.low, f.high = min(f.low, c.y[i]), max(f.high, c.y[i])
		}
	}
	if f.left > f.right {
		return frame{0, 1, 0, 1} // nothing is to be drawn
	}
	if f.left == f.right {
		f.left, f.right = f.left-0.5, f.right+0.5
	}
	if f.low == f.high {
		f.low, f.high = f.low-0.5, f.high+0.5
	}
	return f
}

// at is where a point is in the frame, from 0 to 1 each way, from the left and from below.
func (f frame) at(x, y float64) (float64, float64) {
	return (x - f.left) / (f.right - f.left), (y - f.low) / (f.high - f.low)
}

// The size of a plot as text, in characters of two by four dots.
const (
	plotWide = 64
	plotHigh = 12
)

// braille draws each curve by itself, all of them to one scale, so that they can be told
// apart without colours.
func braille(metric string, lines []curve) []string {
	f := frameOf(lines)
	out := []string{fmt.Sprintf("%s, from %s to %s, steps %s to %s", clean(metric), number(f.low), number(f.high), number(f.left), number(f.right))}
	for _, c := range lines {
		out = append(out, "", c.name)
		if len(c.x) == 0 {
			out = append(out, "  no numbers")
			continue
		}
		for _, row := range dots(f, c) {
			out = append(out, "  │"+row)
		}
		out = append(out, "  └"+strings.Repeat("─", plotWide))
	}
	return out
}

// dotBits are the bits of the eight dots of a character, by row and column (Unicode 2800).
var dotBits = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

func dots(f frame, c curve) []string {
	var cells [plotHigh][plotWide]rune
	set := func(col, row int) {
		if col >= 0 && col < 2*plotWide && row >= 0 && row < 4*plotHigh {
			cells[row/4][col/2] |= dotBits[row%4][col%2]
		}
	}
	place := func(i int) (col, row float64) {
		x, y := f.at(c.x[i], c.y[i])
		return x * (2*plotWide - 1), (1 - y) * (4*plotHigh - 1)
	}
	for i := range c.x {
		col, row := place(i)
		set(int(math.Round(col)), int(math.Round(row)))
		if i == 0 {
			continue
		}
		fromCol, fromRow := place(i - 1)
		steps := math.Ceil(max(math.Abs(col-fromCol), math.Abs(row-fromRow)))
		for k := 1.0; k < steps; k++ {
			set(int(math.Round(fromCol+(col-fromCol)*k/steps)), int(math.Round(fromRow+(row-fromRow)*k/steps)))
		}
	}
	rows := make([]string, plotHigh)
	for i := range cells {
		var b strings.Builder
		for _, bits := range cells[i] {
			if bits == 0 {
				b.WriteByte(' ')
			} else {
				b.WriteRune(0x2800 + bits)
			}
		}
		rows[i] = strings.TrimRight(b.String(), " ")
	}
	return rows
}

// curveColours can be read on white and on black.
var curveColours = []string{"#e8590c", "#1c7ed6", "#2f9e44", "#ae3ec9", "#f08c00", "#0ca678", "#868e96", "#d6336c"}

// drawing is the plot as SVG.
func drawing(metric string, lines []curve) string {
	const left, top, wide, high, step = 64, 36, 480, 280, 18
	f := frameOf(lines)
	height := top + high + 40 + step*len(lines)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", left+wide+24, height, html.EscapeString(metric))
	b.WriteString("<style>\ntext { font: 12px system-ui, sans-serif; fill: #495057; }\n.title { font-weight: 600; }\n.grid { stroke: #adb5bd; stroke-opacity: .5; }\n.line { fill: none; stroke-width: 1.5; }\n@media (prefers-color-scheme: dark) { text { fill: #ced4da; } }\n</style>\n")
	fmt.Fprintf(&b, `<text class="title" x="%d" y="20">%s</text>`+"\n", left, html.EscapeString(metric))
	for i := range 5 {
		share := float64(i) / 4
		y := float64(top+high) - share*high
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, left+wide, y, y, left-6, y+4, number(f.low+share*(f.high-f.low)))
		x := left + share*wide
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x, top+high+18, number(f.left+share*(f.right-f.left)))
	}
	for i, c := range lines {
		colour := curveColours[i%len(curveColours)]
		var places []string
		for k := range c.x {
			x, y := f.at(c.x[k], c.y[k])
			places = append(places, fmt.Sprintf("%.1f,%.1f", left+x*wide, top+(1-y)*high))
		}
		if len(places) == 1 {
			x, y, _ := strings.Cut(places[0], ",")
			fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="3" fill="%s"/>`+"\n", x, y, colour)
		}
		fmt.Fprintf(&b, `<polyline class="line" stroke="%s" points="%s"/>`+"\n", colour, strings.Join(places, " "))
		y := top + high + 40 + step*i
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>`+"\n", left, left+20, y, y, colour, left+28, y+4, html.EscapeString(c.name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
