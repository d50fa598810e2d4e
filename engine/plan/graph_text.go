package plan

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The bounds of the picture for a terminal.
const (
	deepest   = 12 // levels that are shown as such
	mostNeeds = 8  // of one stage
)

// drawText lists the stages, each further right than all that it waits for.
func drawText(b *strings.Builder, p *Plan) {
	fmt.Fprintf(b, "pipeline %s: %s\n\n", p.Pipeline, counted(len(p.Stages), "stage"))
	rows := make([][4]string, len(p.Stages))
	depths := depths(p)
	for i := range p.Stages {
		s := &p.Stages[i]
		rows[i] = [4]string{strings.Repeat("  ", min(depths[i], deepest)) + s.Name, does(s), where(s), waits(s)}
	}
	var wide [3]int
	for _, r := range rows {
		for c := range wide {
			wide[c] = max(wide[c], utf8.RuneCountInString(r[c]))
		}
	}
	usual, end := split(p)
	for i := range end {
		if i == usual {
			b.WriteString("\nfinally, whatever happened\n\n")
		}
		var line strings.Builder
		for c, cell := range rows[i] {
			line.WriteString(cell)
			if c < len(wide) {
				line.WriteString(strings.Repeat(" ", wide[c]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	b.WriteString("\n<- uses results of, <.. only comes after\n")
}

// depths are the lengths of the longest ways to each stage, those of `finally` counted
// anew. Stages come after all that they need, so that one look at each will do.
func depths(p *Plan) []int {
	out := make([]int, len(p.Stages))
	links(p, func(from, to int, _ bool) {
		if p.Stages[from].Finally == p.Stages[to].Finally {
			out[to] = max(out[to], out[from]+1)
		}
	})
	return out
}

// waits says what a stage uses, what it only comes after, and its condition.
func waits(s *Stage) string {
	var parts []string
	for _, arrow := range []struct {
		sign string
		data bool
	}{{"<- ", true}, {"<.. ", false}} {
		var names []string
		more := 0
		for _, n := range s.Needs {
			switch {
			case n.Data != arrow.data:
			case len(names) == mostNeeds:
				more++
			default:
				names = append(names, n.Stage)
			}
		}
		if more > 0 {
			names = append(names, fmt.Sprintf("and %d more", more))
		}
		if len(names) > 0 {
			parts = append(parts, arrow.sign+strings.Join(names, ", "))
		}
	}
	if c := when(s); c != "" {
		parts = append(parts, c)
	}
	return strings.Join(parts, "  ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
