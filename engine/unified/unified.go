// Package unified shows what differs between two texts, as a unified diff.
package unified

import (
	"fmt"
	"strings"
)

// around is how many lines that stayed are shown on each side of a change.
const around = 3

// Diff returns what turns one text into another: headers with the two names, and
// hunks of lines that begin with " ", "-" or "+". It is empty when they are the same.
func Diff(before, after, from, to string) string {
	if from == to {
		return ""
	}
	a, b := lines(from), lines(to)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", before, after)
	for _, h := range hunks(compare(a, b), len(a), len(b)) {
		h.write(&out, a, b)
	}
	return out.String()
}

// lines keeps the line ends: a last line without one differs from one with it.
func lines(text string) []string {
	out := strings.SplitAfter(text, "\n")
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// pair says that line a of one text is line b of the other.
type pair struct{ a, b int }

// edit is a stretch of lines that was replaced, perhaps by nothing.
type edit struct{ a, aEnd, b, bEnd int }

// hunk is some edits that are close to each other, and what is around them.
type hunk struct {
	edit
	edits []edit
}

func hunks(same []pair, n, m int) []hunk {
	var out []hunk
	for _, e := range edits(same, n, m) {
		whole := edit{max(e.a-around, 0), min(e.aEnd+around, n), max(e.b-around, 0), min(e.bEnd+around, m)}
		if k := len(out); k > 0 && whole.a <= out[k-1].aEnd {
			last := &out[k-1]
			last.aEnd, last.bEnd = whole.aEnd, whole.bEnd
			last.edits = append(last.edits, e)
			continue
		}
		out = append(out, hunk{whole, []edit{e}})
	}
	return out
}

// edits are what lies between the lines that stayed.
func edits(same []pair, n, m int) []edit {
	var out []edit
	at := pair{}
	for _, p := range append(same, pair{n, m}) {
		if p.a > at.a || p.b > at.b {
			out = append(out, edit{at.a, p.a, at.b, p.b})
		}
		at = pair{p.a + 1, p.b + 1}
	}
	return out
}

func (h hunk) write(out *strings.Builder, a, b []string) {
	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(h.a, h.aEnd), span(h.b, h.bEnd))
	at := h.a
	for _, e := range h.edits {
		put(out, " ", a[at:e.a])
		put(out, "-", a[e.a:e.aEnd])
		put(out, "+", b[e.b:e.bEnd])
		at = e.aEnd
	}
	put(out, " ", a[at:h.aEnd])
}

// span writes lines from to end as first and number. An empty one stands after the
// line before it.
func span(from, end int) string {
	switch end - from {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return fmt.Sprint(from + 1)
	}
	return fmt.Sprintf("%d,%d", from+1, end-from)
}

func put(out *strings.Builder, sign string, lines []string) {
	for _, line := range lines {
		out.WriteString(sign)
		out.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}
