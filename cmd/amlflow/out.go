package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"

	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/target"
)

// The few colours, as terminals number them.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// terminal reports whether w is one.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colourful follows no-color.org: a variable that is set and not empty.
func (p *program) colourful(w io.Writer) bool {
	return terminal(w) && !p.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func paint(on bool, colour, s string) string {
	if !on || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

func (p *program) paintOut(colour, s string) string { return paint(p.colourOut, colour, s) }
func (p *program) paintErr(colour, s string) string { return paint(p.colourErr, colour, s) }

// say writes a line for people, beside the data.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.err, format+"\n", args...)
}

// print writes a line of data.
func (p *program) print(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// json writes one object, indented for the people who look at it too.
func (p *program) json(v any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes rows under each other in columns as wide as what is in them.
func table(w io.Writer, rows [][]string) {
	var wide []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], lipgloss.Width(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", wide[i]-lipgloss.Width(cell)+2))
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// heading makes the first row of a table.
func (p *program) heading(names ...string) []string {
	for i, n := range names {
		names[i] = p.paintOut(dim, n)
	}
	return names
}

// findings shows what is wrong with files, to people on w or to machines.
func (p *program) findings(w io.Writer, fs diag.Findings, lines diag.Lookup) {
	_ = diag.Text(w, fs, lines, p.colourful(w))
}

// state is a state in the colour that it has everywhere.
func state(on bool, s target.State) string {
	switch s {
	case target.Succeeded:
		return paint(on, green, string(s))
	case target.Failed, target.Lost:
		return paint(on, red, string(s))
	case target.Running:
		return paint(on, cyan, string(s))
	case target.Cancelled:
		return paint(on, yellow, string(s))
	}
	return paint(on, dim, string(s))
}

// took is a duration as people say it: 40ms, 0.4s, 12.3s, 4m05s, 2h03m, 3d4h.
func took(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// span is how long something has taken so far.
func span(from, to time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = time.Now()
	}
	return took(to.Sub(from))
}

// value is a result as a person reads it.
func value(v any) string {
	switch v := v.(type) {
	case string:
		return clean(v)
	case float64:
		return number(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// number keeps four digits that matter of a fraction, and every digit of a count.
func number(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprint(int64(v))
	}
	return fmt.Sprintf("%.4g", v)
}

// clean keeps what a job wrote from steering the terminal that shows it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
