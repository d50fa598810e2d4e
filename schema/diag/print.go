package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lookup returns line n (from 1) of a file, or "" when it is not known.
type Lookup func(file string, n int) string

// The most characters of a source line that Text shows.
const shown = 120

const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"
)

// Text writes findings for people: a header line, the line of the file, and a
// caret under the place with the cure beside it.
//
//	f.yaml:14:13: error: no target named "gpu" [unknown-target]
//	   14 |     target: gpu
//	      |             ^~~ did you mean "cpu"?
func Text(w io.Writer, findings Findings, lookup Lookup, colour bool) error {
	var at ruler
	for _, f := range findings {
		if _, err := io.WriteString(w, tame(text(f, lookup, &at, colour))); err != nil {
			return err
		}
	}
	return nil
}

func text(f Finding, lookup Lookup, at *ruler, colour bool) string {
	paint := func(code, s string) string {
		if !colour || s == "" {
			return s
		}
		return code + s + plain
	}
	loud := red
	if f.Severity == Warning {
		loud = yellow
	}
	line := ""
	if lookup != nil && f.Line > 0 {
		line = strings.TrimPrefix(lookup(f.File, f.Line), "\ufeff") // which no column counts
	}
	f.File, f.Message, f.Hint = strings.Map(printable, f.File), strings.Map(printable, f.Message), strings.Map(printable, f.Hint)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s\n", paint(bold, f.Pos.String()+":"), paint(loud, string(f.Severity)+":"), f.Message, paint(dim, "["+string(f.Code)+"]"))
	if line == "" {
		if f.Hint != "" {
			fmt.Fprintf(&b, "      %s %s\n", paint(dim, "|"), f.Hint)
		}
		return b.String()
	}
	show, pad, width := window(line, at.at(f.Pos, line), f.Width)
	mark := "^" + strings.Repeat("~", max(0, width-1))
	fmt.Fprintf(&b, "%s %s\n", paint(dim, fmt.Sprintf("%5d |", f.Line)), show)
	fmt.Fprintf(&b, "%s %s%s\n", paint(dim, "      |"), pad, strings.TrimRight(paint(loud, mark)+" "+f.Hint, " "))
	return b.String()
}

// ruler finds the byte at which a column begins. Findings stand in order and a line
// may be as long as a file, so it goes on from where it was.
type ruler struct {
	last Pos
	byte int
}

func (r *ruler) at(p Pos, line string) int {
	if p.File != r.last.File || p.Line != r.last.Line || p.Col < r.last.Col || r.byte > len(line) {
		r.last, r.byte = Pos{p.File, p.Line, 1}, 0
	}
	for ; r.last.Col < p.Col && r.byte < len(line); r.last.Col++ {
		_, size := utf8.DecodeRuneInString(line[r.byte:])
		r.byte += size
	}
	return r.byte
}

// window cuts a line to what is worth showing around byte at, and gives the blanks to
// put under it before the caret and how many characters to underline.
func window(line string, at, width int) (show, pad string, under int) {
	from, to := 0, len(line)
	cutLeft, cutRight := "", ""
	if len(line) > 4*shown || utf8.RuneCountInString(line) > shown {
		from = at
		for n := 0; n < shown/2 && from > 0; n++ {
			_, size := utf8.DecodeLastRuneInString(line[:from])
			from -= size
		}
		to = from
		for n := 0; n < shown && to < len(line); n++ {
			_, size := utf8.DecodeRuneInString(line[to:])
			to += size
		}
		if from > 0 {
			cutLeft = "…"
		}
		if to < len(line) {
			cutRight = "…"
		}
	}
	blanks := strings.Repeat(" ", utf8.RuneCountInString(cutLeft))
	for _, r := range line[from:at] {
		if r == '\t' {
			blanks += "\t"
			continue
		}
		blanks += " "
	}
	rest := utf8.RuneCountInString(line[at:to])
	return cutLeft + strings.Map(visible, line[from:to]) + cutRight, blanks, min(max(width, 1), max(rest, 1))
}

// visible keeps a file from steering the terminal that shows it.
func visible(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return '·'
}

// printable does the same for words, which may have several lines.
func printable(r rune) rune {
	if r == '\n' {
		return r
	}
	return visible(r)
}

// JSON writes {"findings": […]} on one line; no findings are an empty list.
func JSON(w io.Writer, findings Findings) error {
	if findings == nil {
		findings = Findings{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Findings Findings `json:"findings"`
	}{findings})
}
