package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// text is the report for people, in Markdown: the table, and what must be known to
// read it.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s. Seconds by the clock of whole commands, median of %s, done in turn; every stage is `/bin/true`.\n", r.Date, r.Machine, times(r.Runs))
	b.WriteString("Behind each figure of others is how many times as long amlflow took. The memory is the most that one command of amlflow held, and the background server.\n")
	if r.Note != "" {
		b.WriteString(r.Note + "\n")
	}
	b.WriteString("\n")
	b.WriteString(r.table())
	b.WriteString("\n" + r.versions())
	if f := r.failures(); f != "" {
		b.WriteString("\n" + f)
	}
	return b.String()
}

func times(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprint(n, " runs")
}

// table has a line for each work and a column for each tool; amlflow, which all are
// compared with, comes first.
func (r *report) table() string {
	tools := r.present()
	head := []string{"work", tools[0].Name, "each stage", "memory, MiB"}
	for _, t := range tools[1:] {
		head = append(head, t.Name)
	}
	rows := [][]string{head}
	for _, w := range r.Works {
		ours := r.find(w.Name, tools[0].Name)
		row := []string{w.Name, r.cell(ours, nil), perStage(w, ours), memory(ours)}
		for _, t := range tools[1:] {
			row = append(row, r.cell(r.find(w.Name, t.Name), ours))
		}
		rows = append(rows, row)
	}
	return align(rows)
}

// none stands where a tool has no such thing.
const none = "–"

// cell is what was measured, and the ratio of ours to it where ours is given.
func (r *report) cell(f, ours *figure) string {
	switch {
	case f == nil:
		return none
	case f.Fails != "":
		return "fails"
	case len(f.Seconds) == 0:
		return none
	}
	text := seconds(f.median())
	if ours != nil && len(ours.Seconds) > 0 && f.median() > 0 {
		text += " (" + ratio(ours.median()/f.median()) + "×)"
	}
	if f.Work == killName {
		text += fmt.Sprintf(", %d again", f.Again)
	}
	if len(f.Seconds) < r.Runs {
		text += ", " + times(len(f.Seconds))
	}
	return text
}

// perStage is the time of one stage of ours, where a work has many.
func perStage(w work, f *figure) string {
	n := w.Stages * max(w.Runs, 1)
	if f == nil || len(f.Seconds) == 0 || n < 2 || w.Check || w.Shape == kill {
		return none
	}
	return fmt.Sprintf("%.2f ms", 1000*f.median()/float64(n))
}

// memory is that of one command and of the server.
func memory(f *figure) string {
	switch {
	case f == nil || f.Memory == 0 && f.Server == 0:
		return none
	case f.Memory == 0:
		return none + " + " + mebibytes(f.Server)
	case f.Server == 0:
		return mebibytes(f.Memory)
	}
	return mebibytes(f.Memory) + " + " + mebibytes(f.Server)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }

// seconds has as many digits as mean something.
func seconds(s float64) string {
	switch {
	case s < 0.1:
		return fmt.Sprintf("%.3f", s)
	case s < 10:
		return fmt.Sprintf("%.2f", s)
	case s < 100:
		return fmt.Sprintf("%.1f", s)
	}
	return fmt.Sprintf("%.0f", s)
}

func ratio(x float64) string {
	switch {
	case x < 1:
		return fmt.Sprintf("%.2f", x)
	case x < 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// versions says what was measured, and what was not here. Columns of the same
// program are named together.
func (r *report) versions() string {
	var here, absent []string
	for i, t := range r.Tools {
		switch {
		case t.Absent != "":
			absent = append(absent, t.Name)
		case i > 0 && r.Tools[i-1].Version == t.Version:
			here[len(here)-1] += "; " + t.Name + " likewise"
		default:
			here = append(here, t.Name+": "+t.Version)
		}
	}
	text := "Versions: " + strings.Join(here, "; ") + ".\n"
	if len(absent) > 0 {
		text += "Not here, and so not measured: " + strings.Join(absent, ", ") + ".\n"
	}
	return text
}

// failures gives the reason of each failure.
func (r *report) failures() string {
	var b strings.Builder
	for _, f := range r.Figures {
		if f.Fails != "" {
			fmt.Fprintf(&b, "- %s, %s: `%s`\n", f.Tool, f.Work, strings.ReplaceAll(f.Fails, "`", "'"))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "Fails:\n\n" + b.String()
}

// align is a Markdown table that can be read on a terminal, too.
func align(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		for i, c := range row {
			b.WriteString("| " + c + strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+1))
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range width {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
